//! The connections by slot. Whoever changes one takes away what is known of it: that nothing is going on with it.

use std::ops::{Index, IndexMut};

use slab::Slab;

use super::connection::{Connection, Pipe, Sock, State};

/// All connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Conns(Slab<Connection>);

impl Conns {
    pub(super) fn insert(&mut self, conn: Connection) -> usize {
        self.0.insert(conn)
    }

    pub(super) fn remove(&mut self, slot: usize) {
        self.0.remove(slot);
    }

    pub(super) fn get(&self, sock: Sock) -> Option<&Connection> {
        self.0.get(sock.index()).filter(|conn| conn.serial == sock.serial)
    }

    pub(super) fn get_mut(&mut self, sock: Sock) -> Option<&mut Connection> {
        let conn = self.get_quickly(sock)?;
        conn.quiet = false;
        Some(conn)
    }

    /// The same for those who leave it as quiet as it is: bytes that are sent, and that arrive, are nothing special.
    #[inline(always)]
    pub(super) fn get_quickly(&mut self, sock: Sock) -> Option<&mut Connection> {
        self.0.get_mut(sock.index()).filter(|conn| conn.serial == sock.serial)
    }

    pub(super) fn iter(&self) -> slab::Iter<'_, Connection> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.0.iter_mut().map(|(_, conn)| {
            conn.quiet = false;
            conn
        })
    }
}

impl Index<usize> for Conns {
    type Output = Connection;
    fn index(&self, slot: usize) -> &Connection {
        &self.0[slot]
    }
}

impl IndexMut<usize> for Conns {
    fn index_mut(&mut self, slot: usize) -> &mut Connection {
        let conn = &mut self.0[slot];
        conn.quiet = false;
        conn
    }
}

impl Connection {
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
