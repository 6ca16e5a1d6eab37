//! Whole deployments: how fast an idle one passes, a failover, building a world, forking one.

mod deploy;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use splitbrain::rng::Seed;
use splitbrain::run;
use splitbrain::world::World;

/// Elements are simulated seconds, so the rate is how many times faster than life it is.
fn idle(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("idle");
    let mut world = World::new(deploy::sentinels(false), Seed(1));
    deploy::advance(&mut world, 30_000);
    let mut at = 30_000;
    group.throughput(Throughput::Elements(60));
    group.bench_function("3 servers and 3 sentinels, 60 s", |bencher| {
        bencher.iter(|| {
            at += 60_000;
            deploy::advance(&mut world, at)
        });
    });
    group.finish();
}

/// A run with its checkers, from the world's birth to the verdict; a seed each.
fn master_crash(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("runs");
    let scenario = deploy::sentinels(true);
    let mut seed = 0;
    group.throughput(Throughput::Elements(1));
    group.bench_function("master crash, 60 s", |bencher| {
        bencher.iter(|| {
            seed += 1;
            run::run(&scenario, Seed(seed), &mut |_| {})
        });
    });
    group.finish();
}

fn worlds(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("world");
    let scenario = deploy::sentinels(true);
    group.bench_function("build, 6 nodes", |bencher| {
        bencher.iter_with_large_drop(|| World::new(black_box(scenario.clone()), Seed(1)));
    });
    let world = deploy::filled();
    group.bench_function("fork, 10 servers of 1,000 keys", |bencher| {
        bencher.iter_with_large_drop(|| black_box(&world).clone());
    });
    group.finish();
}

criterion_group!(benches, idle, master_crash, worlds);
criterion_main!(benches);
