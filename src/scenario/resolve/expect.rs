//! `[expect]`: metric names, comparisons, and values in the metric's unit.

use std::sync::Arc;

use super::super::field::At;
use super::super::raw::LooseItem;
use super::Resolver;
use crate::check::{Comparison, Expectation, METRICS, Metric, Unit, Value};
use crate::conf::parse_memory;
use crate::time::Span;

/// The statistics that a metric takes in a sweep.
const STATISTICS: [&str; 6] = ["min", "max", "mean", "p50", "p90", "p99"];

impl Resolver<'_> {
    pub(super) fn build_expectations(&mut self) -> Vec<Expectation> {
        let mut out = Vec::new();
        for (name, wanted) in &self.file.expect.clone().0 {
            let Some((metric, statistic)) = self.metric(name) else { continue };
            for item in &wanted.0 {
                match expectation(metric, statistic, item) {
                    Ok(expectation) => out.push(expectation),
                    Err(message) => {
                        let expected = match metric.unit {
                            Unit::Count => "a number such as 0 or \">= 1\"",
                            Unit::Ratio => "a share such as \"<= 0.5\" or \"<= 50%\"",
                            Unit::Time => "a time such as \"<= 15s\"",
                            Unit::Bytes => "a size such as \"<= 1mb\"",
                            Unit::Bool => "true or false",
                        };
                        self.problems
                            .error(item.place, message)
                            .label(format!("expected {expected}"))
                            .help(format!("`{}`: {}", metric.name, metric.doc));
                    }
                }
            }
        }
        out
    }

    fn metric(&mut self, name: &At<String>) -> Option<(&'static Metric, Option<&'static str>)> {
        let exact = |name: &str| METRICS.iter().find(|metric| metric.name == name);
        if let Some(metric) = exact(name) {
            return Some((metric, None));
        }
        if let Some((base, last)) = name.rsplit_once('.')
            && let Some(metric) = exact(base)
        {
            let Some(statistic) = STATISTICS.into_iter().find(|statistic| *statistic == last) else {
                self.problems
                    .error(name.place, format!("`.{last}` is not a statistic of a metric"))
                    .help(format!("a sweep knows .{}", STATISTICS.join(", .")));
                return None;
            };
            if metric.unit == Unit::Bool {
                self.problems.error(name.place, format!("`{base}` is true or false: it has no .{last}"));
                return None;
            }
            return Some((metric, Some(statistic)));
        }
        let near = crate::conf::nearest(name, METRICS.iter().map(|metric| metric.name));
        let help = match near {
            Some(near) => format!("did you mean `{near}`? `splitbrain metrics` lists them all"),
            None => "`splitbrain metrics` lists them all".to_owned(),
        };
        self.problems.error(name.place, format!("there is no metric `{}`", name.value)).label("unknown metric").help(help);
        None
    }
}

fn expectation(metric: &Metric, statistic: Option<&str>, item: &At<LooseItem>) -> Result<Expectation, String> {
    let text = match &item.value {
        LooseItem::Bool(value) => value.to_string(),
        LooseItem::Int(number) => number.to_string(),
        LooseItem::Float(number) => number.to_string(),
        LooseItem::Text(text) => text.clone(),
    };
    let trimmed = text.trim();
    let (comparison, rest) = [
        ("<=", Comparison::AtMost),
        (">=", Comparison::AtLeast),
        ("!=", Comparison::NotEqual),
        ("==", Comparison::Equal),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
        ("=", Comparison::Equal),
    ]
    .into_iter()
    .find_map(|(sign, comparison)| Some((comparison, trimmed.strip_prefix(sign)?)))
    .unwrap_or((Comparison::Equal, trimmed));
    let value = value(metric, rest.trim(), statistic.is_some())?;
    if metric.unit == Unit::Bool && !matches!(comparison, Comparison::Equal | Comparison::NotEqual) {
        return Err(format!("\"{text}\": true and false have no order"));
    }
    Ok(Expectation { metric: Arc::from(metric.name), statistic: statistic.map(Arc::from), comparison, value, text: Arc::from(trimmed) })
}

/// The value in the metric's unit.
fn value(metric: &Metric, text: &str, statistic: bool) -> Result<Value, String> {
    let wrong = || format!("\"{text}\" is not in the unit of `{}`", metric.name);
    match metric.unit {
        // A mean of counts has a fraction.
        Unit::Count if statistic => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Number).ok_or_else(wrong),
        Unit::Count => text.parse().map(Value::Count).map_err(|_| wrong()),
        Unit::Bytes => parse_memory(text).map(Value::Count).ok_or_else(wrong),
        Unit::Time => Span::parse(text).map(|span| Value::Number(span.as_ms_f64())),
        Unit::Bool => text.parse().map(Value::Bool).map_err(|_| wrong()),
        Unit::Ratio => {
            let (number, scale) = text.strip_suffix('%').map_or((text, 1.0), |number| (number.trim(), 100.0));
            let number: f64 = number.parse().map_err(|_| wrong())?;
            let share = number / scale;
            if (0.0..=1.0).contains(&share) { Ok(Value::Number(share)) } else { Err(format!("{text} is not between 0 and 1")) }
        }
    }
}
