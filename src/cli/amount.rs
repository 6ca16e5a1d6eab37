//! Amounts that come from statistics: means, differences.

use crate::check::{Unit, Value, metrics::thousands};
use crate::stats::{Interval, Proportion};

/// An amount in the metric's own unit (milliseconds for times): `12.35s`, `3.25`, `48.2%`.
pub(super) fn show(amount: f64, unit: Unit) -> String {
    let sign = if amount < 0.0 { "-" } else { "" };
    let size = amount.abs();
    match unit {
        Unit::Time | Unit::Ratio => format!("{sign}{}", Value::Number(size).show(unit)),
        Unit::Bool => format!("{sign}{}", Value::Number(size).show(Unit::Ratio)),
        Unit::Bytes => format!("{sign}{}", Value::Count(whole(size)).show(unit)),
        Unit::Count => format!("{sign}{}", number(size)),
    }
}

/// The same with its sign: a difference.
pub(super) fn signed(amount: f64, unit: Unit) -> String {
    if amount > 0.0 { format!("+{}", show(amount, unit)) } else { show(amount, unit) }
}

/// Three digits at least, none of them a needless zero.
fn number(size: f64) -> String {
    let digits = match size {
        s if s >= 100.0 => return thousands(whole(s)),
        s if s >= 10.0 => 1,
        s if s >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{size:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and far below 2^64")]
fn whole(size: f64) -> u64 {
    libm::round(size) as u64
}

/// `(-1.2s … +3s)`.
pub(super) fn interval(interval: Interval, scale: f64, unit: Unit) -> String {
    let end = |end: Option<f64>| end.map_or("?".to_owned(), |end| signed(end * scale, unit));
    format!("({} … {})", end(interval.low), end(interval.high))
}

/// `3 of 200, 1.5% (0.5% … 4.3%)`.
pub(super) fn share(of: Proportion) -> String {
    let percent = |share: f64| Value::Number(share).show(Unit::Ratio);
    let Some(share) = of.share() else { return "none".to_owned() };
    let Some(Interval { low: Some(low), high: Some(high) }) = of.interval() else { return percent(share) };
    format!("{} of {}, {} ({} … {})", thousands(of.hits), thousands(of.of), percent(share), percent(low), percent(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_well() {
        let count = |amount| show(amount, Unit::Count);
        assert_eq!(
            [count(0.0), count(0.25), count(3.0), count(12.34), count(-1234.5)],
            ["0", "0.25", "3", "12.3", "-1,235"]
        );
        assert_eq!(signed(0.0, Unit::Time), Value::Number(0.0).show(Unit::Time));
        assert_eq!(signed(1500.0, Unit::Time), "+1.50s");
        assert_eq!(share(Proportion { hits: 1, of: 2 }), "1 of 2, 50.0% (9.5% … 90.5%)");
    }
}
