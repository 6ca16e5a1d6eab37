//! The chart of locks: who believed to hold the lock, what the servers held, what reached the resource, and where that
//! went wrong; a lane for each.

mod fold;
mod lanes;
mod window;

use super::Chart;
use super::axis::{TimeScale, span_text};
use super::canvas::{Canvas, Type, middle_baseline};
use super::frame::{self, Entry, Key, Mark, Panel, trimmed};
use super::theme::{self, Color, GREEN, GREY, LEFT, RIGHT, SMALL, VERMILLION, WHITE};
use crate::check::{Unit, Value};
use crate::id::NodeId;
use crate::report::Run;
use crate::report::stage::Stage;
use crate::time::{Instant, Span};
use crate::trace::Event;
use crate::trace::event::{LockAnswer, LockStep};
use fold::{Asked, Fold};

/// Heights of the lanes and of the bars in them.
const CLIENT: f64 = 44.0;
const RESOURCE: f64 = 46.0;
const SERVER: f64 = 27.0;
const BAR: f64 = 18.0;
/// The most lanes of each kind.
const CLIENTS: usize = 10;
const SERVERS: usize = 9;

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
    let windows = window::shown(run, stage, &fold, end);
    let window = (windows[0].0, windows[windows.len() - 1].1);
    let time = TimeScale::new(&windows, LEFT, RIGHT);
    let title = "Who held the lock, by whose belief?";
    let mut canvas = Canvas::new(0.0);
    let shown = format!("{}–{} s", trimmed(window.0.as_secs_f64()), trimmed(window.1.as_secs_f64()));
    let subtitle = format!("{} · shown: {shown}", frame::which_run(run, stage));
    let mut picture = Picture {
        run,
        stage,
        fold: &fold,
        time,
        clients: window::chosen(run, &fold, window),
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
    lanes::violations(&mut canvas, &picture);
    lanes::requests(&mut canvas, &picture, window);
    lanes::clients(&mut canvas, &picture);
    lanes::resources(&mut canvas, &picture);
    lanes::servers(&mut canvas, &picture);
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
    let line = |step| Key::Line(mine, 1.2, lanes::dash(step).unwrap_or(&[]));
    legend.push((line(LockStep::Acquire), "asks for it".into()));
    legend.push((line(LockStep::Release), "gives it back".into()));
    if fold.asked.iter().any(|asked| asked.step == LockStep::Extend) {
        legend.push((line(LockStep::Extend), "extends it".into()));
    }
    if fold.asked.iter().any(|asked| asked.at >= from && asked.at <= to && is_lost(asked)) {
        legend.push((Key::Glyph("×", VERMILLION), "no answer".into()));
    }
    if fold.kept.iter().any(|kept| kept.broken() && kept.to >= from && kept.to <= to) {
        legend.push((Key::Outline(mine, lanes::PROMISED), "was to be kept until then".into()));
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
    if let Some(first) = findings.token_breaks.first() {
        let [one, other] = first.holders.map(|id| picture.name(id));
        let [before, now] = first.tokens;
        lines.push((VERMILLION, format!("tokens go back: {other} gets {now}, {one} had {before}")));
    }
    let rejected = picture.fold.book.writes.iter().filter(|write| !write.accepted).count();
    if rejected > 0 {
        let plural = if rejected == 1 { "" } else { "s" };
        // Of whom the newest token was not the newest, the right one is refused.
        let (color, whose) = if findings.token_breaks.is_empty() { (GREEN, "stale ") } else { (VERMILLION, "") };
        lines.push((color, format!("fencing: {rejected} {whose}write{plural} rejected")));
    }
    lines.extend(progress(picture));
    if lines.is_empty() {
        lines.push((GREEN, "never more than one holder".to_owned()));
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

/// When nobody gets on.
fn progress(picture: &Picture<'_>) -> Option<(Color, String)> {
    let metric = |name: &str| picture.run.metrics.get(name).copied();
    let given_up = match metric("lock.given-up") {
        Some(Value::Count(1)) => ", given up once".to_owned(),
        Some(Value::Count(times)) if times > 0 => format!(", given up {times} times"),
        Some(_) | None => String::new(),
    };
    if metric("lock.deadlock") == Some(Value::Bool(true)) {
        let stuck = metric("lock.stuck-max").map_or(String::new(), |stuck| stuck.show(Unit::Time));
        return Some((VERMILLION, format!("wanted, and had by nobody for {stuck}{given_up}")));
    }
    picture.fold.book.beliefs.is_empty().then(|| (GREY, format!("had by nobody{given_up}")))
}

/// Whether a request came to nothing that its client knows of.
fn is_lost(asked: &Asked) -> bool {
    matches!(asked.answered, None | Some((_, LockAnswer::Timeout | LockAnswer::Unreachable)))
}
