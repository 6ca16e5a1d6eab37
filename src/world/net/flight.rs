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
    /// A place that is written again and again.
    head: Segment,
    /// Empty if there is no head.
    rest: VecDeque<Segment>,
}

impl Default for Flight {
    fn default() -> Self {
        let head = Segment { at: Instant::NEVER, cause: EventId::NONE, hole: false, data: Data::Short(Short::EMPTY) };
        Flight { behind: 0, full: false, head, rest: VecDeque::new() }
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
        let Segment { at: when, cause: why, hole, data } = &mut self.head;
        (*when, *why, *hole) = (at, cause, false);
        match data {
            Data::Short(place) => place.copy_from(message),
            Data::Shared(_) => *data = Data::Short(*message),
        }
    }

    #[inline(never)]
    fn push_behind(&mut self, message: &Short, cause: EventId, at: Instant) {
        self.push_back(Segment { data: Data::Short(*message), cause, at, hole: false });
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<Segment> {
        if !self.full {
            return None;
        }
        let empty = Segment { at: Instant::NEVER, cause: EventId::NONE, hole: false, data: Data::Short(Short::EMPTY) };
        let head = std::mem::replace(&mut self.head, empty);
        self.drop_front();
        Some(head)
    }

    /// Forgets the head.
    #[inline(always)]
    pub(super) fn drop_front(&mut self) {
        self.full = false;
        if let Data::Shared(_) = self.head.data {
            self.head.data = Data::Short(Short::EMPTY);
        }
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
            self.drop_front();
        }
    }

    pub(super) fn clear(&mut self) {
        self.rest.clear();
        self.count();
        self.drop_front();
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
