//! Commands per second of real time, family by family: pipelines of 1,000 from outside the world into one server, its replies
//! back, the trace digested and dropped. The commands cost no simulated time.

use std::hint::black_box;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use splitbrain::resp::{encode, split_args};
use splitbrain::rng::Seed;
use splitbrain::scenario::{Input, load};
use splitbrain::time::Span;
use splitbrain::world::{Injection, Outside, World};

/// As in the binary.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PIPELINE: usize = 1_000;

/// What ends a pipeline.
const END: &[u8] = b"$3\r\nend\r\n";

/// Family, what fills the keys (`{n}` counts from 0 to 999), and what is measured.
const FAMILIES: &[(&str, &[&str], &[&str])] = &[
    (
        "strings",
        &["SET key:{n} 0123456789abcdef"],
        &["SET key:{n} value", "GET key:{n}", "INCR counter", "APPEND log x"],
    ),
    ("keys", &["SET key:{n} v"], &["EXPIRE key:{n} 1000", "TTL key:{n}", "EXISTS key:{n}", "SCAN 0 COUNT 10"]),
    ("hashes", &["HSET h f{n} v"], &["HSET h f{n} value", "HGET h f{n}", "HINCRBY h counter 1", "HMGET h f1 f2 f3"]),
    ("lists", &["RPUSH l v{n}"], &["LPUSH l v", "RPOP l", "LINDEX l 500", "LRANGE l 0 9"]),
    ("sets", &["SADD s m{n}"], &["SADD s m{n}", "SISMEMBER s m{n}", "SRANDMEMBER s", "SCARD s"]),
    ("sorted sets", &["ZADD z {n} m{n}"], &["ZADD z {n} m{n}", "ZRANK z m{n}", "ZSCORE z m{n}", "ZRANGE z 100 109"]),
    ("streams", &["XADD x 1-{n} f v"], &["XADD x MAXLEN ~ 1000 * f v", "XLEN x", "XRANGE x - + COUNT 10"]),
    ("bitmaps", &["SETBIT b {n} 1"], &["SETBIT b {n} 1", "GETBIT b {n}", "BITCOUNT b", "BITFIELD b GET u8 {n}"]),
    ("hyperloglogs", &["PFADD p e{n}"], &["PFADD p e{n}", "PFCOUNT p"]),
    ("geo", &["GEOADD g 13.{n} 38.{n} m{n}"], &["GEOADD g 13.{n} 38.{n} m{n}", "GEODIST g m1 m2", "GEOPOS g m{n}"]),
    ("pub/sub", &[], &["PUBLISH channel:{n} message"]),
    ("transactions", &[], &["MULTI", "SET key v", "INCR counter", "EXEC"]),
    (
        "scripts",
        &[],
        &[
            "EVAL \"return redis.call('GET', KEYS[1])\" 1 key:{n}",
            "EVAL \"return redis.call('INCR', KEYS[1])\" 1 counter",
        ],
    ),
];

fn world() -> World {
    let text = "duration = \"1h\"
cpu-costs = 0
[network]
latency = \"0s\"
[[redis]]
name = \"r1\"
config = { save = \"\" }
";
    let input = Input { name: "bench.toml", text, sets: &[], read_file: &|path| Err(format!("no file {path}")) };
    match load(input) {
        Ok(loaded) => World::new(Arc::new(loaded.scenario), Seed(1)),
        Err(report) => panic!("{}", report.render(100, false)),
    }
}

/// The commands in turn, a thousand of them, and what ends them.
fn pipeline(commands: &[&str]) -> Bytes {
    let mut data = BytesMut::new();
    for (i, command) in commands.iter().cycle().take(if commands.is_empty() { 0 } else { PIPELINE }).enumerate() {
        let line = command.replace("{n}", &(i / commands.len()).to_string());
        let words = split_args(line.as_bytes()).expect("quotes match");
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        encode::command(&mut data, &words);
    }
    encode::command(&mut data, &[b"ECHO", b"end"]);
    data.freeze()
}

/// Sends a pipeline and waits for all its replies. Counts their bytes.
fn exchange(world: &mut World, data: &Bytes) -> usize {
    let (mut events, mut received) = (Vec::new(), 0);
    world.inject(Injection::Bytes { id: 1, data: data.clone() });
    loop {
        let to = world.now() + Span::from_us(100);
        world.advance(to);
        world.drain(&mut events);
        events.clear();
        let mut ended = false;
        for outside in world.take_outside() {
            if let Outside::Bytes { data, .. } = outside {
                assert!(!data.starts_with(b"-"), "{}", String::from_utf8_lossy(&data));
                received += data.len();
                ended = data.ends_with(END);
            }
        }
        if ended {
            return received;
        }
    }
}

fn families(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("commands");
    group.throughput(Throughput::Elements(PIPELINE as u64));
    for (family, prepare, commands) in FAMILIES {
        let mut world = world();
        let to = world.scenario().nodes[0].addr;
        world.advance(world.now() + Span::from_ms(10));
        world.inject(Injection::Connect { id: 1, to });
        exchange(&mut world, &pipeline(prepare));
        let data = pipeline(commands);
        group.bench_function(*family, |bencher| bencher.iter(|| black_box(exchange(&mut world, &data))));
    }
    group.finish();
}

criterion_group!(benches, families);
criterion_main!(benches);
