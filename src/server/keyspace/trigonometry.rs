//! Sine, cosine and arc sine, rounded as the C library of a real server rounds them: to the nearest double in all but the
//! rarest cases. Worked out with twice a double's digits, from series.

/// The sum of two doubles, the second a correction to the first.
#[derive(Clone, Copy)]
struct Twice(f64, f64);

impl Twice {
    /// The exact sum of two doubles.
    fn sum(a: f64, b: f64) -> Twice {
        let s = a + b;
        let v = s - a;
        Twice(s, (a - (s - v)) + (b - v))
    }

    /// The exact product of two doubles.
    fn product(a: f64, b: f64) -> Twice {
        let p = a * b;
        Twice(p, libm::fma(a, b, -p))
    }

    fn plus(self, other: Twice) -> Twice {
        let high = Twice::sum(self.0, other.0);
        let low = Twice::sum(self.1, other.1);
        let first = Twice::sum(high.0, high.1 + low.0);
        Twice::sum(first.0, first.1 + low.1)
    }

    fn minus(self, other: Twice) -> Twice {
        self.plus(Twice(-other.0, -other.1))
    }

    fn times(self, other: Twice) -> Twice {
        let p = Twice::product(self.0, other.0);
        Twice::sum(p.0, p.1 + (self.0 * other.1 + self.1 * other.0))
    }

    fn over(self, divisor: f64) -> Twice {
        let q = self.0 / divisor;
        let p = Twice::product(q, divisor);
        let rest = self.minus(p);
        Twice::sum(q, rest.0 / divisor)
    }
}

/// A quarter of a turn.
const QUARTER: Twice = Twice(std::f64::consts::FRAC_PI_2, 6.123_233_995_736_766e-17);
/// What is left of it.
const QUARTER_REST: f64 = -1.497_384_904_859_169_7e-33;

/// Sine of an angle of at most an eighth of a turn.
fn sine(x: Twice) -> Twice {
    let square = x.times(x);
    let (mut term, mut sum) = (x, x);
    for n in 1..=14_u32 {
        term = term.times(square).over(-f64::from(2 * n * (2 * n + 1)));
        sum = sum.plus(term);
    }
    sum
}

/// Cosine of an angle of at most an eighth of a turn.
fn cosine(x: Twice) -> Twice {
    let square = x.times(x);
    let (mut term, mut sum) = (Twice(1.0, 0.0), Twice(1.0, 0.0));
    for n in 1..=14_u32 {
        term = term.times(square).over(-f64::from((2 * n - 1) * 2 * n));
        sum = sum.plus(term);
    }
    sum
}

/// The sine of an angle and that of the angle a quarter of a turn further. Angles are of a few turns at most.
fn both(x: f64) -> (f64, f64) {
    let quarters = libm::rint(x / QUARTER.0);
    let (high, low) = (Twice::product(quarters, QUARTER.0), Twice::product(quarters, QUARTER.1));
    let rest = Twice(x, 0.0).minus(high).minus(low).minus(Twice(quarters * QUARTER_REST, 0.0));
    let (s, c) = (sine(rest), cosine(rest));
    #[allow(clippy::cast_possible_truncation, reason = "a few quarters")]
    let turn = (quarters as i64).rem_euclid(4);
    match turn {
        0 => (s.0, c.0),
        1 => (c.0, -s.0),
        2 => (-s.0, -c.0),
        _ => (-c.0, s.0),
    }
}

/// Sine.
#[must_use]
pub(super) fn sin(x: f64) -> f64 {
    if x == 0.0 { x } else { both(x).0 }
}

/// Cosine.
#[must_use]
pub(super) fn cos(x: f64) -> f64 {
    both(x).1
}

/// Arc sine.
#[must_use]
pub(super) fn asin(x: f64) -> f64 {
    let first = libm::asin(x);
    // One step of Newton's from a result that is right to the last digit but one; near one it would divide by zero.
    if !first.is_finite() || x == 0.0 || x.abs() >= 1.0 {
        return first;
    }
    let (s, c) = (sine_of(first), libm::cos(first));
    let error = Twice(x, 0.0).minus(s);
    Twice(first, 0.0).plus(error.over(c)).0
}

/// The sine of an angle between both quarters, in full.
fn sine_of(x: f64) -> Twice {
    if x.abs() <= std::f64::consts::FRAC_PI_4 {
        return sine(Twice(x, 0.0));
    }
    let rest = QUARTER.minus(Twice(x.abs(), 0.0));
    let s = cosine(rest);
    if x < 0.0 { Twice(-s.0, -s.1) } else { s }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_library_but_for_the_last_digit() {
        for n in -2_000..2_000 {
            let x = f64::from(n) * 0.001_7;
            for (ours, theirs) in [(sin(x), libm::sin(x)), (cos(x), libm::cos(x))] {
                assert!((ours - theirs).abs() <= 2.3e-16, "{x}: {ours} {theirs}");
            }
            let y = f64::from(n) / 2_000.0;
            assert!((asin(y) - libm::asin(y)).abs() <= 2.3e-16, "{y}");
        }
    }
}
