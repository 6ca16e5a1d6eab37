//! Groups of consumers: XGROUP, XACK, XPENDING, XCLAIM, XAUTOCLAIM (`t_stream.c`).

use std::sync::Arc;

use bytes::BytesMut;

use super::flag::{DENYOOM, FAST, LOADING, READONLY, STALE, WRITE};
use super::stream_reads::{Claim, change_group, propagate_claim, propagate_group_id};
use super::streams::{add_entry, add_id, name};
use super::{Spec, container, row};
use crate::resp::{encode, lossless};
use crate::server::call::Cx;
use crate::server::cost;
use crate::server::db::Answered;
use crate::server::keyspace::stream::{Group, Id, Pending, UNKNOWN_READ};
use crate::server::keyspace::{Type, Value};
use crate::server::notify::Classes;

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    container(row("xgroup", -2, 0, (0, 0, 0), "@slow", super::no_handler), XGROUP_SUBS),
    row("xack", -4, WRITE | FAST, (1, 1, 1), "@write @stream @fast", xack),
    row("xpending", -3, READONLY, (1, 1, 1), "@read @stream @slow", xpending),
    row("xclaim", -6, WRITE | FAST, (1, 1, 1), "@write @stream @fast", xclaim),
    row("xautoclaim", -6, WRITE | FAST, (1, 1, 1), "@write @stream @fast", xautoclaim),
];

#[rustfmt::skip]
const XGROUP_SUBS: &[Spec] = &[
    row("xgroup|create", -5, WRITE | DENYOOM, (2, 2, 1), "@write @stream @slow", create),
    row("xgroup|createconsumer", 5, WRITE | DENYOOM, (2, 2, 1), "@write @stream @slow", create_consumer),
    row("xgroup|delconsumer", 5, WRITE, (2, 2, 1), "@write @stream @slow", delete_consumer),
    row("xgroup|destroy", 4, WRITE, (2, 2, 1), "@write @stream @slow", destroy),
    row("xgroup|help", 2, LOADING | STALE, (0, 0, 0), "@stream @slow", help),
    row("xgroup|setid", -5, WRITE, (2, 2, 1), "@write @stream @slow", set_id),
];

fn no_group(cx: &mut Cx<'_>, key: usize, group: usize) {
    let [key, group] = [key, group].map(|i| lossless(cx.args.get(i)));
    cx.add_error(&format!("NOGROUP No such key '{key}' or consumer group '{group}'"));
}

impl Cx<'_> {
    /// The stream at argument 2, for XGROUP; there must be one.
    fn group_stream(&mut self) -> Result<u32, Answered> {
        let found = self.write_as(2, Type::Stream)?;
        found.ok_or_else(|| self.no_stream())
    }

    fn no_stream(&mut self) -> Answered {
        self.add_error(
            "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM \
             option to create an empty stream automatically.",
        );
        Answered
    }

    /// The stream at argument 2 that has the group at argument 3.
    fn known_group(&mut self) -> Result<u32, Answered> {
        let at = self.group_stream()?;
        if self.stream_at(at).groups.contains_key(self.args.get(3)) {
            return Ok(at);
        }
        let [key, group] = [2, 3].map(|i| lossless(self.args.get(i)));
        self.add_error(&format!("NOGROUP No such consumer group '{group}' for key name '{key}'"));
        Err(Answered)
    }

    /// Argument 4 as an id; `$` is the stream's last one.
    fn start_id(&mut self, last: Option<Id>, strict: bool) -> Result<Id, Answered> {
        match self.args.get(4) {
            b"$" => Ok(last.unwrap_or(Id::ZERO)),
            _ if strict => self.strict_id(4),
            _ => self.any_id(4),
        }
    }
}

/// The options of XGROUP CREATE and SETID: MKSTREAM, and how many entries the group has read.
fn options(cx: &mut Cx<'_>, creates: bool) -> Result<(bool, i64), Answered> {
    let (mut make, mut read) = (false, UNKNOWN_READ);
    let mut i = 5;
    while i < cx.args.len() {
        if creates && cx.arg_is(i, "mkstream") {
            make = true;
            i += 1;
        } else if cx.arg_is(i, "entriesread") && i + 1 < cx.args.len() {
            read = cx.int_arg(i + 1).ok_or(Answered)?;
            if read < UNKNOWN_READ {
                cx.add_error("ERR value for ENTRIESREAD must be positive or -1");
                return Err(Answered);
            }
            i += 2;
        } else {
            cx.add_subcommand_error();
            return Err(Answered);
        }
    }
    Ok((make, read))
}

fn create(cx: &mut Cx<'_>) {
    let Ok((make, read)) = options(cx, true) else { return };
    let Ok(found) = cx.write_as(2, Type::Stream) else { return };
    if found.is_none() && !make {
        cx.no_stream();
        return;
    }
    if cx.args.len() > 8 {
        return cx.add_subcommand_error();
    }
    let last = found.map(|at| cx.stream_at(at).last_id);
    let Ok(id) = cx.start_id(last, true) else { return };
    let at = match found {
        Some(at) => at,
        None => {
            let at = cx.add_key(2, Value::Stream(Arc::default()));
            cx.signal(2);
            at
        }
    };
    let group = cx.args.get(3);
    if cx.stream_at(at).groups.contains_key(group) {
        return cx.add_error("BUSYGROUP Consumer Group name already exists");
    }
    cx.change_stream(at, |stream| stream.groups.insert(name(group), Group::new(id, read)));
    cx.add_ok();
    cx.dirty(1);
    cx.notify(Classes::STREAM, "xgroup-create", 2);
}

fn set_id(cx: &mut Cx<'_>) {
    let Ok((_, read)) = options(cx, false) else { return };
    let Ok(at) = cx.known_group() else { return };
    if !matches!(cx.args.len(), 5 | 7) {
        return cx.add_subcommand_error();
    }
    let last = cx.stream_at(at).last_id;
    let Ok(id) = cx.start_id(Some(last), false) else { return };
    let group = cx.args.get(3);
    change_group(cx, at, group, |group| (group.last_id, group.entries_read) = (id, read));
    cx.add_ok();
    cx.dirty(1);
    cx.notify(Classes::STREAM, "xgroup-setid", 2);
}

fn destroy(cx: &mut Cx<'_>) {
    let Ok(at) = cx.group_stream() else { return };
    let (db, args) = (cx.db(), cx.args);
    if cx.change_stream(at, |stream| stream.groups.remove(args.get(3))).is_none() {
        return cx.add_integer(0);
    }
    cx.add_integer(1);
    cx.dirty(1);
    cx.notify(Classes::STREAM, "xgroup-destroy", 2);
    // Who waits in it hears that it is gone.
    cx.s.signal_stream(db, args.get(2));
}

fn create_consumer(cx: &mut Cx<'_>) {
    let Ok(at) = cx.known_group() else { return };
    let (now, args) = (cx.s.ms(), cx.args);
    let new = !cx.stream_at(at).groups[args.get(3)].consumers.contains_key(args.get(4));
    if new {
        change_group(cx, at, args.get(3), |group| group.see(args.get(4), now));
        cx.dirty(1);
        cx.notify(Classes::STREAM, "xgroup-createconsumer", 2);
    }
    cx.add_integer(i64::from(new));
}

fn delete_consumer(cx: &mut Cx<'_>) {
    let Ok(at) = cx.known_group() else { return };
    let args = cx.args;
    let pending = change_group(cx, at, args.get(3), |group| group.remove(args.get(4)));
    if pending.is_some() {
        cx.dirty(1);
        cx.notify(Classes::STREAM, "xgroup-delconsumer", 2);
    }
    cx.add_count(pending.unwrap_or(0));
}

fn help(cx: &mut Cx<'_>) {
    cx.add_help(
        "xgroup",
        &[
            "CREATE <key> <groupname> <id|$> [option]",
            "    Create a new consumer group. Options are:",
            "    * MKSTREAM",
            "      Create the empty stream if it does not exist.",
            "    * ENTRIESREAD entries_read",
            "      Set the group's entries_read counter (internal use).",
            "CREATECONSUMER <key> <groupname> <consumer>",
            "    Create a new consumer in the specified group.",
            "DELCONSUMER <key> <groupname> <consumer>",
            "    Remove the specified consumer.",
            "DESTROY <key> <groupname>",
            "    Remove the specified group.",
            "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
            "    Set the current group ID and entries_read counter.",
        ],
    );
}

fn xack(cx: &mut Cx<'_>) {
    let Ok(found) = cx.read_as(1, Type::Stream) else { return };
    let args = cx.args;
    let Some(at) = found.filter(|&at| cx.stream_at(at).groups.contains_key(args.get(2))) else {
        return cx.add_integer(0);
    };
    let Ok(ids) = cx.strict_ids(3) else { return };
    let done = change_group(cx, at, args.get(2), |group| ids.iter().filter(|&&id| group.forget(id)).count());
    cx.dirty(done as u64);
    cx.add_count(done);
}

/// What XPENDING looks for.
struct Range {
    idle: i64,
    from: Id,
    to: Id,
    count: u64,
    /// The argument of the consumer.
    consumer: Option<usize>,
}

fn pending_range(cx: &mut Cx<'_>) -> Result<Range, Answered> {
    let (mut first, mut idle) = (3, 0);
    if cx.arg_is(3, "idle") {
        idle = cx.int_arg(4).ok_or(Answered)?;
        if cx.args.len() < 8 {
            cx.add_syntax_error();
            return Err(Answered);
        }
        first = 5;
    }
    let count = u64::try_from(cx.int_arg(first + 2).ok_or(Answered)?).unwrap_or(0);
    let from = cx.interval_start(first)?;
    let to = cx.interval_end(first + 1)?;
    let consumer = (first + 3 < cx.args.len()).then_some(first + 3);
    Ok(Range { idle, from, to, count, consumer })
}

fn xpending(cx: &mut Cx<'_>) {
    let args = cx.args;
    let range = match args.len() {
        3 => None,
        6..=9 => match pending_range(cx) {
            Ok(range) => Some(range),
            Err(Answered) => return,
        },
        _ => return cx.add_syntax_error(),
    };
    let Ok(found) = cx.read_as(1, Type::Stream) else { return };
    let Some(at) = found.filter(|&at| cx.stream_at(at).groups.contains_key(args.get(2))) else {
        return no_group(cx, 1, 2);
    };
    match range {
        None => pending_summary(cx, at),
        Some(range) => pending_entries(cx, at, &range),
    }
}

fn pending_summary(cx: &mut Cx<'_>, at: u32) {
    let group = &cx.stream_at(at).groups[cx.args.get(2)];
    let ends = group.pending.first_key_value().zip(group.pending.last_key_value());
    let Some(((&first, _), (&last, _))) = ends else {
        cx.add_array(4);
        cx.add_integer(0);
        cx.add_null();
        cx.add_null();
        return cx.add_null_array();
    };
    let mut out = BytesMut::new();
    encode::array_header(&mut out, 4);
    encode::integer(&mut out, i64::try_from(group.pending.len()).expect("they are in memory"));
    add_id(&mut out, first);
    add_id(&mut out, last);
    let busy: Vec<_> = group.consumers.iter().filter(|(_, consumer)| !consumer.pending.is_empty()).collect();
    encode::array_header(&mut out, busy.len());
    for (name, consumer) in busy {
        encode::array_header(&mut out, 2);
        encode::bulk(&mut out, name);
        encode::bulk(&mut out, consumer.pending.len().to_string().as_bytes());
    }
    cx.reply().extend_from_slice(&out);
}

fn pending_entries(cx: &mut Cx<'_>, at: u32, range: &Range) {
    let (now, args) = (cx.s.ms(), cx.args);
    let group = &cx.stream_at(at).groups[args.get(2)];
    if range.consumer.is_some_and(|i| !group.consumers.contains_key(args.get(i))) {
        return cx.add_array(0);
    }
    let (mut out, mut found, mut passed) = (BytesMut::new(), 0_u64, 0);
    if range.from <= range.to {
        let span = range.from..=range.to;
        let ids: Box<dyn Iterator<Item = &Id>> = match range.consumer {
            Some(i) => Box::new(group.consumers[args.get(i)].pending.range(span)),
            None => Box::new(group.pending.range(span).map(|(id, _)| id)),
        };
        for &id in ids {
            if found == range.count {
                break;
            }
            passed += 1;
            let pending = &group.pending[&id];
            let idle = now.saturating_sub(pending.time);
            if range.idle != 0 && idle < range.idle {
                continue;
            }
            found += 1;
            encode::array_header(&mut out, 4);
            add_id(&mut out, id);
            encode::bulk(&mut out, &pending.consumer);
            encode::integer(&mut out, idle.max(0));
            encode::integer(&mut out, pending.count.cast_signed());
        }
    }
    cx.s.meter.add(passed * cost::ELEMENT);
    cx.add_array(usize::try_from(found).expect("they are in memory"));
    cx.reply().extend_from_slice(&out);
}

/// XCLAIM's options.
struct Claims {
    ids: Vec<Id>,
    time: i64,
    retries: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: Id,
}

fn claim_options(cx: &mut Cx<'_>) -> Result<Claims, Answered> {
    let (args, now) = (cx.args, cx.s.ms());
    let ids: Vec<Id> = (5..args.len()).map_while(|i| cx.try_strict_id(i)).collect();
    let mut i = 5 + ids.len();
    let mut claims = Claims { ids, time: -1, retries: None, force: false, just_id: false, last_id: Id::ZERO };
    while i < args.len() {
        let more = i + 1 < args.len();
        if cx.arg_is(i, "force") {
            claims.force = true;
        } else if cx.arg_is(i, "justid") {
            claims.just_id = true;
        } else if cx.arg_is(i, "idle") && more {
            i += 1;
            let idle = cx.int_arg_or(i, "ERR Invalid IDLE option argument for XCLAIM").ok_or(Answered)?;
            claims.time = now.wrapping_sub(idle);
        } else if cx.arg_is(i, "time") && more {
            i += 1;
            claims.time = cx.int_arg_or(i, "ERR Invalid TIME option argument for XCLAIM").ok_or(Answered)?;
        } else if cx.arg_is(i, "retrycount") && more {
            i += 1;
            let retries = cx.int_arg_or(i, "ERR Invalid RETRYCOUNT option argument for XCLAIM").ok_or(Answered)?;
            claims.retries = u64::try_from(retries).ok();
        } else if cx.arg_is(i, "lastid") && more {
            i += 1;
            claims.last_id = cx.strict_id(i)?;
        } else {
            let option = lossless(args.get(i));
            cx.add_error(&format!("ERR Unrecognized XCLAIM option '{option}'"));
            return Err(Answered);
        }
        i += 1;
    }
    // A time that makes no sense is now.
    if claims.time < 0 || claims.time > now {
        claims.time = now;
    }
    Ok(claims)
}

fn xclaim(cx: &mut Cx<'_>) {
    let Ok(found) = cx.read_as(1, Type::Stream) else { return };
    let args = cx.args;
    let Some(at) = found.filter(|&at| cx.stream_at(at).groups.contains_key(args.get(2))) else {
        return no_group(cx, 1, 2);
    };
    let Some(idle) = cx.int_arg_or(4, "ERR Invalid min-idle-time argument for XCLAIM") else { return };
    let Ok(claims) = claim_options(cx) else { return };
    let group = args.get(2);
    let mut moved = claims.last_id > cx.stream_at(at).groups[group].last_id;
    if moved {
        change_group(cx, at, group, |group| group.last_id = claims.last_id);
    }
    let (mut out, mut given) = (BytesMut::new(), 0);
    for &id in &claims.ids {
        let pending = cx.stream_at(at).groups[group].pending.get(&id).cloned();
        if cx.stream_at(at).get(id).is_none() {
            if let Some(pending) = pending {
                forget_deleted(cx, at, id, &pending);
                moved = false;
            }
            continue;
        }
        let count = match &pending {
            Some(pending) if idle > 0 && cx.s.ms().saturating_sub(pending.time) < idle => continue,
            Some(pending) => pending.count,
            // One that was never given out counts as given out once.
            None if claims.force => 1,
            None => continue,
        };
        let count = claims.retries.unwrap_or(count.wrapping_add(u64::from(!claims.just_id)));
        take_over(cx, at, id, claims.time, count);
        answer_claim(cx, at, id, claims.just_id, &mut out);
        given += 1;
        moved = false;
    }
    if moved {
        propagate_group_id(cx, args.get(1), at, group);
        cx.dirty(1);
    }
    cx.s.meter.add(given as u64 * cost::ELEMENT);
    cx.add_array(given);
    cx.reply().extend_from_slice(&out);
    cx.prevent_propagation();
}

/// An entry that was given out isn't in the stream any more: nobody has to acknowledge it.
fn forget_deleted(cx: &mut Cx<'_>, at: u32, id: Id, pending: &Pending) {
    let (key, group) = (cx.args.get(1), cx.args.get(2));
    let last_id = cx.stream_at(at).groups[group].last_id;
    let claim = Claim { id, last_id, consumer: &pending.consumer, time: pending.time, count: pending.count };
    propagate_claim(cx, key, group, &claim);
    cx.dirty(1);
    change_group(cx, at, group, |group| group.forget(id));
}

/// The consumer at argument 3 has this to acknowledge from now on.
fn take_over(cx: &mut Cx<'_>, at: u32, id: Id, time: i64, count: u64) {
    let (now, args) = (cx.s.ms(), cx.args);
    let (group, consumer) = (args.get(2), args.get(3));
    let (new, last_id) = change_group(cx, at, group, |group| {
        let new = group.see(consumer, now);
        group.assign(id, consumer, time, count);
        (new, group.last_id)
    });
    if new {
        cx.dirty(1);
        cx.notify(Classes::STREAM, "xgroup-createconsumer", 1);
    }
    propagate_claim(cx, args.get(1), group, &Claim { id, last_id, consumer, time, count });
    cx.dirty(1);
}

fn answer_claim(cx: &mut Cx<'_>, at: u32, id: Id, just_id: bool, out: &mut BytesMut) {
    match cx.stream_at(at).get(id) {
        Some(entry) if !just_id => add_entry(out, entry),
        _ => add_id(out, id),
    }
}

fn xautoclaim(cx: &mut Cx<'_>) {
    const ATTEMPTS: u64 = 10;
    let found = cx.find_read(1);
    let Some(idle) = cx.int_arg_or(4, "ERR Invalid min-idle-time argument for XAUTOCLAIM") else { return };
    let Ok(mut next) = cx.interval_start(5) else { return };
    let (mut count, mut just_id) = (100, false);
    let mut i = 6;
    while i < cx.args.len() {
        if cx.arg_is(i, "count") && i + 1 < cx.args.len() {
            let Some(given) = cx.ranged_arg(i + 1, 1, i64::MAX / 16, Some("ERR COUNT must be > 0")) else { return };
            count = given.unsigned_abs();
            i += 1;
        } else if cx.arg_is(i, "justid") {
            just_id = true;
        } else {
            return cx.add_syntax_error();
        }
        i += 1;
    }
    let Ok(found) = cx.of_type(found, Type::Stream) else { return };
    let args = cx.args;
    let group = args.get(2);
    let Some(at) = found.filter(|&at| cx.stream_at(at).groups.contains_key(group)) else {
        return no_group(cx, 1, 2);
    };
    let (mut out, mut given, mut deleted) = (BytesMut::new(), 0, Vec::new());
    let (mut attempts, mut end) = (count * ATTEMPTS, false);
    while attempts > 0 && count > 0 && !end {
        attempts -= 1;
        let first = cx.stream_at(at).groups[group].pending.range(next..).next();
        let Some((id, pending)) = first.map(|(&id, pending)| (id, pending.clone())) else { break };
        (next, end) = id.next().map_or((id, true), |next| (next, false));
        if cx.stream_at(at).get(id).is_none() {
            forget_deleted(cx, at, id, &pending);
            deleted.push(id);
            count -= 1;
            continue;
        }
        if idle > 0 && cx.s.ms().saturating_sub(pending.time) < idle {
            continue;
        }
        let now = cx.s.ms();
        take_over(cx, at, id, now, pending.count.wrapping_add(u64::from(!just_id)));
        answer_claim(cx, at, id, just_id, &mut out);
        given += 1;
        count -= 1;
    }
    let rest = cx.stream_at(at).groups[group].pending.range(next..).next().map(|(&id, _)| id).filter(|_| !end);
    cx.s.meter.add((given + deleted.len()) as u64 * cost::ELEMENT);
    cx.add_array(3);
    cx.add_id(rest.unwrap_or(Id::ZERO));
    cx.add_array(given);
    cx.reply().extend_from_slice(&out);
    cx.add_array(deleted.len());
    deleted.into_iter().for_each(|id| cx.add_id(id));
    cx.prevent_propagation();
}
