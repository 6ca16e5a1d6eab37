//! Numbers as C prints and reads them, and as Lua takes them from arguments.

use mlua::{Lua, MultiValue, Result, Value};

use super::{convert, errors};
use crate::server::keyspace::double;

/// As `printf` prints it with `%.<precision>g`.
pub(super) fn general(value: f64, precision: usize) -> String {
    let precision = precision.max(1);
    if value.is_nan() {
        return if value.is_sign_negative() { "-nan".to_owned() } else { "nan".to_owned() };
    }
    if value.is_infinite() {
        return if value < 0.0 { "-inf".to_owned() } else { "inf".to_owned() };
    }
    let scientific = format!("{value:.*e}", precision - 1);
    let (mantissa, exponent) = scientific.split_once('e').expect("it is scientific");
    let exponent: i32 = exponent.parse().expect("an exponent is a number");
    let limit = i32::try_from(precision).unwrap_or(i32::MAX);
    let bare = |text: &str| {
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
    };
    if exponent < -4 || exponent >= limit {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", bare(mantissa), exponent.unsigned_abs());
    }
    let decimals = usize::try_from(limit - 1 - exponent).unwrap_or(0);
    bare(&format!("{value:.decimals$}"))
}

/// A value as `lua_tonumber` takes it: numbers, and texts that are one.
pub(super) fn of(value: &Value) -> Option<f64> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "it was a double")]
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        Value::String(text) => {
            let text = text.as_bytes();
            let text = text.trim_ascii();
            if text.is_empty() { None } else { double::strtod(text) }
        }
        _ => None,
    }
}

/// Argument `number` as `luaL_checknumber` takes it.
pub(super) fn argument(lua: &Lua, args: &MultiValue, number: usize, function: &str) -> Result<f64> {
    match args.get(number - 1).and_then(of) {
        Some(value) => Ok(value),
        None => errors::expected(lua, args, number, function, "number"),
    }
}

/// Argument `number` as `luaL_checkint` takes it: the low 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "as C does it")]
pub(super) fn int_argument(lua: &Lua, args: &MultiValue, number: usize, function: &str) -> Result<i32> {
    Ok(convert::truncated(argument(lua, args, number, function)?) as i32)
}

/// Argument `number` as `luaL_checklstring` takes it.
pub(super) fn text_argument(lua: &Lua, args: &MultiValue, number: usize, function: &str) -> Result<Vec<u8>> {
    match args.get(number - 1).and_then(text_of) {
        Some(text) => Ok(text),
        None => errors::expected(lua, args, number, function, "string"),
    }
}

/// A value as `lua_tolstring` takes it: texts, and numbers as Lua prints them.
pub(super) fn text_of(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        _ if value.is_number() || value.is_integer() => of(value).map(|number| general(number, 14).into_bytes()),
        _ => None,
    }
}

/// The number that a text begins with, and how long it is, as `strtod` reads it; no number: length zero.
pub(super) fn leading(text: &[u8]) -> (f64, usize) {
    let signed = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let rest = &text[signed..];
    let word = |word: &[u8]| rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    let sign = if text.first() == Some(&b'-') { -1.0 } else { 1.0 };
    if word(b"infinity") {
        return (sign * f64::INFINITY, signed + 8);
    }
    if word(b"inf") {
        return (sign * f64::INFINITY, signed + 3);
    }
    if word(b"nan") {
        return (sign * f64::NAN, signed + 3);
    }
    let is_hex = word(b"0x") && rest.get(2).is_some_and(|byte| byte.is_ascii_hexdigit() || *byte == b'.');
    let (from, is_digit, marks): (usize, fn(&u8) -> bool, &[u8]) =
        if is_hex { (2, u8::is_ascii_hexdigit, b"pP") } else { (0, u8::is_ascii_digit, b"eE") };
    let run = |at: usize| rest[at.min(rest.len())..].iter().take_while(|byte| is_digit(byte)).count();
    let whole = run(from);
    let mut end = from + whole;
    let mut digits = whole;
    if rest.get(end) == Some(&b'.') {
        let fraction = run(end + 1);
        if digits + fraction > 0 {
            digits += fraction;
            end += 1 + fraction;
        }
    }
    if digits == 0 {
        return (0.0, 0);
    }
    if rest.get(end).is_some_and(|byte| marks.contains(byte)) {
        let sign = usize::from(matches!(rest.get(end + 1), Some(b'-' | b'+')));
        let exponent = rest[(end + 1 + sign).min(rest.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    (double::strtod(&text[..signed + end]).unwrap_or_default(), signed + end)
}

#[cfg(test)]
mod tests {
    use super::general;

    #[test]
    fn numbers_are_printed_as_c_does() {
        let cases = [(0.1, 14, "0.1"), (1e15, 14, "1e+15"), (1e15, 17, "1000000000000000"), (-0.0, 14, "-0")];
        let more = [(123456.0, 3, "1.23e+05"), (0.0001, 14, "0.0001"), (0.00001, 14, "1e-05"), (100.0, 14, "100")];
        for (value, precision, text) in cases.into_iter().chain(more) {
            assert_eq!(general(value, precision), text);
        }
    }
}
