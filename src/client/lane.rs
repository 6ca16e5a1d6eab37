//! Operations over the connection: invoking, sending, matching replies, time-outs, trying again.

use bytes::{Buf, Bytes};

use super::operations::{Queued, Request, Sent};
use super::policy::{Reaction, delay, reaction, refusal};
use super::replies::{self, Answer, Malformed};
use super::workload::kv::Op;
use super::{Client, note};
use crate::id::Addr;
use crate::node::Outbox;
use crate::time::Now;
use crate::trace::Often;
use crate::trace::event::{ClientEvent, OpKind, Refusal, Unanswered};
use crate::trace::history::value_number;

impl Client {
    /// Time-outs and retries.
    pub(super) fn expire(&mut self, now: Now, out: &mut Outbox) -> bool {
        let late = self.operations.sent.front().is_some_and(|sent| sent.deadline <= now.mono);
        if late {
            // Replies can't be matched to requests any more once one is given up.
            self.disconnect("timed out", Unanswered::Timeout, now, out);
            self.try_later(now);
        }
        let cause = out.cause();
        while self.operations.queue.front().is_some_and(|queued| queued.until <= now.mono) {
            let queued = self.operations.queue.pop_front().expect("it has a front");
            self.stranded(queued.op, now, out);
            out.because(cause);
        }
        let mut retried = false;
        while let Some(entry) = self.operations.later.first_entry() {
            if entry.key().0 > now.mono {
                break;
            }
            let op = entry.remove();
            self.enqueue(op, now);
            retried = true;
        }
        if retried {
            self.send_queued(now);
        }
        late
    }

    pub(super) fn invoke_batch(&mut self, now: Now, out: &mut Outbox) {
        let cause = out.cause();
        let mut wrote = false;
        for _ in 0..self.pacer.begin() {
            wrote |= self.invoke(now, out);
            out.because(cause);
        }
        // What is sent next is caused by the newest operation in it.
        out.because(out.newest());
        if wrote {
            self.send_wait(now);
        }
    }

    /// Draws an operation and sends it, or lets it wait. True when a write was sent.
    #[inline]
    fn invoke(&mut self, now: Now, out: &mut Outbox) -> bool {
        let op = self.kv.draw();
        let value = self.kv.value(op);
        let request = self.kv.request(op);
        let hash = request.hash();
        out.note_often(Often::Invoke { op: op.number, f: op.f, key: op.key, value, hash });
        if self.operations.queue.is_empty() && self.connection.takes_requests() {
            self.connection.write(request.bytes());
            let deadline = now.mono + self.config.policy.timeout;
            self.operations.sent.push_back(Sent { request: Request::Op(op), deadline });
            return op.f == OpKind::Write;
        }
        let room = usize::try_from(self.config.policy.queue).unwrap_or(usize::MAX);
        if self.pacer.is_open() && self.operations.queue.len() >= room {
            self.fail(op, Refusal::NotSent, None, now, out);
        } else {
            self.enqueue(op, now);
        }
        false
    }

    fn enqueue(&mut self, op: Op, now: Now) {
        let until = now.mono + self.config.policy.queue_timeout;
        self.operations.queue.push_back(Queued { op, until });
    }

    /// Sends what waited, if the connection takes it.
    pub(super) fn send_queued(&mut self, now: Now) {
        if !self.connection.takes_requests() {
            return;
        }
        let deadline = now.mono + self.config.policy.timeout;
        let mut wrote = false;
        while let Some(Queued { op, .. }) = self.operations.queue.pop_front() {
            self.connection.write(self.kv.request(op).bytes());
            self.operations.sent.push_back(Sent { request: Request::Op(op), deadline });
            wrote |= op.f == OpKind::Write;
        }
        if wrote {
            self.send_wait(now);
        }
    }

    #[inline]
    fn send_wait(&mut self, now: Now) {
        if let Some(wait) = &self.wait {
            self.connection.write(wait);
            let deadline = now.mono + self.config.policy.timeout;
            self.operations.sent.push_back(Sent { request: Request::Wait, deadline });
        }
    }

    /// Replies arrived. True when the connection was given up because of them.
    #[inline]
    pub(super) fn on_replies(&mut self, data: Bytes, now: Now, out: &mut Outbox) -> bool {
        // By far the commonest: one write was acknowledged.
        if &*data == b"+OK\r\n"
            && self.connection.partial.is_empty()
            && self.wait.is_none()
            && let Some(&Sent { request: Request::Op(op), .. }) = self.operations.sent.front()
            && op.f == OpKind::Write
        {
            self.operations.sent.pop_front();
            self.succeed(op, None, None, now, out);
            return false;
        }
        self.on_more_replies(data, now, out)
    }

    fn on_more_replies(&mut self, data: Bytes, now: Now, out: &mut Outbox) -> bool {
        let data = if self.connection.partial.is_empty() {
            data
        } else {
            self.connection.partial.extend_from_slice(&data);
            self.connection.partial.split().freeze()
        };
        let cause = out.cause();
        let mut at = 0;
        let mut leave = None;
        while leave.is_none() {
            match replies::first(&data[at..]) {
                Ok(Some((answer, len))) => {
                    at += len;
                    leave = self.answered(answer, now, out);
                    out.because(cause);
                }
                Ok(None) => break,
                Err(Malformed) => leave = Some("not a reply"),
            }
        }
        // What is invoked or sent next is caused by the newest outcome.
        out.because(out.newest());
        match leave {
            Some(why) => {
                self.disconnect(why, Unanswered::Closed, now, out);
                self.try_later(now);
            }
            None if at < data.len() => {
                let mut rest = data;
                rest.advance(at);
                self.connection.partial.extend_from_slice(&rest);
            }
            None => {}
        }
        leave.is_some()
    }

    /// Matches one reply to the oldest request. `Some`: the connection must be given up, and why.
    fn answered(&mut self, answer: Answer<'_>, now: Now, out: &mut Outbox) -> Option<&'static str> {
        let server = self.connection.peer;
        let Some(Sent { request, .. }) = self.operations.sent.pop_front() else {
            return Some("a reply to nothing");
        };
        let Request::Op(op) = request else {
            let replicas = match answer {
                Answer::Integer(count) => u16::try_from(count).ok(),
                Answer::Simple | Answer::Null | Answer::Text(_) | Answer::Error(_) => None,
            };
            let cause = out.cause();
            for op in std::mem::take(&mut self.operations.confirming) {
                self.succeed(op, None, replicas, now, out);
                out.because(cause);
            }
            self.batch_may_be_done(now);
            return None;
        };
        match answer {
            Answer::Error(message) => return self.refused(op, refusal(message), server, now, out),
            Answer::Text(text) if op.f == OpKind::Read => self.succeed(op, value_number(text), None, now, out),
            Answer::Simple | Answer::Null | Answer::Text(_) | Answer::Integer(_) => {
                if op.f == OpKind::Write && self.wait.is_some() {
                    self.operations.confirming.push(op);
                } else {
                    self.succeed(op, None, None, now, out);
                }
            }
        }
        None
    }

    #[inline]
    fn succeed(&mut self, op: Op, value: Option<u64>, replicas: Option<u16>, now: Now, out: &mut Outbox) {
        self.operations.settle(op);
        out.note_often(Often::Ok { op: op.number, value, server: self.connection.peer, replicas });
        self.batch_may_be_done(now);
    }

    /// The server refused: try again, or fail. `Some`: leave this server, and why.
    fn refused(&mut self, op: Op, why: Refusal, server: Addr, now: Now, out: &mut Outbox) -> Option<&'static str> {
        if !self.retry(op, now) {
            self.fail(op, why, Some(server), now, out);
        }
        match reaction(why, &self.config.via, &self.config.policy) {
            Reaction::Keep => None,
            Reaction::Rediscover => {
                note(ClientEvent::NotMaster { server }, out);
                Some("not the right server")
            }
        }
    }

    /// It waited too long for a connection.
    fn stranded(&mut self, op: Op, now: Now, out: &mut Outbox) {
        if op.retries < self.retries() {
            self.enqueue(Op { retries: op.retries + 1, ..op }, now);
        } else {
            self.fail(op, Refusal::NotSent, None, now, out);
        }
    }

    /// Its connection ended, or it got no reply in time.
    pub(super) fn unanswered(&mut self, op: Op, why: Unanswered, server: Addr, now: Now, out: &mut Outbox) {
        if self.config.policy.retry_unknown {
            self.operations.doubt(op, why, server);
            if self.retry(op, now) {
                return;
            }
        }
        let (why, server) = self.operations.settle(op).unwrap_or((why, server));
        note(ClientEvent::Unknown { op: op.number, why, server }, out);
        self.batch_may_be_done(now);
    }

    /// Its last attempt certainly did nothing. If an earlier one may have, nobody knows.
    fn fail(&mut self, op: Op, why: Refusal, server: Option<Addr>, now: Now, out: &mut Outbox) {
        let event = match self.operations.settle(op) {
            Some((why, server)) => ClientEvent::Unknown { op: op.number, why, server },
            None => ClientEvent::Fail { op: op.number, why, server },
        };
        note(event, out);
        if why == Refusal::NotSent {
            self.pacer.stranded(now.mono);
        }
        self.batch_may_be_done(now);
    }

    fn retries(&self) -> u16 {
        u16::try_from(self.config.policy.retries).unwrap_or(u16::MAX)
    }

    /// Puts the operation aside for another attempt, if it has one left.
    fn retry(&mut self, op: Op, now: Now) -> bool {
        if op.retries >= self.retries() {
            return false;
        }
        let at = now.mono + delay(&self.config.policy, u32::from(op.retries), &mut self.retry);
        self.operations.later.insert((at, op.number), Op { retries: op.retries + 1, ..op });
        true
    }

    /// An operation has its outcome, or a request is off the line: a closed loop may go on.
    pub(super) fn batch_may_be_done(&mut self, now: Now) {
        if self.operations.open() == 0 {
            self.pacer.finished(now.mono);
        }
    }
}
