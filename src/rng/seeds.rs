//! Sets of seeds as people write them: `0..10000`, `5`, `1,7,20..=30`.

use std::fmt;
use std::str::FromStr;

use super::Seed;

/// Some seeds, each once, in ascending order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seeds {
    /// First and last of each run of consecutive seeds, ascending, with gaps between them.
    ranges: Vec<(u64, u64)>,
    count: u64,
}

/// Why a text is not a set of seeds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}; write 0..100 (without 100), 0..=100 (with it), a single seed, or several of these with commas")]
pub struct SeedsError {
    message: String,
}

impl Seeds {
    /// A single one.
    #[must_use]
    pub fn single(seed: Seed) -> Seeds {
        Seeds { ranges: vec![(seed.0, seed.0)], count: 1 }
    }

    /// `from..to`, without `to`; `None` when there is no seed in it.
    #[must_use]
    pub fn range(from: u64, to: u64) -> Option<Seeds> {
        (from < to).then(|| Seeds { ranges: vec![(from, to - 1)], count: to - from })
    }

    /// Reads `A..B` (half-open), `A..=B`, `N`, and lists of these with commas.
    ///
    /// # Errors
    /// Anything else, a range without seeds, a seed that is named twice, more than 2⁶⁴−1 seeds.
    pub fn parse(text: &str) -> Result<Seeds, SeedsError> {
        let error = |message: String| SeedsError { message };
        let mut ranges = Vec::new();
        for part in text.split(',') {
            ranges.push(parse_range(part.trim()).map_err(error)?);
        }
        ranges.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1 => {
                    return Err(error(format!("seed {first} is in \"{text}\" twice")));
                }
                Some(before) if first == before.1 + 1 => before.1 = last,
                _ => merged.push((first, last)),
            }
        }
        let count = merged.iter().try_fold(0_u64, |count, (first, last)| {
            (last - first).checked_add(1).and_then(|size| count.checked_add(size))
        });
        let count = count.ok_or_else(|| error(format!("\"{text}\" is too many seeds")))?;
        Ok(Seeds { ranges: merged, count })
    }

    /// How many: never 0.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> u64 {
        self.count
    }

    /// The seed with so many smaller ones in the set.
    #[must_use]
    pub fn nth(&self, mut index: u64) -> Option<Seed> {
        for (first, last) in &self.ranges {
            let before_last = last - first;
            if index <= before_last {
                return Some(Seed(first + index));
            }
            index -= before_last + 1;
        }
        None
    }

    /// How many smaller ones are in the set, if it is in it itself.
    #[must_use]
    pub fn index_of(&self, seed: Seed) -> Option<u64> {
        let mut before = 0;
        for (first, last) in &self.ranges {
            if (*first..=*last).contains(&seed.0) {
                return Some(before + (seed.0 - first));
            }
            before += last - first + 1;
        }
        None
    }

    /// All of them, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Seed> + '_ {
        self.ranges.iter().flat_map(|(first, last)| (*first..=*last).map(Seed))
    }
}

fn parse_range(text: &str) -> Result<(u64, u64), String> {
    let number = |part: &str| -> Result<u64, String> {
        let part = part.trim();
        part.parse().map_err(|_| match part {
            "" => format!("a seed is missing in \"{text}\""),
            _ => format!("\"{part}\" is not a seed"),
        })
    };
    let Some((from, to)) = text.split_once("..") else {
        let seed = number(text)?;
        return Ok((seed, seed));
    };
    let from = number(from)?;
    let (last, empty) = match to.trim_start().strip_prefix('=') {
        Some(to) => {
            let to = number(to)?;
            (to, to < from)
        }
        None => {
            let to = number(to)?;
            (to.saturating_sub(1), to <= from)
        }
    };
    if empty { Err(format!("there is no seed in {text}")) } else { Ok((from, last)) }
}

impl FromStr for Seeds {
    type Err = SeedsError;

    fn from_str(text: &str) -> Result<Seeds, SeedsError> {
        Seeds::parse(text)
    }
}

/// The shortest way to write them, always the same for the same seeds.
impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.ranges.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match last.checked_add(1) {
                _ if first == last => write!(f, "{first}")?,
                Some(end) => write!(f, "{first}..{end}")?,
                None => write!(f, "{first}..={last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read_and_written() {
        for (text, count, canonical) in [
            ("0..10000", 10_000, "0..10000"),
            ("5..=7", 3, "5..8"),
            ("9", 1, "9"),
            ("3, 1 ,7..9", 4, "1,3,7..9"),
            ("5..8,0..5", 8, "0..8"),
            ("0..18446744073709551615", u64::MAX, "0..18446744073709551615"),
            ("18446744073709551614..=18446744073709551615", 2, "18446744073709551614..=18446744073709551615"),
        ] {
            let seeds = Seeds::parse(text).expect(text);
            assert_eq!((seeds.len(), seeds.to_string().as_str()), (count, canonical), "{text}");
            assert_eq!(Seeds::parse(canonical).expect(canonical), seeds);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, message) in [
            ("5..5", "no seed in 5..5"),
            ("5..=4", "no seed in"),
            ("a..5", "\"a\" is not a seed"),
            ("..5", "a seed is missing"),
            ("", "a seed is missing"),
            ("1,,2", "a seed is missing"),
            ("-1", "not a seed"),
            ("1..4,3", "seed 3 is in"),
            ("0..=18446744073709551615", "too many"),
        ] {
            let error = Seeds::parse(text).expect_err(text).to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn places_and_seeds_correspond() {
        let seeds = Seeds::parse("10..13,20,30..32").expect("valid");
        let all: Vec<u64> = seeds.iter().map(|seed| seed.0).collect();
        assert_eq!(all, [10, 11, 12, 20, 30, 31]);
        for (index, seed) in seeds.iter().enumerate() {
            let index = u64::try_from(index).expect("few");
            assert_eq!((seeds.nth(index), seeds.index_of(seed)), (Some(seed), Some(index)));
        }
        assert_eq!((seeds.nth(6), seeds.index_of(Seed(21))), (None, None));
        assert_eq!(Seeds::range(3, 3), None);
        assert_eq!(Seeds::range(3, 5), Seeds::parse("3,4").ok());
    }
}
