//! The segments of a pipe that are on their way, in order. Nearly always there is one or none, which lies in place.

use std::collections::VecDeque;

use super::connection::{Data, Segment};
use crate::id::EventId;
use crate::node::Short;
use crate::time::Instant;

/// A queue of segments whose head needs no memory of its own.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Flight {
    /// How many segments `rest` has.
    behind: u32,
    /// Whether there is a head.
    full: bool,
    /// A place that is written again and again. While nothing is there it is no hole.
    head: Segment,
    /// Empty if there is no head.
    rest: VecDeque<Segment>,
}

const VACANT: Segment = Segment { at: Instant::NEVER, cause: EventId::NONE, data: Data::EMPTY, hole: false };

impl Default for Flight {
    fn default() -> Self {
        Flight { behind: 0, full: false, head: VACANT, rest: VecDeque::new() }
    }
}

impl Flight {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        !self.full
    }

    #[inline]
    pub(super) fn front(&self) -> Option<&Segment> {
        self.full.then_some(&self.head)
    }

    /// When the one behind the head arrives; [`Instant::NEVER`]: there is none.
    #[inline]
    pub(super) fn then(&self) -> Instant {
        if self.behind == 0 { Instant::NEVER } else { self.rest.front().map_or(Instant::NEVER, |next| next.at) }
    }

    #[inline]
    pub(super) fn push_back(&mut self, segment: Segment) {
        if self.full {
            self.rest.push_back(segment);
            self.behind += 1;
        } else {
            self.head = segment;
            self.full = true;
        }
    }

    /// A short message, where it will lie.
    #[inline(always)]
    pub(super) fn push_short(&mut self, message: &Short, cause: EventId, at: Instant) {
        if self.full {
            return self.push_behind(message, cause, at);
        }
        self.full = true;
        (self.head.at, self.head.cause) = (at, cause);
        self.head.data.copy_from(message);
    }

    #[inline(never)]
    fn push_behind(&mut self, message: &Short, cause: EventId, at: Instant) {
        let mut data = Data::EMPTY;
        data.copy_from(message);
        self.push_back(Segment { at, cause, data, hole: false });
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<Segment> {
        if !self.full {
            return None;
        }
        let head = std::mem::replace(&mut self.head, VACANT);
        self.drop_front();
        Some(head)
    }

    /// Forgets the head, which is no hole.
    #[inline(always)]
    pub(super) fn drop_front(&mut self) {
        self.full = false;
        self.head.data.let_go();
        if self.behind > 0 {
            self.move_up();
        }
    }

    #[inline(never)]
    fn move_up(&mut self) {
        if let Some(next) = self.rest.pop_front() {
            (self.head, self.full) = (next, true);
        }
        self.count();
    }

    /// Works out anew how many there are behind the head.
    fn count(&mut self) {
        self.behind = u32::try_from(self.rest.len()).expect("fewer segments than bytes in a socket's buffer");
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.front().into_iter().chain(&self.rest)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Segment> {
        self.full.then_some(&mut self.head).into_iter().chain(&mut self.rest)
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Segment) -> bool) {
        self.rest.retain(&mut keep);
        self.count();
        if self.full && !keep(&self.head) {
            self.pop_front();
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Flight::default();
    }

    /// Takes out everything from the first segment on that is so, the last one first.
    pub(super) fn take_back_from(&mut self, first: impl Fn(&Segment) -> bool) -> Vec<Segment> {
        let Some(at) = self.iter().position(first) else { return Vec::new() };
        let mut taken: Vec<Segment> = self.rest.drain(at.saturating_sub(1)..).rev().collect();
        self.count();
        if at == 0 {
            taken.extend(self.pop_front());
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::super::connection::{Connection, Pipe};
    use super::*;

    /// What every message asks lies in few cache lines: a line of the connection, and of the pipe one for a short answer
    /// and two for a SET of a 12-byte key and a 32-byte value.
    #[test]
    fn what_every_message_asks_lies_together() {
        const LINE: usize = 64;
        let text = offset_of!(Pipe, flight) + offset_of!(Flight, head) + offset_of!(Segment, data) + Short::TEXT;
        assert!(text + "+OK\r\n".len() <= LINE, "{text}");
        let set = "*3\r\n$3\r\nSET\r\n$12\r\n\r\n$32\r\n\r\n".len() + 12 + 32;
        assert!(text + set <= 2 * LINE, "{text} {set}");
        const { assert!(Connection::HOT <= LINE) };
    }
}
