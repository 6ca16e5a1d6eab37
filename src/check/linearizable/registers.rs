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

/// Judges a history: an order exists, or the indices of a few operations for which none does. `None`: it isn't one of
/// this kind.
pub(super) fn judge(accesses: &[Access]) -> Option<Result<(), Vec<usize>>> {
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
