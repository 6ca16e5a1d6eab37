//! Metrics as integers, so that sums of them are exact.

use crate::check::{Unit, Value};

/// A value in whole numbers of its unit's smallest part: microseconds, billionths of a share, counts, bytes, 0 and 1.
/// `None` when there is none.
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "float to int saturates; values are far below the ends")]
pub fn integer(value: Value, unit: Unit) -> Option<i64> {
    match (value, unit) {
        (Value::Count(count), _) => Some(i64::try_from(count).unwrap_or(i64::MAX)),
        (Value::Bool(yes), _) => Some(i64::from(yes)),
        (Value::Number(ms), Unit::Time) => Some(libm::round(ms * 1e3) as i64),
        (Value::Number(share), Unit::Ratio) => Some(libm::round(share * 1e9) as i64),
        (Value::Number(number), Unit::Count | Unit::Bytes | Unit::Bool) => Some(libm::round(number) as i64),
        (Value::Absent, _) => None,
    }
}

/// What one of those is in the metric's own unit (milliseconds for times).
#[must_use]
pub fn scale(unit: Unit) -> f64 {
    match unit {
        Unit::Time => 1e-3,
        Unit::Ratio => 1e-9,
        Unit::Count | Unit::Bytes | Unit::Bool => 1.0,
    }
}
