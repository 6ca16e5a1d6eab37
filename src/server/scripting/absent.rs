//! What stands for the interpreter where it was left out: everything says so.

use super::{Ending, Host, Job, Loaded, Run};

const ABSENT: &str = "scripting is not part of this build: it needs the cargo feature 'lua'";

pub(super) fn compile(_body: &[u8]) -> Result<(), String> {
    Err(ABSENT.to_owned())
}

pub(super) fn run(job: &Job<'_>, _host: &mut dyn Host) -> Run {
    Run {
        ending: Ending::Failed(format!("ERR {ABSENT}"), None, false),
        reply: bytes::BytesMut::new(),
        errors: Vec::new(),
        random: job.random,
        json: job.json,
        work: 0,
        line: 0,
        state: None,
        said: Vec::new(),
    }
}

pub(super) fn load(_code: &[u8], _budget: u64) -> (Result<Loaded, String>, u64) {
    (Err(ABSENT.to_owned()), 0)
}
