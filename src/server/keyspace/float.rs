//! The x87 extended precision of INCRBYFLOAT (`long double`): 64 bits of mantissa, so that sums print as Redis prints them.

/// A finite number: `mantissa * 2^exponent`, the mantissa normalised to 64 bits unless it is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extended {
    negative: bool,
    mantissa: u64,
    exponent: i32,
}

/// Largest exponent of the mantissa's last bit that is still finite.
const EXPONENT_MAX: i32 = 16_383 - 63;
/// Decimal exponents beyond this overflow or vanish.
const DECIMAL_MAX: i64 = 5_000;

/// An unsigned big integer, least significant word first.
#[derive(Clone, Debug)]
struct Big(Vec<u32>);

impl Big {
    fn from_u64(n: u64) -> Big {
        let low = u32::try_from(n & 0xffff_ffff).expect("masked");
        let high = u32::try_from(n >> 32).expect("shifted");
        Big(vec![low, high])
    }

    fn mul_add(&mut self, factor: u32, add: u32) {
        let mut carry = u64::from(add);
        for word in &mut self.0 {
            let wide = u64::from(*word) * u64::from(factor) + carry;
            *word = u32::try_from(wide & 0xffff_ffff).expect("masked");
            carry = wide >> 32;
        }
        if carry > 0 {
            self.0.push(u32::try_from(carry).expect("a carry is a word"));
        }
    }

    /// Divides by a word; returns the remainder.
    fn div(&mut self, by: u32) -> u32 {
        let mut rest = 0u64;
        for word in self.0.iter_mut().rev() {
            let wide = rest << 32 | u64::from(*word);
            *word = u32::try_from(wide / u64::from(by)).expect("the remainder is below the divisor");
            rest = wide % u64::from(by);
        }
        u32::try_from(rest).expect("below the divisor")
    }

    fn bits(&self) -> usize {
        self.0
            .iter()
            .rposition(|&word| word != 0)
            .map_or(0, |at| at * 32 + (32 - usize::try_from(self.0[at].leading_zeros()).expect("at most 32")))
    }

    fn bit(&self, at: usize) -> bool {
        self.0.get(at / 32).is_some_and(|word| word >> (at % 32) & 1 == 1)
    }

    fn shl(&self, by: usize) -> Big {
        let mut words = vec![0; by / 32];
        let mut shifted = self.clone();
        shifted.mul_add(1 << (by % 32), 0);
        words.extend(shifted.0);
        Big(words)
    }

    /// The top 64 bits, rounded to nearest even, and how far they were shifted. `sticky`: something non-zero follows.
    fn round(&self, sticky: bool) -> (u64, i32) {
        let bits = self.bits();
        let low = bits.saturating_sub(64);
        let mut mantissa = (low..bits).rev().fold(0u64, |m, at| m << 1 | u64::from(self.bit(at)));
        let shift = i32::try_from(low).expect("sizes are bounded by the decimal exponent");
        if low > 0 && self.bit(low - 1) {
            let below = sticky || (0..low - 1).any(|at| self.bit(at));
            if below || mantissa & 1 == 1 {
                match mantissa.checked_add(1) {
                    Some(up) => mantissa = up,
                    None => return (1 << 63, shift + 1),
                }
            }
        }
        (mantissa, shift)
    }

    fn is_zero(&self) -> bool {
        self.bits() == 0
    }

    fn less(&self, other: &Big) -> bool {
        let words = self.0.len().max(other.0.len());
        let word = |big: &Big, at: usize| big.0.get(at).copied().unwrap_or(0);
        for at in (0..words).rev() {
            if word(self, at) != word(other, at) {
                return word(self, at) < word(other, at);
            }
        }
        false
    }

    fn sub(&mut self, other: &Big) {
        let mut borrow = 0i64;
        for at in 0..self.0.len() {
            let mut diff = i64::from(self.0[at]) - i64::from(other.0.get(at).copied().unwrap_or(0)) - borrow;
            borrow = i64::from(diff < 0);
            if diff < 0 {
                diff += 1 << 32;
            }
            self.0[at] = u32::try_from(diff).expect("borrowed");
        }
    }

    fn add(&mut self, other: &Big) {
        let words = self.0.len().max(other.0.len());
        self.0.resize(words + 1, 0);
        let mut carry = 0u64;
        for at in 0..=words {
            let sum = u64::from(self.0[at]) + u64::from(other.0.get(at).copied().unwrap_or(0)) + carry;
            self.0[at] = u32::try_from(sum & 0xffff_ffff).expect("masked");
            carry = sum >> 32;
        }
    }
}

impl Extended {
    /// Zero.
    pub const ZERO: Extended = Extended { negative: false, mantissa: 0, exponent: 0 };

    fn normal(negative: bool, mantissa: u64, exponent: i32) -> Option<Extended> {
        if mantissa == 0 {
            return Some(Extended { negative, ..Extended::ZERO });
        }
        let up = mantissa.leading_zeros();
        let exponent = exponent - i32::try_from(up).expect("at most 64");
        (exponent <= EXPONENT_MAX).then_some(Extended { negative, mantissa: mantissa << up, exponent })
    }

    /// Reads a number with an optional fraction and exponent, decimal or hexadecimal, as `string2ld` takes it; `None`
    /// for anything else, infinity and what overflows included.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Extended> {
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        if let [b'0', b'x' | b'X', digits @ ..] = rest {
            return Extended::parse_hex(negative, digits);
        }
        let (number, exponent) = match rest.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(at) => (&rest[..at], decimal_exponent(&rest[at + 1..])?),
            None => (rest, 0),
        };
        if number.len() > 5_000 {
            return None;
        }
        let (mut digits, mut fraction, mut any, mut point) = (Big(vec![0]), 0i64, false, false);
        for &byte in number {
            match byte {
                b'0'..=b'9' => {
                    digits.mul_add(10, u32::from(byte - b'0'));
                    any = true;
                    fraction += i64::from(point);
                }
                b'.' if !point => point = true,
                _ => return None,
            }
        }
        if !any {
            return None;
        }
        let scale = exponent.checked_sub(fraction)?;
        if digits.is_zero() || scale < -2 * DECIMAL_MAX {
            return Some(Extended { negative, ..Extended::ZERO });
        }
        if scale > DECIMAL_MAX {
            return None;
        }
        if scale >= 0 {
            for _ in 0..scale {
                digits.mul_add(10, 0);
            }
            let (mantissa, shift) = digits.round(false);
            return Extended::normal(negative, mantissa, shift);
        }
        // Enough extra bits that the quotient has 64 and a few more; the remainder decides ties.
        let power = usize::try_from(-scale).ok()?;
        let extra = power * 4 + 80;
        let mut quotient = digits.shl(extra);
        let mut sticky = false;
        for _ in 0..power {
            sticky |= quotient.div(10) != 0;
        }
        let (mantissa, shift) = quotient.round(sticky);
        Extended::normal(negative, mantissa, shift - i32::try_from(extra).ok()?)
    }

    /// What follows `0x`: hexadecimal digits with an optional fraction, and an optional binary exponent.
    fn parse_hex(negative: bool, rest: &[u8]) -> Option<Extended> {
        let (number, exponent) = match rest.iter().position(|byte| matches!(byte, b'p' | b'P')) {
            Some(at) => (&rest[..at], decimal_exponent(&rest[at + 1..])?),
            None => (rest, 0),
        };
        if number.len() > 5_000 {
            return None;
        }
        let (mut digits, mut fraction, mut any, mut point) = (Big(vec![0]), 0i64, false, false);
        for &byte in number {
            if byte == b'.' && !point {
                point = true;
                continue;
            }
            digits.mul_add(16, char::from(byte).to_digit(16)?);
            any = true;
            fraction += 4 * i64::from(point);
        }
        if !any {
            return None;
        }
        let (mantissa, shift) = digits.round(false);
        let scale = i32::try_from(exponent - fraction).ok()?;
        if mantissa != 0 && scale < -20_000 {
            return None;
        }
        Extended::normal(negative, mantissa, shift.checked_add(scale)?)
    }

    /// A thousand times the number, rounded up to an integer; `None` beyond 64 bits (`(long long) ceill(x * 1000.0)`).
    #[must_use]
    pub fn thousandfold_up(self) -> Option<i64> {
        let wide = u128::from(self.mantissa) * 1_000;
        let spare = 64 - wide.leading_zeros().min(64);
        // The product has 64 bits again, rounded to nearest even.
        let (mut product, rest) = (wide >> spare, wide & ((1 << spare) - 1));
        let half = if spare == 0 { 0 } else { 1_u128 << (spare - 1) };
        if spare > 0 && (rest > half || rest == half && product & 1 == 1) {
            product += 1;
        }
        let exponent = self.exponent.checked_add(i32::try_from(spare).expect("at most ten bits"))?;
        let integer = if product == 0 {
            0
        } else if exponent >= 0 {
            let shifted = u32::try_from(exponent).ok().filter(|&by| by < 63)?;
            product.checked_mul(1_u128 << shifted)?
        } else {
            let down = exponent.unsigned_abs();
            let (whole, fraction) =
                if down >= 127 { (0, true) } else { (product >> down, product & ((1 << down) - 1) > 0) };
            whole + u128::from(fraction && !self.negative)
        };
        let integer = i64::try_from(integer).ok()?;
        Some(if self.negative { -integer } else { integer })
    }

    /// True for the words that mean infinity.
    #[must_use]
    pub fn is_infinite(text: &[u8]) -> bool {
        let word = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
        word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"infinity")
    }

    /// The sum, rounded to nearest even; `None` when it is infinite.
    #[must_use]
    pub fn plus(self, other: Extended) -> Option<Extended> {
        if self.mantissa == 0 {
            return Some(other);
        }
        if other.mantissa == 0 {
            return Some(self);
        }
        let (high, low) = if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        let gap = usize::try_from(high.exponent - low.exponent).expect("ordered above");
        // Beyond 130 bits the smaller one only decides ties.
        if gap > 130 {
            return Some(high);
        }
        let (mut a, b) = (Big::from_u64(high.mantissa).shl(gap), Big::from_u64(low.mantissa));
        let mut negative = high.negative;
        if high.negative == low.negative {
            a.add(&b);
        } else if a.less(&b) {
            let mut swapped = b;
            swapped.sub(&a);
            a = swapped;
            negative = low.negative;
        } else {
            a.sub(&b);
        }
        if a.is_zero() {
            return Some(Extended::ZERO);
        }
        let (mantissa, shift) = a.round(false);
        Extended::normal(negative, mantissa, low.exponent + shift)
    }

    /// `%.17Lf` without trailing zeros, as `ld2string` prints for people; `None` when that is too long to be stored.
    #[must_use]
    pub fn print(self) -> Option<String> {
        // Scaled by 10^17 and rounded to an integer, ties to even, as printf does.
        let mut scaled = Big::from_u64(self.mantissa);
        for _ in 0..17 {
            scaled.mul_add(10, 0);
        }
        if self.exponent >= 0 {
            scaled = scaled.shl(usize::try_from(self.exponent).expect("not negative"));
        } else {
            let down = usize::try_from(-self.exponent).expect("negative");
            let half = down > 0 && scaled.bit(down - 1);
            let below = half && (0..down - 1).any(|at| scaled.bit(at));
            let mut shifted = Big(vec![0; scaled.0.len()]);
            for at in down..scaled.bits() {
                if scaled.bit(at) {
                    shifted.0[(at - down) / 32] |= 1 << ((at - down) % 32);
                }
            }
            if half && (below || shifted.bit(0)) {
                shifted.mul_add(1, 1);
            }
            scaled = shifted;
        }
        let mut digits = Vec::new();
        while !scaled.is_zero() {
            digits.push(b'0' + u8::try_from(scaled.div(10)).expect("a digit"));
        }
        while digits.len() < 18 {
            digits.push(b'0');
        }
        digits.reverse();
        let mut text = String::from_utf8(digits).expect("digits are ASCII");
        text.insert(text.len() - 17, '.');
        let trimmed = text.trim_end_matches('0').trim_end_matches('.');
        let sign = if self.negative && trimmed != "0" { "-" } else { "" };
        Some(format!("{sign}{trimmed}"))
    }
}

fn decimal_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0i64, |n, digit| (n * 10 + i64::from(digit - b'0')).min(1_000_000));
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_print_as_long_doubles_do() {
        for (a, b, sum) in [
            ("10.5", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("0", "-5", "-5"),
            ("3", "1.1", "4.1"),
            ("0.1", "0.2", "0.3"),
            ("-1.5", "1.5", "0"),
            ("1e30", "1", "1000000000000000000024696061952"),
            ("0.00000000000000001", "0", "0.00000000000000001"),
            ("0x10", "0x.8", "16.5"),
            ("-0x1p4", "0X1P-1", "-15.5"),
        ] {
            let add = Extended::parse(a.as_bytes()).expect(a).plus(Extended::parse(b.as_bytes()).expect(b));
            assert_eq!(add.and_then(Extended::print).as_deref(), Some(sum), "{a} + {b}");
        }
        for bad in ["", "abc", "1.2.3", "1e", "--1", " 1", "nan", "inf", "1e5000000", "0x", "0xg", "0x1p"] {
            assert_eq!(Extended::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn thousands_are_rounded_up_as_a_real_server_does() {
        for (text, thousand) in [
            ("0", Some(0)),
            ("-0.0001", Some(0)),
            ("0.001", Some(1)),
            ("0.0011", Some(2)),
            ("0.0010000000000000000001", Some(2)),
            ("0.00100000000000000000001", Some(1)),
            ("2.001", Some(2_001)),
            ("2.5", Some(2_500)),
            ("-1.5", Some(-1_500)),
            ("1e-400", Some(1)),
            ("9e15", Some(9_000_000_000_000_000_000)),
            ("9223372036854775.807", Some(i64::MAX)),
            ("1e16", None),
            ("1e400", None),
        ] {
            let number = Extended::parse(text.as_bytes()).expect(text);
            assert_eq!(number.thousandfold_up(), thousand, "{text}");
        }
    }
}
