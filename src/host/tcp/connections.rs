//! Real connections: bytes in, bytes out, and what keeps either side from being flooded.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::control::Demand;
use super::seen;
use crate::host::Entry;
use crate::id::Addr;
use crate::node::{CloseWhy, SOCKET_ROOM};
use crate::world::DIALLED;

/// What is read at a time.
const READ: usize = 64 * 1024;
/// A party that leaves so much unread takes nothing more until half of it has gone: its simulated socket is full then as
/// its real one is, and the rest waits in the server's output buffer, whose limits hold as they should.
const HIGH: usize = 64 * 1024;

/// What the tasks of the one thread share.
pub(super) struct Shared {
    /// What has come from outside since the last round, in order.
    pub(super) entries: RefCell<Vec<Entry>>,
    /// Parties that have closed their end.
    pub(super) ends: RefCell<Vec<u32>>,
    /// Connections whose reader wants to know how much room there is.
    pub(super) low: RefCell<Vec<u32>>,
    /// Orders.
    pub(super) demands: RefCell<Vec<Demand>>,
    /// The connections.
    pub(super) table: RefCell<BTreeMap<u32, Rc<Connection>>>,
    /// Something of this has changed.
    pub(super) wake: Notify,
    /// The session is to end.
    pub(super) stop: Cell<bool>,
    next_id: Cell<u32>,
    scratch: RefCell<Vec<u8>>,
}

impl Shared {
    pub(super) fn new() -> Rc<Shared> {
        Rc::new(Shared {
            entries: RefCell::default(),
            ends: RefCell::default(),
            low: RefCell::default(),
            demands: RefCell::default(),
            table: RefCell::default(),
            wake: Notify::new(),
            stop: Cell::new(false),
            next_id: Cell::new(1),
            scratch: RefCell::new(vec![0; READ]),
        })
    }

    /// Something for the next round.
    pub(super) fn put(&self, entry: Entry) {
        self.entries.borrow_mut().push(entry);
        self.wake.notify_one();
    }

    /// A client has connected to a node.
    pub(super) fn accepted(self: &Rc<Self>, stream: TcpStream, from: std::net::SocketAddr, to: Addr) {
        let id = self.fresh_id();
        self.put(Entry::Call(id, to, seen(from)));
        self.adopt(id, stream);
    }

    /// A node connects to somebody outside.
    pub(super) fn dial(self: &Rc<Self>, id: u32, to: Addr) {
        let shared = self.clone();
        tokio::task::spawn_local(async move {
            let there = super::socket_addr(std::net::Ipv4Addr::from(to.ip.0), to.port);
            match TcpStream::connect(there).await {
                Ok(stream) => {
                    shared.put(Entry::PickUp(id));
                    shared.adopt(id, stream);
                }
                Err(_) => shared.put(Entry::TurnDown(id)),
            }
        });
    }

    fn fresh_id(&self) -> u32 {
        let table = self.table.borrow();
        let mut id = self.next_id.get();
        while table.contains_key(&id) {
            id = if id + 1 == DIALLED { 1 } else { id + 1 };
        }
        self.next_id.set(if id + 1 == DIALLED { 1 } else { id + 1 });
        id
    }

    fn adopt(self: &Rc<Self>, id: u32, stream: TcpStream) {
        // A party that doesn't get it waits a little longer for small replies: no reason to refuse it.
        let _ = stream.set_nodelay(true);
        let conn = Rc::new(Connection {
            id,
            stream: RefCell::new(stream),
            room: Cell::new(SOCKET_ROOM),
            roomy: Notify::new(),
            out: RefCell::default(),
            reader: RefCell::new(None),
        });
        let task = tokio::task::spawn_local(take_in(self.clone(), conn.clone()));
        *conn.reader.borrow_mut() = Some(task.abort_handle());
        self.table.borrow_mut().insert(id, conn);
    }

    /// Bytes for a party.
    pub(super) fn send(self: &Rc<Self>, id: u32, data: Bytes) {
        let Some(conn) = self.table.borrow().get(&id).cloned() else { return };
        let mut out = conn.out.borrow_mut();
        out.bytes += data.len();
        out.queue.push_back(data);
        if out.waiting {
            if out.bytes > HIGH && !out.held {
                out.held = true;
                self.put(Entry::Hold(id));
            }
            return;
        }
        if !conn.write_out(&mut out) {
            out.waiting = true;
            tokio::task::spawn_local(give_out(self.clone(), conn.clone()));
        }
    }

    /// A connection ended inside: what is on its way still arrives, unless it was a reset.
    pub(super) fn closed(&self, id: u32, why: CloseWhy) {
        let Some(conn) = self.table.borrow_mut().remove(&id) else { return };
        conn.stop_reading();
        match why {
            // The task that writes the rest has the connection; the last one to let go of it closes it.
            CloseWhy::Eof => {}
            CloseWhy::Reset | CloseWhy::TimedOut => {
                conn.out.borrow_mut().queue.clear();
                // Closing it is then a reset; where that can't be had it is an ordinary end.
                let _ = conn.stream.borrow().set_zero_linger();
            }
        }
    }

    /// A party has closed its end: so does the world's.
    pub(super) fn ended(&self, id: u32) -> Entry {
        self.table.borrow_mut().remove(&id);
        Entry::Close(id)
    }

    /// Everything ends.
    pub(super) fn close_all(&self) {
        for (_, conn) in std::mem::take(&mut *self.table.borrow_mut()) {
            conn.stop_reading();
        }
    }
}

/// A real connection.
pub(super) struct Connection {
    id: u32,
    /// Borrowed for single calls only.
    stream: RefCell<TcpStream>,
    /// What its simulated socket takes.
    pub(super) room: Cell<usize>,
    /// `room` is up to date.
    pub(super) roomy: Notify,
    out: RefCell<Out>,
    reader: RefCell<Option<AbortHandle>>,
}

/// What has come out of the simulation and isn't in the kernel yet.
#[derive(Default)]
struct Out {
    queue: VecDeque<Bytes>,
    bytes: usize,
    /// A task waits until the kernel takes more.
    waiting: bool,
    /// The simulation keeps the rest.
    held: bool,
}

impl Connection {
    fn stop_reading(&self) {
        if let Some(reader) = self.reader.borrow_mut().take() {
            reader.abort();
        }
    }

    /// Writes what the kernel takes. False if something is left.
    fn write_out(&self, out: &mut Out) -> bool {
        while let Some(first) = out.queue.front_mut() {
            match self.stream.borrow().try_write(first) {
                Ok(written) => {
                    out.bytes -= written;
                    first.advance(written);
                    if first.is_empty() {
                        out.queue.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => {
                    // The reader finds out what has happened to the connection.
                    out.queue.clear();
                    out.bytes = 0;
                }
            }
        }
        true
    }
}

/// Reads what a party sends, as far as its simulated socket has room.
async fn take_in(shared: Rc<Shared>, conn: Rc<Connection>) {
    loop {
        if conn.room.get() < READ {
            shared.low.borrow_mut().push(conn.id);
            shared.wake.notify_one();
            conn.roomy.notified().await;
        }
        let most = conn.room.get().clamp(1, READ);
        let read = poll_fn(|context| {
            let mut scratch = shared.scratch.borrow_mut();
            let mut buffer = ReadBuf::new(&mut scratch[..most]);
            let polled = Pin::new(&mut *conn.stream.borrow_mut()).poll_read(context, &mut buffer);
            polled.map(|result| result.map(|()| Bytes::copy_from_slice(buffer.filled())))
        });
        match read.await {
            Ok(data) if !data.is_empty() => {
                conn.room.set(conn.room.get().saturating_sub(data.len()));
                let full = data.len() == most;
                shared.put(Entry::Bytes(conn.id, data));
                if full {
                    // One read for each round, as an event loop has it.
                    tokio::task::yield_now().await;
                }
            }
            Ok(_) | Err(_) => {
                shared.ends.borrow_mut().push(conn.id);
                shared.wake.notify_one();
                return;
            }
        }
    }
}

/// Writes what the kernel did not take at once.
async fn give_out(shared: Rc<Shared>, conn: Rc<Connection>) {
    loop {
        // What has happened to a broken connection shows when it is written to.
        let _ = poll_fn(|context| conn.stream.borrow().poll_write_ready(context)).await;
        let mut out = conn.out.borrow_mut();
        let all = conn.write_out(&mut out);
        if out.held && out.bytes <= HIGH / 2 {
            out.held = false;
            shared.put(Entry::Release(conn.id));
        }
        if all {
            out.waiting = false;
            return;
        }
    }
}
