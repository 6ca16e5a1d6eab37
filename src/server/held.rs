//! Keys that the trace follows: whose token a lock's key holds, and until when. Nothing of it reaches a client.

use std::sync::Arc;

use super::Server;
use super::keyspace::{Type, Value};
use crate::node::Outbox;
use crate::time::Span;
use crate::trace::Kind;
use crate::trace::event::{Freed, LockEvent};

/// A key and what the trace was last told of it.
#[derive(Clone, Debug)]
pub(crate) struct Followed {
    key: Arc<str>,
    /// Whose token, and when it expires in milliseconds since 1970 (negative: never).
    held: Option<(Arc<str>, i64)>,
}

impl Server {
    /// The trace is told what becomes of these keys of database 0.
    #[must_use]
    pub fn following(mut self, keys: &[Arc<str>]) -> Server {
        self.followed = keys.iter().map(|key| Followed { key: Arc::clone(key), held: None }).collect();
        self
    }

    /// The end of a turn: tells the trace which of the keys have changed.
    pub(crate) fn note_followed(&mut self, out: &mut Outbox) {
        let now = self.ms();
        for index in 0..self.followed.len() {
            let key = Arc::clone(&self.followed[index].key);
            let db = self.keyspace.db(0);
            let found = db.find(key.as_bytes()).filter(|&at| !self.is_over(db.expiry(at)));
            let is = found.map(|at| (holder(&db.entry(at).value), db.expiry(at)));
            let before = std::mem::replace(&mut self.followed[index].held, is.clone());
            match (before, is) {
                (before, Some((token, expire))) if before.as_ref() != Some(&(Arc::clone(&token), expire)) => {
                    let left = u64::try_from(expire).ok();
                    let now = u64::try_from(now).unwrap_or(0);
                    let left = left.map(|expire| Span::from_ms(expire.saturating_sub(now)));
                    out.note(Kind::Lock(LockEvent::KeyHeld { lock: key, token, left }));
                }
                (Some((_, expire)), None) => {
                    let why = if expire >= 0 && now >= expire { Freed::Expired } else { Freed::Deleted };
                    out.note(Kind::Lock(LockEvent::KeyFreed { lock: key, why }));
                }
                (Some(_) | None, Some(_)) | (None, None) => {}
            }
        }
    }
}

/// The token in a lock's key: the text, or the first field of a hash.
fn holder(value: &Value) -> Arc<str> {
    let text = |bytes: &[u8]| Arc::from(String::from_utf8_lossy(bytes).as_ref());
    if let Value::Hash(hash) = value {
        return hash.iter().next().map_or_else(|| "".into(), |pair| text(pair.field.as_slice()));
    }
    let kind = value.kind();
    if kind == Type::String { value.with_text(text) } else { kind.name().into() }
}
