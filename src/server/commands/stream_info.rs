//! XINFO (`xinfoCommand`).

use bytes::BytesMut;

use super::flag::{LOADING, READONLY, STALE};
use super::streams::{add_entry, add_id, encode_range};
use super::{Spec, container, row};
use crate::resp::{encode, lossless};
use crate::server::call::Cx;
use crate::server::cost;
use crate::server::keyspace::Type;
use crate::server::keyspace::stream::{Group, Id, Stream, UNKNOWN_READ};

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    container(row("xinfo", -2, 0, (0, 0, 0), "@slow", super::no_handler), XINFO_SUBS),
];

#[rustfmt::skip]
const XINFO_SUBS: &[Spec] = &[
    row("xinfo|consumers", 4, READONLY, (2, 2, 1), "@read @stream @slow", consumers),
    row("xinfo|groups", 3, READONLY, (2, 2, 1), "@read @stream @slow", groups),
    row("xinfo|help", 2, LOADING | STALE, (0, 0, 0), "@stream @slow", help),
    row("xinfo|stream", -3, READONLY, (2, 2, 1), "@read @stream @slow", stream),
];

/// A reply in the making, of RESP2 or RESP3.
struct Answer {
    out: BytesMut,
    resp3: bool,
}

impl Answer {
    fn map(&mut self, pairs: usize) {
        if self.resp3 {
            encode::header(&mut self.out, b'%', pairs);
        } else {
            encode::array_header(&mut self.out, pairs * 2);
        }
    }

    fn array(&mut self, len: usize) {
        encode::array_header(&mut self.out, len);
    }

    fn name(&mut self, name: &str) -> &mut Answer {
        encode::bulk(&mut self.out, name.as_bytes());
        self
    }

    fn text(&mut self, text: &[u8]) {
        encode::bulk(&mut self.out, text);
    }

    fn int(&mut self, n: i64) {
        encode::integer(&mut self.out, n);
    }

    fn count(&mut self, n: usize) {
        self.int(i64::try_from(n).expect("counts fit 63 bits"));
    }

    fn id(&mut self, id: Id) {
        add_id(&mut self.out, id);
    }

    fn null(&mut self) {
        self.out.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    fn int_or_null(&mut self, n: Option<i64>) {
        match n {
            Some(n) => self.int(n),
            None => self.null(),
        }
    }

    /// The first or the last entry.
    fn edge(&mut self, stream: &Stream, last: bool) {
        let before = self.out.len();
        stream.visit(Id::ZERO, Id::MAX, last, |entry| {
            add_entry(&mut self.out, entry);
            false
        });
        if self.out.len() == before {
            self.null();
        }
    }
}

/// The stream at argument 2, which must be there.
fn find(cx: &mut Cx<'_>) -> Option<u32> {
    let found = cx.find_read(2);
    if found.is_none() {
        cx.add_error("ERR no such key");
        return None;
    }
    cx.of_type(found, Type::Stream).ok().flatten()
}

fn answer(cx: &mut Cx<'_>, at: u32, make: impl FnOnce(&Stream, &mut Answer)) {
    let mut answer = Answer { out: BytesMut::new(), resp3: cx.session().resp > 2 };
    make(cx.stream_at(at), &mut answer);
    cx.reply().extend_from_slice(&answer.out);
}

fn read_of(group: &Group) -> Option<i64> {
    Some(group.entries_read).filter(|&read| read != UNKNOWN_READ)
}

fn stream(cx: &mut Cx<'_>) {
    let Some(at) = find(cx) else { return };
    let mut full = None;
    if cx.args.len() > 3 {
        let counted = cx.args.len() == 6 && cx.arg_is(4, "count");
        if !(cx.args.len() == 4 || counted) || !cx.arg_is(3, "full") {
            return cx.add_subcommand_error();
        }
        full = Some(10);
        if counted {
            let Some(given) = cx.int_arg(5) else { return };
            full = Some(u64::try_from(given).unwrap_or(10));
        }
    }
    let stream = cx.stream_at(at);
    let there = stream.length + stream.groups.values().map(|group| group.pending.len() as u64).sum::<u64>();
    let shown = full.map_or(2, |count| if count == 0 { there } else { there.min(count) });
    cx.s.meter.add(shown * cost::ELEMENT);
    answer(cx, at, |stream, answer| {
        answer.map(if full.is_some() { 9 } else { 10 });
        answer.name("length").int(stream.length.cast_signed());
        answer.name("radix-tree-keys").count(stream.nodes().len());
        answer.name("radix-tree-nodes").int(stream.tree_nodes().cast_signed());
        answer.name("last-generated-id").id(stream.last_id);
        answer.name("max-deleted-entry-id").id(stream.max_deleted);
        answer.name("entries-added").int(stream.entries_added.cast_signed());
        answer.name("recorded-first-entry-id").id(stream.first_id);
        match full {
            Some(count) => add_everything(answer, stream, count),
            None => {
                answer.name("groups").count(stream.groups.len());
                answer.name("first-entry").edge(stream, false);
                answer.name("last-entry").edge(stream, true);
            }
        }
    });
}

/// The entries and the groups, up to so many of each kind if that isn't 0.
fn add_everything(answer: &mut Answer, stream: &Stream, count: u64) {
    let (found, entries) = encode_range(stream, Id::ZERO, Id::MAX, false, count);
    answer.name("entries").array(found);
    answer.out.extend_from_slice(&entries);
    let most = if count == 0 { usize::MAX } else { usize::try_from(count).unwrap_or(usize::MAX) };
    answer.name("groups").array(stream.groups.len());
    for (name, group) in &stream.groups {
        answer.map(7);
        answer.name("name").text(name);
        answer.name("last-delivered-id").id(group.last_id);
        answer.name("entries-read").int_or_null(read_of(group));
        answer.name("lag").int_or_null(stream.lag(group));
        answer.name("pel-count").count(group.pending.len());
        answer.name("pending").array(group.pending.len().min(most));
        for (&id, pending) in group.pending.iter().take(most) {
            answer.array(4);
            answer.id(id);
            answer.text(&pending.consumer);
            answer.int(pending.time);
            answer.int(pending.count.cast_signed());
        }
        answer.name("consumers").array(group.consumers.len());
        for (name, consumer) in &group.consumers {
            answer.map(4);
            answer.name("name").text(name);
            answer.name("seen-time").int(consumer.seen);
            answer.name("pel-count").count(consumer.pending.len());
            answer.name("pending").array(consumer.pending.len().min(most));
            for id in consumer.pending.iter().take(most) {
                let pending = &group.pending[id];
                answer.array(3);
                answer.id(*id);
                answer.int(pending.time);
                answer.int(pending.count.cast_signed());
            }
        }
    }
}

fn groups(cx: &mut Cx<'_>) {
    let Some(at) = find(cx) else { return };
    answer(cx, at, |stream, answer| {
        answer.array(stream.groups.len());
        for (name, group) in &stream.groups {
            answer.map(6);
            answer.name("name").text(name);
            answer.name("consumers").count(group.consumers.len());
            answer.name("pending").count(group.pending.len());
            answer.name("last-delivered-id").id(group.last_id);
            answer.name("entries-read").int_or_null(read_of(group));
            answer.name("lag").int_or_null(stream.lag(group));
        }
    });
}

fn consumers(cx: &mut Cx<'_>) {
    let Some(at) = find(cx) else { return };
    let (args, now) = (cx.args, cx.s.ms());
    if !cx.stream_at(at).groups.contains_key(args.get(3)) {
        let [key, group] = [2, 3].map(|i| lossless(args.get(i)));
        return cx.add_error(&format!("NOGROUP No such consumer group '{group}' for key name '{key}'"));
    }
    answer(cx, at, |stream, answer| {
        let group = &stream.groups[args.get(3)];
        answer.array(group.consumers.len());
        for (name, consumer) in &group.consumers {
            answer.map(3);
            answer.name("name").text(name);
            answer.name("pending").count(consumer.pending.len());
            answer.name("idle").int(now.saturating_sub(consumer.seen).max(0));
        }
    });
}

fn help(cx: &mut Cx<'_>) {
    cx.add_help(
        "xinfo",
        &[
            "CONSUMERS <key> <groupname>",
            "    Show consumers of <groupname>.",
            "GROUPS <key>",
            "    Show the stream consumer groups.",
            "STREAM <key> [FULL [COUNT <count>]",
            "    Show information about the stream.",
        ],
    );
}
