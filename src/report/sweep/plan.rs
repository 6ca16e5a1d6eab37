//! What a sweep is about, known before its first run: enough to judge its rows without the scenario.

use serde::{Deserialize, Serialize};

use crate::check::{Expectation, Given};

/// The results' format; another one is not read.
pub const FORMAT: u32 = 1;

/// A sweep: which scenario in which variants, over which seeds. Written before the first row, it says later what the rows are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The format of the results: [`FORMAT`].
    pub format: u32,
    /// The version of splitbrain: another one may run otherwise.
    pub splitbrain: String,
    /// The scenario's name.
    pub scenario: String,
    /// Its description.
    pub description: String,
    /// Stands for everything that decides the results: every variant's effective file, the seeds, the limits, the version.
    pub identity: String,
    /// The seeds, in their shortest form.
    pub seeds: String,
    /// How many seeds.
    pub seed_count: u64,
    /// The fields that vary.
    pub axes: Vec<Axis>,
    /// The variants: every combination, the last field changing fastest.
    pub variants: Vec<Variant>,
    /// Which part of the runs these are; `None`: all of them.
    pub shard: Option<Shard>,
}

/// A field that varies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// Its path.
    pub field: String,
    /// Its values.
    pub values: Vec<serde_json::Value>,
}

/// A combination of values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// Which value of each axis.
    pub choice: Vec<usize>,
    /// The command that runs it, but for ` --seed N` at its end.
    pub command: String,
    /// Its expectations: key and comparison.
    pub expect: Vec<(String, String)>,
}

/// Every `of`-th run, beginning with the `index`-th (from 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shard {
    /// Which one, from 0.
    pub index: u64,
    /// Of how many.
    pub of: u64,
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.of)
    }
}

impl Plan {
    /// How many runs the whole sweep has.
    #[must_use]
    pub fn runs_of_all(&self) -> u64 {
        (self.variants.len() as u64).saturating_mul(self.seed_count)
    }

    /// How many runs this part has.
    #[must_use]
    pub fn runs(&self) -> u64 {
        let all = self.runs_of_all();
        match self.shard {
            Some(shard) => all.saturating_sub(shard.index).div_ceil(shard.of),
            None => all,
        }
    }

    /// The numbers of this part's runs among all, ascending.
    pub fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
        let (first, step) = self.shard.map_or((0, 1), |shard| (shard.index, shard.of));
        let (mut next, all) = (Some(first), self.runs_of_all());
        std::iter::from_fn(move || {
            let number = next.filter(|number| *number < all)?;
            next = number.checked_add(step);
            Some(number)
        })
    }

    /// The variant of a run, and its seed's place among the seeds.
    #[must_use]
    pub fn place(&self, number: u64) -> (usize, u64) {
        (usize::try_from(number / self.seed_count).unwrap_or(usize::MAX), number % self.seed_count)
    }

    /// The expectations of a variant, read again.
    ///
    /// # Errors
    /// What is wrong with one, in a plan that this version didn't write.
    pub fn expectations(&self, variant: usize) -> Result<Vec<Expectation>, String> {
        let list = self.variants.get(variant).map_or(&[][..], |variant| &variant.expect);
        list.iter()
            .map(|(key, text)| Expectation::parse(key, Given::Text(text)).map_err(|error| error.to_string()))
            .collect()
    }

    /// A variant's values as people read them: `latency=5ms, quorum=2`; empty without a matrix.
    #[must_use]
    pub fn label(&self, variant: usize) -> String {
        let names = self.short_names();
        let choice = self.variants.get(variant).map_or(&[][..], |variant| &variant.choice);
        let parts = self.axes.iter().zip(choice).zip(names);
        let parts =
            parts.map(|((axis, at), name)| format!("{name}={}", axis.values.get(*at).map_or(String::new(), text)));
        parts.collect::<Vec<_>>().join(", ")
    }

    /// The last parts of the fields' paths, or the whole ones where those aren't enough.
    #[must_use]
    pub fn short_names(&self) -> Vec<String> {
        let short = |field: &str| field.rsplit(['.', ']']).next().unwrap_or(field).trim_matches('"').to_owned();
        let all: Vec<String> = self.axes.iter().map(|axis| short(&axis.field)).collect();
        let clear = |name: &String| !name.is_empty() && all.iter().filter(|other| *other == name).count() == 1;
        all.iter()
            .zip(&self.axes)
            .map(|(name, axis)| if clear(name) { name.clone() } else { axis.field.clone() })
            .collect()
    }
}

/// A value as people read it.
#[must_use]
pub fn text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) fn plan(variants: usize, seeds: u64, shard: Option<Shard>) -> Plan {
        let variant = |at| Variant { choice: vec![at], command: String::new(), expect: Vec::new() };
        Plan {
            format: FORMAT,
            splitbrain: "0".to_owned(),
            scenario: "s".to_owned(),
            description: String::new(),
            identity: "0".to_owned(),
            seeds: format!("0..{seeds}"),
            seed_count: seeds,
            axes: vec![Axis { field: "a[0].b".to_owned(), values: (0..variants).map(|n| json!(n)).collect() }],
            variants: (0..variants).map(variant).collect(),
            shard,
        }
    }

    #[test]
    fn shards_part_the_runs() {
        for (variants, seeds, of) in [(1, 10, 3), (3, 4, 5), (2, 3, 7), (1, 1, 1)] {
            let mut all: Vec<u64> = Vec::new();
            for index in 0..of {
                let part = plan(variants, seeds, Some(Shard { index, of }));
                let numbers: Vec<u64> = part.numbers().collect();
                assert_eq!(numbers.len() as u64, part.runs(), "{variants} {seeds} {index}/{of}");
                all.extend(numbers);
            }
            all.sort_unstable();
            assert_eq!(all, plan(variants, seeds, None).numbers().collect::<Vec<_>>());
        }
        assert_eq!(plan(3, 4, None).place(7), (1, 3));
        assert_eq!(plan(3, 4, None).label(2), "b=2");
    }
}
