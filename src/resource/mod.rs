//! What a lock protects: a store that knows nothing of locks. It takes writes, remembers the newest fencing token of
//! each lock, and refuses older ones if it is told to look.
//!
//! Its protocol is RESP: `WRITE <lock> <client> <round> <fencing token or ->` is answered `OK`, or with the error `FENCED`.

pub mod config;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use config::ResourceConfig;

use crate::id::Fd;
use crate::node::{DiskImage, DiskOp, Init, Input, Node, Outbox};
use crate::resp::{Args, CommandReader, Limits, encode};
use crate::rng::Rng;
use crate::time::{Instant, Now};
use crate::trace::Kind;
use crate::trace::event::LockEvent;

/// The file in which the newest tokens survive the process.
const FILE: &str = "fencing";

/// One resource.
#[derive(Clone, Debug)]
pub struct Resource {
    config: ResourceConfig,
    port: u16,
    sessions: BTreeMap<Fd, CommandReader>,
    /// The newest fencing token of each lock.
    newest: BTreeMap<Arc<str>, u64>,
    replies: Vec<(Fd, Bytes)>,
    rng: Rng,
}

impl Resource {
    /// A resource that has not started yet.
    #[must_use]
    pub fn new(init: Init, config: ResourceConfig) -> Resource {
        Resource {
            config,
            port: init.addr.port,
            sessions: BTreeMap::new(),
            newest: BTreeMap::new(),
            replies: Vec::new(),
            rng: init.seed.stream(&init.name, "resource"),
        }
    }

    /// What is on the disk: a line for each lock.
    fn load(&mut self, disk: &DiskImage) {
        let Some(text) = disk.get(FILE).and_then(|bytes| std::str::from_utf8(bytes).ok()) else { return };
        for (token, lock) in text.lines().filter_map(|line| line.split_once(' ')) {
            if let Ok(token) = token.parse() {
                self.newest.insert(lock.into(), token);
            }
        }
    }

    /// Writes the tokens down. A disk that fails leaves the old ones there.
    fn save(&self, out: &mut Outbox) {
        let text: String = self.newest.iter().map(|(lock, token)| format!("{token} {lock}\n")).collect();
        if out.disk_wait(DiskOp::Write { file: FILE.into(), data: text.into() }).is_ok() {
            let _ = out.disk_wait(DiskOp::Fsync { file: FILE.into() });
        }
    }

    fn receive(&mut self, fd: Fd, data: Bytes, out: &mut Outbox) {
        let Some(reader) = self.sessions.get_mut(&fd) else { return };
        reader.feed(data);
        let mut requests = Vec::new();
        let broken = loop {
            let mut args = Args::default();
            match reader.read(&mut args, Limits::default()) {
                Ok(true) => requests.push(args),
                Ok(false) => break false,
                Err(_) => break true,
            }
        };
        for args in requests {
            let reply = self.execute(&args, out);
            self.replies.push((fd, reply));
        }
        if broken {
            self.sessions.remove(&fd);
            self.replies.retain(|(other, _)| *other != fd);
            out.close(fd);
        }
    }

    fn execute(&mut self, args: &Args, out: &mut Outbox) -> Bytes {
        let mut reply = BytesMut::new();
        let text = |at: usize| std::str::from_utf8(args.get(at)).ok();
        let read = || {
            if args.len() != 5 || !args.get(0).eq_ignore_ascii_case(b"WRITE") {
                return None;
            }
            let fencing = match text(4)? {
                "-" => None,
                number => Some(number.parse::<u64>().ok()?),
            };
            Some((Arc::<str>::from(text(1)?), Arc::<str>::from(text(2)?), text(3)?.parse::<u32>().ok()?, fencing))
        };
        let Some((lock, client, round, fencing)) = read() else {
            encode::error(&mut reply, "ERR write WRITE lock client round token, with - for no token");
            return reply.freeze();
        };
        let newest = self.newest.get(&lock).copied().unwrap_or(0);
        if self.config.checks_fencing && fencing.is_none_or(|token| token < newest) {
            out.note(Kind::Lock(LockEvent::Rejected { lock, client, round, fencing, newest }));
            let what = fencing.map_or("a write without a token".to_owned(), |token| format!("token {token}"));
            encode::error(&mut reply, &format!("FENCED {what}: {newest} has been seen"));
            return reply.freeze();
        }
        out.note(Kind::Lock(LockEvent::Written { lock: Arc::clone(&lock), client, round, fencing }));
        out.busy(self.config.takes.draw(&mut self.rng));
        if let Some(token) = fencing.filter(|&token| token > newest) {
            self.newest.insert(lock, token);
            self.save(out);
        }
        encode::simple(&mut reply, b"OK");
        reply.freeze()
    }
}

impl Node for Resource {
    fn start(&mut self, _now: Now, disk: &DiskImage, out: &mut Outbox) {
        self.load(disk);
        out.listen(self.port);
    }

    fn handle(&mut self, _now: Now, input: Input, out: &mut Outbox) {
        match input {
            Input::Accepted { fd, .. } => {
                self.sessions.insert(fd, CommandReader::default());
            }
            Input::Bytes { fd, data } => self.receive(fd, data, out),
            Input::Closed { fd, .. } => {
                self.sessions.remove(&fd);
                self.replies.retain(|(other, _)| *other != fd);
            }
            Input::LoopEnd => {
                for (fd, reply) in self.replies.drain(..) {
                    out.send(fd, reply);
                }
            }
            Input::Signal(_) => out.exit(0),
            Input::Wake
            | Input::Connected { .. }
            | Input::Refused { .. }
            | Input::Writable { .. }
            | Input::DiskDone { .. }
            | Input::JobDone { .. }
            | Input::Files(_) => {}
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        None
    }

    fn probe(&self, _now: Now, _out: &mut Outbox) {}

    fn box_clone(&self) -> Box<dyn Node> {
        Box::new(self.clone())
    }
}
