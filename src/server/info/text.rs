//! Text that grows by cheap appends. Sentinels ask for INFO so often that the formatting machinery would show.

use crate::id::{HexId, Ip};
use crate::resp::write_digits;

/// Room for the digits of any number, and a point among them.
const DIGITS: usize = 21;

/// A growing text.
#[derive(Debug)]
pub(crate) struct Text(Vec<u8>);

impl Text {
    /// An empty text with room.
    #[must_use]
    pub(super) fn with_capacity(bytes: usize) -> Text {
        Text(Vec::with_capacity(bytes))
    }

    /// What was written.
    #[must_use]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As it is.
    pub(crate) fn lit(&mut self, text: &str) -> &mut Self {
        self.raw(text.as_bytes())
    }

    /// Bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A number.
    pub(crate) fn num(&mut self, n: u64) -> &mut Self {
        let mut digits = [0; DIGITS];
        let at = write_digits(&mut digits, DIGITS, n);
        self.raw(&digits[at..])
    }

    /// A number that may be negative.
    pub(crate) fn int(&mut self, n: i64) -> &mut Self {
        if n < 0 {
            self.0.push(b'-');
        }
        self.num(n.unsigned_abs())
    }

    /// A number and the line end.
    fn num_line(&mut self, n: u64) -> &mut Self {
        // Most are small, and an append of known size is a few instructions.
        if let Some(digit) = u8::try_from(n).ok().filter(|&digit| digit < 10) {
            return self.raw(&[b'0' + digit, b'\r', b'\n']);
        }
        const LINE: usize = DIGITS + 2;
        let mut line = [b'\n'; LINE];
        line[DIGITS] = b'\r';
        let at = write_digits(&mut line, DIGITS, n);
        self.raw(&line[at..])
    }

    /// The line end.
    pub(crate) fn end(&mut self) -> &mut Self {
        self.raw(b"\r\n")
    }

    /// What stands before a number, with its colon; the number; the line end.
    pub(crate) fn field(&mut self, before: &str, n: u64) -> &mut Self {
        self.lit(before).num_line(n)
    }

    /// The same with a number that may be negative.
    pub(crate) fn signed(&mut self, before: &str, n: i64) -> &mut Self {
        if n < 0 {
            return self.lit(before).lit("-").num_line(n.unsigned_abs());
        }
        self.field(before, n.unsigned_abs())
    }

    /// The same with -1 where there is no number.
    pub(crate) fn known(&mut self, before: &str, n: Option<u64>) -> &mut Self {
        match n {
            Some(n) => self.field(before, n),
            None => self.lit(before).lit("-1\r\n"),
        }
    }

    /// The same with a word.
    pub(crate) fn word(&mut self, before: &str, word: &str) -> &mut Self {
        self.lit(before).lit(word).end()
    }

    /// The same with 1 for yes and 0 for no.
    pub(crate) fn flag(&mut self, before: &str, yes: bool) -> &mut Self {
        self.field(before, u64::from(yes))
    }

    /// A number of hundredths with two decimals.
    pub(crate) fn hundredths(&mut self, n: u64) -> &mut Self {
        if n == 0 {
            return self.raw(b"0.00");
        }
        self.decimals::<2>(n)
    }

    /// A number of millionths with six decimals.
    pub(super) fn millionths(&mut self, n: u64) -> &mut Self {
        self.decimals::<6>(n)
    }

    fn decimals<const PLACES: usize>(&mut self, n: u64) -> &mut Self {
        let one = (0..PLACES).fold(1, |one, _| one * 10);
        let mut digits = [0; DIGITS];
        // The one in front keeps zeroes.
        write_digits(&mut digits, DIGITS, one + n % one);
        let point = DIGITS - 1 - PLACES;
        digits[point] = b'.';
        let at = write_digits(&mut digits, point, n / one);
        self.raw(&digits[at..])
    }

    /// Bytes for people (`bytesToHuman`).
    pub(super) fn human(&mut self, bytes: u64) -> &mut Self {
        for (unit, letter) in [(1 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")] {
            if bytes >= unit {
                let hundredths = u128::from(bytes) * 100 + u128::from(unit) / 2;
                let hundredths = u64::try_from(hundredths / u128::from(unit)).unwrap_or(u64::MAX);
                return self.hundredths(hundredths).lit(letter);
            }
        }
        self.num(bytes).lit("B")
    }

    /// The 40 digits of an id.
    pub(crate) fn id(&mut self, id: HexId) -> &mut Self {
        self.raw(&id.hex())
    }

    /// An address.
    pub(crate) fn ip(&mut self, ip: Ip) -> &mut Self {
        let [a, b, c, d] = ip.0.to_be_bytes().map(u64::from);
        self.num(a).lit(".").num(b).lit(".").num(c).lit(".").num(d)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut Text) -> &mut Text) -> String {
        let mut text = Text::with_capacity(0);
        write(&mut text);
        String::from_utf8(text.0).expect("ASCII")
    }

    #[test]
    fn sizes_for_people() {
        for (bytes, shown) in [(0, "0B"), (1_023, "1023B"), (1_113_952, "1.06M"), (25_276_514_304, "23.54G")] {
            assert_eq!(text(|t| t.human(bytes)), shown);
        }
    }

    proptest! {
        /// All that is appended here is what the formatting machinery would write.
        #[test]
        fn as_formatted(n: u64, shift in 0u32..64, id: [u8; 20], word in "[a-z]{0,9}") {
            let n = n >> shift;
            let signed = n.cast_signed();
            prop_assert_eq!(text(|t| t.num(n)), n.to_string());
            prop_assert_eq!(text(|t| t.int(signed)), signed.to_string());
            prop_assert_eq!(text(|t| t.field("a:", n)), format!("a:{n}\r\n"));
            prop_assert_eq!(text(|t| t.signed("a:", signed)), format!("a:{signed}\r\n"));
            prop_assert_eq!(text(|t| t.known("a:", Some(n))), format!("a:{n}\r\n"));
            prop_assert_eq!(text(|t| t.known("a:", None)), "a:-1\r\n");
            prop_assert_eq!(text(|t| t.word("a:", &word)), format!("a:{word}\r\n"));
            prop_assert_eq!(text(|t| t.hundredths(n)), format!("{}.{:02}", n / 100, n % 100));
            prop_assert_eq!(text(|t| t.millionths(n)), format!("{}.{:06}", n / 1_000_000, n % 1_000_000));
            let ip = Ip(u32::try_from(n >> 32).expect("the upper half"));
            prop_assert_eq!(text(|t| t.ip(ip)), ip.to_string());
            prop_assert_eq!(text(|t| t.id(HexId(id))), HexId(id).to_string());
        }
    }
}
