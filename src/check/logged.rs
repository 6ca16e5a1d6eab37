//! What a server's append-only file holds: which of its writes are in it up to which byte, so that a checker knows what a
//! restart has brought back. A server that loads such a file can't tell itself.

use std::collections::VecDeque;

use super::lineage::Position;
use crate::id::EventId;

/// What a server has said of its append-only file.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    /// Writes that are not in it yet, as far as it has been said.
    open: VecDeque<EventId>,
    /// In the order of the file.
    marks: Vec<Mark>,
}

/// A place in the file, and what it holds up to there.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// The number of the file, and its length.
    place: (u64, u64),
    /// Where the dataset stands.
    position: Position,
    /// The last write that is in it.
    last: EventId,
}

/// What of a history a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Where the dataset stands.
    pub(super) position: Position,
    /// The last write that is in it.
    pub(super) last: EventId,
}

impl Log {
    /// The server has executed a write.
    pub(super) fn executed(&mut self, event: EventId) {
        self.open.push_back(event);
    }

    /// The file has become longer. `ends` are its lengths after each of the newest open writes.
    pub(super) fn wrote(&mut self, seq: u64, to: u64, ends: &[u64], position: Position, event: EventId) {
        while self.open.len() > ends.len() {
            // Writes that went into no file are in the base of one that was begun after them.
            let last = self.open.pop_front().expect("there are more");
            self.mark((seq, 0), position, last);
        }
        for &end in ends {
            if let Some(last) = self.open.pop_front() {
                self.mark((seq, end), position, last);
            }
        }
        self.mark((seq, to), position, event);
    }

    /// Everything up to here goes into a new base, and what comes from now on into this file.
    pub(super) fn rewrites(&mut self, seq: u64, position: Position, event: EventId) {
        self.open.clear();
        self.mark((seq, 0), position, event);
    }

    fn mark(&mut self, place: (u64, u64), position: Position, last: EventId) {
        self.marks.push(Mark { place, position, last });
    }

    /// What it holds if it is read up to a place.
    pub(super) fn up_to(&self, place: (u64, u64)) -> Option<Cut> {
        let mark = self.marks.iter().rfind(|mark| mark.place <= place)?;
        Some(Cut { position: mark.position, last: mark.last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> Position {
        Position { history: 0, offset }
    }

    #[test]
    fn a_torn_file_holds_the_writes_before_the_tear() {
        let mut log = Log::default();
        log.rewrites(1, at(0), EventId(1));
        for event in 2..5 {
            log.executed(EventId(event));
        }
        log.wrote(1, 90, &[30, 60, 90], at(0), EventId(5));
        let last = |place| log.up_to(place).map(|cut| cut.last.0);
        assert_eq!([last((1, 0)), last((1, 59)), last((1, 60)), last((1, 90))], [Some(1), Some(2), Some(3), Some(5)]);
        assert_eq!(last((2, 0)), Some(5), "a later file comes after all of an earlier one");
        assert_eq!(last((0, 500)), None, "a base from before this file");
    }

    #[test]
    fn a_rewrite_takes_in_what_came_before_it() {
        let mut log = Log::default();
        log.executed(EventId(1));
        log.rewrites(1, at(7), EventId(2));
        log.executed(EventId(3));
        log.wrote(1, 30, &[30], at(9), EventId(4));
        assert_eq!(log.up_to((1, 10)), Some(Cut { position: at(7), last: EventId(2) }));
    }
}
