//! Operators: an `exec` fault's command typed at a node from its own machine, and the reply that it got.

use std::sync::Arc;

use bytes::BytesMut;

use super::World;
use super::net::{Caller, Sock, What};
use crate::id::{EventId, NodeId};
use crate::node::{CloseWhy, RefusedWhy};
use crate::resp::{ReplyReader, encode};
use crate::trace::event::WorldEvent;
use crate::trace::{Kind, Via};

/// Longest reply that is kept in the trace, in characters.
const REPLY_MAX: usize = 300;

/// One command and its connection.
#[derive(Clone, Debug)]
pub(super) struct Session {
    node: NodeId,
    argv: Vec<Arc<str>>,
    sock: Sock,
    replies: ReplyReader,
}

impl World {
    /// The inbox of all operators.
    pub(super) fn operator(&self) -> u16 {
        u16::try_from(self.processes.len()).expect("node ids are 16 bits")
    }

    /// An operator types a command at a node.
    pub(super) fn exec(&mut self, node: NodeId, argv: &[Arc<str>], cause: EventId) {
        let spec = &self.scenario.nodes[node.index()];
        let (machine, to) = (spec.machine, spec.addr);
        let number = u32::try_from(self.sessions.len()).expect("fewer than 2^32 commands");
        let caller = Caller { owner: self.operator(), incarnation: 0, number, machine };
        let (net, mut wire) = self.wire();
        let sock = net.connect(caller, to, cause, &mut wire);
        self.sessions.push(Session { node, argv: argv.to_vec(), sock, replies: ReplyReader::default() });
    }

    /// Takes what has arrived for operators.
    pub(super) fn serve_operators(&mut self) {
        let owner = usize::from(self.operator());
        while let Some(arrived) = self.inboxes.boxes[owner].pop_front() {
            let Some(sock) = arrived.sock else { continue };
            let Some(about) = self.net.taking(sock) else { continue };
            let number = about.fd.index();
            let cause = arrived.cause;
            match arrived.what {
                What::Connected => {
                    let mut request = BytesMut::new();
                    let parts: Vec<&[u8]> = self.sessions[number].argv.iter().map(|part| part.as_bytes()).collect();
                    encode::command(&mut request, &parts);
                    let (net, mut wire) = self.wire();
                    net.send(sock, request.freeze(), cause, &mut wire);
                }
                What::Bytes(data) => {
                    let (net, mut wire) = self.wire();
                    net.taken(sock, data.len(), &mut wire);
                    let replies = &mut self.sessions[number].replies;
                    replies.feed(data);
                    match replies.read() {
                        Ok(None) => {}
                        Ok(Some(value)) => self.exec_over(number, &value.to_string(), cause),
                        Err(error) => self.exec_over(number, &error.to_string(), cause),
                    }
                }
                What::Refused(why) => {
                    let why = match why {
                        RefusedWhy::Refused => "Connection refused",
                        RefusedWhy::TimedOut => "Connection timed out",
                        RefusedWhy::Unreachable => "No route to host",
                    };
                    let text = format!("Could not connect to Redis at {}: {why}", about.peer);
                    self.exec_over(number, &text, cause);
                }
                What::Closed(why) => {
                    let text = match why {
                        CloseWhy::Eof => "Error: Server closed the connection",
                        CloseWhy::Reset => "Error: Connection reset by peer",
                        CloseWhy::TimedOut => "Error: Connection timed out",
                    };
                    self.exec_over(number, text, cause);
                }
                What::Accepted | What::Writable | What::DiskDone { .. } | What::JobDone { .. } => {}
                What::Files(_) | What::Signal(_) => {}
            }
        }
    }

    fn exec_over(&mut self, number: usize, reply: &str, cause: EventId) {
        let Session { node, sock, argv, .. } = &self.sessions[number];
        let (node, sock, command) = (*node, *sock, argv.join(" "));
        let shortened = match reply.char_indices().nth(REPLY_MAX) {
            Some((end, _)) => format!("{}…", &reply[..end]),
            None => reply.to_owned(),
        };
        let event = WorldEvent::ExecReply { command: command.into(), reply: shortened.into() };
        let event = self.out.tracer.record(Some(node), cause, Via::Message, Kind::World(event));
        let (net, mut wire) = self.wire();
        net.close(sock, event, &mut wire);
    }
}
