//! `[chaos]`: the window, the targets, the kinds of fault that a seed may draw.

use super::super::chaos::{How, Kind, Plan, Target};
use super::super::field::At;
use super::super::raw::Names;
use super::super::raw::chaos::{Chaos, Cut, Kind as RawKind, Kinds, Path, SlowCpu, Weighted, WrongClock};
use super::super::source::Place;
use super::super::units::Delay;
use super::{Resolver, Role};
use crate::fault::FaultKind;
use crate::rng::Dist;
use crate::time::Span;

/// A rate and a window that come to more faults than this are a slip.
const FAULTS_MAX: u64 = 10_000;

/// Loss beyond this lets hardly anything through.
const LOSS_MAX: f64 = 0.9;

/// Clocks that drift more are broken, not wrong.
const DRIFT_MAX: u32 = 500_000;

/// What kinds have unless they say otherwise.
struct Usual<'a> {
    targets: &'a [Target],
    lasts: Dist,
}

impl Resolver<'_> {
    pub(super) fn chaos(&mut self) -> Option<Plan> {
        let raw = self.file.chaos.clone()?;
        let (from, to) = self.window(&raw)?;
        let period = raw.rate.as_ref()?.period;
        if to.saturating_sub(from).0 / period.0.max(1) > FAULTS_MAX {
            let rate = raw.rate.as_ref()?;
            self.problems
                .error(
                    rate.place,
                    format!("{} in {} are more than {FAULTS_MAX} faults", rate.text, to.saturating_sub(from)),
                )
                .label("too many")
                .help("a rate such as \"10/m\" is one every six seconds");
        }
        self.check_budget(to);
        let targets = self.targets(raw.targets.as_ref());
        let at_most = self.at_most(&raw, &targets);
        let lasts = raw.lasts.as_ref()?;
        self.check_lasts(lasts);
        let kinds = self.kinds(raw.kinds.as_ref()?, &targets, lasts.0);
        if kinds.iter().all(|kind| kind.weight_milli == 0) && !raw.kinds.as_ref()?.origin.damaged {
            let place = raw.kinds.as_ref().map_or(raw.origin.place, |kinds| kinds.origin.place);
            self.problems.error(place, "no kind of fault has a weight").help("leave `kinds` out to get all of them");
        }
        let swarm = raw.swarm.as_ref()?.value;
        Some(Plan { from, to, period, swarm, at_most, kinds })
    }

    fn window(&mut self, raw: &Chaos) -> Option<(Span, Span)> {
        let (from, to) = (raw.from.as_ref()?, raw.to.as_ref()?);
        let end = self.file.duration.clone()?;
        if to.0 > end.0 {
            self.problems
                .error(to.place, format!("the chaos ends at {}, after the end of the run", to.0))
                .label("too late")
                .also(end.place, "the run ends here");
        } else if from.0 >= to.0 {
            let place = if from.place == Place::default() { to.place } else { from.place };
            self.problems.error(place, format!("the chaos begins at {} and ends at {}", from.0, to.0)).label("no time");
        }
        Some((from.0, to.0))
    }

    /// What must have converged within some time must be watched for so long.
    fn check_budget(&mut self, to: Span) {
        let (Some(duration), Some(settle)) = (self.file.duration.clone(), self.file.settle.clone()) else { return };
        let left = (duration.0 + settle.0).saturating_sub(to);
        let wanted = self.file.expect.0.iter().find(|(name, _)| name.value == super::defaults::RECOVERY);
        for item in wanted.map(|(_, wanted)| wanted.0.clone()).unwrap_or_default() {
            let crate::scenario::raw::LooseItem::Text(text) = &item.value else { continue };
            let within = text.trim_start_matches(['<', '=', ' ']);
            if let Ok(within) = Span::parse(within)
                && within > left
            {
                self.problems
                    .error(item.place, format!("it may take {within} to converge, but only {left} of the run are left"))
                    .label("longer than the rest of the run")
                    .help(format!(
                        "end the chaos earlier, or write settle = \"{}\"",
                        settle.0 + within.saturating_sub(left)
                    ));
            }
        }
    }

    /// Nodes by name; without names every server and sentinel.
    fn targets(&mut self, names: Option<&Names>) -> Vec<Target> {
        let nodes = match names {
            Some(names) => self.directory.nodes(names, self.problems),
            None => {
                let known = self.drafts.iter().zip(0_u16..);
                let hit = known.filter(|(draft, _)| matches!(draft.role, Role::Server(_) | Role::Sentinel(_)));
                hit.map(|(_, index)| crate::id::NodeId(index)).collect()
            }
        };
        nodes.into_iter().map(|node| Target { node, machine: self.drafts[node.index()].machine }).collect()
    }

    fn at_most(&mut self, raw: &Chaos, targets: &[Target]) -> usize {
        let mut machines: Vec<_> = targets.iter().map(|target| target.machine).collect();
        machines.sort_unstable();
        machines.dedup();
        let Some(given) = &raw.at_most else { return (machines.len().saturating_sub(1) / 2).max(1) };
        let at_most = usize::try_from(given.value).unwrap_or(usize::MAX);
        if at_most == 0 {
            self.problems
                .error(given.place, "nothing may be hit at all")
                .help("at least 1; leave [chaos] out for a run without it");
        } else if at_most > machines.len() {
            self.problems
                .warning(given.place, format!("more than the targets' {} machines", machines.len()))
                .label("allows what can't happen");
        }
        at_most.max(1)
    }

    fn check_lasts(&mut self, lasts: &At<Delay>) {
        if lasts.0.bounds().1 == Span::ZERO {
            self.problems.error(lasts.place, "faults that last no time");
        }
    }

    fn kinds(&mut self, raw: &Kinds, targets: &[Target], lasts: Dist) -> Vec<Kind> {
        let usual = Usual { targets, lasts };
        let kinds = [
            self.kind(FaultKind::Crash, &raw.crash, &usual, |_, _| Some(How::Plain)),
            self.kind(FaultKind::Shutdown, &raw.shutdown, &usual, |_, _| Some(How::Plain)),
            self.kind(FaultKind::PowerOff, &raw.power_off, &usual, |_, _| Some(How::Plain)),
            self.kind(FaultKind::Restart, &raw.restart, &usual, |_, _| Some(How::Plain)),
            self.kind(FaultKind::Pause, &raw.pause, &usual, |_, _| Some(How::Plain)),
            self.kind(FaultKind::Partition, &raw.partition, &usual, Self::cuts),
            self.kind(FaultKind::Link, &raw.link, &usual, Self::paths),
            self.kind(FaultKind::Clock, &raw.clock, &usual, Self::clocks),
            self.kind(FaultKind::Cpu, &raw.cpu, &usual, Self::cpus),
            self.kind(FaultKind::Disk, &raw.disk, &usual, |_, raw| {
                Some(How::Disk {
                    troubles: raw.troubles.iter().map(|trouble| trouble.value).collect(),
                    slow: raw.slow.as_ref()?.0,
                    file: raw.file.as_ref()?.value.as_str().into(),
                })
            }),
        ];
        kinds.into_iter().flatten().collect()
    }

    fn kind<T: RawKind>(
        &mut self,
        kind: FaultKind,
        raw: &Option<Weighted<T>>,
        usual: &Usual<'_>,
        how: fn(&mut Self, &T) -> Option<How>,
    ) -> Option<Kind> {
        let Weighted(raw) = raw.as_ref()?;
        let how = how(self, raw)?;
        let targets = match raw.targets() {
            Some(names) => self.targets(Some(names)),
            None => usual.targets.to_vec(),
        };
        if let Some(lasts) = raw.lasts() {
            self.check_lasts(lasts);
        }
        let lasts = raw.lasts().map_or(usual.lasts, |lasts| lasts.0);
        Some(Kind { kind, weight_milli: raw.weight()?.0, lasts, targets, how })
    }

    fn cuts(&mut self, raw: &Cut) -> Option<How> {
        let flap = raw.flap.as_ref()?;
        if flap.0.bounds().1 < Span::from_ms(1) {
            self.problems
                .error(flap.place, format!("a partition can't flap every {}", flap.0))
                .help("at least \"1ms\"");
        }
        let shapes = raw.shapes.iter().map(|shape| shape.value).collect();
        if self.machines.len() < 2 {
            let places = [raw.weight.as_ref().map_or(Place::default(), |weight| weight.place), raw.origin.place];
            if let Some(&place) = places.iter().find(|place| **place != Place::default()) {
                self.problems.error(place, "there is only one machine: nothing can be cut off from anything");
            }
            return None;
        }
        Some(How::Partition { shapes, flapping: raw.flapping.as_ref()?.ratio(), flap: flap.0 })
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is between 0 and 1")]
    fn paths(&mut self, raw: &Path) -> Option<How> {
        let loss = raw.loss.as_ref()?;
        if loss.value.0 > LOSS_MAX {
            let message = format!("with a loss of {} hardly any segment arrives", loss.value.0);
            self.problems.error(loss.place, message).help("the most is 0.9; `down` is among the troubles");
        } else if loss.value.0 < 0.001 {
            self.problems.error(loss.place, "a loss of less than 0.1% is none").help("the smallest is 0.001");
        }
        Some(How::Link {
            troubles: raw.troubles.iter().map(|trouble| trouble.value).collect(),
            latency: raw.latency.as_ref()?.0,
            loss_milli: (loss.value.0 * 1000.0).round() as u32,
            bandwidth: raw.bandwidth.as_ref()?.bytes_per_second,
        })
    }

    fn clocks(&mut self, raw: &WrongClock) -> Option<How> {
        let (jump, drift) = (raw.jump.as_ref()?, raw.drift.as_ref()?);
        if drift.value > DRIFT_MAX {
            let message = format!("a drift of {} parts per million; the most is {DRIFT_MAX}", drift.value);
            self.problems.error(drift.place, message).help("a real clock drifts by less than 200");
        }
        if drift.value == 0 && jump.0.bounds().1 == Span::ZERO {
            self.problems
                .error(drift.place, "the clocks neither jump nor drift")
                .help("leave `clock` out of the kinds for that");
        }
        Some(How::Clock { jump: jump.0, drift_ppm: drift.value })
    }

    fn cpus(&mut self, raw: &SlowCpu) -> Option<How> {
        let factor = raw.slow_down.as_ref()?;
        if factor.0 < 1_500 {
            self.problems
                .error(factor.place, "a CPU that is at most that slow is hardly slow")
                .help("the smallest slow-down that is drawn is 1.5; 10 is ten times slower");
        }
        Some(How::Cpu { slow_down_milli: factor.0 })
    }
}
