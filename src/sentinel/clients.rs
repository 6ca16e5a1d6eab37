//! Processes that are connected to this sentinel: applications, other sentinels, operators; and Pub/Sub among them.

use bytes::Bytes;
use slab::Slab;

use super::glob;
use super::outbuf::OutBuf;
use super::reply::Reply;
use super::{Cx, FdUse, Ms, Sentinel};
use crate::id::{Addr, Fd};
use crate::resp::{Args, CommandReader, Limits};

/// Index of a client in its table.
pub(super) type Key = usize;

/// One connection from outside.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) fd: Fd,
    pub(super) id: u64,
    pub(super) addr: Addr,
    pub(super) local: Addr,
    pub(super) created: Ms,
    pub(super) last_interaction: Ms,
    pub(super) last_command: &'static str,
    pub(super) name: Bytes,
    pub(super) resp3: bool,
    pub(super) authenticated: bool,
    pub(super) no_evict: bool,
    /// To be closed when its output is written.
    pub(super) closing: bool,
    pub(super) mode: ReplyMode,
    pub(super) channels: Vec<Bytes>,
    pub(super) patterns: Vec<Bytes>,
    reader: CommandReader,
    out: OutBuf,
}

/// `CLIENT REPLY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplyMode {
    On,
    Off,
    /// The next command's reply is left out.
    SkipNext,
}

/// All of them, and who listens to what.
#[derive(Clone, Debug, Default)]
pub(super) struct Clients {
    pub(super) table: Slab<Client>,
    next_id: u64,
    /// Channels with their subscribers, in the order in which they came.
    channels: Vec<(Bytes, Vec<Key>)>,
    patterns: Vec<(Bytes, Vec<Key>)>,
    /// Connections that were ever accepted.
    pub(super) accepted: u64,
    /// Commands that were ever executed.
    pub(super) commands: u64,
    /// Bytes that ever came in.
    pub(super) input: u64,
}

impl Clients {
    /// Whether anybody would get what is published here.
    pub(super) fn has_audience(&self, channel: &[u8]) -> bool {
        self.channels.iter().any(|(name, _)| name == channel)
            || self.patterns.iter().any(|(pattern, _)| glob::matches(pattern, channel, false))
    }

    pub(super) fn channel_count(&self) -> usize {
        self.channels.len()
    }

    pub(super) fn pattern_count(&self) -> usize {
        self.patterns.len()
    }

    /// In the order in which they came.
    pub(super) fn in_order(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = self.table.iter().map(|(key, _)| key).collect();
        keys.sort_unstable_by_key(|&key| self.table[key].id);
        keys
    }

    /// Adds a subscription; false if there is one already.
    pub(super) fn subscribe(&mut self, key: Key, name: Bytes, pattern: bool) -> bool {
        let client = &mut self.table[key];
        let (own, all) = if pattern {
            (&mut client.patterns, &mut self.patterns)
        } else {
            (&mut client.channels, &mut self.channels)
        };
        if own.contains(&name) {
            return false;
        }
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, keys)) => keys.push(key),
            None => all.push((name.clone(), vec![key])),
        }
        own.push(name);
        true
    }

    /// Removes a subscription, if there is one.
    pub(super) fn unsubscribe(&mut self, key: Key, name: &[u8], pattern: bool) {
        let client = &mut self.table[key];
        let (own, all) = if pattern {
            (&mut client.patterns, &mut self.patterns)
        } else {
            (&mut client.channels, &mut self.channels)
        };
        own.retain(|known| known != name);
        if let Some((_, keys)) = all.iter_mut().find(|(known, _)| known == name) {
            keys.retain(|&other| other != key);
        }
        all.retain(|(_, keys)| !keys.is_empty());
    }
}

impl Sentinel {
    pub(super) fn client_accepted(&mut self, cx: &Cx<'_>, fd: Fd, addr: Addr, local: Addr) {
        self.clients.next_id += 1;
        self.clients.accepted += 1;
        let client = Client {
            fd,
            // The first connections of a real process are its own; ids begin above them.
            id: self.clients.next_id + 2,
            addr,
            local,
            created: cx.ms,
            last_interaction: cx.ms,
            last_command: "NULL",
            name: Bytes::new(),
            resp3: false,
            authenticated: self.config.requirepass.is_none(),
            no_evict: false,
            closing: false,
            mode: ReplyMode::On,
            channels: Vec::new(),
            patterns: Vec::new(),
            reader: CommandReader::default(),
            out: OutBuf::default(),
        };
        let key = self.clients.table.insert(client);
        self.use_fd(fd, FdUse::Client(key));
    }

    /// The connection is gone.
    pub(super) fn client_gone(&mut self, key: Key) {
        let client = &self.clients.table[key];
        let (fd, channels, patterns) = (client.fd, client.channels.clone(), client.patterns.clone());
        for name in channels {
            self.clients.unsubscribe(key, &name, false);
        }
        for name in patterns {
            self.clients.unsubscribe(key, &name, true);
        }
        self.clients.table.remove(key);
        self.use_fd(fd, FdUse::Free);
        self.pending.retain(|&other| other != fd);
    }

    pub(super) fn client_writable(&mut self, key: Key, room: usize) {
        let client = &mut self.clients.table[key];
        client.out.writable(room);
        let fd = client.fd;
        self.await_flush(fd);
    }

    /// Output waits for the end of the turn.
    fn await_flush(&mut self, fd: Fd) {
        if self.pending.last() != Some(&fd) && !self.pending.contains(&fd) {
            self.pending.push(fd);
        }
    }

    /// Adds to a client's output.
    pub(super) fn send_client(&mut self, key: Key, data: Bytes) {
        if data.is_empty() {
            return;
        }
        let client = &mut self.clients.table[key];
        client.out.push(data);
        let fd = client.fd;
        self.await_flush(fd);
    }

    /// Gives the socket what waits; a client that is to be closed is closed when nothing is left.
    pub(super) fn flush_client(&mut self, cx: &mut Cx<'_>, key: Key) {
        let client = &mut self.clients.table[key];
        let fd = client.fd;
        client.out.flush(fd, cx.out);
        if client.closing && client.out.is_empty() {
            self.client_gone(key);
            cx.out.close(fd);
        }
    }

    /// Closes a client when its present output is written.
    pub(super) fn close_client(&mut self, key: Key) {
        let client = &mut self.clients.table[key];
        client.closing = true;
        let fd = client.fd;
        self.await_flush(fd);
    }

    /// Requests arrived.
    pub(super) fn client_bytes(&mut self, cx: &mut Cx<'_>, key: Key, data: Bytes) {
        self.clients.input += data.len() as u64;
        let client = &mut self.clients.table[key];
        client.last_interaction = cx.ms;
        client.reader.feed(data);
        let mut args = std::mem::take(&mut self.args);
        while let Some(client) = self.clients.table.get_mut(key).filter(|client| !client.closing)
            && !self.dead
        {
            let limits = Limits { authenticated: client.authenticated, ..Limits::default() };
            match client.reader.read(&mut args, limits) {
                Ok(true) if args.is_empty() => {}
                Ok(true) => self.request_of(cx, key, &args),
                Ok(false) => break,
                Err(error) => {
                    let mut reply = Reply::default();
                    reply.error(&error.to_string());
                    self.send_client(key, reply.buf.freeze());
                    self.close_client(key);
                }
            }
        }
        self.args = args;
    }

    fn request_of(&mut self, cx: &mut Cx<'_>, key: Key, args: &Args) {
        self.clients.commands += 1;
        let client = &self.clients.table[key];
        let silent = client.mode != ReplyMode::On;
        // The two requests that other sentinels send all the time.
        if client.authenticated && client.channels.is_empty() && client.patterns.is_empty() && !silent {
            if args.len() == 1 && args.get(0).eq_ignore_ascii_case(b"ping") {
                self.clients.table[key].last_command = "ping";
                return self.send_client(key, Bytes::from_static(b"+PONG\r\n"));
            }
            if args.len() == 3
                && args.get(0).eq_ignore_ascii_case(b"publish")
                && args.get(1) == super::link::HELLO_CHANNEL
            {
                self.clients.table[key].last_command = "publish";
                self.process_hello(cx, args.get(2));
                return self.send_client(key, Bytes::from_static(b":1\r\n"));
            }
        }
        let mut reply = Reply { resp3: client.resp3, ..Reply::default() };
        self.command(cx, key, args, &mut reply);
        let Some(client) = self.clients.table.get_mut(key) else { return };
        match client.mode {
            ReplyMode::On => self.send_client(key, reply.buf.freeze()),
            // CLIENT REPLY SKIP itself sets this mode; the command after it ends it.
            ReplyMode::SkipNext if silent => client.mode = ReplyMode::On,
            ReplyMode::SkipNext | ReplyMode::Off => {}
        }
    }

    /// Delivers a message to subscribers of the channel, then to those of patterns (`pubsubPublishMessage`).
    pub(super) fn publish(&mut self, _cx: &mut Cx<'_>, channel: &[u8], payload: &[u8]) {
        let mut deliveries: Vec<(Key, Option<Bytes>)> = Vec::new();
        if let Some((_, keys)) = self.clients.channels.iter().find(|(name, _)| name == channel) {
            deliveries.extend(keys.iter().map(|&key| (key, None)));
        }
        for (pattern, keys) in &self.clients.patterns {
            if glob::matches(pattern, channel, false) {
                deliveries.extend(keys.iter().map(|&key| (key, Some(pattern.clone()))));
            }
        }
        for (key, pattern) in deliveries {
            let mut message = Reply { resp3: self.clients.table[key].resp3, ..Reply::default() };
            match pattern {
                None => {
                    message.push(3);
                    message.bulk("message");
                }
                Some(pattern) => {
                    message.push(4);
                    message.bulk("pmessage");
                    message.bulk(&pattern);
                }
            }
            message.bulk(channel);
            message.bulk(payload);
            self.send_client(key, message.buf.freeze());
        }
    }

    /// Bytes that wait for a client to take them.
    pub(super) fn client_backlog(&self, key: Key) -> usize {
        self.clients.table[key].out.len()
    }
}
