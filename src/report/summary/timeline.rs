//! What mattered, as few rows: the same said by several is one row, and the least important ones go first when there is
//! no room.

use std::collections::BTreeSet;

use crate::check::Findings;
use crate::check::findings::{Moment, MomentKind, UnavailableWindow};
use crate::check::metrics::span;
use crate::id::NodeId;
use crate::time::{Instant, Span};
use crate::trace::event::{HistoryWhy, NodeRole, SentinelEventName as Name};

/// What several nodes say within this time of the first is one row.
const TOGETHER: Span = Span::from_secs(3);

/// What happens while the deployment settles matters no more than this.
const AFTERWARDS: u8 = 3;

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// When it first happened.
    pub at: Instant,
    /// To whom: nodes' names, or `fault`, `clients`.
    pub who: String,
    /// What.
    pub text: String,
    /// How much it matters: rows with less go first.
    pub weight: u8,
}

/// A row in the making.
struct Draft {
    at: Instant,
    nodes: Vec<NodeId>,
    label: &'static str,
    /// What is said of what: `+sdown` of `r1`, the rest after it.
    verb: String,
    about: Vec<String>,
    rest: String,
    weight: u8,
}

impl Draft {
    fn new(at: Instant, label: &'static str, verb: String, weight: u8) -> Draft {
        Draft { at, nodes: Vec::new(), label, verb, about: Vec::new(), rest: String::new(), weight }
    }

    fn by(mut self, node: Option<NodeId>) -> Draft {
        self.nodes.extend(node);
        self
    }

    fn same_text(&self, other: &Draft) -> bool {
        self.label == other.label
            && self.verb == other.verb
            && self.about == other.about
            && self.rest == other.rest
            && !self.nodes.is_empty()
            && !other.nodes.is_empty()
    }

    fn row(self, findings: &Findings) -> Row {
        let names: Vec<&str> = self.nodes.iter().map(|&node| findings.name(Some(node))).collect();
        let who = if names.is_empty() { self.label.to_owned() } else { names.join(" ") };
        let parts = [self.verb, self.about.join(" "), self.rest];
        let text: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        Row { at: self.at, who, text: text.join(" "), weight: self.weight }
    }
}

/// All rows, in order of time.
#[must_use]
pub fn rows(findings: &Findings) -> Vec<Row> {
    let mut drafts: Vec<Draft> = Vec::new();
    let first_fault = findings.faults.first().map(|fault| fault.began);
    for moment in &findings.timeline {
        let Some(mut draft) = draft(moment, findings, first_fault) else { continue };
        if findings.settled.is_some_and(|settled| moment.at >= settled) && moment.what != MomentKind::Settle {
            draft.weight = draft.weight.min(AFTERWARDS);
        }
        let recent = |known: &&mut Draft| draft.at.since(known.at) <= TOGETHER && known.same_text(&draft);
        match drafts.iter_mut().rev().find(recent) {
            Some(known) => {
                known.nodes.extend(draft.nodes);
                known.nodes.sort_unstable();
                known.nodes.dedup();
            }
            None => drafts.push(draft),
        }
    }
    drafts = join_words(join_subjects(drafts));
    windows(findings, &mut drafts);
    drafts.sort_by_key(|draft| draft.at);
    drafts.into_iter().map(|draft| draft.row(findings)).collect()
}

/// At most `room` rows, the least important ones left out, and how many those are. Of equals the later ones go.
#[must_use]
pub fn fit(rows: Vec<Row>, room: usize) -> (Vec<Row>, usize) {
    if rows.len() <= room {
        return (rows, 0);
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&index| (std::cmp::Reverse(rows[index].weight), index));
    let kept: BTreeSet<usize> = order.into_iter().take(room).collect();
    let dropped = rows.len() - kept.len();
    (rows.into_iter().enumerate().filter(|(index, _)| kept.contains(index)).map(|(_, row)| row).collect(), dropped)
}

/// `+sdown r2` and `+sdown r3` by the same nodes at about the same time are `+sdown r2 r3`.
fn join_subjects(drafts: Vec<Draft>) -> Vec<Draft> {
    let mut joined: Vec<Draft> = Vec::new();
    for draft in drafts {
        let joins = |known: &&mut Draft| {
            draft.at.since(known.at) <= TOGETHER
                && known.verb == draft.verb
                && known.nodes == draft.nodes
                && known.rest == draft.rest
                && !known.about.is_empty()
                && !draft.about.is_empty()
                && !draft.about.iter().any(|about| known.about.contains(about))
        };
        match joined.iter_mut().rev().find(joins) {
            Some(known) => {
                known.about.extend(draft.about);
                known.weight = known.weight.max(draft.weight);
            }
            None => joined.push(draft),
        }
    }
    joined
}

/// What a node says of one subject in one tick is one row: `+odown, +try-failover r1`.
fn join_words(drafts: Vec<Draft>) -> Vec<Draft> {
    let mut joined: Vec<Draft> = Vec::new();
    for draft in drafts {
        let joins = |known: &&mut Draft| {
            draft.at.since(known.at) <= Span::from_ms(1)
                && known.nodes == draft.nodes
                && known.about == draft.about
                && !known.about.is_empty()
                && known.rest.is_empty()
                && draft.rest.is_empty()
        };
        match joined.last_mut().filter(joins) {
            Some(known) => {
                known.verb.push_str(&format!(", {}", draft.verb));
                known.weight = known.weight.max(draft.weight);
            }
            None => joined.push(draft),
        }
    }
    joined
}

fn draft(moment: &Moment, findings: &Findings, first_fault: Option<Instant>) -> Option<Draft> {
    let at = moment.at;
    let new = |verb: String, weight: u8| Some(Draft::new(at, "", verb, weight).by(moment.node));
    match &moment.what {
        MomentKind::Fault { what, .. } => Some(Draft::new(at, "fault", what.to_string(), 10)),
        MomentKind::Healed { what } if findings.settled.is_none_or(|settled| at < settled) => {
            Some(Draft::new(at, "healed", what.to_string(), 9))
        }
        MomentKind::Healed { .. } => None,
        MomentKind::Died { how } => {
            let name = findings.name(moment.node);
            let by_fault = findings.faults.iter().any(|fault| fault.began == at && fault.what.contains(name));
            if by_fault { None } else { new(format!("died: {how}"), 9) }
        }
        MomentKind::Restarted => new("started again".to_owned(), 8),
        MomentKind::Sentinel { name, about, detail } => sentinel(moment, findings, *name, about, detail),
        MomentKind::History { why, keys, offset } => match why {
            HistoryWhy::Promotion => new(format!("becomes master at offset {offset}"), 8),
            HistoryWhy::FullSync | HistoryWhy::PartialSync if first_fault.is_none_or(|first| at < first) => None,
            HistoryWhy::FullSync => new(format!("full resynchronisation: now {}", count_of(*keys)), 8),
            HistoryWhy::PartialSync => new("partial resynchronisation into the new history".to_owned(), 5),
            HistoryWhy::Start => new(format!("starts with {}", count_of(*keys)), 7),
            HistoryWhy::Rdb => new(format!("loads {} from its RDB file", count_of(*keys)), 6),
            HistoryWhy::Aof => new(format!("loads {} from its append-only file", count_of(*keys)), 6),
            HistoryWhy::Renewed => None,
        },
        MomentKind::WritesRefused { refused: true } => new("refuses writes: too few good replicas".to_owned(), 8),
        MomentKind::WritesRefused { refused: false } => new("takes writes again".to_owned(), 6),
        MomentKind::Unwritten { error: Some(error) } => new(format!("can't write its append-only file: {error}"), 9),
        MomentKind::Unwritten { error: None } => new("writes its append-only file again".to_owned(), 6),
        MomentKind::Exec { command, reply } => {
            let reply = reply.lines().next().unwrap_or("");
            // The fault's own row has the command; only an unusual answer matters as much.
            let weight = if reply == "OK" { 1 } else { 9 };
            Some(Draft::new(at, "exec", format!("{command} -> {reply}"), weight))
        }
        MomentKind::Fatal { message } => new(format!("exits: {message}"), 10),
        MomentKind::Settle => Some(Draft::new(at, "settle", "the run's duration is over, all is healed".to_owned(), 6)),
    }
}

fn count_of(keys: u64) -> String {
    if keys == 1 { "1 key".to_owned() } else { format!("{keys} keys") }
}

fn sentinel(moment: &Moment, findings: &Findings, name: Name, about: &str, detail: &str) -> Option<Draft> {
    let named = |weight: u8| Some(Draft::new(moment.at, "", name.as_str().to_owned(), weight).by(moment.node));
    let role = findings.nodes.iter().find(|info| &*info.name == about).map(|info| info.role);
    let of_server = role.is_none_or(|role| role == NodeRole::Server);
    let weight = if name == Name::SwitchMaster {
        9
    } else if matters_much(name) {
        8
    } else if name == Name::SdownEnter {
        if of_server { 7 } else { 3 }
    } else if matches!(name, Name::VoteForLeader | Name::SelectedSlave | Name::FixSlaveConfig | Name::TiltExit) {
        5
    } else if matches!(name, Name::PromotedSlave | Name::Reboot | Name::FailoverEndForTimeout) {
        4
    } else {
        2
    };
    let mut draft = named(weight)?;
    if name == Name::VoteForLeader {
        draft.verb = format!("vote for {about}, {detail}");
    } else if name == Name::OdownEnter {
        // How many agree differs from one sentinel to the next, and with it the row.
        draft.about.push(about.to_owned());
    } else if name == Name::SwitchMaster {
        draft.about.push(about.to_owned());
        draft.rest = format!("is now {detail}");
    } else if !about.is_empty() {
        draft.about.push(about.to_owned());
    }
    Some(draft)
}

fn matters_much(name: Name) -> bool {
    matches!(
        name,
        Name::OdownEnter
            | Name::TryFailover
            | Name::ElectedLeader
            | Name::ConvertToSlave
            | Name::AbortNotElected
            | Name::AbortNoGoodSlave
            | Name::AbortSlaveTimeout
            | Name::TiltEnter
    )
}

/// Windows and first writes, which no single event says.
fn windows(findings: &Findings, drafts: &mut Vec<Draft>) {
    for split in &findings.splits {
        let text = format!("split brain: both take writes for {}", span(split.length()));
        let mut draft = Draft::new(split.from.at, "", text, 10);
        draft.nodes.clone_from(&split.nodes);
        drafts.push(draft);
    }
    for overlap in &findings.lock_overlaps {
        let text = format!("both hold {} for {}", overlap.lock, span(overlap.to.at.since(overlap.from.at)));
        let mut draft = Draft::new(overlap.from.at, "", text, 10);
        draft.nodes = overlap.holders.to_vec();
        drafts.push(draft);
    }
    for write in &findings.stale_writes {
        let text = format!("stale write under {}, after {}", write.lock, findings.name(Some(write.after)));
        drafts.push(Draft::new(write.at.at, "", text, 10).by(Some(write.writer)));
    }
    for one in &findings.token_breaks {
        let [before, now] = one.tokens;
        let text = format!(
            "gets fencing token {now} of {}, after {} had {before}",
            one.lock,
            findings.name(Some(one.holders[0]))
        );
        drafts.push(Draft::new(one.at.at, "", text, 10).by(Some(one.holders[1])));
    }
    unavailable(findings, drafts);
    for failover in &findings.failovers {
        if let (Some(write), Some(new)) = (failover.first_write, failover.new) {
            let text = format!("first write acknowledged by {}", findings.name_at(new));
            drafts.push(Draft::new(write.at, "clients", text, 9));
        }
    }
}

/// Windows of the same clients that follow each other closely are one row.
fn unavailable(findings: &Findings, drafts: &mut Vec<Draft>) {
    let mut runs: Vec<(&UnavailableWindow, &UnavailableWindow, Span, usize)> = Vec::new();
    for window in &findings.unavailable {
        let follows = |(first, last, ..): &&mut (&UnavailableWindow, &UnavailableWindow, Span, usize)| {
            first.population == window.population
                && first.writes == window.writes
                && window.from.since(last.to) <= TOGETHER
        };
        match runs.iter_mut().rev().find(follows) {
            Some((_, last, total, count)) => {
                *last = window;
                *total += window.length();
                *count += 1;
            }
            None => runs.push((window, window, window.length(), 1)),
        }
    }
    for (first, last, total, count) in runs {
        let what = if first.writes { "write" } else { "read" };
        let mut text = format!("no {what} of {} succeeds for {}", first.population, span(total));
        if count > 1 {
            text.push_str(&format!(" (in {count} windows)"));
        }
        if last.open {
            text.push_str(", to the end");
        }
        drafts.push(Draft::new(first.from, "clients", text, 9));
    }
}
