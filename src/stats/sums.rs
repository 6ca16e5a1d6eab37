//! Count, sum and sum of squares, exact.

use super::{Interval, quantile::student_quantile};

/// The exact sums of a sample of integers. Equal for equal samples, whatever the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    n: u64,
    sum: i128,
    squares: u128,
}

impl Sums {
    /// Takes one observation.
    pub fn add(&mut self, value: i64) {
        self.add_times(value, 1);
    }

    /// Takes the same observation several times.
    pub fn add_times(&mut self, value: i64, times: u64) {
        let square = u128::from(value.unsigned_abs()).pow(2);
        self.n += times;
        self.sum += i128::from(value) * i128::from(times);
        self.squares = self.squares.saturating_add(square.saturating_mul(u128::from(times)));
    }

    /// Takes all observations of another.
    pub fn merge(&mut self, other: &Sums) {
        self.n += other.n;
        self.sum += other.sum;
        self.squares = self.squares.saturating_add(other.squares);
    }

    /// How many observations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.n
    }

    /// Their sum.
    #[must_use]
    pub fn sum(&self) -> i128 {
        self.sum
    }

    /// Their mean.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a result for people; the sums are exact until here")]
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.sum as f64 / self.n as f64)
    }

    /// The standard deviation of the population that they are a sample of (Bessel's correction); needs two.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a result for people; the sums are exact until here")]
    pub fn deviation(&self) -> Option<f64> {
        if self.n < 2 {
            return None;
        }
        let n = u128::from(self.n);
        // n·Σx² − (Σx)² is exact in 128 bits unless values and counts are both huge.
        let exact = self.squares.checked_mul(n).zip(self.sum.unsigned_abs().checked_pow(2));
        let spread = match exact {
            Some((squares, square)) => squares.saturating_sub(square) as f64,
            None => (self.squares as f64 * n as f64 - (self.sum as f64) * (self.sum as f64)).max(0.0),
        };
        Some(libm::sqrt(spread / (n as f64 * (n - 1) as f64)))
    }

    /// The mean's confidence interval (Student's t).
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a result for people")]
    pub fn mean_interval(&self) -> Option<Interval> {
        let (mean, deviation) = (self.mean()?, self.deviation()?);
        let half = student_quantile(self.n - 1) * deviation / libm::sqrt(self.n as f64);
        Some(Interval::new(mean - half, mean + half))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[i64]) -> Sums {
        let mut sums = Sums::default();
        values.iter().for_each(|value| sums.add(*value));
        sums
    }

    #[test]
    fn mean_and_deviation() {
        let sums = of(&[2, 4, 4, 4, 5, 5, 7, 9]);
        assert_eq!(sums.mean(), Some(5.0));
        assert!((sums.deviation().expect("eight") - 2.138_089_935).abs() < 1e-9);
        assert_eq!((of(&[]).mean(), of(&[3]).deviation(), of(&[3]).mean_interval()), (None, None, None));
        assert_eq!(of(&[-7, -7, -7]).mean_interval(), Some(Interval::new(-7.0, -7.0)));
    }

    #[test]
    fn students_interval_of_a_small_sample() {
        // The textbook's: mean 3, s = √2.5, n = 5, t₄ = 2.776.
        let Interval { low: Some(low), high: Some(high) } = of(&[1, 2, 3, 4, 5]).mean_interval().expect("five") else {
            panic!("both ends")
        };
        assert!((low - 1.036_8).abs() < 1e-3 && (high - 4.963_2).abs() < 1e-3, "{low} {high}");
    }

    #[test]
    fn parts_merge_to_the_whole() {
        let (mut left, right) = (of(&[1, -5, i64::MAX]), of(&[8, 8, i64::MIN]));
        left.merge(&right);
        assert_eq!(left, of(&[i64::MIN, 8, i64::MAX, 8, -5, 1]));
        let mut often = Sums::default();
        often.add_times(-3, 4);
        assert_eq!(often, of(&[-3, -3, -3, -3]));
    }
}
