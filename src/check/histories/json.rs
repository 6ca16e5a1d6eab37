//! JSON values as values of histories.

use serde_json::Value;

use crate::check::linearizable::Datum;

/// The same value.
pub(super) fn datum(value: &Value) -> Datum {
    match value {
        Value::Null => Datum::Nil,
        Value::Bool(truth) => Datum::Bool(*truth),
        Value::Number(number) => number.as_i64().map_or_else(|| Datum::Decimal(number.to_string().into()), Datum::Int),
        Value::String(text) => Datum::Text(text.as_str().into()),
        Value::Array(items) => Datum::List(items.iter().map(datum).collect()),
        Value::Object(fields) => {
            Datum::Map(fields.iter().map(|(name, value)| (Datum::Word(name.as_str().into()), datum(value))).collect())
        }
    }
}
