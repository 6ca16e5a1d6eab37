//! The moments that mattered, as lines: when, where, what, and how it should be taken.

use std::sync::Arc;

use crate::check::Findings;
use crate::check::findings::{Moment, MomentKind};
use crate::time::Instant;
use crate::trace::event::HistoryWhy;

/// How a line should be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Something was broken by the scenario.
    Fault,
    /// Something was put right.
    Good,
    /// Something went wrong in the deployment.
    Bad,
    /// Neither.
    Plain,
}

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// When.
    pub at: Instant,
    /// The node's name; `--` for the world.
    pub node: Arc<str>,
    /// What.
    pub text: String,
    /// How it should be taken.
    pub tone: Tone,
}

/// Every moment as a line.
#[must_use]
pub fn lines(findings: &Findings) -> Vec<Line> {
    findings.timeline.iter().map(|moment| line(findings, moment)).collect()
}

fn line(findings: &Findings, moment: &Moment) -> Line {
    let (text, tone) = match &moment.what {
        MomentKind::Fault { what, .. } => (format!("fault: {what}"), Tone::Fault),
        MomentKind::Healed { what } => (format!("healed: {what}"), Tone::Good),
        MomentKind::Died { how } => (format!("process ended: {how}"), Tone::Bad),
        MomentKind::Restarted => ("process started again".to_owned(), Tone::Good),
        MomentKind::Sentinel { name, about, detail } => {
            let words = [name.as_str(), about, detail];
            let tone = match name.as_str() {
                "+switch-master" | "+elected-leader" | "+promoted-slave" | "+failover-end" => Tone::Good,
                said if said.starts_with("-failover-abort") => Tone::Bad,
                "+sdown" | "+odown" | "+tilt" | "+failover-end-for-timeout" => Tone::Bad,
                _ => Tone::Plain,
            };
            (words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "), tone)
        }
        MomentKind::History { why, keys, offset } => (history(*why, *keys, *offset), Tone::Plain),
        MomentKind::WritesRefused { refused: true } => ("refuses writes: too few good replicas".to_owned(), Tone::Bad),
        MomentKind::WritesRefused { refused: false } => ("accepts writes again".to_owned(), Tone::Good),
        MomentKind::Exec { command, reply } => (format!("{command} → {reply}"), Tone::Fault),
        MomentKind::Fatal { message } => (format!("gave up: {message}"), Tone::Bad),
        MomentKind::Settle => ("settle: everything is healed".to_owned(), Tone::Good),
    };
    Line { at: moment.at, node: findings.name(moment.node).into(), text, tone }
}

fn history(why: HistoryWhy, keys: u64, offset: u64) -> String {
    let what = match why {
        HistoryWhy::Start => "starts with an empty history",
        HistoryWhy::Rdb => "continues the history of its RDB file",
        HistoryWhy::Promotion => "promoted: begins its own history",
        HistoryWhy::FullSync => "dataset replaced by a full sync",
        HistoryWhy::PartialSync => "follows its master into a new history",
        HistoryWhy::Renewed => "begins a new history in place",
    };
    format!("{what} (offset {offset}, {keys} keys)")
}
