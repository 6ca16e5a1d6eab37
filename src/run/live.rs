//! A run whose input comes as it goes: a deployment that a host serves, or the replay of what was recorded there.

use std::sync::Arc;

use super::limits::STANDSTILL;
use super::{Ended, judge};
use crate::check::Suite;
use crate::id::NodeId;
use crate::node::DiskOp;
use crate::report::Run;
use crate::rng::Seed;
use crate::scenario::Scenario;
use crate::time::{Instant, Span};
use crate::trace::event::ServerEvent;
use crate::trace::{Event, Kind};
use crate::world::{Bounds, Injection, Outside, Reached, World};

/// So many events are let pile up in a world before the checkers see them.
const BATCH: usize = 4_096;

/// Of the writes and offsets of a served node's clients, one in so long is shown to checkers and reports: they come by the
/// million, for as long as one likes. The digest has all of them.
const SAMPLE: Span = Span::from_ms(100);

/// A world and its checkers.
#[derive(Debug)]
pub struct Live {
    world: World,
    suite: Suite,
    thinner: Option<Thinner>,
    ended: Ended,
}

/// Who sees the events of a live run, in order, as they happen.
pub type See<'a> = &'a mut dyn FnMut(&Event);

impl Live {
    /// A run at its beginning. Where no client of the scenario runs, whose operations could be compared with them, the
    /// events of the servers' writes are thinned out.
    #[must_use]
    pub fn new(scenario: &Arc<Scenario>, seed: Seed) -> Live {
        let thinned = scenario.served.is_some_and(|served| !served.clients);
        Live {
            world: World::new(scenario.clone(), seed),
            suite: Suite::new(),
            thinner: thinned.then(|| Thinner { shown: vec![None; scenario.nodes.len()] }),
            ended: Ended::Finished,
        }
    }

    /// The world.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Lets time pass. False if it stood still on the way: the run is over.
    pub fn advance(&mut self, to: Instant, see: See<'_>) -> bool {
        let bounds = Bounds { pending: BATCH, steps_at_once: STANDSTILL, ..Bounds::NONE };
        while self.ended.finished() {
            let reached = self.world.advance_within(to, &bounds);
            self.pass_on(see);
            match reached {
                Reached::There => return true,
                Reached::Pending => {}
                Reached::Steps | crate::world::Reached::Standstill => {
                    self.ended = Ended::Standstill(STANDSTILL);
                }
            }
        }
        false
    }

    /// What is done to nodes' files from now on is kept for whoever takes it with [`Live::file_changes`].
    pub fn follow_files(&mut self) {
        self.world.follow_files();
    }

    /// What was done to a node's files since the last call.
    pub fn file_changes(&mut self, node: NodeId) -> Vec<DiskOp> {
        self.world.file_changes(node)
    }

    /// Lines of the nodes' logs are kept from now on for whoever takes them with [`Live::take_log`].
    pub fn follow_logs(&mut self) {
        self.world.follow_logs();
    }

    /// The lines of logs since the last call.
    pub fn take_log(&mut self) -> Vec<(NodeId, String)> {
        self.world.take_log()
    }

    /// Something comes from outside, now.
    pub fn inject(&mut self, injection: Injection) {
        self.world.inject(injection);
    }

    /// What has come out since the last call, in place of what the list held.
    pub fn outside(&mut self, into: &mut Vec<Outside>) {
        self.world.swap_outside(into);
    }

    /// The run ends here: everything is healed, the settle period passes, and it is judged.
    #[must_use]
    pub fn finish(mut self, see: See<'_>) -> Run {
        let duration = self.world.now().since(Instant::ZERO);
        if self.ended.finished() {
            self.world.settle();
            let settled = self.world.now() + self.world.scenario().settle;
            if self.advance(settled, see) {
                self.world.finish();
            }
        }
        self.pass_on(see);
        Run { duration, ..judge(&self.world, self.suite, self.ended) }
    }

    fn pass_on(&mut self, see: See<'_>) {
        let Live { world, suite, thinner, .. } = self;
        world.show(|event| {
            if thinner.as_mut().is_none_or(|thinner| thinner.shows(event)) {
                suite.see(event);
                see(event);
            }
        });
    }
}

/// Leaves out most of the events of writes.
#[derive(Debug)]
struct Thinner {
    /// When each node's last write was shown.
    shown: Vec<Option<Instant>>,
}

impl Thinner {
    fn shows(&mut self, event: &Event) -> bool {
        let (Kind::Server(ServerEvent::Write { .. }), Some(node)) = (&event.kind, event.node) else { return true };
        let shown = &mut self.shown[node.index()];
        let shows = shown.is_none_or(|last| event.at.since(last) >= SAMPLE);
        if shows {
            *shown = Some(event.at);
        }
        shows
    }
}
