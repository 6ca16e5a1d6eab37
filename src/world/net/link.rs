//! Directed paths between machines: latency, loss, bandwidth, and whether anything passes at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::{EventId, MachineId};
use crate::node::bring_near;
use crate::rng::{Dist, Ratio, Rng, Seed, scaled};
use crate::scenario::{LinkRule, Scenario};
use crate::time::{Instant, NS_PER_S, Span};

use super::connection::Way;
use super::partition::Fabric;

/// The least that Linux adds to the round-trip estimate for a retransmission time-out (`TCP_RTO_MIN`).
pub(super) const RTO_MIN: Span = Span::from_ms(200);
/// The longest time between retransmissions (`TCP_RTO_MAX`).
pub(super) const RTO_MAX: Span = Span::from_secs(120);

/// So many words are drawn for latencies at a time.
const AHEAD: usize = 7;

/// One directed path that some connection uses or used. What most messages ask of it comes first, in one cache line.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Path {
    /// What the latencies that were drawn ahead have above the least, in nanoseconds; the next one is last.
    ahead: [u32; AHEAD],
    /// How many of them are left.
    left: u32,
    /// The least of a uniform latency.
    low: Span,
    /// How many values a uniform latency has; 0 for others, and for one that has more than four billion.
    width: u32,
    /// The words that `ahead` was made from.
    words: [u64; AHEAD],
    latency_draws: Option<Box<Rng>>,
    pub(super) from: MachineId,
    pub(super) to: MachineId,
    /// Whether packets pass: no cut, and both machines have power.
    pub(super) open: bool,
    /// Open, and nothing queues, nothing is lost: only the latency is left.
    pub(super) plain: bool,
    /// The fault that closed it.
    pub(super) cause: EventId,
    latency: Dist,
    median: Span,
    pub(super) loss: Ratio,
    pub(super) bandwidth: Option<u64>,
    /// When the last byte that was given to it has left.
    free_at: Instant,
    loss_draws: Option<Box<Rng>>,
}

impl Path {
    /// The latency of the next packet. Constant latency draws nothing.
    #[inline(always)]
    pub(super) fn latency(&mut self) -> Span {
        // By far the commonest.
        if self.width > 0 {
            if self.left == 0 {
                self.draw_ahead();
            }
            if let Some(&above) = self.left.checked_sub(1).and_then(|next| self.ahead.get(next as usize)) {
                self.left -= 1;
                return self.low + Span::from_ns(u64::from(above));
            }
        }
        self.other_latency()
    }

    /// The generator's own memory is far away: it is asked for some words at a time.
    #[inline(never)]
    fn draw_ahead(&mut self) {
        if let Some(rng) = &mut self.latency_draws {
            for word in self.words.iter_mut().rev() {
                *word = rng.next_u64();
            }
            self.left = u32::try_from(AHEAD).expect("a few");
            self.scale();
        }
    }

    /// Makes latencies of what was drawn ahead.
    fn scale(&mut self) {
        let width = u64::from(self.width);
        for (above, &word) in self.ahead.iter_mut().zip(&self.words) {
            *above = u32::try_from(scaled(word, width)).expect("below a width of 32 bits");
        }
    }

    #[inline(never)]
    fn other_latency(&mut self) -> Span {
        match (&self.latency, &mut self.latency_draws) {
            (Dist::Constant(span), _) => *span,
            (dist, Some(rng)) => dist.draw(rng),
            (_, None) => unreachable!("a path whose latency varies has a stream"),
        }
    }

    /// What a latency is expected to be.
    pub(super) fn median(&self) -> Span {
        self.median
    }

    /// Whether the next packet is lost. No loss draws nothing.
    pub(super) fn loses(&mut self) -> bool {
        match &mut self.loss_draws {
            Some(rng) if self.loss != Ratio::ZERO => rng.chance(self.loss),
            _ => false,
        }
    }

    /// Puts bytes on the path; when the last of them has left.
    pub(super) fn serialise(&mut self, now: Instant, bytes: u64) -> Instant {
        let Some(bandwidth) = self.bandwidth else { return now };
        let takes = u128::from(bytes) * u128::from(NS_PER_S) / u128::from(bandwidth.max(1));
        self.free_at = self.free_at.max(now) + Span(u64::try_from(takes).unwrap_or(u64::MAX));
        self.free_at
    }
}

/// Linux's retransmission time-out for a connection that has been sampled: the round trip and at least 200 ms.
pub(super) fn rto(forward: &Path, back: &Path) -> Span {
    forward.median + back.median + RTO_MIN
}

/// The paths in use, made when a connection first needs one: unused pairs cost nothing.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    scenario: Arc<Scenario>,
    seed: Seed,
    all: Vec<Path>,
    index: BTreeMap<(MachineId, MachineId), u32>,
    /// Faults in force, oldest first, by their numbers.
    effects: Vec<(u16, LinkRule)>,
}

impl Paths {
    pub(super) fn new(scenario: Arc<Scenario>, seed: Seed) -> Paths {
        Paths { scenario, seed, all: Vec::new(), index: BTreeMap::new(), effects: Vec::new() }
    }

    /// The path's place, for [`Paths::get`].
    pub(super) fn find(&mut self, from: MachineId, to: MachineId, fabric: &Fabric, power: &[bool]) -> u32 {
        if let Some(&found) = self.index.get(&(from, to)) {
            return found;
        }
        let place = u32::try_from(self.all.len()).expect("fewer than 2^32 paths");
        self.all.push(Path {
            ahead: [0; AHEAD],
            words: [0; AHEAD],
            left: 0,
            low: Span::ZERO,
            width: 0,
            latency_draws: None,
            from,
            to,
            open: true,
            plain: true,
            cause: EventId::NONE,
            latency: Dist::Constant(Span::ZERO),
            median: Span::ZERO,
            loss: Ratio::ZERO,
            bandwidth: None,
            free_at: Instant::ZERO,
            loss_draws: None,
        });
        self.index.insert((from, to), place);
        self.refresh(place as usize, fabric, power);
        place
    }

    #[inline]
    pub(super) fn get(&self, place: u32) -> &Path {
        &self.all[place as usize]
    }

    /// Has what the next latency of a path needs brought near, if there is such a path.
    #[inline(always)]
    pub(super) fn look_ahead(&self, place: u32) {
        if let Some(path) = self.all.get(place as usize) {
            bring_near(path);
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, place: u32) -> &mut Path {
        &mut self.all[place as usize]
    }

    /// What the paths of a connection's two pipes are like.
    pub(super) fn ways(&self, places: [u32; 2]) -> [Way; 2] {
        let [forth, back] = places.map(|place| self.get(place));
        let way = |path: &Path, other: &Path| Way { open: path.open, clear: path.plain && other.open };
        [way(forth, back), way(back, forth)]
    }

    /// Works out every path again, after a fault came or went.
    pub(super) fn refresh_all(&mut self, fabric: &Fabric, power: &[bool]) {
        for place in 0..self.all.len() {
            self.refresh(place, fabric, power);
        }
    }

    pub(super) fn add_effect(&mut self, fault: u16, rule: LinkRule) {
        self.effects.push((fault, rule));
    }

    pub(super) fn remove_effect(&mut self, fault: u16) {
        self.effects.retain(|(number, _)| *number != fault);
    }

    fn refresh(&mut self, place: usize, fabric: &Fabric, power: &[bool]) {
        let network = &self.scenario.network;
        let path = &mut self.all[place];
        let (from, to) = (path.from, path.to);
        path.open = power[from.index()] && power[to.index()];
        let outside = self.scenario.served.map(|served| served.outside);
        if from == to {
            path.latency = network.loopback;
            path.median = network.loopback.median();
        } else {
            (path.latency, path.loss, path.bandwidth) = (network.latency, network.loss, network.bandwidth);
            if outside.is_some_and(|outside| outside == from || outside == to) {
                // What comes from outside has come over a path of its own.
                (path.latency, path.loss, path.bandwidth) = (Dist::Constant(Span::ZERO), Ratio::ZERO, None);
            }
            let mut down = false;
            for rule in network.links.iter().chain(self.effects.iter().map(|(_, rule)| rule)) {
                let effect = &rule.effect;
                let there = rule.from.contains(&from) && rule.to.contains(&to);
                let back = rule.both && rule.from.contains(&to) && rule.to.contains(&from);
                if there || back {
                    path.latency = effect.latency.unwrap_or(path.latency);
                    path.loss = effect.loss.unwrap_or(path.loss);
                    path.bandwidth = effect.bandwidth.or(path.bandwidth);
                    down |= effect.down;
                }
            }
            path.median = path.latency.median();
            let severed = fabric.severed(from, to);
            path.open &= !down && severed.is_none();
            path.cause = severed.unwrap_or(path.cause);
        }
        (path.low, path.width) = match path.latency {
            Dist::Uniform(low, high) => (low, u32::try_from((high.0 - low.0).saturating_add(1)).unwrap_or(0)),
            Dist::Constant(_) | Dist::Normal(..) | Dist::LogNormal(..) | Dist::Exponential(_) => (Span::ZERO, 0),
        };
        path.scale();
        let varies = !matches!(path.latency, Dist::Constant(_));
        path.plain = path.open && path.loss == Ratio::ZERO && path.bandwidth.is_none();
        let name = |machine: MachineId| &*self.scenario.machines[machine.index()].name;
        if varies && path.latency_draws.is_none() || path.loss != Ratio::ZERO && path.loss_draws.is_none() {
            let label = format!("{}->{}", name(from), name(to));
            if path.latency_draws.is_none() && varies {
                path.latency_draws = Some(Box::new(self.seed.stream(&label, "latency")));
            }
            if path.loss_draws.is_none() && path.loss != Ratio::ZERO {
                path.loss_draws = Some(Box::new(self.seed.stream(&label, "loss")));
            }
        }
    }
}
