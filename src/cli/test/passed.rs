//! `--changed-only`: what has passed before, by what makes its result the same again.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;

use super::{Failure, unwritable};
use crate::trace::digest::hash_bytes;

/// Keys of scenarios that have passed.
#[derive(Debug, Default)]
pub(super) struct Passed {
    before: BTreeSet<String>,
    /// What is worth remembering: the same ones as far as they were asked for, and new ones.
    now: BTreeSet<String>,
}

/// A key: this very program, and texts that say all about a scenario and its runs.
pub(super) fn key(texts: &[&str]) -> Result<String, Failure> {
    static PROGRAM: OnceLock<Result<u64, String>> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        let bytes = std::env::current_exe().and_then(std::fs::read).map_err(|error| error.to_string())?;
        Ok(hash_bytes(&[&bytes]))
    });
    let program = program.as_ref().map_err(|error| {
        Failure::Message(format!("can't read the program itself, which --changed-only compares: {error}"))
    })?;
    let mut parts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
    let program = program.to_le_bytes();
    parts.push(&program);
    Ok(format!("{:016x}", hash_bytes(&parts)))
}

impl Passed {
    /// What a file remembers; nothing if there is none.
    pub(super) fn read(path: &Path) -> Result<Passed, Failure> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Passed::default()),
            Err(error) => return Err(Failure::Message(format!("can't read {}: {error}", path.display()))),
        };
        let before = serde_json::from_slice(&bytes)
            .map_err(|error| Failure::Message(format!("{} is damaged ({error}); remove it", path.display())))?;
        Ok(Passed { before, now: BTreeSet::new() })
    }

    pub(super) fn knows(&self, key: &str) -> bool {
        self.before.contains(key)
    }

    pub(super) fn add(&mut self, key: &str) {
        self.now.insert(key.to_owned());
    }

    pub(super) fn write(self, path: &Path) -> Result<(), Failure> {
        let all: BTreeSet<String> = self.before.into_iter().chain(self.now).collect();
        let text = serde_json::to_string_pretty(&all).expect("plain data is JSON");
        super::write(path, &format!("{text}\n")).map_err(|_| unwritable(path, &std::io::Error::other("no access")))
    }
}
