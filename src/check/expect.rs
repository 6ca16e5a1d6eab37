//! Expectations: a metric, a comparison, a value.

use std::fmt;
use std::sync::Arc;

use super::metrics::{self, Unit, Value, Values};
use crate::time::Span;

/// How a metric is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=` (or a bare value)
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

/// One line of `[expect]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// The metric's name, without a `.p99` or the like.
    pub metric: Arc<str>,
    /// For sweeps: which statistic of its distribution (`min max mean p50 p90 p99`); `None`: each single run.
    pub statistic: Option<Arc<str>>,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what: times in milliseconds as [`Value::Number`].
    pub value: Value,
    /// As the file has it: `"<= 15s"`.
    pub text: Arc<str>,
}

/// How an expectation came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The expectation.
    pub expectation: Expectation,
    /// The metric's value.
    pub actual: Value,
    /// Whether it held. An absent value never holds.
    pub passed: bool,
}

/// The right side of an expectation as a file gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Given<'a> {
    /// A string: `"<= 15s"`, `"0"`, `"true"`.
    Text(&'a str),
    /// A bare whole number.
    Integer(i64),
    /// A bare decimal number.
    Float(f64),
    /// A bare truth value.
    Bool(bool),
}

/// What is wrong with an expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// True: the name (left of the `=`) is wrong; false: the value.
    pub about_name: bool,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// The statistics that a sweep can ask of a metric.
pub const STATISTICS: &[&str] = &["min", "max", "mean", "p50", "p90", "p99"];

impl Expectation {
    /// Reads one line of `[expect]`: `name` is its key (`failover.duration`, `failover.duration.p99`).
    ///
    /// # Errors
    /// An unknown metric or statistic, an unreadable comparison, or a value that doesn't fit the metric's unit.
    pub fn parse(name: &str, given: Given<'_>) -> Result<Expectation, Complaint> {
        let (metric, statistic) = split_name(name)?;
        let text = given.to_string();
        let (comparison, rest) = match given {
            Given::Text(text) => split_comparison(text),
            Given::Integer(_) | Given::Float(_) | Given::Bool(_) => (Comparison::Equal, text.as_str()),
        };
        let value = parse_value(metric, statistic.is_some(), rest.trim())?;
        let ordered = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        if metric.unit == Unit::Bool && ordered {
            return Err(Complaint {
                about_name: false,
                message: format!("\"{}\" is true or false and can't be compared with {comparison}", metric.name),
                help: format!("write \"{}\" = true", metric.name),
            });
        }
        Ok(Expectation {
            metric: metric.name.into(),
            statistic: statistic.map(Arc::from),
            comparison,
            value,
            text: text.trim().into(),
        })
    }

    /// Whether a value meets it. An absent value never does.
    #[must_use]
    pub fn holds(&self, actual: Value) -> bool {
        let (Some(actual), Some(wanted)) = (actual.number(), self.value.number()) else { return false };
        match self.comparison {
            Comparison::Equal => actual == wanted,
            Comparison::NotEqual => actual != wanted,
            Comparison::Less => actual < wanted,
            Comparison::AtMost => actual <= wanted,
            Comparison::Greater => actual > wanted,
            Comparison::AtLeast => actual >= wanted,
        }
    }

    /// Its key in the file: the metric, with the statistic if it has one.
    #[must_use]
    pub fn key(&self) -> String {
        match &self.statistic {
            Some(statistic) => format!("{}.{statistic}", self.metric),
            None => self.metric.to_string(),
        }
    }

    /// What is expected, with the comparison spelt out: `<= 15s`, `= 0`.
    #[must_use]
    pub fn expected(&self) -> String {
        if self.comparison == Comparison::Equal && !self.text.starts_with('=') {
            format!("= {}", self.text)
        } else {
            self.text.to_string()
        }
    }
}

/// Judges one run by the expectations that are about single runs, in order; those with a statistic are for sweeps
/// and have no outcome here.
#[must_use]
pub fn evaluate(expectations: &[Expectation], values: &Values) -> Vec<Outcome> {
    let single = expectations.iter().filter(|expectation| expectation.statistic.is_none());
    let judge = |expectation: &Expectation| {
        let actual = values.get(&*expectation.metric).copied().unwrap_or(Value::Absent);
        Outcome { expectation: expectation.clone(), actual, passed: expectation.holds(actual) }
    };
    single.map(judge).collect()
}

fn split_name(name: &str) -> Result<(&'static metrics::Metric, Option<&'static str>), Complaint> {
    if let Some(metric) = metrics::find(name) {
        return Ok((metric, None));
    }
    let split = name.rsplit_once('.');
    if let Some((base, suffix)) = split {
        let statistic = STATISTICS.iter().copied().find(|known| *known == suffix);
        match (metrics::find(base), statistic) {
            (Some(metric), Some(statistic)) => return Ok((metric, Some(statistic))),
            (Some(metric), None) => {
                return Err(Complaint {
                    about_name: true,
                    message: format!("unknown statistic \"{suffix}\" of the metric \"{}\"", metric.name),
                    help: format!("a sweep can ask for {}", STATISTICS.join(", ")),
                });
            }
            (None, _) => {}
        }
    }
    let base = split.filter(|(_, suffix)| STATISTICS.contains(suffix)).map_or(name, |(base, _)| base);
    Err(Complaint {
        about_name: true,
        message: format!("unknown metric \"{base}\""),
        help: match metrics::nearest(base) {
            Some(near) => format!("did you mean \"{near}\"? `splitbrain metrics` lists them all"),
            None => "`splitbrain metrics` lists them all".to_owned(),
        },
    })
}

fn split_comparison(text: &str) -> (Comparison, &str) {
    let text = text.trim();
    let known = [
        ("<=", Comparison::AtMost),
        (">=", Comparison::AtLeast),
        ("!=", Comparison::NotEqual),
        ("==", Comparison::Equal),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
        ("=", Comparison::Equal),
    ];
    let found = known.iter().find_map(|(sign, comparison)| Some((*comparison, text.strip_prefix(sign)?)));
    found.unwrap_or((Comparison::Equal, text))
}

fn parse_value(metric: &metrics::Metric, statistic: bool, text: &str) -> Result<Value, Complaint> {
    let wrong = |message: String, example: &str| Complaint {
        about_name: false,
        message,
        help: format!("write for example \"{}\" = {example}", metric.name),
    };
    let number = || text.parse::<f64>().ok().filter(|x| x.is_finite() && *x >= 0.0);
    match metric.unit {
        Unit::Bool if statistic => number().map(Value::Number).ok_or_else(|| {
            wrong(
                format!("a statistic of \"{}\" is a share between 0 and 1, not \"{text}\"", metric.name),
                "\">= 0.99\"",
            )
        }),
        Unit::Bool => match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(wrong(format!("\"{}\" is true or false, not \"{text}\"", metric.name), "true")),
        },
        Unit::Time if text == "0" => Ok(Value::time(Span::ZERO)),
        Unit::Time => Span::parse(text).map(Value::time).map_err(|why| wrong(why, "\"<= 15s\"")),
        Unit::Ratio => {
            let share = match text.strip_suffix('%') {
                Some(percent) => percent.trim().parse::<f64>().ok().map(|percent| percent / 100.0),
                None => number(),
            };
            let share = share.filter(|share| (0.0..=1.0).contains(share));
            share.map(Value::Number).ok_or_else(|| {
                wrong(
                    format!("\"{}\" is a share between 0 and 1 (or 0% and 100%), not \"{text}\"", metric.name),
                    "\"<= 0.05\"",
                )
            })
        }
        Unit::Bytes => parse_bytes(text)
            .map(Value::Count)
            .ok_or_else(|| wrong(format!("\"{}\" is a number of bytes, not \"{text}\"", metric.name), "\"<= 64kb\"")),
        Unit::Count if statistic => number().map(Value::Number).ok_or_else(|| {
            wrong(format!("a statistic of \"{}\" is a number, not \"{text}\"", metric.name), "\"<= 1.5\"")
        }),
        Unit::Count => text
            .parse()
            .map(Value::Count)
            .map_err(|_| wrong(format!("\"{}\" is a whole number, not \"{text}\"", metric.name), "\"<= 10\"")),
    }
}

/// Bytes with Redis's units: `k` is 1000, `kb` is 1024, and so on.
fn parse_bytes(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1_000,
        "kb" => 1_024,
        "m" => 1_000_000,
        "mb" => 1_024 * 1_024,
        "g" => 1_000_000_000,
        "gb" => 1_024 * 1_024 * 1_024,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(scale)
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Comparison::Equal => "=",
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::AtMost => "<=",
            Comparison::Greater => ">",
            Comparison::AtLeast => ">=",
        })
    }
}

impl fmt::Display for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Given::Text(text) => f.write_str(text),
            Given::Integer(n) => n.fmt(f),
            Given::Float(x) => x.fmt(f),
            Given::Bool(b) => b.fmt(f),
        }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_judged() {
        for (name, given, holds, fails) in [
            ("writes.lost", Given::Integer(0), Value::Count(0), Value::Count(1)),
            ("writes.lost", Given::Text("0"), Value::Count(0), Value::Count(1)),
            ("writes.lost", Given::Text("> 0"), Value::Count(1), Value::Count(0)),
            ("failover.duration", Given::Text("<= 15s"), Value::Number(15_000.0), Value::Number(15_000.001)),
            ("failover.duration", Given::Text("<15s"), Value::Number(14_999.0), Value::Absent),
            ("failover.count", Given::Text("!= 1"), Value::Count(2), Value::Count(1)),
            ("converged", Given::Bool(true), Value::Bool(true), Value::Bool(false)),
            ("converged", Given::Text("= false"), Value::Bool(false), Value::Bool(true)),
            ("writes.lost-ratio", Given::Text(">= 40%"), Value::Number(0.4), Value::Number(0.39)),
            ("writes.lost-ratio", Given::Float(0.5), Value::Number(0.5), Value::Number(0.4)),
            ("replication.lag-max", Given::Text("<= 1kb"), Value::Count(1_024), Value::Count(1_025)),
            ("unavailable.longest", Given::Integer(0), Value::Number(0.0), Value::Number(1.0)),
        ] {
            let expectation = Expectation::parse(name, given).expect(name);
            assert!(expectation.holds(holds), "{name} {given} {holds:?}");
            assert!(!expectation.holds(fails), "{name} {given} {fails:?}");
        }
    }

    #[test]
    fn statistics_belong_to_sweeps() {
        let p99 = Expectation::parse("failover.count.p99", Given::Text("<= 1.5")).expect("a statistic");
        assert_eq!(p99.statistic.as_deref(), Some("p99"));
        assert_eq!(p99.key(), "failover.count.p99");
        assert!(evaluate(&[p99], &Values::new()).is_empty());
    }

    #[test]
    fn what_is_wrong_is_explained() {
        for (name, given, message) in [
            ("failover.durations", Given::Text("<= 15s"), "did you mean \"failover.duration\"?"),
            ("failover.duration.p95", Given::Text("<= 15s"), "min, max, mean, p50, p90, p99"),
            ("failover.duration", Given::Integer(15), "has no unit"),
            ("writes.lost", Given::Text("few"), "is a whole number, not \"few\""),
            ("writes.lost", Given::Integer(-1), "is a whole number"),
            ("writes.lost", Given::Float(1.5), "is a whole number"),
            ("writes.lost-ratio", Given::Text("50"), "between 0 and 1"),
            ("converged", Given::Text(">= true"), "can't be compared"),
            ("converged", Given::Integer(1), "true or false"),
            ("replication.lag-max", Given::Text("1 mile"), "number of bytes"),
        ] {
            let complaint = Expectation::parse(name, given).expect_err(name);
            assert!(complaint.to_string().contains(message), "{complaint}");
        }
    }
}
