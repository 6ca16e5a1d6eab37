//! XREAD and XREADGROUP, at once or when something comes (`xreadCommand`, `serveClientsBlockedOnStreamKey`).

use bytes::BytesMut;

use super::flag::{BLOCKING, MOVABLE_KEYS, READONLY, WRITE};
use super::streams::{add_entry, add_id, encode_range, name};
use super::{Spec, row};
use crate::resp::{encode, lossless};
use crate::server::blocking::{ReadGroup, Served, Want};
use crate::server::call::Cx;
use crate::server::cost;
use crate::server::db::Answered;
use crate::server::keyspace::Type;
use crate::server::keyspace::stream::{Group, Id, Stream};
use crate::server::notify::Classes;
use crate::server::reply::encode_command;
use crate::server::session::Flags;

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("xread", -4, READONLY | BLOCKING | MOVABLE_KEYS, (0, 0, 0), "@read @stream @slow @blocking", xread),
    row("xreadgroup", -7, WRITE | BLOCKING | MOVABLE_KEYS, (0, 0, 0), "@write @stream @slow @blocking", xreadgroup),
];

/// Who waits is given no more than this unless it says so (`XREAD_BLOCKED_DEFAULT_COUNT`).
const BLOCKED_COUNT: u64 = 1_000;

/// What a read was told.
struct Told {
    /// When the wait is over; `None`: it doesn't wait.
    block: Option<Option<u64>>,
    count: u64,
    group: Option<ReadGroup>,
    /// The first key's argument, and how many keys there are; their ids follow.
    first: usize,
    streams: usize,
}

fn xread(cx: &mut Cx<'_>) {
    read(cx, false);
}

fn xreadgroup(cx: &mut Cx<'_>) {
    read(cx, true);
}

fn read(cx: &mut Cx<'_>, grouped: bool) {
    // What it does to groups is propagated piece by piece.
    cx.prevent_propagation();
    let Ok(told) = options(cx, grouped) else { return };
    let Ok(ids) = ids(cx, &told) else { return };
    let mut served = 0;
    let mut body = BytesMut::new();
    for (n, &after) in ids.iter().enumerate() {
        let i = told.first + n;
        let Some(at) = cx.find_read(i) else { continue };
        let Some(deliver) = deliverable(cx.stream_at(at), after, told.group.as_ref()) else { continue };
        served += 1;
        if cx.session().resp == 2 {
            encode::array_header(&mut body, 2);
        }
        encode::bulk(&mut body, cx.args.get(i));
        match &told.group {
            None => {
                let from = deliver.after.next().unwrap_or(Id::ZERO);
                let (found, entries) = encode_range(cx.stream_at(at), from, Id::MAX, false, told.count);
                cx.s.meter.add(found as u64 * cost::ELEMENT);
                encode::array_header(&mut body, found);
                body.extend_from_slice(&entries);
            }
            Some(group) => {
                give(cx, (i, at), group, deliver, told.count, &mut body);
                cx.dirty(1);
            }
        }
    }
    if served > 0 {
        if cx.session().resp == 2 {
            cx.add_array(served)
        } else {
            cx.add_map(served)
        }
        cx.reply().extend_from_slice(&body);
        return;
    }
    match told.block {
        Some(until) if !cx.must_not_block() => {
            let count = if told.count == 0 { BLOCKED_COUNT } else { told.count };
            let want = Want::Read { first: told.first, after: ids, count, group: told.group };
            cx.block_for(want, told.first..told.first + told.streams, until);
        }
        _ => cx.add_null_array(),
    }
}

fn options(cx: &mut Cx<'_>, grouped: bool) -> Result<Told, Answered> {
    let args = cx.args;
    let mut told = Told { block: None, count: 0, group: None, first: 0, streams: 0 };
    let (mut names, mut no_ack) = (None, false);
    let mut i = 1;
    while i < args.len() {
        let more = args.len() - i - 1;
        if cx.arg_is(i, "block") && more > 0 {
            if cx.session().flags.has(Flags::SCRIPT) {
                let name = lossless(args.get(0));
                return refuse(cx, &format!("ERR {name} command is not allowed with BLOCK option from scripts"));
            }
            told.block = Some(cx.ms_arg(i + 1)?);
            i += 1;
        } else if cx.arg_is(i, "count") && more > 0 {
            told.count = u64::try_from(cx.int_arg(i + 1).ok_or(Answered)?).unwrap_or(0);
            i += 1;
        } else if cx.arg_is(i, "streams") && more > 0 {
            told.first = i + 1;
            told.streams = more / 2;
            if more % 2 == 1 {
                return refuse(
                    cx,
                    "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
                );
            }
            break;
        } else if cx.arg_is(i, "group") && more >= 2 {
            if !grouped {
                return refuse(cx, "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.");
            }
            names = Some((name(args.get(i + 1)), name(args.get(i + 2))));
            i += 2;
        } else if cx.arg_is(i, "noack") {
            if !grouped {
                return refuse(cx, "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.");
            }
            no_ack = true;
        } else {
            return refuse(cx, "ERR syntax error");
        }
        i += 1;
    }
    if told.first == 0 {
        return refuse(cx, "ERR syntax error");
    }
    if grouped && names.is_none() {
        return refuse(cx, "ERR Missing GROUP option for XREADGROUP");
    }
    told.group = names.map(|(name, consumer)| ReadGroup { name, consumer, no_ack });
    Ok(told)
}

fn refuse<T>(cx: &mut Cx<'_>, text: &str) -> Result<T, Answered> {
    cx.add_error(text);
    Err(Answered)
}

/// The ids behind the keys; that of `>` is the greatest.
fn ids(cx: &mut Cx<'_>, told: &Told) -> Result<Vec<Id>, Answered> {
    let args = cx.args;
    let mut ids = Vec::with_capacity(told.streams);
    for key in told.first..told.first + told.streams {
        let found = cx.read_as(key, Type::Stream)?;
        if let Some(group) = &told.group
            && found.is_none_or(|at| !cx.stream_at(at).groups.contains_key(&group.name))
        {
            let [key, group] = [args.get(key), &group.name].map(lossless);
            let text =
                format!("NOGROUP No such key '{key}' or consumer group '{group}' in XREADGROUP with GROUP option");
            return refuse(cx, &text);
        }
        let i = key + told.streams;
        ids.push(match args.get(i) {
            b"$" if told.group.is_some() => {
                return refuse(
                    cx,
                    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this \
                     consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just \
                     return an empty result set.",
                );
            }
            b"$" => found.map_or(Id::ZERO, |at| cx.stream_at(at).last_id),
            b">" if told.group.is_none() => {
                return refuse(
                    cx,
                    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> \
                     option.",
                );
            }
            b">" => Id::MAX,
            _ => cx.strict_id(i)?,
        });
    }
    Ok(ids)
}

/// What of a stream is to be given.
#[derive(Clone, Copy)]
struct Deliver {
    /// What follows this.
    after: Id,
    /// What the consumer has been given already, not what is new.
    history: bool,
}

/// What of a stream can be given at once, if anything.
fn deliverable(stream: &Stream, after: Id, group: Option<&ReadGroup>) -> Option<Deliver> {
    let Some(group) = group else {
        let newer = stream.edge(true).is_some_and(|last| last > after);
        return newer.then_some(Deliver { after, history: false });
    };
    if after != Id::MAX {
        return Some(Deliver { after, history: true });
    }
    let given = stream.groups.get(&group.name)?.last_id;
    let newer = stream.edge(true).is_some_and(|last| last > given);
    newer.then_some(Deliver { after: given, history: false })
}

/// Gives a consumer what the stream at an index has for it; the key is argument `i`. Puts the array of entries into `body`.
fn give(cx: &mut Cx<'_>, (i, at): (usize, u32), group: &ReadGroup, deliver: Deliver, count: u64, body: &mut BytesMut) {
    let (now, key) = (cx.s.ms(), cx.args.bytes(i));
    let new = change_group(cx, at, &group.name, |own| own.see(&group.consumer, now));
    if new {
        cx.dirty(1);
        cx.notify(Classes::STREAM, "xgroup-createconsumer", i);
        if group.no_ack {
            let words = [b"XGROUP", &b"CREATECONSUMER"[..], &key, &group.name, &group.consumer];
            propagate(cx, &words);
        }
    }
    let from = deliver.after.next().unwrap_or(Id::ZERO);
    if deliver.history {
        return give_again(cx, at, group, from, count, body);
    }
    let (mut entries, mut encoded) = (Vec::new(), BytesMut::new());
    cx.stream_at(at).visit(from, Id::MAX, false, |entry| {
        add_entry(&mut encoded, entry);
        entries.push(entry.id);
        entries.len() as u64 != count
    });
    encode::array_header(body, entries.len());
    body.extend_from_slice(&encoded);
    cx.s.meter.add(entries.len() as u64 * cost::ELEMENT);
    let mut moved = false;
    for &id in &entries {
        let claim = cx.change_stream(at, |stream| {
            moved |= stream.advance(&group.name, id);
            if group.no_ack {
                return None;
            }
            let own = stream.groups.get_mut(&group.name).expect("the group was found");
            own.assign(id, &group.consumer, now, 1);
            Some(own.last_id)
        });
        if let Some(last_id) = claim {
            propagate_claim(
                cx,
                &key,
                &group.name,
                &Claim { id, last_id, consumer: &group.consumer, time: now, count: 1 },
            );
        }
    }
    if moved && group.no_ack {
        propagate_group_id(cx, &key, at, &group.name);
    }
}

/// Gives a consumer again what it has not acknowledged. Nothing of that is propagated.
fn give_again(cx: &mut Cx<'_>, at: u32, group: &ReadGroup, from: Id, count: u64, body: &mut BytesMut) {
    let now = cx.s.ms();
    let stream = cx.stream_at(at);
    let own = stream.groups[&group.name].consumers[&group.consumer].pending.range(from..);
    let most = if count == 0 { usize::MAX } else { usize::try_from(count).unwrap_or(usize::MAX) };
    let ids: Vec<Id> = own.take(most).copied().collect();
    encode::array_header(body, ids.len());
    let resp3 = cx.session().resp > 2;
    let mut given = Vec::new();
    for &id in &ids {
        if let Some(entry) = cx.stream_at(at).get(id) {
            add_entry(body, entry);
            given.push(id);
        } else {
            encode::array_header(body, 2);
            add_id(body, id);
            body.extend_from_slice(if resp3 { b"_\r\n" } else { b"*-1\r\n" });
        }
    }
    cx.s.meter.add(ids.len() as u64 * cost::ELEMENT);
    change_group(cx, at, &group.name, |own| {
        for id in given {
            if let Some(pending) = own.pending.get_mut(&id) {
                pending.time = now;
                pending.count += 1;
            }
        }
    });
}

/// Changes a group that is known to be there.
pub(super) fn change_group<R>(cx: &mut Cx<'_>, at: u32, name: &[u8], change: impl FnOnce(&mut Group) -> R) -> R {
    cx.change_stream(at, |stream| change(stream.groups.get_mut(name).expect("the group was found")))
}

pub(super) fn propagate(cx: &mut Cx<'_>, words: &[&[u8]]) {
    let db = cx.db();
    cx.s.propagate(db, encode_command(words));
}

/// An entry that was given to a consumer.
pub(super) struct Claim<'a> {
    pub(super) id: Id,
    /// The group's last.
    pub(super) last_id: Id,
    pub(super) consumer: &'a [u8],
    pub(super) time: i64,
    pub(super) count: u64,
}

/// Who has which entry to acknowledge, in words that mean the same on every server (`streamPropagateXCLAIM`).
pub(super) fn propagate_claim(cx: &mut Cx<'_>, key: &[u8], group: &[u8], claim: &Claim<'_>) {
    let [id, last_id] = [claim.id, claim.last_id].map(|id| id.to_string());
    let (time, count) = (claim.time.to_string(), claim.count.to_string());
    let words: [&[u8]; 14] = [
        b"XCLAIM",
        key,
        group,
        claim.consumer,
        b"0",
        id.as_bytes(),
        b"TIME",
        time.as_bytes(),
        b"RETRYCOUNT",
        count.as_bytes(),
        b"FORCE",
        b"JUSTID",
        b"LASTID",
        last_id.as_bytes(),
    ];
    propagate(cx, &words);
}

/// How far a group has come (`streamPropagateGroupID`).
pub(super) fn propagate_group_id(cx: &mut Cx<'_>, key: &[u8], at: u32, group: &[u8]) {
    let own = &cx.stream_at(at).groups[group];
    let (id, read) = (own.last_id.to_string(), own.entries_read.to_string());
    propagate(cx, &[b"XGROUP", b"SETID", key, group, id.as_bytes(), b"ENTRIESREAD", read.as_bytes()]);
}

/// Serves one who waits for the stream at argument `i`, if there is something behind the id it waits for.
pub(in crate::server) fn serve(cx: &mut Cx<'_>, i: usize, after: Id, count: u64, group: Option<&ReadGroup>) -> Served {
    let (db, args) = (cx.db(), cx.args);
    let Some(at) = cx.s.keyspace.db(db).find(args.get(i)) else { return Served::Not };
    let mut after = after;
    if let Some(group) = group {
        let Some(own) = cx.stream_at(at).groups.get(&group.name) else {
            cx.add_error("NOGROUP the consumer group this client was blocked on no longer exists");
            return Served::Refused;
        };
        after = own.last_id;
    }
    if cx.stream_at(at).last_id <= after {
        return Served::Not;
    }
    let mut body = BytesMut::new();
    match group {
        None => {
            let from = after.next().unwrap_or(Id::ZERO);
            let (found, entries) = encode_range(cx.stream_at(at), from, Id::MAX, false, count);
            encode::array_header(&mut body, found);
            body.extend_from_slice(&entries);
        }
        Some(group) => give(cx, (i, at), group, Deliver { after, history: false }, count, &mut body),
    }
    if cx.session().resp == 2 {
        cx.add_array(1);
        cx.add_array(2);
    } else {
        cx.add_map(1);
    }
    cx.add_bulk_arg(i);
    cx.reply().extend_from_slice(&body);
    Served::Yes
}

/// Tells one who waits in a group that its stream is gone (`unblockDeletedStreamReadgroupClients`).
pub(in crate::server) fn refuse_deleted(cx: &mut Cx<'_>) -> Served {
    cx.add_error("UNBLOCKED the stream key no longer exists");
    Served::Refused
}
