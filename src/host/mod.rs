//! The rooms with sockets and real clocks: they drive a world along with real time and carry bytes in and out.
//!
//! What every host does is here, and knows no socket: a [`Session`] lets time pass, puts in what came from outside, and
//! writes that down with its times, so that the session can be repeated without any outside ([`replay`]).

pub mod order;
pub mod record;
#[cfg(all(feature = "tcp", unix))]
pub mod tcp;

pub use order::Order;
pub use record::{Entry, Header, Line};

use std::io::{self, Write};
use std::sync::Arc;

use crate::id::NodeId;
use crate::node::DiskOp;
use crate::report::Run;
use crate::run::{Live, See};
use crate::scenario::Report;
use crate::time::{Instant, Span};
use crate::world::{Injection, Outside, World};

/// A live run, and the record of what comes from outside.
pub struct Session {
    header: Header,
    live: Live,
    /// Where the record goes, and what went wrong there.
    log: Option<Box<dyn Write>>,
    broken: Option<io::Error>,
    /// When it is next made sure that the record is on its way to the disk.
    flush_at: Instant,
    /// Faults that were asked for so far.
    orders: u64,
}

/// So long may what has been recorded stay in memory, in simulated time.
const FLUSH: Span = Span::from_secs(1);

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("live", &self.live).finish_non_exhaustive()
    }
}

impl Session {
    /// A session at its beginning; the record's first line is written.
    ///
    /// # Errors
    /// What is wrong with the scenario.
    pub fn new(header: Header, log: Option<Box<dyn Write>>) -> Result<Session, Box<Report>> {
        let scenario = Arc::new(header.scenario()?);
        let mut live = Live::new(&scenario, scenario.seed);
        for (name, files) in &header.disks {
            let Some((node, _)) = (0..).zip(&scenario.nodes).find(|(_, spec)| *spec.name == **name) else { continue };
            for (file, content) in files {
                let content = Some(content.0.clone());
                live.inject(Injection::File { node: NodeId(node), name: file.as_str().into(), content });
            }
        }
        let mut session = Session { header, live, log, broken: None, flush_at: Instant::ZERO, orders: 0 };
        if session.log.is_some() {
            let header = serde_json::to_string(&session.header);
            session.write(&header.expect("plain data is JSON"));
        }
        Ok(session)
    }

    /// What the session was made from.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The world.
    #[must_use]
    pub fn world(&self) -> &World {
        self.live.world()
    }

    /// Lets time pass.
    pub fn advance(&mut self, to: Instant, see: See<'_>) -> bool {
        if self.log.is_some() && self.world().now() >= self.flush_at {
            self.flush_at = self.world().now() + FLUSH;
            self.flush();
        }
        self.live.advance(to.max(self.world().now()), see)
    }

    /// Puts in what came from outside, all at the present instant. Everything that is due by now happens before it, in
    /// the replay too: also what something else that was put in at this instant has brought about.
    /// A fault that doesn't fit the deployment changes nothing.
    pub fn put_in(&mut self, entries: Vec<Entry>, see: See<'_>) {
        if entries.is_empty() {
            return;
        }
        self.live.advance(self.world().now(), see);
        let line = Line::In { at: self.world().now(), entries };
        if self.log.is_some() {
            let text = serde_json::to_string(&line).expect("plain data is JSON");
            self.write(&text);
        }
        let Line::In { entries, .. } = line else { unreachable!("made above") };
        for entry in entries {
            if let Entry::Fault(_) = entry {
                self.orders += 1;
            }
            if let Ok(injection) = entry.injection(&self.header, self.orders) {
                self.live.inject(injection);
            }
        }
    }

    /// What has come out since the last call, in place of what the list held.
    pub fn take_out(&mut self, into: &mut Vec<Outside>) {
        self.live.outside(into);
    }

    /// What went wrong with the record, once: from there on nothing was written.
    pub fn take_broken(&mut self) -> Option<io::Error> {
        self.broken.take()
    }

    /// What is done to nodes' files from now on is kept for whoever takes it with [`Session::file_changes`].
    pub fn follow_files(&mut self) {
        self.live.follow_files();
    }

    /// What was done to a node's files since the last call, but for what came from outside.
    pub fn file_changes(&mut self, node: NodeId) -> Vec<DiskOp> {
        self.live.file_changes(node)
    }

    /// Lines of the nodes' logs are kept from now on for whoever takes them with [`Session::take_log`].
    pub fn follow_logs(&mut self) {
        self.live.follow_logs();
    }

    /// The lines of logs since the last call.
    pub fn take_log(&mut self) -> Vec<(NodeId, String)> {
        self.live.take_log()
    }

    /// The end: the settle period passes at once, and the run is judged.
    pub fn finish(mut self, see: See<'_>) -> (Run, Option<io::Error>) {
        let line = Line::End { at: self.world().now(), end: true };
        self.write(&serde_json::to_string(&line).expect("plain data is JSON"));
        self.flush();
        (self.live.finish(see), self.broken)
    }

    fn write(&mut self, line: &str) {
        if let Some(log) = &mut self.log
            && let Err(error) = log.write_all(line.as_bytes()).and_then(|()| log.write_all(b"\n"))
        {
            self.lost(error);
        }
    }

    fn flush(&mut self) {
        if let Some(Err(error)) = self.log.as_mut().map(Write::flush) {
            self.lost(error);
        }
    }

    fn lost(&mut self, error: io::Error) {
        self.log = None;
        self.broken.get_or_insert(error);
    }
}

/// Why a record can't be replayed.
#[derive(Debug)]
pub enum Unreplayable {
    /// The file can't be read.
    Io(io::Error),
    /// A line (counted from 1) isn't what a record has.
    Line(usize, String),
    /// The scenario in it is wrong for this version.
    Scenario(Box<Report>),
}

/// Repeats a recorded session: the same trace, the same digest. Without an end, because whatever served it was killed,
/// it ends with the last thing that came from outside; false then.
///
/// # Errors
/// Why it can't be replayed.
pub fn replay(mut lines: impl Iterator<Item = io::Result<String>>, see: See<'_>) -> Result<(Run, bool), Unreplayable> {
    let first = lines.next().unwrap_or_else(|| Ok(String::new())).map_err(Unreplayable::Io)?;
    let header = Header::parse(&first).map_err(|error| Unreplayable::Line(1, error))?;
    let mut session = Session::new(header, None).map_err(Unreplayable::Scenario)?;
    let mut nobody = Vec::new();
    for (number, line) in (2..).zip(lines) {
        let line = line.map_err(Unreplayable::Io)?;
        let line: Line = match serde_json::from_str(&line) {
            Ok(line) => line,
            // The last line of a session that was killed may be a part.
            Err(error) if error.is_eof() => break,
            Err(error) => return Err(Unreplayable::Line(number, error.to_string())),
        };
        let at = line.at();
        if at < session.world().now() {
            return Err(Unreplayable::Line(number, "time goes backwards".to_owned()));
        }
        session.advance(at, see);
        match line {
            Line::In { entries, .. } => session.put_in(entries, see),
            Line::End { .. } => return Ok((session.finish(see).0, true)),
        }
        session.take_out(&mut nobody);
    }
    Ok((session.finish(see).0, false))
}
