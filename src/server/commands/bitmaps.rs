//! The bitmap commands: strings as arrays of bits and of small integers (`bitops.c`).

use bytes::BytesMut;

use super::flag::{DENYOOM, FAST, READONLY, WRITE};
use super::{Spec, row};
use crate::resp::parse_i64;
use crate::server::call::Cx;
use crate::server::cost;
use crate::server::db::Answered;
use crate::server::keyspace::value::RawText;
use crate::server::keyspace::{Type, Value};
use crate::server::notify::Classes;

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("setbit", 4, WRITE | DENYOOM, (1, 1, 1), "@write @bitmap @slow", setbit),
    row("getbit", 3, READONLY | FAST, (1, 1, 1), "@read @bitmap @fast", getbit),
    row("bitop", -4, WRITE | DENYOOM, (2, -1, 1), "@write @bitmap @slow", bitop),
    row("bitcount", -2, READONLY, (1, 1, 1), "@read @bitmap @slow", bitcount),
    row("bitpos", -3, READONLY, (1, 1, 1), "@read @bitmap @slow", bitpos),
    row("bitfield", -2, WRITE | DENYOOM, (1, 1, 1), "@write @bitmap @slow", bitfield),
    row("bitfield_ro", -2, READONLY | FAST, (1, 1, 1), "@read @bitmap @fast", bitfield_ro),
];

const BAD_OFFSET: &str = "ERR bit offset is not an integer or out of range";
const BAD_BIT: &str = "ERR bit is not an integer or out of range";

/// Bits of memory that are worked on in the time of one element.
const BYTES_PER_ELEMENT: u64 = 256;

/// An offset in bits; in units of a field's width after a `#` (`getBitOffsetFromArgument`).
fn offset_arg(cx: &mut Cx<'_>, i: usize, width: Option<u32>) -> Option<u64> {
    let text = cx.args.get(i);
    let (digits, factor) = match (text, width) {
        ([b'#', digits @ ..], Some(width)) => (digits, i64::from(width)),
        _ => (text, 1),
    };
    let most = i64::try_from(cx.s.config.proto_max_bulk_len).unwrap_or(i64::MAX);
    let offset = parse_i64(digits).map(|offset| offset.wrapping_mul(factor));
    let offset = offset.filter(|&offset| offset >> 3 < most || cx.s.exec.from_master);
    let offset = offset.and_then(|offset| u64::try_from(offset).ok());
    if offset.is_none() {
        cx.add_error(BAD_OFFSET);
    }
    offset
}

/// Changes the string at argument 1, which is made or padded with zeroes until it has that bit; the change is told
/// whether it was (`lookupStringForBitCommand`).
fn change_bits<R>(cx: &mut Cx<'_>, last: u64, change: impl FnOnce(&mut [u8], bool) -> R) -> Result<R, Answered> {
    let found = cx.write_as(1, Type::String)?;
    let need = usize::try_from(last >> 3).expect("an offset was checked") + 1;
    let at = found.unwrap_or_else(|| cx.add_key(1, Value::Raw(RawText::copy(b""))));
    cx.s.meter.add(cost::ELEMENT);
    Ok(cx.change_text(at, |text| {
        let grown = text.len() < need;
        if grown {
            text.resize(need, 0);
        }
        change(text, grown)
    }))
}

fn bit_of(text: &[u8], offset: u64) -> bool {
    let byte = usize::try_from(offset >> 3).ok().and_then(|at| text.get(at)).copied().unwrap_or(0);
    byte >> (7 - (offset & 7)) & 1 == 1
}

fn set_bit(text: &mut [u8], offset: u64, on: bool) {
    let at = usize::try_from(offset >> 3).expect("the string was made long enough");
    let mask = 0x80_u8 >> (offset & 7);
    if on {
        text[at] |= mask;
    } else {
        text[at] &= !mask;
    }
}

fn setbit(cx: &mut Cx<'_>) {
    let Some(offset) = offset_arg(cx, 2, None) else { return };
    let Some(on) = cx.int_arg_or(3, BAD_BIT) else { return };
    if on & !1 != 0 {
        return cx.add_error(BAD_BIT);
    }
    let on = on == 1;
    let changed = change_bits(cx, offset, |text, grown| {
        let old = bit_of(text, offset);
        set_bit(text, offset, on);
        (old, grown || old != on)
    });
    let Ok((old, changed)) = changed else { return };
    if changed {
        cx.signal(1);
        cx.notify(Classes::STRING, "setbit", 1);
        cx.dirty(1);
    }
    cx.add_integer(i64::from(old));
}

fn getbit(cx: &mut Cx<'_>) {
    let Some(offset) = offset_arg(cx, 2, None) else { return };
    let Ok(found) = cx.read_as(1, Type::String) else { return };
    let on = found.is_some_and(|at| cx.entry(at).value.with_text(|text| bit_of(text, offset)));
    cx.add_integer(i64::from(on));
}

/// How BITOP joins bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    And,
    Or,
    Xor,
    Not,
}

fn bitop(cx: &mut Cx<'_>) {
    let op = match cx.args.get(1).to_ascii_lowercase().as_slice() {
        b"and" => Op::And,
        b"or" => Op::Or,
        b"xor" => Op::Xor,
        b"not" => Op::Not,
        _ => return cx.add_syntax_error(),
    };
    if op == Op::Not && cx.args.len() != 4 {
        return cx.add_error("ERR BITOP NOT must be called with a single source key.");
    }
    let mut sources = Vec::with_capacity(cx.args.len() - 3);
    for i in 3..cx.args.len() {
        let Ok(found) = cx.read_as(i, Type::String) else { return };
        sources.push(found.map_or_else(bytes::Bytes::new, |at| cx.entry(at).value.text()));
    }
    let longest = sources.iter().map(bytes::Bytes::len).max().unwrap_or(0);
    cx.s.meter.add((longest * sources.len()) as u64 / BYTES_PER_ELEMENT * cost::ELEMENT);
    if longest > 0 {
        let result = join(op, &sources, longest);
        cx.set_key(2, Value::Raw(RawText::share(result.freeze())), false);
        cx.notify(Classes::STRING, "set", 2);
        cx.dirty(1);
    } else if cx.delete_and_notify(2) {
        cx.dirty(1);
    }
    cx.add_count(longest);
}

/// All sources joined byte by byte; shorter ones go on with zeroes.
fn join(op: Op, sources: &[bytes::Bytes], longest: usize) -> BytesMut {
    let (first, rest) = sources.split_first().expect("at least one key");
    let mut result = BytesMut::from(&first[..]);
    result.resize(longest, 0);
    if op == Op::Not {
        result.iter_mut().for_each(|byte| *byte = !*byte);
    }
    for source in rest {
        let padding = std::iter::repeat(&0_u8);
        for (byte, other) in result.iter_mut().zip(source.iter().chain(padding)) {
            match op {
                Op::And => *byte &= other,
                Op::Or => *byte |= other,
                Op::Xor => *byte ^= other,
                Op::Not => {}
            }
        }
    }
    result
}

/// `BIT` or `BYTE` at argument `i`, if there is one; `None`: an error was answered.
fn unit_arg(cx: &mut Cx<'_>, i: usize) -> Option<bool> {
    if i >= cx.args.len() || cx.arg_is(i, "byte") {
        return Some(false);
    }
    if cx.arg_is(i, "bit") {
        return Some(true);
    }
    cx.add_syntax_error();
    None
}

/// The bits `from..to` that two possibly negative indices of bytes or bits mean.
fn bit_range(start: i64, end: i64, len: usize, bits: bool) -> Option<(u64, u64)> {
    let total = i64::try_from(len).ok()? * if bits { 8 } else { 1 };
    let place = |at: i64| if at < 0 { at.saturating_add(total).max(0) } else { at };
    let (start, end) = (place(start), place(end).min(total - 1));
    if start > end {
        return None;
    }
    let factor = if bits { 1 } else { 8 };
    Some((u64::try_from(start).ok()? * factor, (u64::try_from(end).ok()? + 1) * factor))
}

/// The byte at an index with only the bits of `from..to` left.
fn masked(text: &[u8], at: u64, from: u64, to: u64) -> u8 {
    let mut byte = text[usize::try_from(at).expect("within the string")];
    if at == from >> 3 {
        byte &= 0xff >> (from & 7);
    }
    if at == (to - 1) >> 3 {
        byte &= 0xff << (7 - ((to - 1) & 7));
    }
    byte
}

fn bitcount(cx: &mut Cx<'_>) {
    let Ok(found) = cx.read_as(1, Type::String) else { return };
    let Some(at) = found else { return cx.add_integer(0) };
    let text = cx.entry(at).value.text();
    let range = match cx.args.len() {
        2 => bit_range(0, -1, text.len(), false),
        4 | 5 => {
            let (Some(start), Some(end)) = (cx.int_arg(2), cx.args_ok_then_int(3)) else { return };
            if start < 0 && end < 0 && start > end {
                return cx.add_integer(0);
            }
            let Some(bits) = unit_arg(cx, 4) else { return };
            bit_range(start, end, text.len(), bits)
        }
        _ => return cx.add_syntax_error(),
    };
    let Some((from, to)) = range else { return cx.add_integer(0) };
    cx.s.meter.add((to - from) / 8 / BYTES_PER_ELEMENT * cost::ELEMENT);
    let count: u32 = (from >> 3..to.div_ceil(8)).map(|at| masked(&text, at, from, to).count_ones()).sum();
    cx.add_integer(i64::from(count));
}

fn bitpos(cx: &mut Cx<'_>) {
    let Some(bit) = cx.int_arg(2) else { return };
    if bit & !1 != 0 {
        return cx.add_error("ERR The bit argument must be 1 or 0.");
    }
    let on = bit == 1;
    let found = cx.find_read(1);
    let Some(at) = found else { return cx.add_integer(if on { -1 } else { 0 }) };
    if cx.of_type(found, Type::String).is_err() {
        return;
    }
    let text = cx.entry(at).value.text();
    let (mut start, mut end, mut bits) = (0, -1, false);
    match cx.args.len() {
        3 => {}
        4..=6 => {
            let Some(given) = cx.int_arg(3) else { return };
            start = given;
            let Some(unit) = unit_arg(cx, 5) else { return };
            bits = unit;
            if cx.args.len() >= 5 {
                let Some(given) = cx.int_arg(4) else { return };
                end = given;
            }
        }
        _ => return cx.add_syntax_error(),
    }
    let Some((from, to)) = bit_range(start, end, text.len(), bits) else { return cx.add_integer(-1) };
    let skipped = if on { 0 } else { 0xff };
    let mut place = from;
    while place < to && (bit_of(&text, place) != on) {
        let whole = place & 7 == 0 && text[usize::try_from(place >> 3).expect("within the string")] == skipped;
        place += if whole { 8 } else { 1 };
    }
    cx.s.meter.add((place - from) / 8 / BYTES_PER_ELEMENT * cost::ELEMENT);
    if place < to {
        return cx.add_integer(i64::try_from(place).expect("strings are shorter"));
    }
    // What follows the string is taken for zeroes unless the end was given.
    if on || cx.args.len() >= 5 {
        cx.add_integer(-1);
    } else {
        cx.add_integer(i64::try_from(to).expect("strings are shorter"));
    }
}

/// What happens to a value that doesn't fit its field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Get,
    Set(i64),
    Increment(i64),
}

/// One operation of BITFIELD.
#[derive(Clone, Copy)]
struct Field {
    action: Action,
    overflow: Overflow,
    signed: bool,
    width: u32,
    offset: u64,
}

impl Field {
    /// The field's bits as a number without a sign.
    fn bits(self, text: &[u8]) -> u64 {
        (0..u64::from(self.width)).fold(0, |value, i| value << 1 | u64::from(bit_of(text, self.offset + i)))
    }

    fn read(self, text: &[u8]) -> i64 {
        let bits = self.bits(text);
        if self.signed {
            let unused = 64 - self.width;
            (bits << unused).cast_signed() >> unused
        } else {
            bits.cast_signed()
        }
    }

    fn write(self, text: &mut [u8], value: u64) {
        for i in 0..u64::from(self.width) {
            let on = value >> (u64::from(self.width) - 1 - i) & 1 == 1;
            set_bit(text, self.offset + i, on);
        }
    }

    /// The value after an increment, and whether it overflowed.
    fn sum(self, value: i64, by: i64) -> (i64, bool) {
        if self.signed { self.signed_sum(value, by) } else { self.unsigned_sum(value.cast_unsigned(), by) }
    }

    fn unsigned_sum(self, value: u64, by: i64) -> (i64, bool) {
        let max = (1_u64 << self.width) - 1;
        let sum = value.wrapping_add_signed(by);
        let above = value > max || by > 0 && by > max.wrapping_sub(value).cast_signed();
        let below = !above && by < 0 && by < value.wrapping_neg().cast_signed();
        if !above && !below {
            return (sum.cast_signed(), false);
        }
        let result = match self.overflow {
            Overflow::Wrap => sum & max,
            Overflow::Saturate if above => max,
            Overflow::Saturate => 0,
            Overflow::Fail => sum,
        };
        (result.cast_signed(), true)
    }

    fn signed_sum(self, value: i64, by: i64) -> (i64, bool) {
        let unused = 64 - self.width;
        let (max, min) = (i64::MAX >> unused, i64::MIN >> unused);
        // As wide as they are there: a value far below the field (SET) is taken for one above it.
        let (most, least) = (max.wrapping_sub(value), min.wrapping_sub(value));
        let narrow = self.width < 64;
        let above = value > max || narrow && by > most || value >= 0 && by > 0 && by > most;
        let below = value < min || narrow && by < least || value < 0 && by < 0 && by < least;
        let wrapped = value.wrapping_add(by);
        if !above && !below {
            return (wrapped, false);
        }
        let result = match self.overflow {
            Overflow::Wrap => wrapped << unused >> unused,
            Overflow::Saturate if above => max,
            Overflow::Saturate => min,
            Overflow::Fail => wrapped,
        };
        (result, true)
    }

    /// Executes it on a string that is long enough: the reply, and whether the field has another value.
    fn run(self, text: &mut [u8]) -> (Option<i64>, bool) {
        let old = self.read(text);
        let ((new, overflowed), reply) = match self.action {
            Action::Get => return (Some(old), false),
            Action::Set(value) => (self.sum(value, 0), Some(old)),
            Action::Increment(by) => (self.sum(old, by), None),
        };
        if overflowed && self.overflow == Overflow::Fail {
            return (None, false);
        }
        self.write(text, new.cast_unsigned());
        (Some(reply.unwrap_or(new)), old != new)
    }
}

/// `i8`, `u63` (`getBitfieldTypeFromArgument`).
fn type_arg(cx: &mut Cx<'_>, i: usize) -> Option<(bool, u32)> {
    let text = cx.args.get(i);
    let (signed, most) = match text.first() {
        Some(b'i') => (true, 64),
        Some(b'u') => (false, 63),
        _ => (false, 0),
    };
    let digits = text.get(1..).and_then(|rest| rest.split(|&byte| byte == 0).next());
    let width = digits.and_then(parse_i64).filter(|width| (1..=most).contains(width));
    let Some(width) = width.and_then(|width| u32::try_from(width).ok()) else {
        cx.add_error(
            "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
        );
        return None;
    };
    Some((signed, width))
}

/// The operations; `None`: an error was answered.
fn fields(cx: &mut Cx<'_>) -> Option<Vec<Field>> {
    let (mut fields, mut overflow, mut i) = (Vec::new(), Overflow::Wrap, 2);
    while i < cx.args.len() {
        let left = cx.args.len() - i - 1;
        let word = cx.args.get(i).to_ascii_lowercase();
        let takes = match word.as_slice() {
            b"get" if left >= 2 => 2,
            b"set" | b"incrby" if left >= 3 => 3,
            b"overflow" if left >= 1 => 1,
            _ => {
                cx.add_syntax_error();
                return None;
            }
        };
        if takes == 1 {
            overflow = match cx.args.get(i + 1).to_ascii_lowercase().as_slice() {
                b"wrap" => Overflow::Wrap,
                b"sat" => Overflow::Saturate,
                b"fail" => Overflow::Fail,
                _ => {
                    cx.add_error("ERR Invalid OVERFLOW type specified");
                    return None;
                }
            };
        } else {
            let (signed, width) = type_arg(cx, i + 1)?;
            let offset = offset_arg(cx, i + 2, Some(width))?;
            let action = match word.as_slice() {
                b"get" => Action::Get,
                b"set" => Action::Set(cx.int_arg(i + 3)?),
                _ => Action::Increment(cx.int_arg(i + 3)?),
            };
            fields.push(Field { action, overflow, signed, width, offset });
        }
        i += 1 + takes;
    }
    Some(fields)
}

fn bitfield(cx: &mut Cx<'_>) {
    bitfield_generic(cx, false);
}

fn bitfield_ro(cx: &mut Cx<'_>) {
    bitfield_generic(cx, true);
}

fn bitfield_generic(cx: &mut Cx<'_>, only_get: bool) {
    let Some(fields) = fields(cx) else { return };
    let writes = fields.iter().filter(|field| field.action != Action::Get);
    let last = writes.map(|field| field.offset + u64::from(field.width) - 1).max();
    let Some(last) = last else {
        let Ok(found) = cx.read_as(1, Type::String) else { return };
        let text = found.map_or_else(bytes::Bytes::new, |at| cx.entry(at).value.text());
        cx.add_array(fields.len());
        return fields.iter().for_each(|field| cx.add_integer(field.read(&text)));
    };
    if only_get {
        return cx.add_error("ERR BITFIELD_RO only supports the GET subcommand");
    }
    let done = change_bits(cx, last, |text, grown| {
        let mut changes = 0;
        let replies: Vec<Option<i64>> = fields
            .iter()
            .map(|field| {
                let (reply, changed) = field.run(text);
                let written = field.action != Action::Get && reply.is_some();
                changes += u64::from(changed || grown && written);
                reply
            })
            .collect();
        (replies, changes)
    });
    let Ok((replies, changes)) = done else { return };
    cx.add_array(replies.len());
    for reply in replies {
        match reply {
            Some(value) => cx.add_integer(value),
            None => cx.add_null(),
        }
    }
    if changes > 0 {
        cx.signal(1);
        cx.notify(Classes::STRING, "setbit", 1);
        cx.dirty(changes);
    }
}
