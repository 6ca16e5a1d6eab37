//! From calls and returns, one after the other, to operations.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::BadLine;
use crate::check::linearizable::{Came, Datum, Entry, History, Place};

/// What a return says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// Done.
    Ok,
    /// Not done.
    Fail,
    /// Nobody knows.
    Info,
}

/// Takes calls and returns in order.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    entries: Vec<Entry>,
    open: BTreeMap<Arc<str>, usize>,
    order: u64,
}

impl Recorder {
    fn place(&mut self, line: u32, at: Option<u64>) -> Place {
        self.order += 1;
        Place { order: self.order, at, line }
    }

    /// A process asks.
    pub(super) fn call(
        &mut self,
        process: Arc<str>,
        f: &str,
        input: Datum,
        (line, at): (u32, Option<u64>),
    ) -> Result<&mut Entry, BadLine> {
        if let Some(&busy) = self.open.get(&process) {
            let since = self.entries[busy].call.line;
            let message = format!("process {process} is still busy with what it invoked in line {since}");
            return Err(BadLine { line, message });
        }
        let call = self.place(line, at);
        self.open.insert(process.clone(), self.entries.len());
        let (came, output) = (Came::Unknown, Datum::Nil);
        self.entries.push(Entry { process, f: f.into(), key: None, input, output, came, call, ret: None });
        Ok(self.entries.last_mut().expect("just pushed"))
    }

    /// A process learns something; the operation is handed out so that its result can be corrected.
    pub(super) fn ret(
        &mut self,
        process: &str,
        says: Says,
        output: Datum,
        (line, at): (u32, Option<u64>),
    ) -> Result<&mut Entry, BadLine> {
        let Some(index) = self.open.remove(process) else {
            return Err(BadLine { line, message: format!("process {process} has invoked nothing that could return") });
        };
        let place = self.place(line, at);
        let entry = &mut self.entries[index];
        match says {
            Says::Ok => (entry.came, entry.output, entry.ret) = (Came::Ok, output, Some(place)),
            Says::Fail => (entry.came, entry.ret) = (Came::Failed, Some(place)),
            Says::Info => {}
        }
        Ok(entry)
    }

    /// The history; what is still open has no outcome.
    pub(super) fn finish(self) -> History {
        History { entries: self.entries }
    }
}
