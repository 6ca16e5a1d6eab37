//! What is shown of a run: the first thing that went wrong with what led to it, else the beginning, as much as can be read.

use super::{CLIENTS, Fold};
use crate::check::findings::StaleWrite;
use crate::check::locks::Belief;
use crate::id::NodeId;
use crate::report::Run;
use crate::report::stage::{Life, Stage};
use crate::time::{Instant, Span};

/// Without violations so many holds are shown.
const HOLDS: usize = 24;
/// And where nobody gets the lock so many requests.
const ASKED: usize = 200;
/// Where these come in bursts with nothing between them so many bursts.
const BURSTS: usize = 3;
/// Holds before and after a fencing token that goes back.
const AROUND: usize = 4;

type Window = (Instant, Instant);

/// The time that is shown, in one piece or several.
pub(super) fn shown(run: &Run, stage: &Stage, fold: &Fold, end: Instant) -> Vec<Window> {
    if let Some(bursts) = bursts(fold) {
        return bursts;
    }
    let (from, to) = violation(run, fold, end)
        .or_else(|| token_break(run, fold, end))
        .or_else(|| beginning(fold, end))
        .unwrap_or_else(|| everything(stage, fold, end));
    let margin = Span((to.since(from).0 / 16).max(20_000_000));
    let from = from - margin;
    vec![(from, (to + margin).min(end).max(from + Span::from_ms(1)))]
}

/// Where nobody ever gets the lock and all ask at the same moments: the first of these moments.
fn bursts(fold: &Fold) -> Option<Vec<Window>> {
    if !fold.book.beliefs.is_empty() || fold.asked.len() <= ASKED {
        return None;
    }
    let mut found: Vec<Window> = Vec::new();
    for asked in &fold.asked[..ASKED] {
        let done = asked.answered.map_or(asked.at, |answered| answered.0);
        match found.last_mut() {
            Some(burst) if asked.at.since(burst.1) <= Span::from_ms(10) => burst.1 = burst.1.max(done),
            Some(_) | None => found.push((asked.at, done)),
        }
    }
    let busy = found.iter().fold(Span::ZERO, |sum, burst| sum + burst.1.since(burst.0));
    let all = found.last()?.1.since(found.first()?.0);
    // A client alone that asks again and again is no burst.
    if found.len() <= BURSTS || busy.0.saturating_mul(10) > all.0 || found.len() * 10 > ASKED {
        return None;
    }
    found.truncate(BURSTS);
    let margin = |burst: &Window| Span((burst.1.since(burst.0).0 / 6).max(200_000));
    Some(found.iter().map(|burst| (burst.0 - margin(burst), burst.1 + margin(burst))).collect())
}

/// Two holders, or a stale write: everything that the two did about it.
fn violation(run: &Run, fold: &Fold, end: Instant) -> Option<Window> {
    let overlap = run.findings.lock_overlaps.first();
    let stale = run.findings.stale_writes.first();
    let part = |belief: &Belief| {
        let in_overlap = overlap.is_some_and(|o| {
            (0..2).any(|n| o.holders[n] == belief.client && o.rounds[n] == belief.round) && belief.from.at <= o.to.at
        });
        let in_stale = stale.is_some_and(|write| {
            [write.writer, write.after].contains(&belief.client)
                && belief.from.at <= write.at.at
                && belief.to.is_none_or(|to| to.at + Span::from_secs(1) >= write.at.at)
        });
        in_overlap || in_stale
    };
    let involved: Vec<&Belief> = fold.book.beliefs.iter().filter(|belief| part(belief)).collect();
    let ends = involved.iter().map(|belief| belief.to.map_or(end, |to| to.at)).max();
    let wrote = stale.map(|write| write.at.at);
    let to = ends.max(wrote)?;
    // A write that is late came from a belief that may be over for long.
    let under = |write: &StaleWrite, belief: &&Belief| belief.client == write.writer && belief.from.at <= write.at.at;
    let writer = stale.and_then(|write| fold.book.beliefs.iter().rfind(|belief| under(write, belief)));
    let from = involved.first().copied().into_iter().chain(writer.filter(|_| overlap.is_none())).map(|b| b.from.at);
    let from = from.min()?;
    let wanted = fold.book.wants.iter().filter(|want| want.acquired.is_some_and(|got| got.at == from));
    let wanted = wanted.map(|want| want.from.at).min().filter(|&wanted| from.since(wanted) <= to.since(from).times(2));
    Some((wanted.unwrap_or(from), to))
}

/// A fencing token that goes back, with some holds around it.
fn token_break(run: &Run, fold: &Fold, end: Instant) -> Option<Window> {
    let first = run.findings.token_breaks.first()?;
    let beliefs = &fold.book.beliefs;
    let at = beliefs.iter().position(|belief| belief.from.event == first.at.event)?;
    let (before, after) = (&beliefs[at.saturating_sub(AROUND)], &beliefs[(at + AROUND).min(beliefs.len() - 1)]);
    Some((before.from.at, after.to.map_or(end, |to| to.at)))
}

/// Of much the first part.
fn beginning(fold: &Fold, end: Instant) -> Option<Window> {
    let from = fold.book.wants.first()?.from.at;
    if let Some(last) = fold.book.beliefs.get(HOLDS) {
        return Some((from, last.to.map_or(end, |to| to.at)));
    }
    let enough = fold.asked.get(ASKED).filter(|_| fold.book.beliefs.is_empty())?;
    Some((from, enough.at))
}

/// From the first thing that anybody does to the last.
fn everything(stage: &Stage, fold: &Fold, end: Instant) -> Window {
    let book = &fold.book;
    let begins = book.wants.iter().map(|want| want.from.at).chain(stage.faults.iter().map(|fault| fault.from));
    let ends = book.beliefs.iter().map(|belief| belief.to.map_or(end, |to| to.at));
    let ends = ends.chain(book.wants.iter().map(|want| want.acquired.or(want.ended).map_or(end, |mark| mark.at)));
    let ends = ends.chain(book.writes.iter().map(|write| write.at.at));
    let ends = ends.chain(fold.asked.iter().filter_map(|asked| asked.answered).map(|answered| answered.0));
    let pauses = stage.lives.values().flatten().filter(|stretch| stretch.what == Life::Paused);
    let ends = ends.chain(pauses.map(|pause| pause.to)).chain(fold.kept.iter().map(|kept| kept.to));
    (begins.min().unwrap_or(Instant::ZERO), ends.max().unwrap_or(end).min(end))
}

/// The clients that have lanes: those of the violation first, then those who do something in the window.
pub(super) fn chosen(run: &Run, fold: &Fold, (from, to): Window) -> Vec<NodeId> {
    if fold.clients.len() <= CLIENTS {
        return fold.clients.clone();
    }
    let mut first: Vec<NodeId> = run.findings.lock_overlaps.first().map_or(Vec::new(), |o| o.holders.to_vec());
    first.extend(run.findings.stale_writes.first().map_or(Vec::new(), |write| vec![write.writer, write.after]));
    let busy = |id: &NodeId| fold.book.beliefs.iter().any(|b| b.client == *id && b.from.at >= from && b.from.at <= to);
    first.extend(fold.clients.iter().copied().filter(busy));
    first.extend(fold.clients.iter().copied());
    let mut out: Vec<NodeId> = Vec::new();
    for id in first {
        if out.len() < CLIENTS && !out.contains(&id) {
            out.push(id);
        }
    }
    out.sort_unstable();
    out
}
