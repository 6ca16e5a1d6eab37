//! `splitbrain new`: a scenario to start from.

use std::io::Write as _;

use super::args::NewArgs;
use super::{Failure, Outcome, Status, terminal};

/// What it writes: a scenario that runs as it is and explains itself.
pub(super) const STARTER: &str = include_str!("starter.toml");

pub(super) fn new(args: &NewArgs) -> Outcome {
    let Some(path) = &args.file else {
        terminal::print(STARTER)?;
        return Ok(Status::Held);
    };
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(STARTER.as_bytes()))
        .map_err(|error| Failure::Message(format!("can't write {}: {error}", path.display())))?;
    let path = path.display();
    terminal::complain(&format!("wrote {path}; run it with: splitbrain run {path}\n"));
    Ok(Status::Held)
}
