//! One run as a line of `rows.jsonl`, and back.

use std::io::Write as _;

use serde_json::Value as Json;

use super::plan::Plan;
use crate::check::{Expectation, METRICS, Unit, Value};
use crate::rng::Seed;
use crate::trace::Fingerprint;

/// What one run came to. Metrics are whole numbers of small units, so that what is read back is what was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Which variant.
    pub variant: usize,
    /// With which seed.
    pub seed: Seed,
    /// The fingerprint of its trace.
    pub digest: Fingerprint,
    /// How many events.
    pub events: u64,
    /// Simulated time, in microseconds.
    pub simulated_us: u64,
    /// The places of the expectations that failed.
    pub failed: Vec<u16>,
    /// The worst of the checkers' verdicts: `pass`, `unknown`, `fail`.
    pub verdict: String,
    /// The order of its key events.
    pub signature: String,
    /// How it ended: `finished`, `event-limit`, `time-limit`, `standstill`, `broken`.
    pub ended: String,
    /// What stopped it, if it didn't come to its end.
    pub problem: Option<String>,
    /// The metrics, in the order of [`METRICS`], in the units of [`unit_of`].
    pub metrics: Vec<Option<i64>>,
}

/// So many of a record's units make one of what people read: 1,000 microseconds a millisecond, a billion a whole.
#[must_use]
pub fn unit_of(unit: Unit) -> f64 {
    match unit {
        Unit::Time => 1_000.0,
        Unit::Ratio => 1_000_000_000.0,
        Unit::Count | Unit::Bytes | Unit::Bool => 1.0,
    }
}

/// A metric's value in a record's units.
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "rounded, and floats clamp at the ends of the integers")]
pub fn fixed(unit: Unit, value: Value) -> Option<i64> {
    match value {
        Value::Absent => None,
        Value::Bool(held) => Some(i64::from(held)),
        Value::Count(count) => Some(i64::try_from(count).unwrap_or(i64::MAX)),
        Value::Number(number) => Some(libm::round(number * unit_of(unit)) as i64),
    }
}

/// A record's number in what people read: milliseconds, shares, counts.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "values stay far below 2^53")]
pub fn plain(unit: Unit, fixed: i64) -> f64 {
    fixed as f64 / unit_of(unit)
}

impl Record {
    /// Whether it came to its end and every expectation held.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failed.is_empty() && self.ended == "finished"
    }

    /// Its line, with the newline.
    pub fn write(&self, plan: &Plan, out: &mut Vec<u8>) {
        let mut line = Line { out, first: true };
        line.field("seed", self.seed.0);
        if let Some(variant) = plan.variants.get(self.variant)
            && !plan.axes.is_empty()
        {
            line.field("variant", self.variant);
            for (axis, at) in plan.axes.iter().zip(&variant.choice) {
                line.field(&axis.field, axis.values.get(*at));
            }
        }
        line.field("digest", self.digest);
        line.field("events", self.events);
        line.field("simulated_ms", plain(Unit::Time, i64::try_from(self.simulated_us).unwrap_or(i64::MAX)));
        line.field("passed", self.passed());
        line.field("failed", self.failures(plan));
        line.field("verdict", &self.verdict);
        line.field("signature", &self.signature);
        line.field("ended", &self.ended);
        line.field("problem", &self.problem);
        for (metric, value) in METRICS.iter().zip(&self.metrics) {
            match (metric.unit, value) {
                (Unit::Bool, Some(held)) => line.field(metric.name, *held != 0),
                (Unit::Count | Unit::Bytes, value) => line.field(metric.name, value),
                (unit @ (Unit::Time | Unit::Ratio), Some(value)) => line.field(metric.name, plain(unit, *value)),
                (Unit::Bool | Unit::Time | Unit::Ratio, None) => line.field(metric.name, Json::Null),
            }
        }
        out.extend_from_slice(b"}\n");
    }

    /// The expectations that failed, as texts: `writes.lost <= 10`.
    #[must_use]
    pub fn failures(&self, plan: &Plan) -> Vec<String> {
        let expect = plan.variants.get(self.variant).map_or(&[][..], |variant| &variant.expect);
        let texts = self.failed.iter().filter_map(|at| expect.get(usize::from(*at)));
        texts.map(|(key, text)| format!("{key} {text}")).collect()
    }

    /// Reads a line. The expectations that failed are found again from the metrics.
    ///
    /// # Errors
    /// What is missing or of the wrong type.
    pub fn read(line: &[u8], variants: &[Vec<Expectation>]) -> Result<Record, String> {
        let json: Json = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let get = |name: &str| json.get(name).ok_or_else(|| format!("no \"{name}\""));
        let wrong = |name: &str| format!("\"{name}\" is of the wrong type");
        let number = |name: &str| get(name)?.as_u64().ok_or_else(|| wrong(name));
        let string = |name: &str| get(name)?.as_str().map(str::to_owned).ok_or_else(|| wrong(name));
        let variant = json.get("variant").and_then(Json::as_u64).unwrap_or(0);
        let variant = usize::try_from(variant).map_err(|_| wrong("variant"))?;
        let metric = |metric: &crate::check::Metric| -> Result<Option<i64>, String> {
            let value = get(metric.name)?;
            let read = match metric.unit {
                Unit::Bool => value.as_bool().map(i64::from),
                Unit::Count | Unit::Bytes => value.as_i64(),
                Unit::Time | Unit::Ratio => value.as_f64().and_then(|n| fixed(metric.unit, Value::Number(n))),
            };
            if read.is_none() && !value.is_null() { Err(wrong(metric.name)) } else { Ok(read) }
        };
        let metrics = METRICS.iter().map(metric).collect::<Result<Vec<_>, _>>()?;
        let simulated = get("simulated_ms")?.as_f64().and_then(|ms| fixed(Unit::Time, Value::Number(ms)));
        let simulated_us = simulated.and_then(|us| u64::try_from(us).ok()).ok_or_else(|| wrong("simulated_ms"))?;
        let digest = u64::from_str_radix(&string("digest")?, 16).map_err(|_| wrong("digest"))?;
        let expect = variants.get(variant).ok_or_else(|| format!("there is no variant {variant}"))?;
        Ok(Record {
            variant,
            seed: Seed(number("seed")?),
            digest: Fingerprint(digest),
            events: number("events")?,
            simulated_us,
            failed: missed(expect, &metrics),
            verdict: string("verdict")?,
            signature: string("signature")?,
            ended: string("ended")?,
            problem: get("problem")?.as_str().map(str::to_owned),
            metrics,
        })
    }
}

/// The places of the expectations about single runs that these metrics don't meet.
#[must_use]
pub fn missed(expect: &[Expectation], metrics: &[Option<i64>]) -> Vec<u16> {
    let missed = expect.iter().enumerate().filter(|(_, expectation)| {
        expectation.statistic.is_none() && !expectation.holds(value_of(&expectation.metric, metrics))
    });
    missed.map(|(index, _)| u16::try_from(index).unwrap_or(u16::MAX)).collect()
}

/// A metric of a record as the value that expectations are compared with.
fn value_of(name: &str, metrics: &[Option<i64>]) -> Value {
    let found = METRICS.iter().zip(metrics).find(|(metric, _)| metric.name == name);
    let Some((metric, Some(fixed))) = found else { return Value::Absent };
    match metric.unit {
        Unit::Bool => Value::Bool(*fixed != 0),
        Unit::Count | Unit::Bytes => Value::Count(u64::try_from(*fixed).unwrap_or(0)),
        Unit::Time | Unit::Ratio => Value::Number(plain(metric.unit, *fixed)),
    }
}

/// An object in one line.
struct Line<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl Line<'_> {
    fn field(&mut self, name: &str, value: impl serde::Serialize) {
        self.out.push(if self.first { b'{' } else { b',' });
        self.first = false;
        let written = serde_json::to_writer(&mut *self.out, name);
        let written = written.and_then(|()| self.out.write_all(b":").map_err(serde_json::Error::io));
        written.and_then(|()| serde_json::to_writer(&mut *self.out, &value)).expect("memory takes everything");
    }
}
