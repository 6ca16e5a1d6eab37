//! Listening sockets: there while the simulated process listens, gone while it doesn't.

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::task::AbortHandle;

use super::connections::Shared;
use super::{Place, Trouble, socket_addr};
use crate::id::Addr;
use crate::world::Presence;

/// As many connections as Linux lets wait to be accepted (`somaxconn`).
const BACKLOG: u32 = 4_096;
/// Between attempts to accept where the process has no descriptor left.
const BREATH: Duration = Duration::from_millis(20);

/// One node's.
pub(super) struct Listener {
    place: Place,
    bind: Ipv4Addr,
    socket: Option<Rc<TcpListener>>,
    accepting: Option<AbortHandle>,
    /// It could not be opened again, and that has been said.
    lost: bool,
}

impl Listener {
    /// Takes the port; nothing is accepted yet.
    pub(super) fn new(place: Place, bind: Ipv4Addr) -> Result<Listener, Trouble> {
        let mut listener = Listener { place, bind, socket: None, accepting: None, lost: false };
        listener.open()?;
        Ok(listener)
    }

    fn open(&mut self) -> Result<(), Trouble> {
        let addr = socket_addr(self.bind, self.place.addr.port);
        let opened = TcpSocket::new_v4().and_then(|socket| {
            socket.set_reuseaddr(true)?;
            socket.bind(addr.into())?;
            socket.listen(BACKLOG)
        });
        let opened = opened.map_err(|error| Trouble::Port(self.place.name.clone(), addr, error))?;
        self.socket = Some(Rc::new(opened));
        Ok(())
    }

    /// Follows what a connection attempt would meet in the simulation. Where the machine has no power a real kernel still
    /// answers, and nothing else does. An error that stays is given once.
    pub(super) fn follow(&mut self, presence: Presence, shared: &Rc<Shared>) -> Result<(), Option<Trouble>> {
        match presence {
            Presence::Listens => {
                if self.socket.is_none()
                    && let Err(trouble) = self.open()
                {
                    let news = !std::mem::replace(&mut self.lost, true);
                    return Err(news.then_some(trouble));
                }
                self.lost = false;
                if let (None, Some(socket)) = (&self.accepting, &self.socket) {
                    let task = tokio::task::spawn_local(accept(socket.clone(), shared.clone(), self.place.addr));
                    self.accepting = Some(task.abort_handle());
                }
            }
            Presence::Refuses => {
                self.stop_accepting();
                self.socket = None;
            }
            Presence::Silent => self.stop_accepting(),
        }
        Ok(())
    }

    fn stop_accepting(&mut self) {
        if let Some(task) = self.accepting.take() {
            task.abort();
        }
    }
}

async fn accept(socket: Rc<TcpListener>, shared: Rc<Shared>, to: Addr) {
    loop {
        match socket.accept().await {
            Ok((stream, from)) => shared.accepted(stream, from, to),
            Err(_) => tokio::time::sleep(BREATH).await,
        }
    }
}
