//! The exchange: client node, world, server node, world, client node. SET of a 12-byte key (one of 1,000) and a 32-byte
//! value, one operation in flight for each client, 0.5 to 1 ms each way, the whole trace digested and dropped.
//!
//! The same beside madsim and turmoil is in `benches/peers`; instructions are counted with `benches/one_set.rs`.

mod deploy;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use splitbrain::rng::Seed;
use splitbrain::world::World;

fn exchange(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("exchange");
    for nodes in [8, 100] {
        let mut world = World::new(deploy::exchange(nodes), Seed(1));
        // Every key exists and every buffer has its size before anything is timed.
        deploy::advance(&mut world, 5_000);
        let step = 20_000 / nodes as u64;
        let messages = 2 * deploy::advance(&mut world, 5_000 + step);
        let mut at = 5_000 + step;
        group.throughput(Throughput::Elements(messages));
        group.bench_function(format!("{nodes} nodes"), |bencher| {
            bencher.iter(|| {
                at += step;
                deploy::advance(&mut world, at)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, exchange);
criterion_main!(benches);
