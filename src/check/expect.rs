//! Expectations: a metric, a comparison, a value.

use std::sync::Arc;

use super::metrics::Value;

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
