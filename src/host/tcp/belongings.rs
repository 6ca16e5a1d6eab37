//! What nodes have in the real world besides their sockets, for those who ask for it: folders with their files, their logs,
//! and a process for each that they fork.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::folders::Folder;
use super::{Options, Trouble};
use crate::host::{Entry, Session};
use crate::id::NodeId;
use crate::world::{Life, Presence};

/// Stands for a forked child: it does nothing for as long as it is let live.
const STAND_IN: [&str; 2] = ["sleep", "2147483647"];

/// A node's.
#[derive(Debug)]
struct Forks {
    node: NodeId,
    child: Option<Child>,
}

/// A server's log.
#[derive(Debug)]
struct Log {
    node: NodeId,
    file: File,
    /// What isn't written yet.
    lines: Vec<String>,
}

/// Those of all nodes.
#[derive(Debug, Default)]
pub(super) struct Belongings {
    folders: Vec<Folder>,
    logs: Vec<Log>,
    forks: Vec<Forks>,
}

impl Belongings {
    /// Opens what is asked for, and has the session tell of it.
    pub(super) fn new(options: &Options, session: &mut Session) -> Result<Belongings, Trouble> {
        let mut own = Belongings::default();
        let mut inodes = Vec::new();
        for (node, path) in &options.logs {
            let trouble = |error| Trouble::Log(PathBuf::from(path), error);
            let file = OpenOptions::new().append(true).create(true).open(path).map_err(trouble)?;
            inodes.push(file.metadata().map_err(trouble)?.ino());
            own.logs.push(Log { node: *node, file, lines: Vec::new() });
        }
        for (node, path) in &options.folders {
            let folder = Folder::new(*node, path.clone(), inodes.clone());
            own.folders.push(folder.map_err(|error| Trouble::Folder(path.clone(), error))?);
        }
        own.forks = options.forks.iter().map(|&node| Forks { node, child: None }).collect();
        if !own.folders.is_empty() {
            session.follow_files();
        }
        if !own.logs.is_empty() {
            session.follow_logs();
        }
        Ok(own)
    }

    /// Whether files are kept: then processes are to end in order.
    pub(super) fn keeps_files(&self) -> bool {
        !self.folders.is_empty()
    }

    /// What others have done to them.
    pub(super) fn look(&mut self, entries: &mut Vec<Entry>) -> io::Result<()> {
        for forks in &mut self.forks {
            if let Some(child) = &mut forks.child
                && child.try_wait()?.is_some()
            {
                forks.child = None;
                entries.push(Entry::KillChild(forks.node));
            }
        }
        self.folders.iter_mut().try_for_each(|folder| folder.look(entries))
    }

    /// What nodes have done, and what they have begun and ended.
    pub(super) fn follow(&mut self, session: &mut Session) -> io::Result<()> {
        for forks in &mut self.forks {
            match (session.world().has_child(forks.node), &mut forks.child) {
                (true, None) => {
                    let [program, argument] = STAND_IN;
                    let mut command = Command::new(program);
                    command.arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                    forks.child = Some(command.spawn()?);
                }
                (false, Some(child)) => {
                    child.kill()?;
                    child.wait()?;
                    forks.child = None;
                }
                (true, Some(_)) | (false, None) => {}
            }
        }
        if !self.logs.is_empty() {
            for (node, line) in session.take_log() {
                if let Some(log) = self.logs.iter_mut().find(|log| log.node == node) {
                    log.lines.extend([line, "\n".to_owned()]);
                }
            }
            for log in &mut self.logs {
                // Whoever reads that a server is ready can connect.
                let starts = session.world().life(log.node) == Life::Up
                    && session.world().presence(log.node) != Presence::Listens;
                if !starts && !log.lines.is_empty() {
                    log.file.write_all(std::mem::take(&mut log.lines).concat().as_bytes())?;
                }
            }
        }
        self.folders.iter_mut().try_for_each(|folder| folder.follow(session.file_changes(folder.node)))
    }
}

impl Drop for Forks {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have been killed meanwhile.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
