//! Which key an operation touches.

use crate::client::config::KeyChoice;
use crate::rng::{Ratio, Rng};

/// So many keys are drawn at a time where the choice is uniform.
const AHEAD: u32 = 8;

/// Draws key numbers below the number of keys.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Keys {
    /// How many of those that were drawn ahead are left; the next one is last.
    left: u32,
    ahead: [u32; AHEAD as usize],
    keys: u32,
    rng: Rng,
    choice: Choice,
}

#[derive(Clone, Debug)]
enum Choice {
    Uniform,
    Zipf(Zipf),
    Sequential { next: u32, first: u32, step: u32 },
    Hot { hot: u32, operations: Ratio },
}

impl Keys {
    /// `number` of `clients` walks its own share of the keys when they are taken in sequence.
    pub(crate) fn new(choice: KeyChoice, keys: u32, number: u32, clients: u32, rng: Rng) -> Keys {
        let keys = keys.max(1);
        let choice = match choice {
            KeyChoice::Uniform => Choice::Uniform,
            KeyChoice::Zipf(exponent) => Choice::Zipf(Zipf::new(keys, exponent)),
            KeyChoice::Sequential => {
                // Residue classes: client n of c has the keys n, n + c, n + 2c, …; with fewer keys than clients they share.
                let (first, step) = if clients <= keys { (number % clients.max(1), clients.max(1)) } else { (0, 1) };
                Choice::Sequential { next: first, first, step }
            }
            KeyChoice::Hot { keys: share, operations } => Choice::Hot { hot: share_of(share, keys), operations },
        };
        Keys { left: 0, ahead: [0; AHEAD as usize], keys, rng, choice }
    }

    /// The next operation's key, if it was drawn ahead.
    #[inline(always)]
    pub(crate) fn drawn(&self) -> Option<u32> {
        self.left.checked_sub(1).and_then(|next| self.ahead.get(next as usize)).copied()
    }

    /// The next operation's key.
    #[inline(always)]
    pub(crate) fn draw(&mut self) -> u32 {
        if let Some(key) = self.drawn() {
            self.left -= 1;
            return key;
        }
        self.draw_anew()
    }

    /// The same when none was drawn ahead: the generator's own memory is far away, and is asked for some words at a time.
    #[inline(never)]
    fn draw_anew(&mut self) -> u32 {
        match &mut self.choice {
            Choice::Uniform => {
                for key in self.ahead.iter_mut().rev() {
                    *key = narrow(self.rng.below(u64::from(self.keys)));
                }
                self.left = AHEAD - 1;
                self.ahead[self.left as usize]
            }
            Choice::Zipf(zipf) => zipf.draw(&mut self.rng) - 1,
            Choice::Sequential { next, first, step } => {
                let key = *next;
                *next = match key.checked_add(*step) {
                    Some(following) if following < self.keys => following,
                    Some(_) | None => *first,
                };
                key
            }
            Choice::Hot { hot, operations } => {
                let hot = *hot;
                if hot == self.keys || self.rng.chance(*operations) {
                    narrow(self.rng.below(u64::from(hot)))
                } else {
                    hot + narrow(self.rng.below(u64::from(self.keys - hot)))
                }
            }
        }
    }
}

fn narrow(key: u64) -> u32 {
    u32::try_from(key).expect("a draw below a 32-bit bound")
}

/// At least one key, at most all.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a 32-bit count")]
fn share_of(share: Ratio, keys: u32) -> u32 {
    ((f64::from(keys) * share.as_f64()) as u32).clamp(1, keys)
}

/// Ranks 1..=n with probability proportional to rank^-exponent, by rejection-inversion (Hörmann and Derflinger 1996):
/// no table to build or share, whatever the number of keys. All on libm and IEEE arithmetic: the same draws everywhere.
#[derive(Clone, Debug)]
struct Zipf {
    ranks: f64,
    exponent: f64,
    /// The integral of the density's hat up to 1.5, less the whole of rank 1.
    low: f64,
    /// The same up to n + 0.5.
    high: f64,
    /// Below this distance from its rank a candidate is accepted without looking.
    squeeze: f64,
}

impl Zipf {
    fn new(keys: u32, exponent: f64) -> Zipf {
        let ranks = f64::from(keys);
        let mut zipf = Zipf { ranks, exponent, low: 0.0, high: 0.0, squeeze: 0.0 };
        zipf.low = zipf.area(1.5) - 1.0;
        zipf.high = zipf.area(ranks + 0.5);
        zipf.squeeze = 2.0 - zipf.rank_at(zipf.area(2.5) - zipf.weight(2.0));
        zipf
    }

    fn weight(&self, x: f64) -> f64 {
        libm::exp(-self.exponent * libm::log(x))
    }

    /// ∫ t^-s dt from 1 to x, stable where s is near 1.
    fn area(&self, x: f64) -> f64 {
        let log = libm::log(x);
        let scaled = (1.0 - self.exponent) * log;
        let factor = if scaled.abs() > 1e-8 { libm::expm1(scaled) / scaled } else { 1.0 + scaled / 2.0 };
        factor * log
    }

    /// The inverse of [`Zipf::area`].
    fn rank_at(&self, area: f64) -> f64 {
        let scaled = (area * (1.0 - self.exponent)).max(-1.0);
        let factor = if scaled.abs() > 1e-8 { libm::log1p(scaled) / scaled } else { 1.0 - scaled / 2.0 };
        libm::exp(factor * area)
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a 32-bit rank first")]
    fn draw(&self, rng: &mut Rng) -> u32 {
        loop {
            let area = self.high + rng.unit() * (self.low - self.high);
            let x = self.rank_at(area);
            let rank = libm::floor(x + 0.5).clamp(1.0, self.ranks);
            if rank - x <= self.squeeze || area >= self.area(rank + 0.5) - self.weight(rank) {
                return rank as u32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;

    const DRAWS: u32 = 100_000;

    fn keys(choice: KeyChoice, keys: u32) -> Keys {
        Keys::new(choice, keys, 0, 1, Seed(3).stream("c", "keys"))
    }

    fn counts(mut source: Keys) -> Vec<u32> {
        let mut counts = vec![0; source.keys as usize];
        for _ in 0..DRAWS {
            counts[source.draw() as usize] += 1;
        }
        counts
    }

    /// Every key's share lies within 6 standard deviations of what the law says.
    fn fits(counts: &[u32], law: impl Fn(u32) -> f64) {
        let total: f64 = (0u32..).take(counts.len()).map(&law).sum();
        for (key, &count) in (0u32..).zip(counts) {
            let p = law(key) / total;
            let mean = p * f64::from(DRAWS);
            let deviation = (mean * (1.0 - p)).sqrt();
            assert!((f64::from(count) - mean).abs() < 6.0 * deviation + 1.0, "key {key}: {count}, expected {mean:.0}");
        }
    }

    #[test]
    fn each_choice_has_its_distribution() {
        fits(&counts(keys(KeyChoice::Uniform, 50)), |_| 1.0);
        for exponent in [0.5, 0.99, 1.0, 1.2, 2.0] {
            fits(&counts(keys(KeyChoice::Zipf(exponent), 50)), |key| f64::from(key + 1).powf(-exponent));
        }
        let (tenth, most) = (Ratio::from_f64(0.1).expect("ratio"), Ratio::from_f64(0.9).expect("ratio"));
        let hot = KeyChoice::Hot { keys: tenth, operations: most };
        fits(&counts(keys(hot, 50)), |key| if key < 5 { 0.9 / 5.0 } else { 0.1 / 45.0 });
    }

    /// Pinned: other numbers would change what published seeds mean.
    #[test]
    fn draws_are_pinned() {
        let first = |choice| {
            let mut keys = keys(choice, 1000);
            [(); 6].map(|()| keys.draw())
        };
        assert_eq!(first(KeyChoice::Uniform), [384, 767, 306, 717, 812, 413]);
        assert_eq!(first(KeyChoice::Zipf(0.99)), [58, 2, 105, 4, 1, 47]);
        let half = Ratio::from_f64(0.5).expect("ratio");
        assert_eq!(first(KeyChoice::Hot { keys: half, operations: half }), [383, 358, 706, 801, 121, 439]);
    }

    #[test]
    fn sequences_are_shared_out() {
        let walk = |count, number, clients, n: usize| -> Vec<u32> {
            let mut keys = Keys::new(KeyChoice::Sequential, count, number, clients, Seed(3).stream("c", "keys"));
            (0..n).map(|_| keys.draw()).collect()
        };
        assert_eq!(walk(5, 0, 1, 7), [0, 1, 2, 3, 4, 0, 1]);
        assert_eq!(walk(7, 1, 3, 4), [1, 4, 1, 4]);
        assert_eq!(walk(7, 0, 3, 4), [0, 3, 6, 0]);
        assert_eq!(walk(2, 5, 9, 4), [0, 1, 0, 1]);
        assert_eq!(walk(0, 0, 1, 2), [0, 0]);
    }

    #[test]
    fn extremes_stay_in_range() {
        let all = Ratio::ONE;
        for (choice, count) in [
            (KeyChoice::Zipf(0.0), 3),
            (KeyChoice::Zipf(8.0), 1),
            (KeyChoice::Zipf(50.0), u32::MAX),
            (KeyChoice::Zipf(0.01), u32::MAX),
            (KeyChoice::Hot { keys: all, operations: Ratio::ZERO }, 3),
            (KeyChoice::Hot { keys: Ratio::ZERO, operations: all }, 1),
            (KeyChoice::Uniform, u32::MAX),
        ] {
            let mut source = keys(choice, count);
            for _ in 0..1000 {
                assert!(source.draw() < count, "{choice:?}");
            }
        }
    }
}
