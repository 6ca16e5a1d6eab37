//! What a library's functions keep in its variables, as a value that can be cloned: the calls since it was loaded. The
//! interpreter that has lived through them is a cache of its thread (`lua/live.rs`); whoever lacks it makes another one live
//! through the same, without effects.

use std::sync::Arc;

use bytes::Bytes;

use super::answers::Answers;
use super::{Job, JsonSettings, Rand48};

/// When calls take more bytes than this, they are no longer kept: then only the interpreter knows what the variables are.
const MOST: usize = 64 << 20;

/// Calls of one library's functions. A clone is another server's: what is no longer kept, it doesn't know, whether or not the
/// interpreter that does is at hand. [`Journal::same`] is the same server's.
#[derive(Debug)]
pub(crate) struct Journal {
    /// The library was loaded.
    root: Arc<Moment>,
    /// The last call. The moments themselves tell two histories apart, however alike they are.
    tip: Arc<Moment>,
    bytes: usize,
}

impl Clone for Journal {
    fn clone(&self) -> Journal {
        match self.tip.what {
            What::Lost => Journal { tip: Arc::new(Moment { before: None, what: What::Lost }), ..self.same() },
            What::Loaded | What::Called(_) => self.same(),
        }
    }
}

/// A point in the life of a library.
#[derive(Debug)]
pub(crate) struct Moment {
    before: Option<Arc<Moment>>,
    what: What,
}

#[derive(Debug)]
enum What {
    Loaded,
    /// More has happened than is kept.
    Lost,
    Called(Box<Call>),
}

/// One call of a function: all that can have made a difference to the library's variables.
#[derive(Debug)]
pub(crate) struct Call {
    function: Bytes,
    words: Vec<Bytes>,
    keys: usize,
    random: Rand48,
    json: JsonSettings,
    /// It was stopped after so many instructions.
    budget: u64,
    pub(super) answers: Answers,
}

impl Drop for Moment {
    fn drop(&mut self) {
        // One after the other: as many calls within calls would overflow the stack.
        let mut next = self.before.take();
        while let Some(moment) = next {
            next = Arc::into_inner(moment).and_then(|mut moment| moment.before.take());
        }
    }
}

impl Call {
    /// The call as it was, with the answers that it got.
    pub(super) fn of(job: &Job<'_>, answers: Answers, budget: u64) -> Call {
        Call {
            function: Bytes::copy_from_slice(job.function.unwrap_or_default()),
            words: job.keys.iter().chain(job.args).map(|word| Bytes::copy_from_slice(word)).collect(),
            keys: job.keys.len(),
            random: job.random,
            json: job.json,
            budget,
            answers,
        }
    }

    fn len(&self) -> usize {
        let words: usize = self.words.iter().map(|word| word.len() + size_of::<Bytes>()).sum();
        size_of::<Call>() + size_of::<Moment>() + words + self.answers.len()
    }

    /// Has it done once more by `run`.
    #[cfg_attr(not(feature = "lua"), allow(dead_code, reason = "only an interpreter uses it"))]
    pub(super) fn again(&self, like: &Job<'_>, run: impl FnOnce(&Job<'_>)) {
        let words: Vec<&[u8]> = self.words.iter().map(AsRef::as_ref).collect();
        let (keys, args) = words.split_at(self.keys);
        run(&Job {
            function: Some(&self.function),
            keys,
            args,
            random: self.random,
            json: self.json,
            budget: self.budget,
            ..*like
        });
    }
}

impl Journal {
    /// A library was loaded.
    pub(super) fn new() -> Journal {
        let root = Arc::new(Moment { before: None, what: What::Loaded });
        Journal { tip: Arc::clone(&root), root, bytes: 0 }
    }

    /// The same moment of the same server.
    #[must_use]
    pub(super) fn same(&self) -> Journal {
        Journal { root: Arc::clone(&self.root), tip: Arc::clone(&self.tip), bytes: self.bytes }
    }

    /// Both began with the same loading of a library.
    pub(super) fn is_of(&self, other: &Journal) -> bool {
        Arc::ptr_eq(&self.root, &other.root)
    }

    /// One call more. False answers stand for ones that were too long to be kept.
    #[must_use]
    pub(super) fn after(&self, call: Call) -> Journal {
        let bytes = self.bytes.saturating_add(call.len());
        let lost = bytes > MOST || call.answers.is_full() || matches!(self.tip.what, What::Lost);
        let (before, what) =
            if lost { (None, What::Lost) } else { (Some(Arc::clone(&self.tip)), What::Called(Box::new(call))) };
        Journal { root: Arc::clone(&self.root), tip: Arc::new(Moment { before, what }), bytes }
    }

    /// Which moment this is.
    #[cfg_attr(not(feature = "lua"), allow(dead_code, reason = "only an interpreter uses it"))]
    pub(super) fn tip(&self) -> &Arc<Moment> {
        &self.tip
    }

    /// All calls, the first one first; `None`: they are not kept any more.
    #[cfg_attr(not(feature = "lua"), allow(dead_code, reason = "only an interpreter uses it"))]
    pub(super) fn calls(&self) -> Option<Vec<&Call>> {
        let mut calls = Vec::new();
        let mut moment = Some(&self.tip);
        while let Some(at) = moment {
            match &at.what {
                What::Loaded => {}
                What::Lost => return None,
                What::Called(call) => calls.push(&**call),
            }
            moment = at.before.as_ref();
        }
        calls.reverse();
        Some(calls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(text: &[u8]) -> Call {
        Call {
            function: Bytes::from_static(b"f"),
            words: vec![Bytes::copy_from_slice(text)],
            keys: 0,
            random: Rand48::default(),
            json: JsonSettings::default(),
            budget: u64::MAX,
            answers: Answers::default(),
        }
    }

    #[test]
    fn long_histories_are_dropped_one_by_one_and_short_ones_are_kept() {
        let mut journal = Journal::new();
        let fork = journal.after(call(b"other"));
        for _ in 0..100_000 {
            journal = journal.after(call(b"x"));
        }
        assert_eq!(journal.calls().map(|calls| calls.len()), Some(100_000));
        assert_eq!(fork.calls().map(|calls| calls.len()), Some(1));
        assert!(fork.is_of(&journal) && !fork.is_of(&Journal::new()));
        let long = vec![b'x'; 1 << 20];
        for _ in 0..70 {
            journal = journal.after(call(&long));
        }
        assert!(journal.calls().is_none() && journal.after(call(b"x")).calls().is_none());
        // What is lost to another server is so from the beginning, whoever goes on first.
        let copy = journal.clone();
        assert!(Arc::ptr_eq(journal.tip(), journal.same().tip()) && !Arc::ptr_eq(journal.tip(), copy.tip()));
        assert!(copy.is_of(&journal) && copy.calls().is_none());
        assert!(Arc::ptr_eq(fork.tip(), fork.clone().tip()));
    }
}
