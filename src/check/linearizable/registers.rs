//! Registers that are only read and written, every value once: whether such a history is linearizable can be told
//! without a search (Gibbons and Korach 1997, "Testing shared memories").
//!
//! The operations on one value form its cluster. Between the first return and the last call of a cluster the register
//! must hold its value (a forward zone), or, if the last call comes first, the value needs one moment between the two
//! (a backward zone). An order exists if and only if no read returns before its value was written, no two forward
//! zones overlap, and no backward zone lies within a forward zone.

use rustc_hash::FxHashMap;

use super::schedule::Interval;

/// A read or a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Access {
    /// What was read or written; `None`: nothing, as at the beginning.
    pub(super) value: Option<u64>,
    /// Whether it was written.
    pub(super) write: bool,
    /// When.
    pub(super) interval: Interval,
}

#[derive(Clone, Copy, Debug)]
struct Cluster {
    /// Its write.
    write: Option<usize>,
    /// The operation that returns first, and the one that is called last, with their places.
    first: (u64, Option<usize>),
    last: (u64, Option<usize>),
}

impl Cluster {
    fn witness(&self) -> impl Iterator<Item = usize> {
        [self.write, self.first.1, self.last.1].into_iter().flatten()
    }
}

/// Judges a history: an order exists, or the indices of the fewest operations for which none does, whether or not the
/// others happened when they were under way. `None`: it isn't one of this kind.
pub(super) fn judge(accesses: &[Access]) -> Option<Result<(), Vec<usize>>> {
    Some(first(accesses)?.map_err(|found| fewest(accesses).unwrap_or(found)))
}

/// The same with the first operations without an order that show themselves.
fn first(accesses: &[Access]) -> Option<Result<(), Vec<usize>>> {
    let mut clusters: FxHashMap<Option<u64>, Cluster> = FxHashMap::default();
    // Nothing is there before everything else.
    clusters.insert(None, Cluster { write: None, first: (0, None), last: (0, None) });
    for (index, access) in accesses.iter().enumerate().filter(|(_, access)| access.write) {
        let at = access.interval;
        let cluster = Cluster { write: Some(index), first: (at.ret, Some(index)), last: (at.call, Some(index)) };
        if clusters.insert(access.value, cluster).is_some() {
            return None;
        }
    }
    let mut read = false;
    for (index, access) in accesses.iter().enumerate().filter(|(_, access)| !access.write) {
        read = true;
        let Some(cluster) = clusters.get_mut(&access.value) else { return Some(Err(vec![index])) };
        let at = access.interval;
        if let Some(write) = cluster.write
            && at.ret < accesses[write].interval.call
        {
            return Some(Err(vec![index, write]));
        }
        if at.ret < cluster.first.0 {
            cluster.first = (at.ret, Some(index));
        }
        if at.call > cluster.last.0 {
            cluster.last = (at.call, Some(index));
        }
    }
    Some(if read { zones(clusters.into_values().collect()) } else { Ok(()) })
}

fn zones(clusters: Vec<Cluster>) -> Result<(), Vec<usize>> {
    let (mut forward, mut backward): (Vec<Cluster>, Vec<Cluster>) =
        clusters.into_iter().partition(|cluster| cluster.first.0 < cluster.last.0);
    forward.sort_unstable_by_key(|zone| zone.first.0);
    backward.sort_unstable_by_key(|zone| zone.last.0);
    let clash = |a: &Cluster, b: &Cluster| {
        let mut witness: Vec<usize> = a.witness().chain(b.witness()).collect();
        witness.sort_unstable();
        witness.dedup();
        Err(witness)
    };
    for pair in forward.windows(2) {
        if pair[1].first.0 < pair[0].last.0 {
            return clash(&pair[0], &pair[1]);
        }
    }
    for zone in &backward {
        let around = forward.partition_point(|other| other.first.0 < zone.last.0);
        if let Some(around) = around.checked_sub(1).map(|index| &forward[index])
            && zone.first.0 < around.last.0
        {
            return clash(around, zone);
        }
    }
    Ok(())
}

/// When the register must hold a value because of one or two operations on it: between the first return and the last call,
/// or at one moment between the two where the call comes first. The write counts for a read of its value: it was done when it
/// was under way or not at all.
#[derive(Clone, Copy, Debug)]
struct Zone {
    value: Option<u64>,
    first: u64,
    last: u64,
    ops: [usize; 2],
}

/// The fewest operations that contradict one another: one, or those of two zones that can't both be.
fn fewest(accesses: &[Access]) -> Option<Vec<usize>> {
    let written = accesses.iter().filter(|access| access.write);
    let written: FxHashMap<Option<u64>, Interval> = written.map(|access| (access.value, access.interval)).collect();
    let mut single = Vec::with_capacity(accesses.len());
    // Of each value the read that returns first and the one that is called last.
    let mut ends: FxHashMap<Option<u64>, [usize; 2]> = FxHashMap::default();
    for (index, access) in accesses.iter().enumerate() {
        let (value, Interval { call, ret }) = (access.value, access.interval);
        let (first, last) = match (written.get(&value), value) {
            _ if access.write => (ret, call),
            (Some(write), _) if ret < write.call => return Some(vec![index]),
            (Some(write), _) => (ret.min(write.ret), call.max(write.call)),
            (None, None) => (0, call),
            (None, Some(_)) => return Some(vec![index]),
        };
        single.push(Zone { value, first, last, ops: [index; 2] });
        if !access.write {
            let [first, last] = ends.entry(value).or_insert([index; 2]);
            let interval = |index: usize| accesses[index].interval;
            *first = if ret < interval(*first).ret { index } else { *first };
            *last = if call > interval(*last).call { index } else { *last };
        }
    }
    let both = |[one, other]: [usize; 2]| {
        let (one, other) = (single[one], single[other]);
        let (first, last) = (one.first.min(other.first), one.last.max(other.last));
        Zone { first, last, ops: [one.ops[0], other.ops[0]], ..one }
    };
    let mut double: Vec<Zone> = ends.into_values().filter(|[one, other]| one != other).map(both).collect();
    double.sort_unstable_by_key(|zone| zone.ops);
    let pair = clash(&single, &single).or_else(|| clash(&single, &double)).or_else(|| clash(&double, &double))?;
    let mut ops = pair.map(|zone| zone.ops).concat();
    ops.sort_unstable();
    ops.dedup();
    Some(ops)
}

/// Two zones of different values that can't both be: each begins before the other ends.
fn clash(some: &[Zone], others: &[Zone]) -> Option<[Zone; 2]> {
    let mut some = some.to_vec();
    some.sort_by_key(|zone| zone.first);
    // Up to each place the zone that ends last, and the one of another value that does.
    let mut best: Vec<[Option<Zone>; 2]> = Vec::with_capacity(some.len());
    let mut top: [Option<Zone>; 2] = [None, None];
    for &zone in &some {
        let beats = |other: Option<Zone>| other.is_none_or(|other| zone.last > other.last);
        match top[0] {
            Some(first) if first.value == zone.value => top[0] = Some(if beats(top[0]) { zone } else { first }),
            first if beats(first) => top = [Some(zone), first],
            _ if beats(top[1]) => top[1] = Some(zone),
            _ => {}
        }
        best.push(top);
    }
    others.iter().find_map(|&zone| {
        let begun = some.partition_point(|other| other.first < zone.last).checked_sub(1)?;
        let other = best[begun].into_iter().flatten().find(|other| other.value != zone.value)?;
        (zone.first < other.last).then_some([other, zone])
    })
}
