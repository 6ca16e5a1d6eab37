//! `splitbrain serve`: a scenario's deployment on real sockets, until Ctrl-C.

mod hints;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use super::args::ServeArgs;
use super::run::{say, write_report};
use super::{Failure, Outcome, Status, ctl, load, running, shell, terminal};
use crate::host::tcp::{self, Heard, Options, Place};
use crate::host::{Header, Session};
use crate::id::{Ip, NodeId};
use crate::report::summary;
use crate::scenario::{Layout, Scenario};
use crate::time::{Span, Unix};
use crate::trace::event::{ServerEvent, WorldEvent};
use crate::trace::{Event, Kind, text};

/// So many events are kept for the report.
const KEPT: usize = 2_000_000;

pub(super) fn serve(args: &ServeArgs) -> Outcome {
    let (header, began) = header(args)?;
    let log = args.record.as_deref().map(create).transpose()?;
    let log = log.map(|file| Box::new(std::io::BufWriter::new(file)) as Box<dyn std::io::Write>);
    let session = Session::new(header, log).map_err(|report| {
        load::show(&report);
        Failure::Said
    })?;
    let scenario = session.world().scenario().clone();
    warn(args, &scenario);
    let folder =
        (!args.no_report).then(|| args.out.clone().unwrap_or_else(|| Path::new("reports").join(&*scenario.name)));
    if let Some(folder) = &folder {
        std::fs::create_dir_all(folder).map_err(|error| super::run::unwritable(folder, &error))?;
    }
    running(Some(format!("{} with seed {}, served", args.file.display(), scenario.seed.0)));
    let ended = listen(args, session, began, &scenario, folder.as_deref());
    running(None);
    ended
}

fn listen(args: &ServeArgs, session: Session, began: Instant, scenario: &Scenario, folder: Option<&Path>) -> Outcome {
    let control =
        (!args.no_control).then(|| args.socket.clone().unwrap_or_else(|| ctl::default_socket(args.base_port)));
    let options = Options {
        bind: args.bind,
        speed_milli: args.speed,
        began,
        control: control.clone(),
        stop_after: args.stop_after.map(|span| Duration::from_nanos(span.ns())),
        folders: folders(args, scenario),
        logs: logs(args, scenario),
        forks: if args.forks { servers(scenario).map(|place| place.node).collect() } else { Vec::new() },
        until_down: args.until_down,
    };
    let mut audience =
        Audience { args, scenario, control, keep: folder.is_some(), events: Vec::new(), last: None, lost: None };
    let session = tcp::serve(session, &options, &mut |heard| audience.hear(heard))
        .map_err(|trouble| Failure::Message(trouble.to_string()))?;
    let last = audience.last.take();
    let wall = Span::from_ns(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
    if let Some(error) = audience.lost.take() {
        return Err(error);
    }
    let (mut run, broken) = session.finish(&mut |event| audience.keep(event));
    run.wall = wall;
    if let (Some(error), Some(path)) = (broken, &args.record) {
        return Err(unwritable(path, &error));
    }
    let command = command(args, run.seed.0);
    if let Some(folder) = folder {
        write_report(&command, folder, &run, &audience.events)?;
    }
    say((args.json, args.quiet), &command, &run, folder)?;
    let failed = summary::failed(&run) || last.is_some_and(|how| args.until_down && &*how != "exit 0");
    Ok(if failed { Status::Failed } else { Status::Held })
}

/// Servers, and where they are.
fn servers(scenario: &Scenario) -> impl Iterator<Item = Place> {
    tcp::places(scenario).into_iter().filter(|place| !place.sentinel)
}

/// Where servers' logs are written to.
fn logs(args: &ServeArgs, scenario: &Scenario) -> Vec<(NodeId, PathBuf)> {
    let Some(folder) = &args.logs else { return Vec::new() };
    servers(scenario).map(|place| (place.node, folder.join(format!("{}.log", place.name)))).collect()
}

/// Where nodes' files are kept.
fn folders(args: &ServeArgs, scenario: &Scenario) -> Vec<(NodeId, PathBuf)> {
    let Some(data) = &args.data else { return Vec::new() };
    tcp::places(scenario).into_iter().map(|place| (place.node, data.join(place.name))).collect()
}

/// What is served, from the arguments, and the instant that its time begins with.
fn header(args: &ServeArgs) -> Result<(Header, Instant), Failure> {
    let mut sets = args.set.set.clone();
    sets.extend(args.seed.map(|seed| format!("seed={seed}")));
    let loaded = load::scenario(&args.file, &sets, args.quiet)?;
    let announced = args.announce.unwrap_or(if args.bind.is_unspecified() { Ipv4Addr::LOCALHOST } else { args.bind });
    let ip = Ip(u32::from(announced));
    let process_id = Some(std::process::id());
    let layout = Layout { ip, base_port: args.base_port, clients: args.with_clients, process_id };
    let (unix, began) = now();
    let mut header = Header::new(loaded.print(), layout, unix).with_files_of(&loaded.scenario);
    for (node, folder) in folders(args, &loaded.scenario) {
        let files = tcp::folders::read(&folder);
        let files = files.map_err(|error| Failure::Message(format!("can't read {}: {error}", folder.display())))?;
        header = header.with_disk(&loaded.scenario.nodes[node.index()].name, &files);
    }
    Ok((header, began))
}

/// The present, on both clocks: whatever it takes to get ready, the machines' clocks aren't slow for it.
#[allow(clippy::disallowed_methods, reason = "served machines show the real time; it is part of the record")]
fn now() -> (Unix, Instant) {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    (Unix(since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))), Instant::now())
}

/// What whoever serves this should know.
fn warn(args: &ServeArgs, scenario: &Scenario) {
    if args.quiet {
        return;
    }
    if !args.bind.is_loopback() {
        let who = if args.bind.is_unspecified() {
            "every network of this machine".to_owned()
        } else {
            format!("{}", args.bind)
        };
        terminal::complain(&format!("warning: whoever reaches {who} can use what is served there\n"));
    }
    if !args.with_clients && scenario.nodes.iter().any(|node| node.addr.port == 0) {
        terminal::complain(
            "note: the scenario's own clients stand still, and what it expects doesn't count (--with-clients)\n",
        );
    }
}

fn create(path: &Path) -> Result<std::fs::File, Failure> {
    std::fs::File::create(path).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Message(format!("can't write the record to {}: {error}", path.display()))
}

/// The command that serves it again.
fn command(args: &ServeArgs, seed: u64) -> String {
    let mut words = vec!["splitbrain".to_owned()];
    if let Some(record) = &args.record {
        words.extend(["run", "--replay"].map(str::to_owned));
        words.push(record.display().to_string());
        return shell::line(&words);
    }
    words.extend(["serve".to_owned(), args.file.display().to_string()]);
    words.extend(shell::sets(&args.set.set));
    words.extend(["--seed".to_owned(), seed.to_string()]);
    shell::line(&words)
}

/// Who hears what happens: the terminal and the report.
struct Audience<'a> {
    args: &'a ServeArgs,
    scenario: &'a Scenario,
    control: Option<PathBuf>,
    keep: bool,
    events: Vec<Event>,
    /// How a process last ended.
    last: Option<Arc<str>>,
    /// The terminal's reader has gone, or it is broken.
    lost: Option<Failure>,
}

impl Audience<'_> {
    fn hear(&mut self, heard: Heard<'_>) {
        match heard {
            Heard::Listening(places) => self.listening(places),
            Heard::Complaint(text) => terminal::complain(&format!("warning: {text}\n")),
            Heard::Event(event) => {
                self.keep(event);
                if let Kind::World(WorldEvent::Died { how }) = &event.kind {
                    self.last = Some(how.clone());
                }
                if !self.args.quiet && !self.args.json && noteworthy(event) {
                    let node = event.node.and_then(|node| self.scenario.nodes.get(node.index()));
                    let name = node.map_or("--", |node| &node.name);
                    terminal::complain(&format!("{}\n", text::line(event, name)));
                }
            }
        }
    }

    fn listening(&mut self, places: &[Place]) {
        let said = if self.args.json {
            let node = |place: &Place| {
                let kind = if place.sentinel { "sentinel" } else { "server" };
                json!({ "name": place.name, "kind": kind, "host": place.addr.ip, "port": place.addr.port })
            };
            let object = json!({
                "serving": self.scenario.name,
                "seed": self.scenario.seed,
                "masters": hints::masters(self.scenario),
                "nodes": places.iter().map(node).collect::<Vec<_>>(),
                "control": self.control,
            });
            terminal::print(&format!("{object}\n"))
        } else if self.args.quiet {
            Ok(())
        } else {
            terminal::print(&hints::table(self.scenario, places, self.control.as_deref()))
        };
        if let Err(Failure::Message(text)) = said {
            self.lost = Some(Failure::Message(text));
        }
    }

    fn keep(&mut self, event: &Event) {
        if !self.keep || self.events.len() > KEPT {
            return;
        }
        self.events.push(event.clone());
        if self.events.len() > KEPT {
            terminal::complain(&format!("warning: the report shows the first {KEPT} events\n"));
        }
    }
}

/// What is worth a line on the terminal while it happens.
fn noteworthy(event: &Event) -> bool {
    #[allow(clippy::wildcard_enum_match_arm, reason = "all others are in the report only")]
    match &event.kind {
        Kind::World(world) => !matches!(world, WorldEvent::Declared { .. } | WorldEvent::ExecReply { .. }),
        Kind::Server(
            ServerEvent::BecameMaster { .. } | ServerEvent::BecameReplica { .. } | ServerEvent::Fatal { .. },
        ) => true,
        Kind::Sentinel(sentinel) => {
            const SHOWN: [&str; 9] = [
                "+sdown",
                "-sdown",
                "+odown",
                "-odown",
                "+try-failover",
                "+elected-leader",
                "+selected-slave",
                "+switch-master",
                "+failover-end",
            ];
            let text = sentinel.to_string();
            SHOWN.iter().any(|name| text.starts_with(name))
        }
        _ => false,
    }
}
