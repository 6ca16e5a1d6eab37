//! Which part of a sweep this process runs: `--shard`, or what the system that started it says.

use std::num::NonZeroU64;

use crate::report::sweep::Shard;

/// Reads `K/N`, counted from 1.
///
/// # Errors
/// What is wrong with it.
pub(in crate::cli) fn parse(text: &str) -> Result<Shard, String> {
    let form = || format!("\"{text}\" is not of the form K/N, as in 1/10 to 10/10");
    let (k, n) = text.split_once('/').ok_or_else(form)?;
    let number = |part: &str| part.trim().parse::<u64>().map_err(|_| form());
    let (k, n) = (number(k)?, number(n)?);
    if n == 0 || k == 0 || k > n {
        return Err(format!("there is no shard {k} of {n}: they are 1/{n} to {n}/{n}")
            .replace(" of 0: they are 1/0 to 0/0", " of 0"));
    }
    Ok(Shard { index: k - 1, of: n })
}

/// A shard, and the variables that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The shard.
    pub(super) shard: Shard,
    /// For the message that says so.
    pub(super) from: &'static str,
}

/// How one system numbers its jobs.
struct System {
    name: &'static str,
    /// Which job this is; nothing is looked at when this isn't set.
    index: &'static str,
    /// The number of the first job.
    first: First,
    /// How many jobs there are.
    count: Option<&'static str>,
}

enum First {
    Always(u64),
    /// A variable has it.
    In(&'static str),
}

/// Every system that is known, the most specific first: AWS Batch may run on Kubernetes, a CI's runner on any of them.
const SYSTEMS: &[System] = &[
    System {
        name: "GitLab parallel job",
        index: "CI_NODE_INDEX",
        first: First::Always(1),
        count: Some("CI_NODE_TOTAL"),
    },
    System {
        name: "Buildkite parallel job",
        index: "BUILDKITE_PARALLEL_JOB",
        first: First::Always(0),
        count: Some("BUILDKITE_PARALLEL_JOB_COUNT"),
    },
    System {
        name: "AWS Batch array job",
        index: "AWS_BATCH_JOB_ARRAY_INDEX",
        first: First::Always(0),
        count: Some("AWS_BATCH_JOB_ARRAY_SIZE"),
    },
    System {
        name: "Slurm job array",
        index: "SLURM_ARRAY_TASK_ID",
        first: First::In("SLURM_ARRAY_TASK_MIN"),
        count: Some("SLURM_ARRAY_TASK_COUNT"),
    },
    System { name: "Kubernetes indexed job", index: "JOB_COMPLETION_INDEX", first: First::Always(0), count: None },
];

/// The shard that the environment asks for, if it does. `shards` is the number of them where it is known otherwise: then a
/// Slurm array's tasks are numbered from 0, so that a single one can be submitted again.
///
/// # Errors
/// Variables that contradict each other, or leave the number of shards open.
pub(super) fn detect(
    get: &dyn Fn(&str) -> Option<String>,
    shards: Option<NonZeroU64>,
) -> Result<Option<Found>, String> {
    let set = |name: &str| get(name).filter(|value| !value.is_empty());
    let Some(system) = SYSTEMS.iter().find(|system| set(system.index).is_some()) else {
        return match shards {
            Some(n) => {
                Err(format!("--shards {n} needs to know which one this is; no job array was found, use --shard K/{n}"))
            }
            None => Ok(None),
        };
    };
    let number = |name: &str| -> Result<u64, String> {
        let value =
            set(name).ok_or_else(|| format!("{} has {} but no {name}; use --shard K/N", system.name, system.index))?;
        value.trim().parse().map_err(|_| format!("{name} is \"{value}\", which is no number; use --shard K/N"))
    };
    let first = match (&system.first, shards) {
        (First::Always(first), _) => *first,
        (First::In(_), Some(_)) => 0,
        (First::In(name), None) => number(name)?,
    };
    let of = match (system.count, shards) {
        (_, Some(n)) => n.get(),
        (Some(name), None) => number(name)?,
        (None, None) => {
            return Err(format!(
                "{} is set ({}) but nothing says how many there are: give --shards N, the job's completions",
                system.index, system.name
            ));
        }
    };
    let task = number(system.index)?;
    match task.checked_sub(first) {
        Some(index) if index < of => Ok(Some(Found { shard: Shard { index, of }, from: system.name })),
        _ => Err(format!(
            "{} is {task}, which is none of {of} jobs numbered from {first} without gaps ({}); use --shard K/N",
            system.index, system.name
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_counted_from_one() {
        assert_eq!(parse("3/10"), Ok(Shard { index: 2, of: 10 }));
        assert_eq!(parse("3/10").map(|shard| shard.to_string()), Ok("3/10".to_owned()));
        for (text, message) in [
            ("0/4", "no shard 0 of 4"),
            ("5/4", "they are 1/4 to 4/4"),
            ("1", "K/N"),
            ("a/2", "K/N"),
            ("1/0", "no shard 1 of 0"),
        ] {
            assert!(parse(text).is_err_and(|error| error.contains(message)), "{text}");
        }
    }

    #[test]
    fn the_environment_says_which() {
        type Case = (&'static [(&'static str, &'static str)], Option<u64>, Result<Option<(u64, u64)>, &'static str>);
        let cases: &[Case] = &[
            (&[], None, Ok(None)),
            (&[], Some(4), Err("use --shard K/4")),
            (&[("JOB_COMPLETION_INDEX", "0")], Some(10), Ok(Some((0, 10)))),
            (&[("JOB_COMPLETION_INDEX", "9")], Some(10), Ok(Some((9, 10)))),
            (&[("JOB_COMPLETION_INDEX", "10")], Some(10), Err("none of 10 jobs")),
            (&[("JOB_COMPLETION_INDEX", "3")], None, Err("--shards N")),
            (&[("JOB_COMPLETION_INDEX", "")], None, Ok(None)),
            (
                &[("SLURM_ARRAY_TASK_ID", "5"), ("SLURM_ARRAY_TASK_MIN", "1"), ("SLURM_ARRAY_TASK_COUNT", "8")],
                None,
                Ok(Some((4, 8))),
            ),
            (
                &[("SLURM_ARRAY_TASK_ID", "0"), ("SLURM_ARRAY_TASK_MIN", "0"), ("SLURM_ARRAY_TASK_COUNT", "8")],
                None,
                Ok(Some((0, 8))),
            ),
            // --array=1,2,9: the numbers have gaps.
            (
                &[("SLURM_ARRAY_TASK_ID", "9"), ("SLURM_ARRAY_TASK_MIN", "1"), ("SLURM_ARRAY_TASK_COUNT", "3")],
                None,
                Err("without gaps"),
            ),
            // --array=3 alone, to repeat one of ten.
            (
                &[("SLURM_ARRAY_TASK_ID", "3"), ("SLURM_ARRAY_TASK_MIN", "3"), ("SLURM_ARRAY_TASK_COUNT", "1")],
                Some(10),
                Ok(Some((3, 10))),
            ),
            (&[("SLURM_ARRAY_TASK_ID", "3")], None, Err("no SLURM_ARRAY_TASK_MIN")),
            (&[("AWS_BATCH_JOB_ARRAY_INDEX", "2"), ("AWS_BATCH_JOB_ARRAY_SIZE", "4")], None, Ok(Some((2, 4)))),
            (&[("CI_NODE_INDEX", "1"), ("CI_NODE_TOTAL", "5")], None, Ok(Some((0, 5)))),
            (&[("CI_NODE_INDEX", "5"), ("CI_NODE_TOTAL", "5")], None, Ok(Some((4, 5)))),
            // GitLab sets the total without `parallel` too.
            (&[("CI_NODE_TOTAL", "1")], None, Ok(None)),
            (&[("BUILDKITE_PARALLEL_JOB", "0"), ("BUILDKITE_PARALLEL_JOB_COUNT", "3")], None, Ok(Some((0, 3)))),
            (&[("BUILDKITE_PARALLEL_JOB", "two"), ("BUILDKITE_PARALLEL_JOB_COUNT", "3")], None, Err("no number")),
        ];
        for (variables, shards, expected) in cases {
            let get =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            let found = detect(&get, shards.and_then(NonZeroU64::new));
            match (found, expected) {
                (Ok(found), Ok(expected)) => {
                    assert_eq!(found.map(|found| (found.shard.index, found.shard.of)), *expected, "{variables:?}");
                }
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{variables:?}: {error}"),
                (found, expected) => panic!("{variables:?}: {found:?} instead of {expected:?}"),
            }
        }
    }
}
