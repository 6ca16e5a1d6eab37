//! The chart of locks: who believed to hold the lock, what the servers held, what reached the resource, and where that
//! went wrong; a lane for each.

mod fold;

use super::Chart;
use super::axis::{TimeScale, span_text};
use super::canvas::{Anchor, Canvas, Type, middle_baseline};
use super::frame::{self, Entry, Key, Mark, Panel, trimmed};
use super::theme::{self, BODY, Color, FAINT, GREY, INK, LEFT, MUTED, RIGHT, RULE, SMALL, TINY, VERMILLION, WHITE};
use crate::check::locks::Belief;
use crate::id::NodeId;
use crate::report::Run;
use crate::report::stage::{Life, Stage};
use crate::time::{Instant, Span};
use crate::trace::Event;
use crate::trace::event::{Freed, LockAnswer, LockStep};
use fold::{Asked, Fold};

/// Heights of the lanes and of the bars in them.
const CLIENT: f64 = 44.0;
const RESOURCE: f64 = 46.0;
const SERVER: f64 = 27.0;
const BAR: f64 = 18.0;
/// The most lanes of each kind.
const CLIENTS: usize = 10;
const SERVERS: usize = 9;
/// With more requests on show their lines would be a wall.
const LINES: usize = 400;
/// Without violations so many holds are shown.
const HOLDS: usize = 24;

/// Everything that drawing needs.
struct Picture<'a> {
    run: &'a Run,
    stage: &'a Stage,
    fold: &'a Fold,
    time: TimeScale,
    clients: Vec<NodeId>,
    servers: Vec<NodeId>,
    /// Where the lanes begin.
    tops: Tops,
    end: Instant,
}

#[derive(Clone, Copy, Default)]
struct Tops {
    clients: f64,
    resources: f64,
    servers: f64,
    bottom: f64,
}

/// The chart; `None` when nobody locked anything.
pub(crate) fn chart(run: &Run, stage: &Stage, events: &[Event]) -> Option<Chart> {
    let end = stage.watched_until().max(Instant(1));
    let fold = Fold::of(stage, events, end);
    if fold.book.is_empty() {
        return None;
    }
    let window = window(run, &fold, end);
    let time = TimeScale::new(&[window], LEFT, RIGHT);
    let title = "Who held the lock, by whose belief?";
    let mut canvas = Canvas::new(0.0);
    let shown = format!("{}–{} s", trimmed(window.0.as_secs_f64()), trimmed(window.1.as_secs_f64()));
    let subtitle = format!("{} · shown: {shown}", frame::which_run(run, stage));
    let mut picture = Picture {
        run,
        stage,
        fold: &fold,
        time,
        clients: chosen(run, &fold, window),
        servers: fold.servers.iter().copied().take(SERVERS).collect(),
        tops: Tops::default(),
        end,
    };
    let top = frame::heading(&mut canvas, title, &subtitle, &legend(&picture, window));
    let top = frame::fault_strip(&mut canvas, stage, &picture.time, top + 4.0);
    let top = verdict_strip(&mut canvas, &picture, top + 2.0);
    let resources = if fold.resources.is_empty() { 0.0 } else { 12.0 };
    let clients = top + CLIENT * picture.clients.len() as f64;
    let after = clients + resources + RESOURCE * fold.resources.len() as f64;
    let bottom = after + 12.0 + SERVER * picture.servers.len() as f64;
    picture.tops = Tops { clients: top, resources: clients + resources, servers: after + 12.0, bottom };
    frame::bands(&mut canvas, stage, &picture.time, Panel { top, bottom });
    frame::time_rules(&mut canvas, &picture.time, Panel { top, bottom });
    draw_violations(&mut canvas, &picture);
    draw_requests(&mut canvas, &picture, window);
    draw_clients(&mut canvas, &picture);
    draw_resources(&mut canvas, &picture);
    draw_servers(&mut canvas, &picture);
    canvas.height = frame::time_axis(&mut canvas, stage, &picture.time, bottom + 4.0);
    Some(Chart { name: "locks".into(), title: title.into(), alt: alt(run, &fold), canvas })
}

fn alt(run: &Run, fold: &Fold) -> String {
    format!(
        "{} acquisitions by {} clients; {} times two believed to hold the lock at once, {} stale writes were accepted.",
        fold.book.beliefs.len(),
        fold.clients.len(),
        run.findings.lock_overlaps.len(),
        run.findings.stale_writes.len()
    )
}

/// What is shown: the first violation with what led to it, else the beginning, as much as can be read.
fn window(run: &Run, fold: &Fold, end: Instant) -> (Instant, Instant) {
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
    let (mut from, mut to) = match (involved.first(), involved.iter().map(|b| b.to.map_or(end, |to| to.at)).max()) {
        (Some(first), Some(last)) => (first.from.at, last),
        (_, _) if fold.book.beliefs.len() > HOLDS => {
            let last = &fold.book.beliefs[HOLDS - 1];
            (Instant::ZERO, last.to.map_or(end, |to| to.at))
        }
        (_, _) => (Instant::ZERO, end),
    };
    if let Some(write) = stale {
        to = to.max(write.at.at);
    }
    let margin = Span((to.since(from).0 / 10).max(20_000_000));
    from = from - margin;
    (from, (to + margin).min(end).max(from + Span::from_ms(1)))
}

/// The clients that have lanes: those of the violation first, then those who do something in the window.
fn chosen(run: &Run, fold: &Fold, (from, to): (Instant, Instant)) -> Vec<NodeId> {
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

fn legend(picture: &Picture<'_>, (from, to): (Instant, Instant)) -> Vec<Entry> {
    let fold = picture.fold;
    let mine = theme::series(0);
    let mut legend: Vec<Entry> = vec![
        (Key::Block(mine), "believes to hold the lock (its colour at the servers and the resource too)".into()),
        (Key::Block(mine.fade(0.22)), "wants it".into()),
    ];
    let end = picture.end;
    if fold.book.beliefs.iter().any(|belief| belief.overstay(end) > Span::ZERO) {
        legend.push((Key::Block(mine.fade(0.55)), "believes so beyond its validity".into()));
    }
    if !picture.run.findings.lock_overlaps.is_empty() {
        legend.push((Key::Block(VERMILLION.fade(0.25)), "two believe it at once".into()));
    }
    let writes = || fold.book.writes.iter().filter(|write| write.at.at >= from && write.at.at <= to);
    if writes().any(|write| write.accepted) {
        legend.push((Key::Mark(Mark::Diamond, mine), "write accepted (its fencing token)".into()));
    }
    if writes().any(|write| !write.accepted) {
        legend.push((Key::Mark(Mark::Cross, VERMILLION), "write rejected".into()));
    }
    legend.push((Key::Line(mine, 1.2, &[]), "asks for it".into()));
    legend.push((Key::Line(mine, 1.2, &[2.0, 3.0]), "gives it back".into()));
    if fold.asked.iter().any(|asked| asked.step == LockStep::Extend) {
        legend.push((Key::Line(mine, 1.2, &[6.0, 3.0]), "extends it".into()));
    }
    legend
}

impl Picture<'_> {
    fn color(&self, client: NodeId) -> Color {
        self.fold.clients.iter().position(|&id| id == client).map_or(GREY, theme::series)
    }

    fn name(&self, id: NodeId) -> String {
        self.stage.name(Some(id)).to_owned()
    }

    fn client_top(&self, id: NodeId) -> Option<f64> {
        let index = self.clients.iter().position(|&client| client == id)?;
        Some(self.tops.clients + CLIENT * index as f64)
    }

    fn server_top(&self, id: NodeId) -> Option<f64> {
        let index = self.servers.iter().position(|&server| server == id)?;
        Some(self.tops.servers + SERVER * index as f64)
    }
}

/// What the checkers say, above the lanes.
fn verdict_strip(canvas: &mut Canvas, picture: &Picture<'_>, top: f64) -> f64 {
    let findings = &picture.run.findings;
    let mut lines: Vec<(Color, String)> = Vec::new();
    if let Some(first) = findings.lock_overlaps.first() {
        let (one, other) = (picture.name(first.holders[0]), picture.name(first.holders[1]));
        let more = findings.lock_overlaps.len() - 1;
        let more = match more {
            0 => String::new(),
            1 => ", and once more".to_owned(),
            n => format!(", and {n} more times"),
        };
        let text = format!("two holders: {one} and {other} for {}{more}", span_text(first.from.at, first.to.at));
        lines.push((VERMILLION, text));
    }
    if let Some(first) = findings.stale_writes.first() {
        let (writer, after) = (picture.name(first.writer), picture.name(first.after));
        let more = findings.stale_writes.len() - 1;
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        lines.push((VERMILLION, format!("stale write: {writer} wrote after {after}, who had the lock later{more}")));
    }
    let rejected = picture.fold.book.writes.iter().filter(|write| !write.accepted).count();
    if rejected > 0 {
        let plural = if rejected == 1 { "" } else { "s" };
        lines.push((theme::GREEN, format!("fencing: {rejected} stale write{plural} rejected")));
    }
    if lines.is_empty() {
        lines.push((theme::GREEN, "never more than one holder".to_owned()));
    }
    let mut x = LEFT;
    for (color, text) in lines {
        let look = Type::new(SMALL).bold();
        let width = canvas.width_of(&text, look) + 16.0;
        canvas.rect((x, top), (x + width, top + 18.0), color);
        canvas.text((x + 8.0, middle_baseline(top, top + 18.0, SMALL)), text, look.color(WHITE));
        x += width + 8.0;
    }
    top + 26.0
}

fn draw_violations(canvas: &mut Canvas, picture: &Picture<'_>) {
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
fn draw_requests(canvas: &mut Canvas, picture: &Picture<'_>, (from, to): (Instant, Instant)) {
    let inside = |asked: &&Asked| asked.at >= from && asked.at <= to;
    // Of too many only those that were granted are shown.
    let many = picture.fold.asked.iter().filter(inside).count() > LINES;
    let granted = |asked: &&Asked| matches!(asked.answered, Some((_, LockAnswer::Yes)));
    let shown = |asked: &&Asked| inside(asked) && (!many || granted(asked));
    for asked in picture.fold.asked.iter().filter(shown) {
        let server = picture.stage.at(asked.to).map(|actor| actor.id);
        let lanes = (picture.client_top(asked.client), server.and_then(|id| picture.server_top(id)));
        let ((Some(client), Some(server)), Some(x)) = (lanes, picture.time.x(asked.at)) else { continue };
        let dash: &[f64] = match asked.step {
            LockStep::Acquire => &[],
            LockStep::Extend => &[6.0, 3.0],
            LockStep::Release => &[2.0, 3.0],
            LockStep::Expire | LockStep::Wait | LockStep::Fence | LockStep::Subscribe => continue,
        };
        let lost = matches!(asked.answered, None | Some((_, LockAnswer::Timeout | LockAnswer::Unreachable)));
        let refused = matches!(asked.answered, Some((_, LockAnswer::No | LockAnswer::Error)));
        let color = if lost { VERMILLION } else { picture.color(asked.client) };
        let start = (x, client + CLIENT - 8.0);
        // What got no answer ends in its own lane.
        let end = if lost { (x, client + CLIENT - 6.0) } else { (x, server + 4.0) };
        canvas.dashed(&[start, end], color.fade(if refused { 0.30 } else { 0.55 }), 1.1, dash);
        if lost {
            canvas.text((x - 3.0, end.1 + 4.0), "×", Type::new(TINY).bold().color(VERMILLION));
        }
    }
}

fn lane_line(canvas: &mut Canvas, picture: &Picture<'_>, y: f64) {
    for (left, right) in picture.time.spans() {
        canvas.line(vec![(left, y), (right, y)], RULE, 1.0);
    }
}

/// Where a process was stopped or dead.
fn draw_lives(canvas: &mut Canvas, picture: &Picture<'_>, id: NodeId, (top, bottom): (f64, f64)) {
    for stretch in picture.stage.lives.get(&id).into_iter().flatten().filter(|stretch| stretch.what != Life::Up) {
        let text = if stretch.what == Life::Paused { "paused" } else { "down" };
        for (left, right) in picture.time.clip(stretch.from, stretch.to) {
            let (from, to) = ((left, top), (right, bottom));
            frame::hatch(canvas, from, to);
            let width = canvas.width_of(text, Type::new(BODY).bold()) + 10.0;
            if right - left > width {
                let middle = f64::midpoint(left, right);
                let baseline = middle_baseline(top, bottom, BODY);
                canvas.rect((middle - width / 2.0, top + 1.0), (middle + width / 2.0, bottom - 1.0), WHITE.fade(0.85));
                let look = Type::new(BODY).bold().color(INK).anchor(Anchor::Middle);
                canvas.text((middle, baseline), text, look);
            }
        }
    }
}

fn draw_clients(canvas: &mut Canvas, picture: &Picture<'_>) {
    for &id in &picture.clients {
        let Some(top) = picture.client_top(id) else { continue };
        lane_line(canvas, picture, top);
        let color = picture.color(id);
        let bar = (top + 8.0, top + 8.0 + BAR);
        frame::lane_name(canvas, bar, &picture.name(id), color);
        for want in picture.fold.wants(id) {
            let until = want.acquired.or(want.ended).map_or(picture.end, |mark| mark.at);
            for (left, right) in picture.time.clip(want.from.at, until) {
                canvas.rect((left, bar.0 + 5.0), (right.max(left + 1.0), bar.1 - 5.0), color.fade(0.22));
                if right - left > 80.0 {
                    canvas.label_in((left, bar.0), (right, bar.1), "wants the lock", Type::new(TINY).color(MUTED));
                }
            }
        }
        for belief in picture.fold.book.beliefs.iter().filter(|belief| belief.client == id) {
            draw_belief(canvas, picture, belief, bar, color);
        }
        draw_lives(canvas, picture, id, (bar.0 + 1.0, bar.1 - 1.0));
    }
}

fn draw_belief(canvas: &mut Canvas, picture: &Picture<'_>, belief: &Belief, bar: (f64, f64), color: Color) {
    let text = belief.fencing.map_or("holds it".to_owned(), |token| format!("holds it, token {token}"));
    for (from, to) in belief.spans(picture.end) {
        let valid = belief.valid_until.unwrap_or(Instant::NEVER).max(from);
        for (left, right) in picture.time.clip(from, to.min(valid)) {
            frame::segment(canvas, (left, bar.0), (right, bar.1), color, &text);
        }
        for (left, right) in picture.time.clip(valid.min(to), to) {
            canvas.rect((left, bar.0), (right, bar.1), color.fade(0.45));
            canvas.frame((left, bar.0), (right, bar.1), color);
            canvas.label_in((left, bar.0), (right, bar.1), "beyond its validity", Type::new(TINY).color(INK));
        }
    }
}

fn draw_resources(canvas: &mut Canvas, picture: &Picture<'_>) {
    for (index, &id) in picture.fold.resources.iter().enumerate() {
        let top = picture.tops.resources + RESOURCE * index as f64;
        lane_line(canvas, picture, top);
        let (from, to) = (top + 4.0, top + RESOURCE - 4.0);
        frame::lane_name(canvas, (from + 10.0, to - 4.0), &picture.name(id), INK);
        let y = top + RESOURCE - 16.0;
        for (left, right) in picture.time.spans() {
            canvas.line(vec![(left, y), (right, y)], FAINT, 3.0);
        }
        let mut labels: Vec<(f64, String, Color, bool)> = Vec::new();
        for write in picture.fold.book.writes.iter().filter(|write| write.resource == id) {
            let Some(x) = picture.time.x(write.at.at) else { continue };
            let writer = picture.stage.actors.iter().find(|actor| *actor.name == *write.client).map(|actor| actor.id);
            let color = writer.map_or(GREY, |id| picture.color(id));
            let stale = picture.run.findings.stale_writes.iter().any(|stale| stale.at.event == write.at.event);
            let form = if write.accepted { Mark::Diamond } else { Mark::Cross };
            if stale {
                canvas.dot((x, y), 11.0, VERMILLION);
                canvas.dot((x, y), 9.0, WHITE);
            }
            frame::mark(canvas, (x, y), form, if write.accepted { color } else { VERMILLION });
            let token = write.fencing.map_or(String::new(), |token| format!(" {token}"));
            let what = match (write.accepted, stale) {
                (false, _) => format!("{}{token} rejected", write.client),
                (true, true) => format!("{}{token}: stale", write.client),
                (true, false) => format!("{}{token}", write.client),
            };
            let wrong = stale || !write.accepted;
            labels.push((x, what, if wrong { VERMILLION } else { color }, wrong));
        }
        write_labels(canvas, labels, from + 10.0);
        draw_lives(canvas, picture, id, (from + 12.0, to));
    }
}

/// Labels beside each other, those of what went wrong first; what has no room is left out.
fn write_labels(canvas: &mut Canvas, mut labels: Vec<(f64, String, Color, bool)>, y: f64) {
    let mut taken: Vec<(f64, f64)> = Vec::new();
    labels.sort_by_key(|(.., wrong)| !*wrong);
    for (x, text, color, _) in labels {
        let look = Type::new(TINY).bold().color(color);
        let width = canvas.width_of(&text, look);
        let left = (x - width / 2.0).clamp(LEFT, RIGHT - width);
        if taken.iter().all(|&(from, to)| left + width + 5.0 < from || to + 5.0 < left) {
            canvas.text((left, y), text, look);
            taken.push((left, left + width));
        }
    }
}

fn draw_servers(canvas: &mut Canvas, picture: &Picture<'_>) {
    for &id in &picture.servers {
        let Some(top) = picture.server_top(id) else { continue };
        lane_line(canvas, picture, top);
        let bar = (top + 5.0, top + SERVER - 5.0);
        frame::lane_name(canvas, bar, &picture.name(id), GREY);
        for kept in picture.fold.kept.iter().filter(|kept| kept.server == id) {
            let color = kept.client.map_or(GREY, |client| picture.color(client));
            let name = kept.client.map_or("a token".to_owned(), |client| picture.name(client));
            let text = match kept.freed {
                Some(Freed::Expired) => format!("{name}, expired"),
                Some(Freed::Deleted) | None => name,
            };
            for (left, right) in picture.time.clip(kept.from, kept.to) {
                canvas.rect((left, bar.0), (right.max(left + 1.5), bar.1), color.fade(0.75));
                canvas.label_in((left, bar.0), (right, bar.1), &text, Type::new(TINY).color(color.ink()));
            }
            for x in kept.extended.iter().filter_map(|&at| picture.time.x(at)) {
                canvas.line(vec![(x, bar.0), (x, bar.1)], WHITE, 1.5);
            }
            if let (Some(Freed::Expired), Some(x)) = (kept.freed, picture.time.x(kept.to)) {
                canvas.line(vec![(x, bar.0 - 3.0), (x, bar.1 + 3.0)], INK, 1.5);
            }
        }
        draw_lives(canvas, picture, id, bar);
    }
    lane_line(canvas, picture, picture.tops.bottom);
}
