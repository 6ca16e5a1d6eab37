//! The connections by slot. Whoever changes one takes away what is known of it: that nothing is going on with it.

use std::ops::{Index, IndexMut};

use super::connection::{Connection, Pipe, Sock, State};

/// All connections. Each lies on cache lines of its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Conns {
    /// No `Option`: which value says that there is none would lie on a line of its own.
    slots: Vec<Connection>,
    /// Slots of those that are gone; the one that was used last is the next to be used.
    free: Vec<usize>,
}

impl Conns {
    /// Its slot.
    pub(super) fn insert(&mut self, conn: Connection) -> usize {
        if let Some(slot) = self.free.pop() {
            self.slots[slot] = conn;
            return slot;
        }
        self.slots.push(conn);
        self.slots.len() - 1
    }

    pub(super) fn remove(&mut self, slot: usize) {
        let conn = &mut self.slots[slot];
        assert!(conn.live, "a connection is removed once");
        (conn.live, conn.pipes) = (false, <[Pipe; 2]>::default());
        self.free.push(slot);
    }

    #[inline(always)]
    fn at(&mut self, slot: usize) -> Option<&mut Connection> {
        self.slots.get_mut(slot).filter(|conn| conn.live)
    }

    pub(super) fn get(&self, sock: Sock) -> Option<&Connection> {
        self.slots.get(sock.index()).filter(|conn| conn.live && conn.serial == sock.serial)
    }

    pub(super) fn get_mut(&mut self, sock: Sock) -> Option<&mut Connection> {
        let conn = self.get_quickly(sock)?;
        conn.quiet = false;
        Some(conn)
    }

    /// The same for those who leave it as quiet as it is: bytes that are sent, and that arrive, are nothing special.
    #[inline(always)]
    pub(super) fn get_quickly(&mut self, sock: Sock) -> Option<&mut Connection> {
        self.at(sock.index()).filter(|conn| conn.serial == sock.serial)
    }

    /// The connection of a pipe, and the end that sends over it, whose side is known.
    #[inline(always)]
    pub(super) fn by_pipe(&mut self, pipe: u32, side: u8) -> Option<(Sock, &mut Connection)> {
        let slot = pipe >> 1;
        let conn = self.at(slot as usize)?;
        Some((Sock { slot, serial: conn.serial, side }, conn))
    }

    /// The slot of the connection of a pipe, whatever is there.
    #[inline(always)]
    pub(super) fn look_ahead(&self, pipe: u32) -> Option<&Connection> {
        self.slots.get((pipe >> 1) as usize)
    }

    /// All of them with their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Connection)> {
        self.slots.iter().enumerate().filter(|(_, conn)| conn.live)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.slots.iter_mut().filter(|conn| conn.live).map(Connection::disturbed)
    }
}

impl Index<usize> for Conns {
    type Output = Connection;
    fn index(&self, slot: usize) -> &Connection {
        let conn = &self.slots[slot];
        assert!(conn.live, "slots are known as long as their connections live");
        conn
    }
}

impl IndexMut<usize> for Conns {
    fn index_mut(&mut self, slot: usize) -> &mut Connection {
        let conn = self.at(slot).expect("slots are known as long as their connections live");
        conn.quiet = false;
        conn
    }
}

impl Connection {
    /// Nobody knows any more that nothing is going on with it.
    fn disturbed(&mut self) -> &mut Connection {
        self.quiet = false;
        self
    }

    /// Looks whether nothing is going on: it works both ways, and nobody waits for anything but what is on its way.
    #[cold]
    pub(super) fn look(&mut self) -> bool {
        let silent = |pipe: &Pipe| {
            let waits = pipe.stalled || pipe.shut || pipe.held_up || pipe.wants_room || pipe.ended || pipe.pump_queued;
            !waits && pipe.holes == 0 && pipe.unread == 0 && pipe.unsent.is_empty()
        };
        self.quiet = self.ends.iter().all(|end| end.state == State::Open)
            && self.ways.iter().all(|way| way.clear)
            && self.pipes.iter().all(silent);
        self.quiet
    }
}
