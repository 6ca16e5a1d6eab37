//! The segments of a pipe that are on their way, in order. Nearly always there is one or none, which lies in place.

use std::collections::VecDeque;

use super::connection::{Data, Segment};
use crate::id::EventId;
use crate::node::Short;
use crate::time::Instant;

/// A queue of segments whose head needs no memory of its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Flight {
    head: Option<Segment>,
    /// Empty if there is no head.
    rest: VecDeque<Segment>,
}

impl Flight {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    #[inline]
    pub(super) fn front(&self) -> Option<&Segment> {
        self.head.as_ref()
    }

    /// The one behind the head.
    #[inline]
    pub(super) fn second(&self) -> Option<&Segment> {
        self.rest.front()
    }

    #[inline]
    pub(super) fn push_back(&mut self, segment: Segment) {
        if self.head.is_none() {
            self.head = Some(segment);
        } else {
            self.rest.push_back(segment);
        }
    }

    /// A short message, where it will lie.
    #[inline(always)]
    pub(super) fn push_short(&mut self, message: &Short, cause: EventId, at: Instant) {
        if self.head.is_none() {
            self.head = Some(Segment { data: Data::Short(*message), cause, at, hole: false });
        } else {
            self.push_behind(message, cause, at);
        }
    }

    #[inline(never)]
    fn push_behind(&mut self, message: &Short, cause: EventId, at: Instant) {
        self.rest.push_back(Segment { data: Data::Short(*message), cause, at, hole: false });
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<Segment> {
        let head = self.head.take();
        self.move_up();
        head
    }

    /// Forgets the head.
    #[inline(always)]
    pub(super) fn drop_front(&mut self) {
        self.head = None;
        if !self.rest.is_empty() {
            self.move_up();
        }
    }

    #[inline(never)]
    fn move_up(&mut self) {
        self.head = self.rest.pop_front();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.head.iter().chain(&self.rest)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Segment> {
        self.head.iter_mut().chain(&mut self.rest)
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Segment) -> bool) {
        self.rest.retain(&mut keep);
        if self.head.as_ref().is_some_and(|head| !keep(head)) {
            self.drop_front();
        }
    }

    pub(super) fn clear(&mut self) {
        self.head = None;
        self.rest.clear();
    }

    /// Takes out everything from the first segment on that is so, the last one first.
    pub(super) fn take_back_from(&mut self, first: impl Fn(&Segment) -> bool) -> Vec<Segment> {
        let Some(at) = self.iter().position(first) else { return Vec::new() };
        let mut taken: Vec<Segment> = self.rest.drain(at.saturating_sub(1)..).rev().collect();
        if at == 0 {
            taken.extend(self.head.take());
        }
        taken
    }
}
