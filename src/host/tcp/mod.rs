//! Deployments on real sockets: listeners for every server and sentinel, real or scaled time, a control socket.
//!
//! One thread does everything. A round of its loop is what an event loop's turn is: time passes to the present, what
//! clients have sent goes in, what is due at once happens, what comes out is written. Between rounds the thread sleeps
//! until something arrives or the world has something to do.

mod belongings;
mod clock;
mod connections;
mod control;
mod driver;
pub mod folders;
mod listeners;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::UnixListener;

use super::Session;
use crate::id::{Addr, Ip, NodeId};
use crate::scenario::{NodeKind, Scenario};
use crate::trace::Event;
use driver::Driver;

/// How a deployment is served.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen on.
    pub bind: Ipv4Addr,
    /// Simulated time that passes in a second of real time, in thousandths.
    pub speed_milli: u64,
    /// The real instant at which simulated time begins.
    pub began: std::time::Instant,
    /// Where orders are taken, if anywhere.
    pub control: Option<PathBuf>,
    /// Ends by itself after so much real time.
    pub stop_after: Option<Duration>,
    /// Nodes whose files are kept in folders, and where.
    pub folders: Vec<(NodeId, PathBuf)>,
    /// Nodes whose logs are written to files, and where.
    pub logs: Vec<(NodeId, PathBuf)>,
    /// Nodes whose child processes have real ones that stand for them.
    pub forks: Vec<NodeId>,
    /// Ends by itself once no process is left.
    pub until_down: bool,
}

/// A node and where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Whether it is a sentinel.
    pub sentinel: bool,
    /// Where, as it announces it.
    pub addr: Addr,
}

/// What a served deployment tells whoever started it.
#[derive(Debug)]
pub enum Heard<'a> {
    /// Everything listens.
    Listening(&'a [Place]),
    /// An event of the trace.
    Event(&'a Event),
    /// Something isn't as it should be; it goes on.
    Complaint(String),
}

/// Takes it.
pub type Hear<'a> = &'a mut dyn FnMut(Heard<'_>);

/// Why a deployment can't be served.
#[derive(Debug)]
pub enum Trouble {
    /// A port can't be had.
    Port(String, SocketAddrV4, io::Error),
    /// The control socket can't be had.
    Control(PathBuf, io::Error),
    /// A node's folder can't be read.
    Folder(PathBuf, io::Error),
    /// A node's log can't be written.
    Log(PathBuf, io::Error),
    /// The machinery can't be set up.
    Runtime(io::Error),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Port(name, addr, error) if error.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "{name} can't listen on {addr}: the port is in use (choose others with --base-port)")
            }
            Trouble::Port(name, addr, error) => write!(f, "{name} can't listen on {addr}: {error}"),
            Trouble::Control(path, error) if error.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "another deployment is controlled through {} (choose another with --socket)", path.display())
            }
            Trouble::Control(path, error) => write!(f, "can't take orders at {}: {error}", path.display()),
            Trouble::Log(path, error) => write!(f, "can't write {}: {error}", path.display()),
            Trouble::Folder(path, error) => write!(f, "can't read {}: {error}", path.display()),
            Trouble::Runtime(error) => write!(f, "can't wait for sockets: {error}"),
        }
    }
}

impl std::error::Error for Trouble {}

/// The servers and sentinels of a served scenario, in the order of their ports.
#[must_use]
pub fn places(scenario: &Scenario) -> Vec<Place> {
    let mut places = Vec::new();
    for (index, spec) in (0..).zip(&scenario.nodes) {
        let sentinel = match spec.kind {
            NodeKind::Server(_) => false,
            NodeKind::Sentinel(_) => true,
            NodeKind::Client(_) | NodeKind::Locker(_) | NodeKind::Resource(_) => continue,
        };
        places.push(Place { node: NodeId(index), name: spec.name.to_string(), sentinel, addr: spec.addr });
    }
    places
}

/// Serves until SIGINT or SIGTERM, an order, or the end of the time given; the session comes back at its last instant.
///
/// # Errors
/// A port or the control socket that can't be had. Nothing has been served then.
pub fn serve(session: Session, options: &Options, hear: Hear<'_>) -> Result<Session, Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Trouble::Runtime)?;
    let local = tokio::task::LocalSet::new();
    let served = local.block_on(&runtime, async {
        let driver = Driver::new(session, options, hear)?;
        let control = options.control.as_deref().map(control_socket).transpose()?;
        Ok(driver.run(control).await)
    });
    if let (Ok(_), Some(path)) = (&served, &options.control) {
        // Its file would outlive it.
        let _ = std::fs::remove_file(path);
    }
    served
}

/// A socket that only its owner may use. One that was left behind by a process that has gone is replaced.
fn control_socket(path: &Path) -> Result<UnixListener, Trouble> {
    use std::os::unix::fs::PermissionsExt as _;
    let trouble = |error| Trouble::Control(path.to_owned(), error);
    if std::os::unix::net::UnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused) {
        std::fs::remove_file(path).map_err(trouble)?;
    }
    let listener = UnixListener::bind(path).map_err(trouble)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(trouble)?;
    Ok(listener)
}

fn socket_addr(ip: Ipv4Addr, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(ip, port)
}

/// The address of a party outside as nodes see it.
fn seen(addr: std::net::SocketAddr) -> Addr {
    match addr {
        std::net::SocketAddr::V4(v4) => Addr::new(Ip(u32::from(*v4.ip())), v4.port()),
        // Nothing listens on IPv6.
        std::net::SocketAddr::V6(v6) => Addr::new(Ip::LOOPBACK, v6.port()),
    }
}
