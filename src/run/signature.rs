//! What happened in a run, as one short line: the order of its key events, without times.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::check::Findings;
use crate::check::findings::{DestroyedHow, Moment, MomentKind};
use crate::trace::event::{HistoryWhy, SentinelEventName as Name};

/// So many key events are spelt out.
const STEPS_MAX: usize = 24;

/// The order of a run's key events: which master was found down, elections won and attempts aborted, who was promoted, where sentinels
/// switched to, and what came of it. Runs that went the same way have the same one. Which sentinel did it is left out: it is chance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(pub Arc<str>);

impl Signature {
    /// The signature of what the checkers found.
    #[must_use]
    pub fn of(findings: &Findings) -> Signature {
        let mut steps = Steps::default();
        let watched = |moment: &&Moment| findings.settled.is_none_or(|settled| moment.at < settled);
        findings.timeline.iter().take_while(watched).for_each(|moment| steps.take(moment, findings));
        let mut text = steps.said.join(", ");
        if steps.left_out > 0 {
            text.push_str(&format!(", and {} more", steps.left_out));
        }
        for outcome in outcomes(findings) {
            text.push_str(if text.is_empty() { "" } else { "; " });
            text.push_str(outcome);
        }
        Signature(if text.is_empty() { "nothing".into() } else { text.into() })
    }

    /// Of a run that splitbrain could not finish.
    #[must_use]
    pub fn broken() -> Signature {
        Signature("splitbrain broke".into())
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Default)]
struct Steps {
    said: Vec<String>,
    left_out: usize,
    /// Masters that some sentinel holds objectively down.
    down: BTreeSet<Arc<str>>,
    /// Where the last switch of each master went to: each sentinel says it.
    switched: BTreeMap<Arc<str>, Arc<str>>,
    tilted: bool,
}

impl Steps {
    fn say(&mut self, step: String) {
        if self.said.len() < STEPS_MAX {
            self.said.push(step);
        } else {
            self.left_out += 1;
        }
    }

    fn take(&mut self, moment: &Moment, findings: &Findings) {
        match &moment.what {
            MomentKind::Sentinel { name, about, detail } => self.sentinel(*name, about, detail),
            MomentKind::History { why: HistoryWhy::Promotion, .. } => {
                self.say(format!("promoted {}", findings.name(moment.node)));
            }
            MomentKind::Fatal { .. } => self.say(format!("{} gave up", findings.name(moment.node))),
            MomentKind::History { .. }
            | MomentKind::Fault { .. }
            | MomentKind::Healed { .. }
            | MomentKind::Died { .. }
            | MomentKind::Restarted
            | MomentKind::WritesRefused { .. }
            | MomentKind::Unwritten { .. }
            | MomentKind::Exec { .. }
            | MomentKind::Settle => {}
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "few of Sentinel's events are key events")]
    fn sentinel(&mut self, name: Name, about: &Arc<str>, detail: &Arc<str>) {
        match name {
            Name::OdownEnter if self.down.insert(about.clone()) => self.say(format!("odown {about}")),
            Name::OdownExit => {
                self.down.remove(about);
            }
            Name::ElectedLeader => self.say("elected".to_owned()),
            Name::SwitchMaster => {
                self.down.clear();
                if self.switched.insert(about.clone(), detail.clone()).as_ref() != Some(detail) {
                    self.say(format!("switched to {detail}"));
                }
            }
            Name::AbortNotElected => self.say("aborted: not elected".to_owned()),
            Name::AbortNoGoodSlave => self.say("aborted: no good replica".to_owned()),
            Name::AbortSlaveTimeout => self.say("aborted: promotion timed out".to_owned()),
            Name::FailoverEndForTimeout => self.say("ended by timeout".to_owned()),
            Name::TiltEnter if !self.tilted => {
                self.tilted = true;
                self.say("tilt".to_owned());
            }
            _ => {}
        }
    }
}

/// What was found beside the order of events.
fn outcomes(findings: &Findings) -> Vec<&'static str> {
    let mut out = Vec::new();
    let ways: BTreeSet<DestroyedHow> = findings.lost.iter().map(|group| group.destroyed.how).collect();
    out.extend(ways.into_iter().map(|how| match how {
        DestroyedHow::FullSync => "writes lost by a full sync",
        DestroyedHow::Restart => "writes lost by a restart",
        DestroyedHow::NeverBack => "writes lost with a process that never came back",
        DestroyedHow::Rewound => "writes lost by a rewind",
        DestroyedHow::Unknown => "writes lost",
    }));
    if !findings.splits.is_empty() {
        out.push("split brain");
    }
    if !findings.stale.is_empty() {
        out.push("stale reads");
    }
    out
}
