//! SORT and SORT_RO (`sort.c`).

use std::cmp::Ordering;
use std::sync::Arc;

use bytes::Bytes;

use super::flag::{DENYOOM, MOVABLE_KEYS, READONLY, WRITE};
use super::{Spec, row};
use crate::server::call::Cx;
use crate::server::keyspace::list::{End, List};
use crate::server::keyspace::{Value, double};
use crate::server::notify::Classes;
use crate::server::session::Flags;
use crate::server::{cost, partial_sort};

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("sort", -2, WRITE | DENYOOM | MOVABLE_KEYS, (1, 1, 1), "@write @set @sortedset @list @slow @dangerous", sort),
    row("sort_ro", -2, READONLY | MOVABLE_KEYS, (1, 1, 1), "@read @set @sortedset @list @slow @dangerous", sort_ro),
];

/// What was asked for.
struct Options<'a> {
    descending: bool,
    alpha: bool,
    start: i64,
    count: i64,
    /// Elements stay in their order: BY has no `*`.
    unsorted: bool,
    by: Option<&'a [u8]>,
    get: Vec<&'a [u8]>,
    store: Option<usize>,
}

/// `None`: an error was answered.
fn options<'a>(cx: &mut Cx<'a>, may_store: bool) -> Option<Options<'a>> {
    let args = cx.args;
    let mut options = Options {
        descending: false,
        alpha: false,
        start: 0,
        count: -1,
        unsorted: false,
        by: None,
        get: Vec::new(),
        store: None,
    };
    let mut i = 2;
    while i < args.len() {
        let left = args.len() - i - 1;
        match args.get(i).to_ascii_lowercase().as_slice() {
            b"asc" => options.descending = false,
            b"desc" => options.descending = true,
            b"alpha" => options.alpha = true,
            b"limit" if left >= 2 => {
                options.start = cx.int_arg(i + 1)?;
                options.count = cx.int_arg(i + 2)?;
                i += 2;
            }
            b"store" if left >= 1 && may_store => {
                options.store = Some(i + 1);
                i += 1;
            }
            b"by" if left >= 1 => {
                let by = args.get(i + 1);
                if by.contains(&b'*') && !may_read_all(cx, "BY") {
                    return None;
                }
                options.by = Some(by);
                options.unsorted |= !by.contains(&b'*');
                i += 1;
            }
            b"get" if left >= 1 => {
                if !may_read_all(cx, "GET") {
                    return None;
                }
                options.get.push(args.get(i + 1));
                i += 1;
            }
            _ => {
                cx.add_syntax_error();
                return None;
            }
        }
        i += 1;
    }
    Some(options)
}

/// Patterns lead to any key: only who may read all of them can use them.
fn may_read_all(cx: &mut Cx<'_>, option: &str) -> bool {
    let words: Vec<&[u8]> = cx.args.iter().collect();
    let may = cx.s.may_read_all_keys(cx.fd, cx.command, &words);
    if !may {
        cx.add_error(&format!("ERR {option} option of SORT denied due to insufficient ACL permissions."));
    }
    may
}

/// What a pattern means for an element: the element itself, or the string or the hash field that it leads to
/// (`lookupKeyByPattern`).
fn by_pattern(cx: &mut Cx<'_>, pattern: &[u8], element: &Bytes) -> Option<Bytes> {
    if pattern == b"#" {
        return Some(element.clone());
    }
    let star = pattern.iter().position(|&byte| byte == b'*')?;
    let (before, after) = (&pattern[..star], &pattern[star + 1..]);
    let arrow = after.windows(2).position(|pair| pair == b"->").filter(|&at| at + 2 < after.len());
    let (after, field) = match arrow {
        Some(at) => (&after[..at], Some(&after[at + 2..])),
        None => (after, None),
    };
    let key = [before, element, after].concat();
    cx.s.meter.add(cost::ELEMENT);
    let at = cx.find_read_key(&key)?;
    match (&cx.entry(at).value, field) {
        (Value::Hash(hash), Some(field)) => hash.get(field).map(Bytes::copy_from_slice),
        (value @ (Value::Int(_) | Value::Str(_) | Value::Raw(_)), None) => Some(value.text()),
        _ => None,
    }
}

/// What an element is sorted by.
#[derive(Clone)]
enum Weight {
    Number(f64),
    Text(Option<Bytes>),
}

/// A number as `strtod` reads all of a text, up to its first zero byte; `None` when it isn't one.
fn number(text: &[u8]) -> Option<f64> {
    let text = up_to_zero(text);
    let value = double::strtod(text).filter(|value| !value.is_nan())?;
    let out_of_range = value.is_infinite() && text.iter().any(u8::is_ascii_digit);
    (!out_of_range).then_some(value)
}

fn up_to_zero(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or(text)
}

fn compare(options: &Options<'_>, one: &(Bytes, Weight), other: &(Bytes, Weight)) -> Ordering {
    // What is stored is compared as it is, what is answered as the C library compares texts.
    let texts = |a: &[u8], b: &[u8]| {
        if options.store.is_some() { a.cmp(b) } else { up_to_zero(a).cmp(up_to_zero(b)) }
    };
    let order = match (&one.1, &other.1) {
        (Weight::Number(a), Weight::Number(b)) => {
            a.partial_cmp(b).unwrap_or(Ordering::Equal).then_with(|| one.0.cmp(&other.0))
        }
        (Weight::Text(a), Weight::Text(b)) if options.by.is_some() => match (a, b) {
            (Some(a), Some(b)) => texts(a, b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        },
        _ => texts(&one.0, &other.0),
    };
    if options.descending { order.reverse() } else { order }
}

fn sort(cx: &mut Cx<'_>) {
    sort_generic(cx, true);
}

fn sort_ro(cx: &mut Cx<'_>) {
    sort_generic(cx, false);
}

/// The elements of the key at argument 1 and whether it is a set; `None`: an error was answered.
fn elements(cx: &mut Cx<'_>) -> Option<(Vec<Bytes>, bool)> {
    let Some(at) = cx.find_read(1) else { return Some((Vec::new(), false)) };
    match &cx.entry(at).value {
        Value::List(list) => {
            let items: Vec<Bytes> = list.iter().map(|item| item.to_bytes()).collect();
            cx.pass(0, items.len(), false);
            Some((items, false))
        }
        Value::Set(set) => Some((set.iter().map(|member| member.to_bytes()).collect(), true)),
        Value::ZSet(set) => {
            let members = set.iter().map(|(_, member)| member.to_bytes()).collect();
            if set.is_packed() {
                cx.change_zset(at, crate::server::keyspace::zset::ZSet::become_ordered);
            }
            Some((members, false))
        }
        Value::Int(_) | Value::Str(_) | Value::Raw(_) | Value::Hash(_) | Value::Stream(_) => {
            cx.add_error("WRONGTYPE Operation against a key holding the wrong kind of value");
            None
        }
    }
}

/// The places from the first to the last, none when the last is before the first.
fn places(options: &Options<'_>, len: usize) -> (i64, i64) {
    let len = i64::try_from(len).expect("a collection fits memory");
    let (mut start, count) = (options.start.clamp(0, len), options.count.clamp(-1, len));
    let mut end = if count < 0 { len - 1 } else { start + count - 1 };
    if start >= len {
        (start, end) = (len - 1, len - 2);
    }
    (start, end.min(len - 1))
}

fn sort_generic(cx: &mut Cx<'_>, may_store: bool) {
    let Some(mut options) = options(cx, may_store) else { return };
    let Some((mut elements, is_set)) = elements(cx) else { return };
    // The order of a set must not depend on its hash where others see it.
    let seen = options.store.is_some() || cx.session().flags.has(Flags::SCRIPT);
    if options.unsorted && is_set && seen {
        (options.unsorted, options.alpha, options.by) = (false, true, None);
    }
    let (start, end) = places(&options, elements.len());
    cx.s.meter.add(elements.len() as u64 * cost::ELEMENT);
    let mut failed = false;
    if options.unsorted {
        if options.descending && !is_set {
            elements.reverse();
        }
    } else {
        let weighed = weigh(cx, &options, elements, &mut failed);
        elements = arrange(&options, weighed, start, end);
    }
    if failed {
        return cx.add_error("ERR One or more scores can't be converted into double");
    }
    let chosen = match (usize::try_from(start), usize::try_from(end)) {
        (Ok(start), Ok(end)) if start <= end => &elements[start..=end],
        _ => &[],
    };
    match options.store {
        None => answer(cx, &options, chosen),
        Some(target) => store(cx, &options, target, chosen),
    }
}

fn weigh(cx: &mut Cx<'_>, options: &Options<'_>, elements: Vec<Bytes>, failed: &mut bool) -> Vec<(Bytes, Weight)> {
    let mut weighed = Vec::with_capacity(elements.len());
    for element in elements {
        let by = match options.by {
            Some(pattern) => by_pattern(cx, pattern, &element),
            None => Some(element.clone()),
        };
        let weight = if options.alpha {
            Weight::Text(by)
        } else {
            let value = by.map_or(Some(0.0), |text| number(&text));
            *failed |= value.is_none();
            Weight::Number(value.unwrap_or(0.0))
        };
        weighed.push((element, weight));
    }
    weighed
}

fn arrange(options: &Options<'_>, mut weighed: Vec<(Bytes, Weight)>, start: i64, end: i64) -> Vec<Bytes> {
    let all = start == 0 && usize::try_from(end + 1) == Ok(weighed.len());
    match (usize::try_from(start), usize::try_from(end)) {
        (Ok(start), Ok(end)) if options.by.is_some() && !all => {
            partial_sort::sort(&mut weighed, start, end, |one, other| compare(options, one, other));
        }
        _ => weighed.sort_by(|one, other| compare(options, one, other)),
    }
    weighed.into_iter().map(|(element, _)| element).collect()
}

fn answer(cx: &mut Cx<'_>, options: &Options<'_>, chosen: &[Bytes]) {
    cx.add_array(chosen.len() * options.get.len().max(1));
    for element in chosen {
        if options.get.is_empty() {
            cx.add_bulk(element);
        }
        for pattern in &options.get {
            match by_pattern(cx, pattern, element) {
                Some(value) => cx.add_bulk(&value),
                None => cx.add_null(),
            }
        }
    }
}

/// Stores the result as a list under argument `target`, or deletes that key when there is none; answers its length.
fn store(cx: &mut Cx<'_>, options: &Options<'_>, target: usize, chosen: &[Bytes]) {
    // Cut as nobody has said how: also a real server doesn't ask its configuration here.
    let (mut list, large) = (List::default(), cx.s.large_element);
    for element in chosen {
        if options.get.is_empty() {
            list.push(End::Tail, element, large);
        }
        for pattern in &options.get {
            let value = by_pattern(cx, pattern, element).unwrap_or_default();
            list.push(End::Tail, &value, large);
        }
    }
    let len = list.len();
    if len > 0 {
        cx.set_key(target, Value::List(Arc::new(list)), false);
        cx.notify(Classes::LIST, "sortstore", target);
        cx.dirty(len as u64);
    } else if cx.delete_and_notify(target) {
        cx.dirty(1);
    }
    cx.add_count(len);
}
