//! The random numbers of scripts: POSIX's `drand48` generator, the same on every machine (`rand.c`).

/// The generator's 48 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rand48(u64);

const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const MASK: u64 = (1 << 48) - 1;

impl Default for Rand48 {
    /// As a process starts.
    fn default() -> Rand48 {
        Rand48(0x1234_ABCD_330E)
    }
}

impl Rand48 {
    /// As `srand48` leaves it.
    #[must_use]
    pub(crate) fn seeded(seed: i32) -> Rand48 {
        Rand48(u64::from(seed.cast_unsigned()) << 16 | 0x330E)
    }

    /// The next 31 bits.
    pub(crate) fn next(&mut self) -> u32 {
        self.0 = (self.0.wrapping_mul(MULTIPLIER).wrapping_add(0xB)) & MASK;
        u32::try_from(self.0 >> 17).expect("31 bits")
    }

    /// A number from 0 to below 1, as `math.random` makes it.
    pub(crate) fn fraction(&mut self) -> f64 {
        const MAX: u32 = i32::MAX.cast_unsigned();
        f64::from(self.next() % MAX) / f64::from(MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::Rand48;

    /// Figures of a real server.
    #[test]
    fn draws_are_those_of_redis() {
        let mut draws = Rand48::seeded(5);
        let hundred = |draws: &mut Rand48| (draws.fraction() * 100.0).floor() + 1.0;
        assert_eq!((hundred(&mut draws), hundred(&mut draws)), (53.0, 28.0));
        assert!((draws.fraction() - 0.788_599_468_669_20).abs() < 1e-12);
    }
}
