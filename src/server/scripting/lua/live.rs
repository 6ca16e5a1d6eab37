//! Interpreters of libraries whose functions keep something in variables. Each belongs to one moment of a library's life and
//! is taken from there to the next by the call in between. They are a cache: one that isn't there is made anew and lives
//! through the same calls.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use super::{Ending, Host, Interpreter, Job, Registered, Run, failed, find};
use crate::server::scripting::answers::{Answers, Cursor};
use crate::server::scripting::journal::{Call, Journal, Moment};
use crate::server::scripting::{Answer, SoFar};

/// Interpreters that a thread keeps.
const MOST: usize = 64;

struct Live {
    moment: Weak<Moment>,
    interpreter: Interpreter,
    functions: Vec<Registered>,
}

thread_local! {
    /// The one that was used last comes last.
    static LIVE: RefCell<Vec<Live>> = const { RefCell::new(Vec::new()) };
}

/// Who answers what was answered before.
struct Memory<'a> {
    answers: &'a Answers,
    cursor: Cursor,
}

impl Host for Memory<'_> {
    fn call(&mut self, _parts: &[&[u8]], _so_far: &SoFar<'_>) -> Answer {
        // One that was killed may have come further than it was allowed to.
        self.cursor.answer(self.answers).unwrap_or(Answer::Stop)
    }

    fn may_run(&mut self, _parts: &[&[u8]]) -> Option<bool> {
        self.cursor.allowed(self.answers).flatten()
    }

    fn answers(&self) -> Answers {
        Answers::default()
    }
}

/// Runs a function of a library whose variables are as `state` says.
pub(super) fn run(job: &Job<'_>, state: &Journal, host: &mut dyn Host) -> Run {
    let found = LIVE.with_borrow_mut(|live| {
        let at = live.iter().position(|one| std::ptr::eq(one.moment.as_ptr(), Arc::as_ptr(state.tip())));
        at.map(|at| live.remove(at))
    });
    let live = match found {
        Some(live) => Ok(live),
        None => Live::again(job, state),
    };
    let result =
        live.and_then(|live| find(&live.functions, job.function.unwrap_or_default()).map(|found| (live, found)));
    let (mut live, function) = match result {
        Ok(both) => both,
        Err(problem) => return failed(job, &problem),
    };
    let mut run = live.interpreter.run_function(job, &function, host);
    if !matches!(run.ending, Ending::Stopped) {
        let next = state.after(Call::of(job, host.answers(), u64::MAX));
        live.moment = Arc::downgrade(next.tip());
        live.keep();
        run.state = Some(next);
    }
    run
}

impl Live {
    /// A new one that has lived through the same.
    fn again(job: &Job<'_>, state: &Journal) -> Result<Live, String> {
        let calls = state.calls().ok_or(
            "the variables of this library are lost: they can't be had in a copy of a server whose functions were called with \
             more than 64 megabytes",
        )?;
        let mut interpreter = Interpreter::new().map_err(|error| error.to_string())?;
        interpreter.lives_on = true;
        let functions = interpreter.load_library(job.sha, job.code.text, u64::MAX)?;
        for call in calls {
            call.again(job, |job| {
                if let Ok(function) = find(&functions, job.function.unwrap_or_default()) {
                    let mut memory = Memory { answers: &call.answers, cursor: Cursor::new(&call.answers) };
                    interpreter.run_function(job, &function, &mut memory);
                }
            });
        }
        Ok(Live { moment: Arc::downgrade(state.tip()), interpreter, functions })
    }

    fn keep(self) {
        LIVE.with_borrow_mut(|live| {
            live.retain(|one| one.moment.strong_count() > 0);
            if live.len() >= MOST {
                live.remove(0);
            }
            live.push(self);
        });
    }
}

/// As a thread that has never run a function.
#[cfg(test)]
pub(super) fn forget() {
    LIVE.with_borrow_mut(Vec::clear);
}
