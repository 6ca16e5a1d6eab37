//! A histogram of latencies: constant memory, 1.6% precision.

use crate::time::Span;

/// Each power of two of nanoseconds is divided into this many buckets.
const STEPS: u64 = 64;
const STEPS_LOG: u32 = STEPS.ilog2();

/// Counts of spans by length. Below 64 ns it is exact; above, a bucket is at most 1/64 of its value wide.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    counts: Vec<u32>,
    total: u64,
    max: Span,
}

impl Histogram {
    /// Adds one.
    pub fn add(&mut self, span: Span) {
        let bucket = bucket(span.ns());
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] = self.counts[bucket].saturating_add(1);
        self.total += 1;
        self.max = self.max.max(span);
    }

    /// How many were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The longest; `None` if there is none.
    #[must_use]
    pub fn max(&self) -> Option<Span> {
        (self.total > 0).then_some(self.max)
    }

    /// The span that this share (in thousandths) of all is not longer than: the upper end of its bucket.
    #[must_use]
    pub fn quantile(&self, milli: u64) -> Option<Span> {
        let rank = (self.total * milli).div_ceil(1_000).max(1);
        let mut seen = 0;
        for (bucket, &count) in self.counts.iter().enumerate() {
            seen += u64::from(count);
            if seen >= rank {
                return Some(Span(upper(bucket)).min(self.max));
            }
        }
        None
    }
}

fn bucket(ns: u64) -> usize {
    let index = if ns < STEPS {
        ns
    } else {
        let shift = ns.ilog2() - STEPS_LOG;
        u64::from(shift) * STEPS + (ns >> shift)
    };
    usize::try_from(index).expect("fewer than 64 * 64 buckets")
}

fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    let mantissa = bucket - shift * STEPS;
    (mantissa << shift) + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_span_is_in_its_bucket_and_buckets_are_narrow() {
        for ns in (0..2_000).chain([1_000_000, 123_456_789, u64::from(u32::MAX), u64::MAX / 2]) {
            let top = upper(bucket(ns));
            assert!(top >= ns && top - ns <= ns / STEPS, "{ns} {top}");
        }
    }

    #[test]
    fn quantiles_of_a_known_set() {
        let mut histogram = Histogram::default();
        for ms in 1..=1_000 {
            histogram.add(Span::from_ms(ms));
        }
        let p50 = histogram.quantile(500).expect("not empty").as_ms_f64();
        let p99 = histogram.quantile(990).expect("not empty").as_ms_f64();
        assert!((500.0..508.0).contains(&p50), "{p50}");
        assert!((990.0..1_000.1).contains(&p99), "{p99}");
        assert_eq!(histogram.max(), Some(Span::from_ms(1_000)));
        assert_eq!(Histogram::default().quantile(500), None);
    }
}
