//! The short way of a client's commonest turn: its write was acknowledged, and it asks the next thing, if it is its turn.
//! The long way through `lane` comes to the same.

use super::Client;
use super::operations::{Request, Sent};
use crate::id::Fd;
use crate::node::Outbox;
use crate::time::{Now, Span};
use crate::trace::Often;
use crate::trace::event::OpKind;

impl Client {
    /// [`crate::node::Node::quick_turn`], whatever came before it.
    pub(super) fn next_write(&mut self, now: Now, fd: Fd, data: &[u8], out: &mut Outbox) -> bool {
        let (alone, others) = (self.operations.sent.len() == 1, self.operations.others());
        let Some(sent) = self.operations.sent.front_mut() else { return false };
        let Request::Op(op) = sent.request else { return false };
        if data != b"+OK\r\n"
            || op.f != OpKind::Write
            || self.wait.is_some()
            || self.alarm <= now.mono
            || self.pacer.pipeline() != 1
            || self.pacer.next() <= now.mono
            || others
            || !self.connection.is_clear(fd)
            || !self.kv.all_short()
        {
            return false;
        }
        out.note_often(Often::Ok { op: op.number, value: None, server: self.connection.peer, replicas: None });
        if alone {
            self.pacer.finished(now.mono);
        }
        let deadline = if self.pacer.next() <= now.mono {
            self.pacer.begin();
            let op = self.kv.draw();
            let value = self.kv.value(op);
            let request = self.kv.request(op);
            out.note_often(Often::Invoke { op: op.number, f: op.f, key: op.key, value, hash: request.hash() });
            out.quick.fd = Some(fd);
            self.connection.wrote(request.put_into(&mut out.quick.message));
            let deadline = now.mono + self.config.policy.timeout;
            // Only the one that was answered was in flight.
            *sent = Sent { request: Request::Op(op), deadline };
            deadline
        } else {
            out.quick.fd = None;
            self.operations.sent.pop_front();
            self.operations.wake_at()
        };
        let earliest = self.pacer.next().min(deadline).min(self.control_at);
        self.alarm = self.alarm.min(earliest);
        (out.quick.busy, out.quick.busy_after, out.quick.wake) = (Span::ZERO, Span::ZERO, self.alarm);
        true
    }
}
