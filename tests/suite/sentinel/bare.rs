//! A sentinel in no world: what it is given and what it sends are byte strings.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use splitbrain::conf;
use splitbrain::id::{Addr, EventId, Fd, Ip, NodeId};
use splitbrain::node::{DiskImage, DiskOp, Init, Input, Node, Outbox, Output};
use splitbrain::resp::{ReplyReader, Value, encode};
use splitbrain::rng::Seed;
use splitbrain::sentinel::Sentinel;
use splitbrain::sentinel::config::Config;
use splitbrain::time::{Instant, NS_PER_MS, Now, Unix};
use splitbrain::trace::Via;

/// A sentinel in no world: connections to it are byte strings.
pub(super) struct Bare {
    pub(super) sentinel: Sentinel,
    pub(super) out: Outbox,
    pub(super) now: Now,
    pub(super) client: Fd,
    others: BTreeMap<u32, Vec<u8>>,
    pub(super) files: BTreeMap<Arc<str>, Bytes>,
}

impl Bare {
    pub(super) fn new(text: &str) -> Bare {
        let directives = conf::parse(text.as_bytes()).expect("valid");
        let (config, _) = Config::from_directives(&directives).expect("valid");
        let init = Init {
            node: NodeId(0),
            name: "s1".into(),
            addr: Addr::new(Ip::new(10, 0, 0, 9), 26_379),
            seed: Seed(1),
            incarnation: 1,
            hosts: Arc::new([("db1".into(), Ip::new(10, 0, 0, 7))].into_iter().collect()),
            cpu_milli: 0,
        };
        let now = Now { mono: Instant(1), unix: Unix(1_700_000_000_000 * NS_PER_MS) };
        let mut sentinel = Sentinel::new(init, config);
        let mut out = Outbox::default();
        out.begin(NodeId(0), EventId::NONE, Via::Start);
        sentinel.start(now, &DiskImage::new(), &mut out);
        let mut bare = Bare { sentinel, out, now, client: Fd(0), files: BTreeMap::new(), others: BTreeMap::new() };
        bare.client = bare.open();
        bare
    }

    pub(super) fn open(&mut self) -> Fd {
        let fd = self.out.fds.open();
        let from = Addr::new(Ip::new(10, 0, 0, 1), 50_000);
        self.give(Input::Accepted { fd, from, local: Addr::new(Ip::new(10, 0, 0, 9), 26_379) });
        fd
    }

    pub(super) fn give(&mut self, input: Input) {
        self.out.begin(NodeId(0), EventId::NONE, Via::Message);
        self.sentinel.handle(self.now, input, &mut self.out);
    }

    /// What was sent to a connection since the last call; files are written along the way.
    pub(super) fn sent(&mut self, fd: Fd) -> Vec<u8> {
        self.give(Input::LoopEnd);
        let mut sent = Vec::new();
        for output in std::mem::take(&mut self.out.outputs) {
            if let Output::Send { fd: to, data } = &output {
                if *to == fd {
                    sent.extend_from_slice(data);
                } else {
                    self.others.entry(to.0).or_default().extend_from_slice(data);
                }
            }
            if let Output::Disk(request) = output {
                self.disk(request.op);
            }
        }
        sent
    }

    /// What was sent to a connection while others were asked.
    pub(super) fn heard(&mut self, fd: Fd) -> Vec<u8> {
        self.others.remove(&fd.0).unwrap_or_default()
    }

    fn disk(&mut self, op: DiskOp) {
        if let DiskOp::Write { file, data } = op {
            self.files.insert(file, data);
        } else if let DiskOp::Rename { from, to } = op {
            let data = self.files.remove(&from).expect("it was written");
            self.files.insert(to, data);
        }
    }

    pub(super) fn raw(&mut self, fd: Fd, line: &str) -> Vec<u8> {
        let words = splitbrain::resp::split_args(line.as_bytes()).expect("balanced");
        let parts: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let mut request = bytes::BytesMut::new();
        encode::command(&mut request, &parts);
        self.sent(fd);
        self.give(Input::Bytes { fd, data: request.freeze() });
        self.sent(fd)
    }

    pub(super) fn ask(&mut self, line: &str) -> Value {
        let fd = self.client;
        let mut reader = ReplyReader::default();
        reader.feed(Bytes::from(self.raw(fd, line)));
        reader.read().expect("a reply").unwrap_or_else(|| panic!("{line}: no reply"))
    }

    pub(super) fn text(&mut self, line: &str) -> String {
        self.ask(line).to_string()
    }
}
