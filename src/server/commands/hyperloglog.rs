//! The HyperLogLog commands (`hyperloglog.c`).

use super::flag::{ADMIN, DENYOOM, FAST, MAY_REPLICATE, READONLY, WRITE};
use super::{Spec, row};
use crate::resp::lossless;
use crate::server::call::Cx;
use crate::server::cost;
use crate::server::db::Answered;
use crate::server::keyspace::hll::{self, Corrupt, REGISTERS};
use crate::server::keyspace::value::RawText;
use crate::server::keyspace::{Type, Value};
use crate::server::notify::Classes;

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("pfadd", -2, WRITE | DENYOOM | FAST, (1, 1, 1), "@write @hyperloglog @fast", pfadd),
    row("pfcount", -2, READONLY | MAY_REPLICATE, (1, -1, 1), "@read @hyperloglog @slow", pfcount),
    row("pfmerge", -2, WRITE | DENYOOM, (1, -1, 1), "@write @hyperloglog @slow", pfmerge),
    row("pfdebug", 3, WRITE | DENYOOM | ADMIN, (2, 2, 1), "@write @hyperloglog @admin @slow @dangerous", pfdebug),
    row("pfselftest", 1, ADMIN, (0, 0, 0), "@hyperloglog @admin @slow @dangerous", pfselftest),
];

/// Looking at all registers of one string costs about as much as so many elements.
const REGISTERS_COST: u64 = 100 * cost::ELEMENT;

impl Cx<'_> {
    fn add_corrupt(&mut self) {
        self.add_error("INVALIDOBJ Corrupted HLL object detected");
    }

    /// What was found, if it can be a HyperLogLog (`isHLLObjectOrReply`).
    fn hll(&mut self, found: Option<u32>) -> Result<Option<u32>, Answered> {
        let Some(at) = self.of_type(found, Type::String)? else { return Ok(None) };
        let value = &self.entry(at).value;
        if matches!(value, Value::Int(_)) || !value.with_text(hll::is_valid) {
            self.add_error("WRONGTYPE Key is not a valid HyperLogLog string value.");
            return Err(Answered);
        }
        Ok(Some(at))
    }

    /// Adds an empty one under argument 1.
    fn add_hll(&mut self) -> u32 {
        self.add_key(1, Value::Raw(RawText::share(hll::empty().freeze())))
    }
}

fn pfadd(cx: &mut Cx<'_>) {
    let found = cx.find_write(1);
    let Ok(found) = cx.hll(found) else { return };
    let mut updated = u64::from(found.is_none());
    let at = found.unwrap_or_else(|| cx.add_hll());
    let (args, sparse_max) = (cx.args, cx.s.config.hll_sparse_max_bytes);
    cx.s.meter.add((args.len() as u64 - 2) * cost::ELEMENT);
    let done = cx.change_text(at, |text| {
        for element in args.iter().skip(2) {
            updated += u64::from(hll::add(text, element, sparse_max)?);
        }
        if updated > 0 {
            hll::invalidate(text);
        }
        Ok::<(), Corrupt>(())
    });
    if done.is_err() {
        return cx.add_corrupt();
    }
    if updated > 0 {
        cx.signal(1);
        cx.notify(Classes::STRING, "pfadd", 1);
        cx.dirty(updated);
    }
    cx.add_integer(i64::from(updated > 0));
}

/// The greatest registers of all keys from argument 1 on, and whether one of them is dense; `None`: an error was answered.
fn merged(cx: &mut Cx<'_>) -> Option<(Box<[u8; REGISTERS]>, bool)> {
    let (mut max, mut dense) = (Box::new([0; REGISTERS]), false);
    for i in 1..cx.args.len() {
        let found = cx.find_read(i);
        let Some(at) = cx.hll(found).ok()? else { continue };
        cx.s.meter.add(REGISTERS_COST);
        let value = &cx.entry(at).value;
        dense |= value.with_text(hll::is_dense);
        if value.with_text(|text| hll::merge(&mut max, text)).is_err() {
            cx.add_corrupt();
            return None;
        }
    }
    Some((max, dense))
}

fn pfcount(cx: &mut Cx<'_>) {
    if cx.args.len() > 2 {
        let Some((max, _)) = merged(cx) else { return };
        return cx.add_integer(hll::count_registers(&max).cast_signed());
    }
    let found = cx.find_read(1);
    let Ok(found) = cx.hll(found) else { return };
    let Some(at) = found else { return cx.add_integer(0) };
    let value = &cx.entry(at).value;
    let cached = value.with_text(hll::cached);
    let counted = cached.map_or_else(|| value.with_text(hll::count), Ok);
    let is_raw = matches!(value, Value::Raw(_));
    if cached.is_none() {
        cx.s.meter.add(REGISTERS_COST);
    }
    match counted {
        Ok(count) if cached.is_none() => {
            // To keep the estimate is a change like any other, although the command only reads.
            cx.change_text(at, |text| hll::cache(text, count));
            cx.signal(1);
            cx.dirty(1);
        }
        _ if !is_raw => cx.change_text(at, |_| {}),
        _ => {}
    }
    match counted {
        Ok(count) => cx.add_integer(count.cast_signed()),
        Err(Corrupt) => cx.add_corrupt(),
    }
}

fn pfmerge(cx: &mut Cx<'_>) {
    let Some((max, dense)) = merged(cx) else { return };
    let at = cx.find_write(1).unwrap_or_else(|| cx.add_hll());
    let sparse_max = cx.s.config.hll_sparse_max_bytes;
    let done = cx.change_text(at, |text| {
        if dense {
            hll::make_dense(text)?;
        }
        for (index, &value) in max.iter().enumerate().filter(|(_, value)| **value > 0) {
            hll::raise(text, index, value, sparse_max)?;
        }
        hll::invalidate(text);
        Ok::<(), Corrupt>(())
    });
    if done.is_err() {
        return cx.add_corrupt();
    }
    cx.signal(1);
    cx.notify(Classes::STRING, "pfadd", 1);
    cx.dirty(1);
    cx.add_ok();
}

fn pfdebug(cx: &mut Cx<'_>) {
    let args = cx.args;
    let found = cx.find_write(2);
    if found.is_none() {
        return cx.add_error("ERR The specified key does not exist");
    }
    let Ok(Some(at)) = cx.hll(found) else { return };
    let dense = cx.entry(at).value.with_text(hll::is_dense);
    match args.get(1).to_ascii_lowercase().as_slice() {
        b"getreg" => {
            if !dense_at(cx, at) {
                return;
            }
            let text = cx.entry(at).value.text();
            cx.add_array(REGISTERS);
            hll::registers(&text).for_each(|value| cx.add_integer(i64::from(value)));
        }
        b"decode" if dense => cx.add_error("ERR HLL encoding is not sparse"),
        b"decode" => {
            let text = cx.entry(at).value.text();
            let shown: Vec<String> = hll::runs(&text)
                .map(|run| match (run.value, run.wide) {
                    (0, false) => format!("z:{}", run.len),
                    (0, true) => format!("Z:{}", run.len),
                    (value, _) => format!("v:{value},{}", run.len),
                })
                .collect();
            cx.add_bulk(shown.join(" ").as_bytes());
        }
        b"encoding" => cx.add_simple(if dense { b"dense" } else { b"sparse" }),
        b"todense" => {
            if dense_at(cx, at) {
                cx.add_integer(i64::from(!dense));
            }
        }
        _ => {
            let word = lossless(args.get(1));
            cx.add_error(&format!("ERR Unknown PFDEBUG subcommand '{word}'"));
        }
    }
}

/// Makes the one at an index dense; false: it is corrupt, and that was answered.
fn dense_at(cx: &mut Cx<'_>, at: u32) -> bool {
    let was_dense = cx.entry(at).value.with_text(hll::is_dense);
    let done = cx.change_text(at, hll::make_dense);
    if done.is_err() {
        cx.add_corrupt();
    } else if !was_dense {
        cx.dirty(1);
    }
    done.is_ok()
}

/// Elements of the self-test; a real server adds ten million.
const TESTED: u64 = 10_000;

/// Both forms must agree, and be about right, at every power of ten (a shorter test than a real server's).
fn pfselftest(cx: &mut Cx<'_>) {
    let sparse_max = cx.s.config.hll_sparse_max_bytes;
    let seed = cx.s.rng.next_u64();
    let (mut sparse, mut dense) = (hll::empty(), hll::empty());
    let mut checkpoint = 1;
    let mut passed = hll::make_dense(&mut dense).is_ok();
    for n in 1..=TESTED {
        let element = (n ^ seed).to_le_bytes();
        passed &=
            hll::add(&mut dense, &element, sparse_max).is_ok() && hll::add(&mut sparse, &element, sparse_max).is_ok();
        if n == checkpoint {
            let (one, other) = (hll::count(&dense), hll::count(&sparse));
            // Six times the standard error.
            let allowed = if n == 10 { 1 } else { (n * 1_04 * 6).div_ceil(128 * 100) };
            passed &= one == other && one.is_ok_and(|count| count.abs_diff(n) <= allowed);
            checkpoint *= 10;
        }
    }
    cx.s.meter.add(1_000 * TESTED * cost::ELEMENT);
    if passed { cx.add_ok() } else { cx.add_error("ERR TESTFAILED dense/sparse disagree") }
}
