//! The boundary that every process of the world implements: typed inputs in, an ordered list of outputs out.
//!
//! A node owns no socket, clock, thread, file or global. It is a plain value that can be cloned at any instant.

mod near;
mod outbox;
mod quick;
mod trouble;

pub use near::bring_near;
pub use outbox::{FdTable, Outbox};
pub use quick::{Preview, Quick, Short};
pub use trouble::{DiskError, Trouble, Troubles};

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

pub use crate::trace::event::{CloseWhy, RefusedWhy};

use crate::id::{Addr, Fd};
use crate::time::{Instant, Now, Span};

/// A process: redis-server, redis-sentinel, or an application.
///
/// The rules of the contract:
/// - `now.mono` never decreases from call to call; `now.unix` may jump either way.
/// - Calls run to completion. Outputs take effect in their order; what follows a [`Output::Busy`] takes effect after it.
/// - One turn of the event loop is: any number of [`Input`]s that have arrived, [`Input::Wake`] if a timer is due, then
///   [`Input::LoopEnd`] (Redis's `beforeSleep`), where replies leave.
/// - A wake before [`Node::wake_at`] is harmless: the node does what is due, perhaps nothing. The world sends one after
///   anything that moves a clock (a pause that ends, a step of the wall clock).
/// - After [`Output::Exit`] and [`Output::Restart`] no call follows; a restart makes a new node from the same specification and a disk image.
pub trait Node: Send + fmt::Debug {
    /// The process starts: `main()` up to its first turn of the event loop.
    fn start(&mut self, now: Now, disk: &DiskImage, out: &mut Outbox);

    /// Takes one input.
    fn handle(&mut self, now: Now, input: Input, out: &mut Outbox);

    /// A turn of the event loop in which nothing but these bytes has arrived and no timer is due: the same as
    /// [`Node::handle`] for the bytes and then for [`Input::LoopEnd`]. True if the turn came to its end; false if the
    /// bytes had effects that come before it, so that the end of the turn is still to be called.
    fn turn(&mut self, now: Now, fd: crate::id::Fd, data: Bytes, out: &mut Outbox) -> bool {
        self.handle(now, Input::Bytes { fd, data }, out);
        if !out.outputs.is_empty() {
            return false;
        }
        out.next_call();
        self.handle(now, Input::LoopEnd, out);
        true
    }

    /// The same for few bytes, if the node knows a short way for them: one without outputs, whose effects are notes and
    /// what it puts into [`Outbox::quick`]. False if it doesn't; then nothing has happened, and the long way follows.
    /// `preview`: what [`Node::look_ahead`] has made of these very bytes, if it was asked.
    fn quick_turn(
        &mut self,
        _now: Now,
        _fd: crate::id::Fd,
        _data: &[u8],
        _preview: Option<&Preview>,
        _out: &mut Outbox,
    ) -> bool {
        false
    }

    /// Few bytes are likely to be the next that reach the node: time to have near what it will need for them, while
    /// others have their turns. Changes nothing. What it has read of them already is for [`Node::quick_turn`].
    fn look_ahead(&self, _data: &[u8]) -> Option<Preview> {
        None
    }

    /// The process does not run from this instant to the next call: it is stopped, or its main thread is blocked for
    /// long. Its timers in between come late. It doesn't learn anything by this that a real one could not tell
    /// afterwards; a node that plans ahead must know which of its plans came to nothing, others ignore it. `until`: when
    /// it goes on, if that is known because it waits for its own work.
    fn stalled(&mut self, _since: Instant, _until: Option<Instant>) {}

    /// The main thread waits this long for a disk operation, from this instant on.
    fn waits_for_disk(&mut self, _op: &DiskOp, _takes: Span) {}

    /// It is at something long, and answers others meanwhile: that it is.
    fn is_at_length(&self) -> bool {
        false
    }

    /// When, by its own monotonic clock, the node has work though nothing arrives. `None`: never.
    fn wake_at(&self) -> Option<Instant>;

    /// Puts what a checker needs to know at the end of a run into the trace. Changes nothing else.
    fn probe(&self, now: Now, out: &mut Outbox);

    /// A deep copy, for forking a world.
    fn box_clone(&self) -> Box<dyn Node>;
}

impl Clone for Box<dyn Node> {
    fn clone(&self) -> Self {
        self.box_clone()
    }
}

/// What every process is born with, whatever it is.
#[derive(Clone, Debug)]
pub struct Init {
    /// Which node of the world it is.
    pub node: crate::id::NodeId,
    /// The scenario's name for it.
    pub name: Arc<str>,
    /// The address of its machine, and its port (0 for clients).
    pub addr: Addr,
    /// Its own seed: differs for each node and each incarnation. Streams are `seed.stream(name, purpose)`.
    pub seed: crate::rng::Seed,
    /// How many times it has been started, this time included.
    pub incarnation: u32,
    /// Names that resolve to addresses: its `/etc/hosts`.
    pub hosts: Arc<std::collections::BTreeMap<Arc<str>, crate::id::Ip>>,
    /// What its work costs on the CPU relative to the table, in thousandths; 0: nothing costs anything.
    pub cpu_milli: u32,
}

/// What can reach a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A connection to a port that the node listens on was accepted.
    Accepted {
        /// The new descriptor.
        fd: Fd,
        /// The peer's address and ephemeral port.
        from: Addr,
        /// The own address that it came in on.
        local: Addr,
    },
    /// An attempt made with [`Outbox::connect`] succeeded.
    Connected {
        /// The descriptor that `connect` returned.
        fd: Fd,
        /// The own address and ephemeral port.
        local: Addr,
    },
    /// An attempt failed; the descriptor is already closed.
    Refused {
        /// The descriptor that `connect` returned.
        fd: Fd,
        /// Why.
        why: RefusedWhy,
    },
    /// Bytes arrived, in order, never empty. Their boundaries mean nothing.
    Bytes {
        /// Where.
        fd: Fd,
        /// What.
        data: Bytes,
    },
    /// The peer's end is gone; the descriptor is already closed.
    Closed {
        /// Which.
        fd: Fd,
        /// How.
        why: CloseWhy,
    },
    /// The socket takes bytes again, after [`Outbox::await_writable`].
    Writable {
        /// Which.
        fd: Fd,
        /// How many it takes now.
        room: usize,
    },
    /// A timer may be due.
    Wake,
    /// A disk operation that was not waited for is done.
    DiskDone {
        /// The number given with it.
        op: u64,
        /// Whether it succeeded.
        ok: bool,
    },
    /// A background job is done.
    JobDone {
        /// The number given with it.
        job: u64,
    },
    /// The files of the working directory, after [`Outbox::read_disk`].
    Files(DiskImage),
    /// A signal (only SIGTERM and SIGINT reach a process; the others are the world's business).
    Signal(Signal),
    /// End of a turn of the event loop: everything that had arrived has been handled. Redis's `beforeSleep`.
    LoopEnd,
}

/// Signals that a process handles itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `kill`
    Term,
    /// Ctrl-C
    Int,
    /// SIGCHLD: somebody has killed its child process. Sent only to those that have one.
    ChildKilled,
}

/// What a node wants done, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Accept connections on this port of the own machine.
    Listen {
        /// The port.
        port: u16,
    },
    /// Open a connection. Made by [`Outbox::connect`].
    Connect {
        /// Its descriptor.
        fd: Fd,
        /// Where to.
        to: Addr,
    },
    /// Give bytes to the socket. A node keeps within the room it knows of ([`SOCKET_ROOM`] at first, then what
    /// [`Input::Writable`] says); what it doesn't send stays in its own output buffer, as with a real socket.
    Send {
        /// Where.
        fd: Fd,
        /// What; never empty.
        data: Bytes,
    },
    /// Ask for [`Input::Writable`] once the socket takes a useful amount again (at once, if it does now).
    AwaitWritable {
        /// Which.
        fd: Fd,
    },
    /// Close the descriptor. Bytes already given to the socket are still delivered; unread input makes it a reset.
    Close {
        /// Which.
        fd: Fd,
    },
    /// Do something on the disk.
    Disk(DiskRequest),
    /// Read all files: the answer is [`Input::Files`].
    ReadDisk,
    /// The main thread is occupied for this long (a slow command, a fork, DEBUG SLEEP).
    Busy(Span),
    /// A child process or thread works beside the main thread; [`Input::JobDone`] comes after `takes`.
    Job {
        /// Its number, given back when it is done.
        job: u64,
        /// How long.
        takes: Span,
    },
    /// Kill a running job; it will not report.
    KillJob {
        /// Its number.
        job: u64,
    },
    /// The process exits with this status. Its sockets are closed by the kernel.
    Exit {
        /// The status.
        code: u8,
    },
    /// The process closes its sockets and executes its own program anew, as it was started, after so long.
    Restart {
        /// How long it sleeps before.
        after: Span,
    },
}

/// What a socket takes before it must be asked: the default send buffer ceiling of Linux (`tcp_wmem`).
pub const SOCKET_ROOM: usize = 4 * 1024 * 1024;

/// A disk operation and whether the main thread waits for it.
#[derive(Clone, Debug, PartialEq)]
pub struct DiskRequest {
    /// What to do.
    pub op: DiskOp,
    /// `None`: the main thread blocks until it is done, which may take the disk a while.
    /// `Some(n)`: [`Input::DiskDone`] with this number comes when it is done.
    pub done: Option<u64>,
}

/// Operations on files of the node's working directory. A power-off keeps only what was synced before it.
#[derive(Clone, Debug, PartialEq)]
pub enum DiskOp {
    /// Create or replace the whole content (open with O_TRUNC and write).
    Write {
        /// The file.
        file: Arc<str>,
        /// Its new content.
        data: Bytes,
    },
    /// Create a file with nothing in it. A child process does it: nobody waits.
    Create {
        /// The file.
        file: Arc<str>,
    },
    /// Add to the end.
    Append {
        /// The file.
        file: Arc<str>,
        /// What to add.
        data: Bytes,
    },
    /// Make durable what was written so far.
    Fsync {
        /// The file; `.` is the directory.
        file: Arc<str>,
    },
    /// Rename atomically over whatever has the new name.
    Rename {
        /// The old name.
        from: Arc<str>,
        /// The new name.
        to: Arc<str>,
    },
    /// Remove; no error if it doesn't exist.
    Remove {
        /// The file.
        file: Arc<str>,
    },
    /// Cut to a length.
    Truncate {
        /// The file.
        file: Arc<str>,
        /// Its new length.
        len: u64,
    },
}

impl DiskOp {
    /// Makes it durable which files there are (`fsyncFileDir`).
    #[must_use]
    pub fn fsync_directory() -> DiskOp {
        DiskOp::Fsync { file: ".".into() }
    }
}

/// The files a process finds when it starts.
pub type DiskImage = std::collections::BTreeMap<Arc<str>, Bytes>;
