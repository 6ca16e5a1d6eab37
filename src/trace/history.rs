//! The clients' operations: names shared by those who make them and those who judge them.

/// The key that stands for a number in the KV workloads: `key:000000000012`, the width redis-benchmark uses.
#[must_use]
pub fn key_name(key: u32) -> String {
    format!("key:{key:012}")
}

/// Parses the number at the start of a value back out of it: the tag of [`value_tag`].
#[must_use]
pub fn value_number(value: &[u8]) -> Option<u64> {
    let digits = value.get(..20)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The first 20 bytes of a written value: its number, unique in the run. Padding follows up to the value's size.
#[must_use]
pub fn value_tag(value: u64) -> [u8; 20] {
    let mut tag = [b'0'; 20];
    let mut rest = value;
    for digit in tag.iter_mut().rev() {
        *digit = b"0123456789"[(rest % 10) as usize];
        rest /= 10;
    }
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_read_back() {
        for value in [0, 1, 42, u64::MAX] {
            let mut text = value_tag(value).to_vec();
            text.extend_from_slice(b"xxxx");
            assert_eq!(value_number(&text), Some(value));
        }
        assert_eq!(value_number(b"short"), None);
    }
}
