//! The exchange on nothing at all: a heap of what arrives when, and as little as can answer a SET. What a simulator could
//! reach that knows no connections, clocks, faults, trace or digest: no peer, but a measure of what the machine can do.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;
use splitbrain::rng::{Rng, Seed};

use crate::request::{Dice, KEYS, OK, Requests, parts};
use crate::{LATENCY, tally};

/// Bytes on their way, and where to. Odd nodes are servers, each of the client before it.
#[derive(Clone, Copy)]
struct Message {
    to: u32,
    len: u8,
    bytes: [u8; 80],
}

/// A client that writes the digits that change into a request that stays.
struct Client {
    text: Vec<u8>,
    dice: Dice,
    value: usize,
}

impl Client {
    fn new(seed: u64) -> Client {
        let text = Requests::new(seed).next().to_vec();
        let value = text.iter().rposition(u8::is_ascii_digit).expect("the value has digits");
        Client { text, dice: Dice(seed), value }
    }

    fn next(&mut self) -> &[u8] {
        let mut key = self.dice.below(KEYS);
        for digit in self.text[22..30].iter_mut().rev().take(4) {
            (*digit, key) = (b'0' + (key % 10) as u8, key / 10);
        }
        for digit in self.text[..=self.value].iter_mut().rev() {
            if *digit == b'9' {
                *digit = b'0';
            } else {
                *digit += 1;
                break;
            }
        }
        &self.text
    }
}

/// A server whose values are overwritten in place.
struct Server(FxHashMap<Vec<u8>, Vec<u8>>);

impl Server {
    fn filled() -> Server {
        let (mut server, mut requests) = (Server(FxHashMap::default()), Requests::new(0));
        while server.0.len() < KEYS as usize {
            let [_, key, value] = parts(requests.next()).expect("a whole request");
            server.0.insert(key.to_vec(), value.to_vec());
        }
        server
    }

    fn execute(&mut self, request: &[u8]) -> &'static [u8] {
        let [name, key, value] = parts(request).expect("a whole request");
        assert!(name.eq_ignore_ascii_case(b"SET"));
        self.0.get_mut(key).expect("every key exists").copy_from_slice(value);
        OK
    }
}

struct Loop {
    /// Time (64 bits), sequence (40) and slot (24).
    queue: BinaryHeap<Reverse<u128>>,
    slots: Vec<Message>,
    free: Vec<u32>,
    sequence: u64,
    latency: Rng,
}

impl Loop {
    fn send(&mut self, now: u64, to: u32, bytes: &[u8]) {
        let (low, high) = (LATENCY.start.as_nanos() as u64, LATENCY.end.as_nanos() as u64);
        let at = now + low + self.latency.below(high - low);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Message { to, len: 0, bytes: [0; 80] });
            self.slots.len() as u32 - 1
        });
        let message = &mut self.slots[slot as usize];
        (message.to, message.len) = (to, bytes.len() as u8);
        message.bytes[..bytes.len()].copy_from_slice(bytes);
        self.sequence += 1;
        self.queue.push(Reverse(u128::from(at) << 64 | u128::from(self.sequence) << 24 | u128::from(slot)));
    }
}

pub fn run(nodes: usize, _messages: u64) {
    let mut clients: Vec<Client> = (0..nodes / 2).map(|pair| Client::new(pair as u64)).collect();
    let mut servers: Vec<Server> = (0..nodes / 2).map(|_| Server::filled()).collect();
    let latency = Seed(1).stream("plain", "latency");
    let mut events = Loop { queue: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), sequence: 0, latency };
    for (client, to) in clients.iter_mut().zip((1..).step_by(2)) {
        events.send(0, to, client.next());
    }
    while !tally::is_over() {
        let Some(Reverse(key)) = events.queue.pop() else { return };
        let (now, slot) = ((key >> 64) as u64, key as u32 & 0xff_ffff);
        let Message { to, len, bytes } = events.slots[slot as usize];
        events.free.push(slot);
        let (pair, bytes) = (to as usize / 2, &bytes[..usize::from(len)]);
        if to % 2 == 1 {
            let reply = servers[pair].execute(bytes);
            events.send(now, to - 1, reply);
        } else {
            assert_eq!(bytes, OK);
            events.send(now, to + 1, clients[pair].next());
        }
        tally::count(1);
    }
}
