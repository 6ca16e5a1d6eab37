//! The lanes: what clients believe, what reaches the resources, what servers hold, and the requests between them.

use std::collections::BTreeMap;

use super::fold::{Asked, Gone, Kept};
use super::{BAR, CLIENT, Picture, RESOURCE, SERVER, is_lost};
use crate::check::locks::{Belief, Want};
use crate::id::NodeId;
use crate::report::chart::canvas::{Anchor, Canvas, Type, middle_baseline};
use crate::report::chart::frame::{self, Mark};
use crate::report::chart::px;
use crate::report::chart::theme::{BODY, Color, FAINT, GREY, INK, LEFT, MUTED, RIGHT, RULE, TINY, VERMILLION, WHITE};
use crate::report::stage::Life;
use crate::time::Instant;
use crate::trace::event::{LockAnswer, LockLoss, LockStep};

/// With more requests on show their lines would be a wall.
const LINES: usize = 400;
/// How what was to be is drawn.
pub(super) const PROMISED: &[f64] = &[2.0, 4.0];
/// A write that is longer under way than so many pixels has a line.
const LATE: f64 = 8.0;

/// A stretch of a lane, in pixels.
type Stretch = (f64, f64);

/// Where two believed to hold the lock at once.
pub(super) fn violations(canvas: &mut Canvas, picture: &Picture<'_>) {
    let (top, bottom) = (picture.tops.clients, picture.tops.clients + CLIENT * picture.clients.len() as f64);
    for overlap in &picture.run.findings.lock_overlaps {
        for (left, right) in picture.time.clip(overlap.from.at, overlap.to.at) {
            canvas.rect((left, top), (right.max(left + 2.0), bottom), VERMILLION.fade(0.20));
            for x in [left, right] {
                canvas.line(vec![(x, top), (x, bottom)], VERMILLION, 1.2);
            }
        }
    }
}

/// Requests as lines from the client's lane to the server's.
pub(super) fn requests(canvas: &mut Canvas, picture: &Picture<'_>, (from, to): (Instant, Instant)) {
    let inside = |asked: &&Asked| asked.at >= from && asked.at <= to;
    // Of too many only those that were granted are shown.
    let many = picture.fold.asked.iter().filter(inside).count() > LINES;
    let granted = |asked: &&Asked| matches!(asked.answered, Some((_, LockAnswer::Yes)));
    let shown = |asked: &&Asked| inside(asked) && (!many || granted(asked));
    // What one client asks at one moment is one line, to the farthest server.
    let mut lines: BTreeMap<(NodeId, LockStep, i32), (f64, Stretch, bool)> = BTreeMap::new();
    for asked in picture.fold.asked.iter().filter(shown) {
        let server = picture.stage.at(asked.to).map(|actor| actor.id);
        let lanes = (picture.client_top(asked.client), server.and_then(|id| picture.server_top(id)));
        let ((Some(client), Some(server)), Some(x)) = (lanes, picture.time.x(asked.at)) else { continue };
        if dash(asked.step).is_none() {
            continue;
        }
        if is_lost(asked) {
            // What got no answer ends in its own lane.
            canvas.text((x - 3.0, client + CLIENT - 2.0), "×", Type::new(TINY).bold().color(VERMILLION));
            continue;
        }
        let refused = matches!(asked.answered, Some((_, LockAnswer::No | LockAnswer::NoScript | LockAnswer::Error)));
        let to = (client + CLIENT - 8.0, server + 4.0);
        let line = lines.entry((asked.client, asked.step, px(x))).or_insert((x, to, refused));
        line.1.1 = line.1.1.max(to.1);
        line.2 &= refused;
    }
    for ((client, step, _), (x, (top, bottom), refused)) in lines {
        let color = picture.color(client).fade(if refused { 0.30 } else { 0.55 });
        canvas.dashed(&[(x, top), (x, bottom)], color, 1.1, dash(step).unwrap_or(&[]));
    }
}

/// How a request for a step is drawn, if it is.
pub(super) fn dash(step: LockStep) -> Option<&'static [f64]> {
    match step {
        LockStep::Acquire => Some(&[]),
        LockStep::Extend => Some(&[8.0, 4.0]),
        LockStep::Release => Some(&[3.0, 4.0]),
        LockStep::Expire | LockStep::Wait | LockStep::Fence | LockStep::Subscribe | LockStep::Load => None,
    }
}

fn lane_line(canvas: &mut Canvas, picture: &Picture<'_>, y: f64) {
    for (left, right) in picture.time.spans() {
        canvas.line(vec![(left, y), (right, y)], RULE, 1.0);
    }
}

/// The stretches in which a process was stopped or dead.
fn gaps(picture: &Picture<'_>, id: NodeId) -> Vec<(Stretch, Life)> {
    let lives = picture.stage.lives.get(&id).into_iter().flatten().filter(|stretch| stretch.what != Life::Up);
    lives.flat_map(|life| picture.time.clip(life.from, life.to).map(|shown| (shown, life.what))).collect()
}

/// What a gap says, where there is room.
fn gap_label(canvas: &Canvas, (left, right): Stretch, life: Life) -> Option<(Stretch, &'static str)> {
    let text = if life == Life::Paused { "paused" } else { "down" };
    let half = canvas.width_of(text, Type::new(BODY).bold()) / 2.0 + 5.0;
    let middle = f64::midpoint(left, right);
    (right - left > 2.0 * half).then_some(((middle - half, middle + half), text))
}

fn draw_gaps(canvas: &mut Canvas, picture: &Picture<'_>, id: NodeId, (top, bottom): Stretch) {
    for ((left, right), life) in gaps(picture, id) {
        frame::hatch(canvas, (left, top), (right, bottom));
        if let Some(((from, to), text)) = gap_label(canvas, (left, right), life) {
            canvas.rect((from, top + 1.0), (to, bottom - 1.0), WHITE.fade(0.85));
            let look = Type::new(BODY).bold().color(INK).anchor(Anchor::Middle);
            canvas.text((f64::midpoint(from, to), middle_baseline(top, bottom, BODY)), text, look);
        }
    }
}

/// A text in the largest part of a stretch that nothing else is written in.
fn free_label(canvas: &mut Canvas, stretch: Stretch, bar: Stretch, taken: &[Stretch], text: &str, color: Color) {
    let mut parts = vec![stretch];
    for &(from, to) in taken {
        let cut = |(left, right): Stretch| [(left, right.min(from)), (left.max(to), right)];
        parts = parts.into_iter().flat_map(cut).filter(|(left, right)| left < right).collect();
    }
    let largest = parts.into_iter().max_by(|one, other| (one.1 - one.0).total_cmp(&(other.1 - other.0)));
    if let Some((left, right)) = largest {
        canvas.label_in((left, bar.0), (right, bar.1), text, Type::new(TINY).color(color));
    }
}

/// The clients: what they want, what they believe, when they are stopped.
pub(super) fn clients(canvas: &mut Canvas, picture: &Picture<'_>) {
    for &id in &picture.clients {
        let Some(top) = picture.client_top(id) else { continue };
        lane_line(canvas, picture, top);
        let color = picture.color(id);
        let bar = (top + 8.0, top + 8.0 + BAR);
        frame::lane_name(canvas, bar, &picture.name(id), color);
        let said = gaps(picture, id).into_iter().filter_map(|(gap, life)| gap_label(canvas, gap, life));
        let said: Vec<Stretch> = said.map(|(stretch, _)| stretch).collect();
        let wants: Vec<&Want> = picture.fold.wants(id).collect();
        for want in &wants {
            draw_want(canvas, picture, want, bar, color);
        }
        let beliefs: Vec<&Belief> = picture.fold.book.beliefs.iter().filter(|belief| belief.client == id).collect();
        for belief in &beliefs {
            draw_belief(canvas, picture, belief, bar, color);
        }
        draw_gaps(canvas, picture, id, (bar.0 + 1.0, bar.1 - 1.0));
        for belief in &beliefs {
            name_belief(canvas, picture, belief, bar, color, &said);
        }
        draw_ends(canvas, picture, id, &wants, bar);
    }
}

fn draw_want(canvas: &mut Canvas, picture: &Picture<'_>, want: &Want, bar: Stretch, color: Color) {
    let until = want.acquired.or(want.ended).map_or(picture.end, |mark| mark.at);
    for (left, right) in picture.time.clip(want.from.at, until) {
        canvas.rect((left, bar.0 + 5.0), (right.max(left + 1.0), bar.1 - 5.0), color.fade(0.22));
        if right - left > 80.0 {
            canvas.label_in((left, bar.0), (right, bar.1), "wants the lock", Type::new(TINY).color(MUTED));
        }
    }
}

/// Until when a belief is backed by the validity that its holder knows of.
fn valid(belief: &Belief, from: Instant) -> Instant {
    belief.valid_until.unwrap_or(Instant::NEVER).max(from)
}

fn draw_belief(canvas: &mut Canvas, picture: &Picture<'_>, belief: &Belief, bar: Stretch, color: Color) {
    if belief.minds {
        // While it is stopped it believes nothing, but the servers may hold its token.
        for (left, right) in picture.time.clip(belief.from.at, belief.to.map_or(picture.end, |to| to.at)) {
            canvas.rect((left, bar.0), (right, bar.1), color.fade(0.15));
            canvas.frame((left, bar.0), (right, bar.1), color.fade(0.6));
        }
    }
    for (from, to) in belief.spans(picture.end) {
        let valid = valid(belief, from);
        for (left, right) in picture.time.clip(from, to.min(valid)) {
            canvas.rect((left, bar.0), (right.max(left + 1.0), bar.1), color);
        }
        for (left, right) in picture.time.clip(valid.min(to), to) {
            canvas.rect((left, bar.0), (right, bar.1), color.fade(0.45));
            canvas.frame((left, bar.0), (right, bar.1), color);
        }
    }
}

fn name_belief(
    canvas: &mut Canvas,
    picture: &Picture<'_>,
    belief: &Belief,
    bar: Stretch,
    color: Color,
    taken: &[Stretch],
) {
    let text = belief.fencing.map_or("holds it".to_owned(), |token| format!("holds it, token {token}"));
    let short = belief.fencing.map_or(String::new(), |token| token.to_string());
    for (from, to) in belief.spans(picture.end) {
        let valid = valid(belief, from);
        for stretch in picture.time.clip(from, to.min(valid)) {
            let room = canvas.width_of(&text, Type::new(TINY)) + 6.0;
            let text = if stretch.1 - stretch.0 < room { &short } else { &text };
            free_label(canvas, stretch, bar, taken, text, color.ink());
        }
        for stretch in picture.time.clip(valid.min(to), to) {
            free_label(canvas, stretch, bar, taken, "beyond its validity", INK);
        }
    }
}

/// How wants and beliefs ended, if not as they should: beside their end, where nothing else is.
fn draw_ends(canvas: &mut Canvas, picture: &Picture<'_>, id: NodeId, wants: &[&Want], bar: Stretch) {
    let given_up = |want: &&&Want| want.acquired.is_none() && want.ended.is_some();
    let given_up = wants.iter().filter(given_up).filter_map(|want| Some((want.ended?.at, "gives up", MUTED)));
    let lost = picture.fold.lost.iter().filter(|(client, ..)| *client == id).map(|&(_, at, why)| {
        let text = match why {
            LockLoss::Expired => "sees that its time is over",
            LockLoss::NotExtended => "sees that it is not extended",
            LockLoss::Fenced => "is told that it has lost it",
        };
        (at, text, INK)
    });
    let mut free = f64::MIN;
    for (at, text, color) in given_up.chain(lost) {
        let down = picture.stage.lives.get(&id).into_iter().flatten();
        let dead = down.filter(|life| life.what == Life::Down).any(|life| life.from <= at && at < life.to);
        let Some(x) = picture.time.x(at).filter(|&x| x >= free && !dead) else { continue };
        let look = Type::new(TINY).color(color);
        let next = wants.iter().map(|want| want.from.at).filter(|&from| from > at).min();
        let room = next.and_then(|next| picture.time.x(next)).unwrap_or(RIGHT) - x;
        let width = canvas.width_of(text, look) + 8.0;
        if width <= room {
            canvas.text((x + 5.0, middle_baseline(bar.0, bar.1, TINY)), text, look);
            free = x + width;
        }
    }
}

/// The protected resources and the writes that reached them.
pub(super) fn resources(canvas: &mut Canvas, picture: &Picture<'_>) {
    for (index, &id) in picture.fold.resources.iter().enumerate() {
        let top = picture.tops.resources + RESOURCE * index as f64;
        lane_line(canvas, picture, top);
        let (from, to) = (top + 4.0, top + RESOURCE - 4.0);
        frame::lane_name(canvas, (from + 10.0, to - 4.0), &picture.name(id), INK);
        let y = top + RESOURCE - 16.0;
        for (left, right) in picture.time.spans() {
            canvas.line(vec![(left, y), (right, y)], FAINT, 3.0);
        }
        draw_late(canvas, picture, id, y);
        let mut writes: Vec<Write> = picture
            .fold
            .book
            .writes
            .iter()
            .filter_map(|write| {
                if write.resource != id {
                    return None;
                }
                let writer =
                    picture.stage.actors.iter().find(|actor| *actor.name == *write.client).map(|actor| actor.id);
                let stale = picture.run.findings.stale_writes.iter().any(|stale| stale.at.event == write.at.event);
                let token = write.fencing.map_or(String::new(), |token| format!(" {token}"));
                let text = match (write.accepted, stale) {
                    (false, _) => format!("{}{token} rejected", write.client),
                    (true, true) => format!("{}{token}: stale", write.client),
                    (true, false) => format!("{}{token}", write.client),
                };
                let color = writer.map_or(GREY, |id| picture.color(id));
                Some(Write { x: picture.time.x(write.at.at)?, text, color, accepted: write.accepted, stale })
            })
            .collect();
        // What went wrong lies on top, and is written first.
        writes.sort_by_key(|write| write.stale || !write.accepted);
        for write in &writes {
            write.draw(canvas, y);
        }
        write_labels(canvas, &writes, from + 10.0);
        draw_gaps(canvas, picture, id, (from + 12.0, to));
    }
}

/// A write as it is drawn.
struct Write {
    x: f64,
    text: String,
    color: Color,
    accepted: bool,
    stale: bool,
}

impl Write {
    fn draw(&self, canvas: &mut Canvas, y: f64) {
        if self.stale {
            canvas.dot((self.x, y), 11.0, VERMILLION);
            canvas.dot((self.x, y), 9.0, WHITE);
        }
        let (form, color) = if self.accepted { (Mark::Diamond, self.color) } else { (Mark::Cross, VERMILLION) };
        frame::mark(canvas, (self.x, y), form, color);
    }
}

/// Writes that were long under way, from where they were sent.
fn draw_late(canvas: &mut Canvas, picture: &Picture<'_>, resource: NodeId, y: f64) {
    for sent in picture.fold.sent.iter().filter(|sent| sent.resource == resource) {
        let ends = picture.time.x(sent.at).zip(picture.time.x(sent.arrived));
        let Some(((from, to), top)) = ends.zip(picture.client_top(sent.client)) else { continue };
        if to - from >= LATE {
            let start = (from, top + 8.0 + BAR);
            canvas.line(vec![start, (to, y)], picture.color(sent.client).fade(0.7), 1.4);
        }
    }
}

/// Labels beside each other, those of what went wrong first; what has no room is left out.
fn write_labels(canvas: &mut Canvas, writes: &[Write], y: f64) {
    let mut taken: Vec<Stretch> = Vec::new();
    let is_wrong = |write: &&Write| write.stale || !write.accepted;
    for write in writes.iter().filter(is_wrong).chain(writes.iter().filter(|write| !is_wrong(write))) {
        let wrong = is_wrong(&write);
        let look = Type::new(TINY).bold().color(if wrong { VERMILLION } else { write.color });
        let width = canvas.width_of(&write.text, look);
        let left = (write.x - width / 2.0).clamp(LEFT, RIGHT - width);
        if taken.iter().all(|&(from, to)| left + width + 5.0 < from || to + 5.0 < left) {
            canvas.text((left, y), write.text.clone(), look);
            taken.push((left, left + width));
        }
    }
}

/// The servers: whose token they hold.
pub(super) fn servers(canvas: &mut Canvas, picture: &Picture<'_>) {
    for &id in &picture.servers {
        let Some(top) = picture.server_top(id) else { continue };
        lane_line(canvas, picture, top);
        let bar = (top + 5.0, top + SERVER - 5.0);
        frame::lane_name(canvas, bar, &picture.name(id), GREY);
        for kept in picture.fold.kept.iter().filter(|kept| kept.server == id && kept.broken()) {
            draw_promise(canvas, picture, kept, bar);
        }
        for kept in picture.fold.kept.iter().filter(|kept| kept.server == id) {
            draw_kept(canvas, picture, kept, bar);
        }
        draw_gaps(canvas, picture, id, bar);
    }
    lane_line(canvas, picture, picture.tops.bottom);
}

fn holder_color(picture: &Picture<'_>, kept: &Kept) -> Color {
    kept.client.map_or(GREY, |client| picture.color(client))
}

/// Until when a token was to be held that is gone before.
fn draw_promise(canvas: &mut Canvas, picture: &Picture<'_>, kept: &Kept, bar: Stretch) {
    let Some(until) = kept.until else { return };
    for (left, right) in picture.time.clip(kept.to, until) {
        let edge = [(left, bar.0 + 1.0), (right, bar.0 + 1.0), (right, bar.1 - 1.0), (left, bar.1 - 1.0)];
        canvas.dashed(&edge, holder_color(picture, kept), 1.2, PROMISED);
    }
}

fn draw_kept(canvas: &mut Canvas, picture: &Picture<'_>, kept: &Kept, bar: Stretch) {
    let color = holder_color(picture, kept);
    let name = kept.client.map_or("a token".to_owned(), |client| picture.name(client));
    let text = match (kept.gone, kept.until) {
        (Gone::Expired, _) => format!("{name}, expired"),
        (Gone::No, None) => format!("{name}, for ever"),
        (Gone::Deleted | Gone::Died | Gone::No, _) => name.clone(),
    };
    for (left, right) in picture.time.clip(kept.from, kept.to) {
        canvas.rect((left, bar.0), (right.max(left + 1.5), bar.1), color.fade(0.75));
        let look = Type::new(TINY).color(color.ink());
        let text = if canvas.width_of(&text, look) + 6.0 <= right - left { &text } else { &name };
        canvas.label_in((left, bar.0), (right, bar.1), text, look);
    }
    for x in kept.extended.iter().filter_map(|&at| picture.time.x(at)) {
        canvas.line(vec![(x, bar.0), (x, bar.1)], WHITE, 1.5);
    }
    if let (Gone::Expired, Some(x)) = (kept.gone, picture.time.x(kept.to)) {
        canvas.line(vec![(x, bar.0 - 3.0), (x, bar.1 + 3.0)], INK, 1.5);
    }
}
