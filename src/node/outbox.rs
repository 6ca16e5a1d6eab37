//! Where a node puts its outputs and its trace notes, in order.

use std::sync::Arc;

use bytes::Bytes;

use super::{DiskError, DiskOp, DiskRequest, Output, Quick, Trouble, Troubles};
use crate::id::{Addr, EventId, Fd, NodeId};
use crate::time::Span;
use crate::trace::{Kind, Often, Tracer, Via};

/// The descriptors of one process: the smallest free number is given out next, as a kernel does.
#[derive(Clone, Debug, Default)]
pub struct FdTable {
    /// True where in use; the first [`FIRST_FD`] are the process's own.
    used: Vec<bool>,
    free_hint: usize,
}

/// Descriptors below this are taken by what a real server has open (standard streams, the listening sockets, epoll).
const FIRST_FD: usize = 8;

impl FdTable {
    /// Takes the smallest free descriptor.
    pub fn open(&mut self) -> Fd {
        if self.used.is_empty() {
            self.used.resize(FIRST_FD, true);
            self.free_hint = FIRST_FD;
        }
        let index = (self.free_hint..self.used.len()).find(|&i| !self.used[i]).unwrap_or(self.used.len());
        if index == self.used.len() {
            self.used.push(true);
        } else {
            self.used[index] = true;
        }
        self.free_hint = index + 1;
        Fd(u32::try_from(index).expect("fewer than 2^32 descriptors"))
    }

    /// Gives a descriptor back.
    ///
    /// # Panics
    /// When it is not open: a process that closes twice is broken.
    pub fn close(&mut self, fd: Fd) {
        assert!(self.is_open(fd), "{fd:?} is not open");
        self.used[fd.index()] = false;
        self.free_hint = self.free_hint.min(fd.index());
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self, fd: Fd) -> bool {
        fd.index() >= FIRST_FD && self.used.get(fd.index()).copied().unwrap_or(false)
    }
}

/// The ordered effects of one call of a node.
///
/// The world owns one, lends it to each call with the fields below set, and drains it afterwards.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    /// What the node wants done, in order.
    pub outputs: Vec<Output>,
    /// What a turn that went the short way wants done instead.
    pub quick: Quick,
    /// The trace's end: notes are numbered and stamped as they are made.
    pub tracer: Tracer,
    /// The calling node's descriptors.
    pub fds: Box<FdTable>,
    /// The calling node.
    pub node: Option<NodeId>,
    /// What is wrong with the nodes' disks.
    pub troubles: Troubles,
    /// Lines of the nodes' logs, if somebody keeps them. They say nothing that the trace would need.
    pub log: Option<Vec<(NodeId, String)>>,
    /// What the next note or message is caused by. Starts as the cause of the input; each note becomes the new cause.
    cause: EventId,
    via: Via,
    /// The node's newest note so far.
    newest: EventId,
    /// The same of the call before, if this one belongs to it.
    before: EventId,
    /// The cause of the first output.
    first: EventId,
    /// From which output on the cause was another one; in order. Notes are rarer than outputs.
    marks: Vec<(usize, EventId)>,
}

impl Outbox {
    /// Prepares for a call: whose, and what it is caused by.
    #[inline(always)]
    pub fn begin(&mut self, node: NodeId, cause: EventId, via: Via) {
        self.node = Some(node);
        self.cause = cause;
        self.via = via;
        self.newest = EventId::NONE;
        self.before = EventId::NONE;
        self.first = cause;
        self.marks.clear();
    }

    /// The call goes over into another one of the same node, caused by what this one ended with. It has made no
    /// outputs.
    #[inline]
    pub fn next_call(&mut self) {
        assert!(self.outputs.is_empty(), "outputs take effect before another call");
        if self.newest != EventId::NONE {
            self.before = self.newest;
        }
        self.newest = EventId::NONE;
        self.first = self.cause;
        self.marks.clear();
    }

    /// The newest note since [`Outbox::begin`], that of earlier calls of the turn included.
    #[inline]
    #[must_use]
    pub fn newest_of_turn(&self) -> EventId {
        if self.newest == EventId::NONE { self.before } else { self.newest }
    }

    /// What the output at `index` is caused by: the cause as it was when the output was made.
    #[inline]
    #[must_use]
    pub fn cause_of(&self, index: usize) -> EventId {
        match self.marks.iter().rposition(|&(from, _)| from <= index) {
            Some(mark) => self.marks[mark].1,
            None => self.first,
        }
    }

    #[inline(always)]
    fn set_cause(&mut self, cause: EventId) {
        self.cause = cause;
        if self.outputs.is_empty() {
            self.first = cause;
        } else {
            self.marks.push((self.outputs.len(), cause));
        }
    }

    /// What messages sent from here on are caused by.
    #[inline]
    #[must_use]
    pub fn cause(&self) -> EventId {
        self.cause
    }

    /// The newest note made since [`Outbox::begin`], or [`EventId::NONE`].
    #[inline]
    #[must_use]
    pub fn newest(&self) -> EventId {
        self.newest
    }

    /// Says that what follows is caused by an earlier event that the node remembers (when its link was lost, say).
    #[inline]
    pub fn because(&mut self, cause: EventId) {
        if cause != EventId::NONE && cause != self.cause {
            self.set_cause(cause);
        }
    }

    /// Puts an event into the trace; it becomes the cause of what follows. Returns its number, to remember as a cause.
    #[inline]
    pub fn note(&mut self, kind: Kind) -> EventId {
        let id = self.tracer.record(self.node, self.cause, self.via, kind);
        self.set_cause(id);
        self.newest = id;
        id
    }

    /// [`Outbox::note`] for the few places where notes come by the million.
    #[inline(always)]
    pub fn note_often(&mut self, event: Often) -> EventId {
        let id = self.tracer.record_often(self.node, self.cause, self.via, event);
        self.set_cause(id);
        self.newest = id;
        id
    }

    /// Accept connections on a port.
    pub fn listen(&mut self, port: u16) {
        self.outputs.push(Output::Listen { port });
    }

    /// Open a connection; the answer is `Connected` or `Refused` for the descriptor returned.
    pub fn connect(&mut self, to: Addr) -> Fd {
        let fd = self.fds.open();
        self.outputs.push(Output::Connect { fd, to });
        fd
    }

    /// Give bytes to a socket; an empty slice is nothing.
    #[inline]
    pub fn send(&mut self, fd: Fd, data: Bytes) {
        if !data.is_empty() {
            self.outputs.push(Output::Send { fd, data });
        }
    }

    /// Ask for `Writable`.
    pub fn await_writable(&mut self, fd: Fd) {
        self.outputs.push(Output::AwaitWritable { fd });
    }

    /// Close a descriptor. It may be reused by the very next [`Outbox::connect`].
    pub fn close(&mut self, fd: Fd) {
        self.fds.close(fd);
        self.outputs.push(Output::Close { fd });
    }

    /// What is wrong with the calling node's disk.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        self.node.map_or(Trouble::default(), |node| self.troubles.of(node))
    }

    /// A disk operation that the main thread waits for. Whether it succeeds is known at once, as with a system call.
    ///
    /// # Errors
    /// Why it fails; then nothing is done.
    pub fn disk_wait(&mut self, op: DiskOp) -> Result<(), DiskError> {
        if let Some(node) = self.node.filter(|_| !self.troubles.is_empty()) {
            self.troubles.refuse(node, &op)?;
            self.take_room(op.grows());
        }
        self.outputs.push(Output::Disk(DiskRequest { op, done: None }));
        Ok(())
    }

    /// Adds as much to the end of a file as the disk has room for: how many bytes that were.
    ///
    /// # Errors
    /// When it is not even one.
    pub fn disk_append(&mut self, file: Arc<str>, mut data: Bytes) -> Result<usize, DiskError> {
        if let Some(room) = self.trouble().room.and_then(|room| usize::try_from(room).ok()).filter(|&room| room > 0) {
            data.truncate(room);
        }
        let count = data.len();
        self.disk_wait(DiskOp::Append { file, data })?;
        Ok(count)
    }

    /// Writes a file beside another, syncs it and gives it that one's name.
    ///
    /// # Errors
    /// Why the first step that failed did.
    pub fn disk_replace(&mut self, temporary: &Arc<str>, data: Bytes, file: Arc<str>) -> Result<(), DiskError> {
        let written = self.disk_wait(DiskOp::Write { file: temporary.clone(), data });
        let synced = written.and_then(|()| self.disk_wait(DiskOp::Fsync { file: temporary.clone() }));
        let renamed = synced.and_then(|()| self.disk_wait(DiskOp::Rename { from: temporary.clone(), to: file }));
        if renamed == Err(DiskError::Folder) {
            let _ = self.disk_wait(DiskOp::Remove { file: temporary.clone() });
        }
        renamed.and_then(|()| self.disk_wait(DiskOp::fsync_directory()))
    }

    fn take_room(&mut self, bytes: u64) {
        if let Some(node) = self.node {
            self.troubles.take_room(node, bytes);
        }
    }

    /// A process of the node's own makes a file that it is going to fill, or removes what it had of it. That always succeeds.
    pub fn disk_aside(&mut self, op: DiskOp) {
        self.outputs.push(Output::Disk(DiskRequest { op, done: None }));
    }

    /// A disk operation in the background; `DiskDone` comes with this number.
    pub fn disk(&mut self, op: DiskOp, done: u64) {
        self.outputs.push(Output::Disk(DiskRequest { op, done: Some(done) }));
    }

    /// Read all files of the working directory as they are once what was asked for before is done.
    pub fn read_disk(&mut self) {
        self.outputs.push(Output::ReadDisk);
    }

    /// The main thread is occupied.
    pub fn busy(&mut self, span: Span) {
        if span == Span::ZERO {
            return;
        }
        if let Some(Output::Busy(total)) = self.outputs.last_mut() {
            *total += span;
        } else {
            self.outputs.push(Output::Busy(span));
        }
    }

    /// Start a background job.
    pub fn job(&mut self, job: u64, takes: Span) {
        self.outputs.push(Output::Job { job, takes });
    }

    /// Kill a background job.
    pub fn kill_job(&mut self, job: u64) {
        self.outputs.push(Output::KillJob { job });
    }

    /// Exit the process.
    pub fn exit(&mut self, code: u8) {
        self.outputs.push(Output::Exit { code });
    }

    /// Execute the process's own program anew, after so long.
    pub fn restart(&mut self, after: Span) {
        self.outputs.push(Output::Restart { after });
    }
}
