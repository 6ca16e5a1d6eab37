//! Doubles as Redis reads and prints them: `strtod` and `%.17g`.

/// A whole text as `strtod` reads it, with leading blanks; the empty text is zero. `None`: something is left over.
#[must_use]
pub fn strtod(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    if text.is_empty() {
        return Some(0.0);
    }
    let (sign, digits) = match text.as_bytes()[0] {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return hexadecimal(hex).map(|value| sign * value);
    }
    // A second sign is not a number.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    digits.parse::<f64>().ok().map(|value| sign * value)
}

/// `1.8p3`, what stands after `0x`.
fn hexadecimal(text: &str) -> Option<f64> {
    let (digits, exponent) = match text.split_once(['p', 'P']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (mut value, mut scale) = (0.0_f64, 0_i32);
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    scale -= i32::try_from(fraction.len()).ok()?.checked_mul(4)?;
    Some(libm::ldexp(value, scale.checked_add(exponent)?))
}

/// A text that is a double and nothing else (`string2d`): no blanks, not out of range.
#[must_use]
pub fn parse(text: &[u8]) -> Option<f64> {
    if text.is_empty() || text[0].is_ascii_whitespace() || text[0] == 0xb {
        return None;
    }
    let value = strtod(text)?;
    let mantissa = text.split(|byte| matches!(byte, b'e' | b'E' | b'p' | b'P')).next().unwrap_or(text);
    let digits = || mantissa.iter().any(|byte| byte.is_ascii_digit());
    let overflowed = value.is_infinite() && digits();
    let underflowed = value == 0.0 && mantissa.iter().any(|byte| (b'1'..=b'9').contains(byte));
    (!overflowed && !underflowed).then_some(value)
}

/// As `printf` prints it with `%.17g`.
#[must_use]
pub fn print(value: f64) -> String {
    if value.is_nan() {
        return if value.is_sign_negative() { "-nan".to_owned() } else { "nan".to_owned() };
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".to_owned() } else { "-inf".to_owned() };
    }
    let exact = format!("{value:.16e}");
    let (mantissa, exponent) = exact.split_once('e').expect("the form has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    if !(-4..17).contains(&exponent) {
        let mantissa = trimmed(mantissa);
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    }
    let decimals = usize::try_from(16 - exponent).expect("at most 20");
    trimmed(&format!("{value:.decimals$}")).to_owned()
}

/// Without zeros at the end of the fraction.
fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_printf_does() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (1.1, "1.1000000000000001"),
            (0.1, "0.10000000000000001"),
            (1e17, "1e+17"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (12_345_678_901_234_568.0, "12345678901234568"),
            (0.000_1, "0.0001"),
            (0.000_012_5, "1.2500000000000001e-05"),
            (1e-300, "1e-300"),
            (f64::INFINITY, "inf"),
            (5e-324, "4.9406564584124654e-324"),
        ] {
            assert_eq!(print(value), text);
        }
    }

    #[test]
    fn reads_as_strtod_does() {
        for (text, value) in [("1", 1.0), ("-1.5e3", -1_500.0), (".5", 0.5), ("0x1.8p1", 3.0), ("+3", 3.0)] {
            assert_eq!(parse(text.as_bytes()), Some(value), "{text}");
        }
        assert_eq!(parse(b"-inf"), Some(f64::NEG_INFINITY));
        for text in ["", " 1", "1 ", "1e400", "1e-400", "--1", "abc", "1e", "0x"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!((strtod(b""), strtod(b" 1e400")), (Some(0.0), Some(f64::INFINITY)));
    }
}
