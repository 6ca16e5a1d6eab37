//! Connections to what is monitored: a command and a pub/sub connection, possibly shared by the tables of several
//! masters, with their pending requests (`instanceLink` over hiredis).

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes};

use super::instances::Id;
use super::outbuf::OutBuf;
use super::{Cx, FdUse, Ms, Sentinel};
use crate::id::{Addr, EventId, Fd, Ip};
use crate::resp::{ReplyReader, Value, encode};
use crate::trace::event::{Detail, SentinelEventName};

/// Index of a link in the arena.
pub(super) type LinkId = usize;

/// `SENTINEL_HELLO_CHANNEL`.
pub(super) const HELLO_CHANNEL: &[u8] = b"__sentinel__:hello";

/// `SENTINEL_MAX_PENDING_COMMANDS`.
const MAX_PENDING: i64 = 100;

/// What is done with a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callback {
    Discard,
    Ping,
    Info,
    Publish,
    MasterDown,
}

/// One connection of a link (`redisAsyncContext`).
#[derive(Clone, Debug)]
pub(super) struct Conn {
    pub(super) fd: Fd,
    /// Established; until then nothing is written.
    connected: bool,
    /// The own address, as far as known.
    pub(super) local: Ip,
    out: OutBuf,
    /// Who waits for which reply, oldest first.
    pub(super) replies: VecDeque<(Callback, Id)>,
    reader: ReplyReader,
    /// The instance whose SUBSCRIBE this connection carries.
    subscriber: Option<Id>,
    /// What the newest request was caused by.
    cause: EventId,
}

/// The two connections to a process and when it was last heard of.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) refcount: u32,
    pub(super) disconnected: bool,
    pub(super) pending_commands: i64,
    pub(super) cc: Option<Conn>,
    pub(super) pc: Option<Conn>,
    pub(super) cc_conn_time: Ms,
    pub(super) pc_conn_time: Ms,
    pub(super) pc_last_activity: Ms,
    pub(super) last_avail_time: Ms,
    /// When the oldest unanswered ping was sent; 0: none.
    pub(super) act_ping_time: Ms,
    pub(super) last_ping_time: Ms,
    pub(super) last_pong_time: Ms,
    pub(super) last_reconn_time: Ms,
}

impl Link {
    /// A link that is not connected yet (`createInstanceLink`).
    pub(super) fn new(now: Ms) -> Link {
        Link {
            refcount: 1,
            disconnected: true,
            pending_commands: 0,
            cc: None,
            pc: None,
            cc_conn_time: 0,
            pc_conn_time: 0,
            pc_last_activity: 0,
            last_avail_time: now,
            act_ping_time: now,
            last_ping_time: 0,
            last_pong_time: now,
            last_reconn_time: 0,
        }
    }

    /// Whether requests that can wait are withheld, because too many are not answered.
    pub(super) fn is_choked(&self) -> bool {
        self.pending_commands >= MAX_PENDING * i64::from(self.refcount)
    }
}

impl Conn {
    fn new(fd: Fd, local: Ip) -> Conn {
        Conn {
            fd,
            connected: false,
            local,
            out: OutBuf::default(),
            replies: VecDeque::new(),
            reader: ReplyReader::default(),
            subscriber: None,
            cause: EventId::NONE,
        }
    }
}

impl Sentinel {
    fn conn_mut(&mut self, link: LinkId, pubsub: bool) -> Option<&mut Conn> {
        let link = self.links.get_mut(link)?;
        if pubsub { link.pc.as_mut() } else { link.cc.as_mut() }
    }

    /// Says that output waits at a connection, for the end of this turn.
    fn mark_pending(&mut self, fd: Fd) {
        if self.pending.last() != Some(&fd) && !self.pending.contains(&fd) {
            self.pending.push(fd);
        }
    }

    /// Queues a request on an instance's command connection (`redisAsyncCommand`). False when there is none.
    pub(super) fn request(&mut self, cx: &Cx<'_>, id: Id, callback: Callback, parts: &[&[u8]]) -> bool {
        self.request_on(cx, id, false, callback, parts)
    }

    fn request_on(&mut self, cx: &Cx<'_>, id: Id, pubsub: bool, callback: Callback, parts: &[&[u8]]) -> bool {
        let link_id = self.instances[id].link;
        let Some(conn) = self.conn_mut(link_id, pubsub) else { return false };
        encode::command(conn.out.buffer(), parts);
        conn.replies.push_back((callback, id));
        conn.cause = cx.out.cause();
        let fd = conn.fd;
        self.links[link_id].pending_commands += 1;
        self.mark_pending(fd);
        self.touch(id);
        true
    }

    /// Queues an encoded request that is shared by several connections.
    pub(super) fn request_encoded(&mut self, cx: &Cx<'_>, id: Id, callback: Callback, request: Bytes) -> bool {
        let link_id = self.instances[id].link;
        let Some(conn) = self.conn_mut(link_id, false) else { return false };
        conn.out.push(request);
        conn.replies.push_back((callback, id));
        conn.cause = cx.out.cause();
        let fd = conn.fd;
        self.links[link_id].pending_commands += 1;
        self.mark_pending(fd);
        self.touch(id);
        true
    }

    /// An instance's link changed: when it is due must be worked out again, for all that share the link.
    pub(super) fn touch(&mut self, id: Id) {
        let link = self.instances[id].link;
        if self.links[link].refcount > 1 {
            self.all_stale = true;
        } else {
            self.instances[id].due = super::schedule::STALE;
        }
    }

    /// Opens what is missing of an instance's link, once per ping period at most (`sentinelReconnectInstance`).
    pub(super) fn reconnect(&mut self, cx: &mut Cx<'_>, id: Id) {
        let (link_id, kind_has_pubsub) = (self.instances[id].link, !self.instances[id].is_sentinel());
        let link = &mut self.links[link_id];
        if !link.disconnected || self.instances[id].addr.port == 0 {
            return;
        }
        if cx.ms - link.last_reconn_time < self.timing.ping_period {
            return;
        }
        link.last_reconn_time = cx.ms;
        self.touch(id);
        if self.links[link_id].cc.is_none() {
            self.refresh_address(id);
            match self.open(cx, id) {
                Some(conn) => {
                    let link = &mut self.links[link_id];
                    link.pending_commands = 0;
                    link.cc_conn_time = cx.ms;
                    self.use_fd(conn.fd, FdUse::Command(link_id));
                    self.links[link_id].cc = Some(conn);
                    self.send_auth(cx, id, false);
                    self.set_client_name(cx, id, false);
                    self.send_ping(cx, id);
                }
                None => self.link_error(cx, SentinelEventName::CmdLinkReconnection, id),
            }
        }
        if kind_has_pubsub && self.links[link_id].pc.is_none() {
            match self.open(cx, id) {
                Some(conn) => {
                    self.links[link_id].pc_conn_time = cx.ms;
                    self.use_fd(conn.fd, FdUse::PubSub(link_id));
                    self.links[link_id].pc = Some(conn);
                    self.send_auth(cx, id, true);
                    self.set_client_name(cx, id, true);
                    self.subscribe_hello(cx, id);
                }
                None => self.link_error(cx, SentinelEventName::PubsubLinkReconnection, id),
            }
        }
        let link = &mut self.links[link_id];
        if link.cc.is_some() && (!kind_has_pubsub || link.pc.is_some()) {
            link.disconnected = false;
        }
    }

    /// A host name may have got another address since.
    fn refresh_address(&mut self, id: Id) {
        if !self.config.resolve_hostnames {
            return;
        }
        let addr = &self.instances[id].addr;
        if let Ok(fresh) = self.address(&addr.host, i64::from(addr.port), false) {
            self.instances[id].addr = fresh;
        }
    }

    fn open(&mut self, cx: &mut Cx<'_>, id: Id) -> Option<Conn> {
        let addr = &self.instances[id].addr;
        let ip = addr.ip?;
        let fd = cx.out.connect(Addr::new(ip, addr.port));
        let local = if ip == Ip::LOOPBACK { Ip::LOOPBACK } else { self.init.addr.ip };
        Some(Conn::new(fd, local))
    }

    fn link_error(&mut self, cx: &mut Cx<'_>, name: SentinelEventName, id: Id) {
        self.debug(cx, name, id, Detail::Text("#Name or service not known".into()));
    }

    /// AUTH, if a password is known for this kind of instance (`sentinelSendAuthIfNeeded`).
    fn send_auth(&mut self, cx: &Cx<'_>, id: Id, pubsub: bool) {
        let (pass, user) = if self.instances[id].is_sentinel() {
            match &self.config.sentinel_pass {
                Some(pass) => (Some(pass.clone()), self.config.sentinel_user.clone()),
                None => (self.config.requirepass.clone(), None),
            }
        } else {
            let group = self.group(self.instances[id].master);
            (group.auth_pass.clone(), group.auth_user.clone())
        };
        let Some(pass) = pass else { return };
        let auth = self.command_name(id, "AUTH").to_owned();
        match user {
            None => self.request_on(cx, id, pubsub, Callback::Discard, &[auth.as_bytes(), pass.as_bytes()]),
            Some(user) => {
                self.request_on(cx, id, pubsub, Callback::Discard, &[auth.as_bytes(), user.as_bytes(), pass.as_bytes()])
            }
        };
    }

    /// `CLIENT SETNAME sentinel-<start of the id>-<cmd|pubsub>` (`sentinelSetClientName`).
    fn set_client_name(&mut self, cx: &Cx<'_>, id: Id, pubsub: bool) {
        let (digits, kind) = (self.my_id.hex(), if pubsub { &b"-pubsub"[..] } else { b"-cmd" });
        let name = [b"sentinel-", &digits[..8], kind].concat();
        let client = self.command_name(id, "CLIENT").to_owned();
        self.request_on(cx, id, pubsub, Callback::Discard, &[client.as_bytes(), b"SETNAME", &name]);
    }

    fn subscribe_hello(&mut self, cx: &Cx<'_>, id: Id) {
        let link = self.instances[id].link;
        let subscribe = self.command_name(id, "SUBSCRIBE").to_owned();
        let Some(conn) = self.conn_mut(link, true) else { return };
        encode::command(conn.out.buffer(), &[subscribe.as_bytes(), HELLO_CHANNEL]);
        conn.subscriber = Some(id);
        conn.cause = cx.out.cause();
        let fd = conn.fd;
        self.mark_pending(fd);
    }

    /// PING on the command connection (`sentinelSendPing`).
    pub(super) fn send_ping(&mut self, cx: &mut Cx<'_>, id: Id) {
        let name = self.command_name(id, "PING");
        let sent = if name == "PING" {
            self.request_encoded(cx, id, Callback::Ping, Bytes::from_static(b"*1\r\n$4\r\nPING\r\n"))
        } else {
            let name = name.to_owned();
            self.request(cx, id, Callback::Ping, &[name.as_bytes()])
        };
        if sent {
            let link = &mut self.links[self.instances[id].link];
            link.last_ping_time = cx.ms;
            if link.act_ping_time == 0 {
                link.act_ping_time = cx.ms;
            }
        }
    }

    /// Closes a command connection on purpose (`instanceLinkCloseConnection`); pending replies are forgotten.
    pub(super) fn close_command(&mut self, cx: &mut Cx<'_>, link: LinkId) {
        if let Some(conn) = self.links[link].cc.take() {
            self.links[link].pending_commands = 0;
            self.drop_conn(cx, link, conn.fd);
        }
    }

    /// Closes a pub/sub connection on purpose.
    pub(super) fn close_pubsub(&mut self, cx: &mut Cx<'_>, link: LinkId) {
        if let Some(conn) = self.links[link].pc.take() {
            self.drop_conn(cx, link, conn.fd);
        }
    }

    fn drop_conn(&mut self, cx: &mut Cx<'_>, link: LinkId, fd: Fd) {
        self.links[link].disconnected = true;
        self.all_stale = true;
        self.use_fd(fd, FdUse::Free);
        self.pending.retain(|&other| other != fd);
        cx.out.close(fd);
    }

    /// One user of a link less; the last one closes it (`releaseInstanceLink`).
    pub(super) fn release_link(&mut self, cx: &mut Cx<'_>, link_id: LinkId, id: Id) {
        let link = &mut self.links[link_id];
        link.refcount -= 1;
        if link.refcount > 0 {
            if let Some(conn) = &mut link.cc {
                for reply in conn.replies.iter_mut().filter(|reply| reply.1 == id) {
                    reply.0 = Callback::Discard;
                }
            }
            return;
        }
        self.close_command(cx, link_id);
        self.close_pubsub(cx, link_id);
        self.links.remove(link_id);
    }

    /// Uses the link of the same sentinel in another master's table, if there is one
    /// (`sentinelTryConnectionSharing`). The own link is fresh and has no connection.
    pub(super) fn share_link(&mut self, id: Id) {
        let Some(run_id) = self.instances[id].run_id else { return };
        let own = self.instances[id].link;
        if self.links[own].refcount > 1 {
            return;
        }
        let mine = self.instances[id].master;
        let shared = self
            .masters
            .iter()
            .filter(|&&master| master != mine)
            .find_map(|&master| self.sentinel_by_id(master, run_id))
            .map(|twin| self.instances[twin].link);
        if let Some(shared) = shared {
            assert!(self.links[own].cc.is_none(), "a link is shared before it is first connected");
            self.links.remove(own);
            self.links[shared].refcount += 1;
            self.instances[id].link = shared;
            self.all_stale = true;
        }
    }

    /// Drops the connections to a master and its replicas (`dropInstanceConnections`).
    pub(super) fn drop_master_connections(&mut self, cx: &mut Cx<'_>, master: Id) {
        let mut all = vec![master];
        all.extend_from_slice(&self.group(master).slaves);
        for id in all {
            let link = self.instances[id].link;
            self.close_command(cx, link);
            self.close_pubsub(cx, link);
        }
    }

    /// Drops the connections to all other sentinels (`sentinelDropConnections`).
    pub(super) fn drop_sentinel_connections(&mut self, cx: &mut Cx<'_>) {
        for id in self.masters.iter().flat_map(|&master| self.group(master).sentinels.clone()).collect::<Vec<_>>() {
            let link = self.instances[id].link;
            if !self.links[link].disconnected {
                self.close_pubsub(cx, link);
                self.close_command(cx, link);
            }
        }
    }

    /// The connection is there: what waited goes out at the end of the turn.
    pub(super) fn link_connected(&mut self, link: LinkId, pubsub: bool, local: Addr) {
        if let Some(conn) = self.conn_mut(link, pubsub) {
            conn.connected = true;
            conn.local = local.ip;
            let fd = conn.fd;
            self.mark_pending(fd);
        }
    }

    /// The connection broke or could not be made (`instanceLinkConnectionError`). Its descriptor is closed already.
    pub(super) fn link_lost(&mut self, cause: EventId, link_id: LinkId, pubsub: bool) {
        let link = &mut self.links[link_id];
        let Some(conn) = (if pubsub { link.pc.take() } else { link.cc.take() }) else { return };
        // hiredis calls every pending callback without a reply; of ours, only the discarding one still counts down.
        let discarded = conn.replies.iter().filter(|reply| reply.0 == Callback::Discard).count();
        link.pending_commands -= i64::try_from(discarded).expect("few requests are pending");
        link.disconnected = true;
        self.use_fd(conn.fd, FdUse::Free);
        self.pending.retain(|&other| other != conn.fd);
        // The first loss since the last good reply is what made it silent; failing attempts follow from that.
        for (_, instance) in self.instances.iter_mut().filter(|(_, instance)| instance.link == link_id) {
            if instance.cause == EventId::NONE {
                instance.cause = cause;
            }
        }
        self.all_stale = true;
    }

    /// The socket takes bytes again.
    pub(super) fn link_writable(&mut self, link: LinkId, pubsub: bool, room: usize) {
        if let Some(conn) = self.conn_mut(link, pubsub) {
            conn.out.writable(room);
            let fd = conn.fd;
            self.mark_pending(fd);
        }
    }

    /// Gives the socket what waits for it.
    pub(super) fn flush_link(&mut self, cx: &mut Cx<'_>, link: LinkId, pubsub: bool) {
        if let Some(conn) = self.conn_mut(link, pubsub)
            && conn.connected
        {
            cx.out.because(conn.cause);
            conn.out.flush(conn.fd, cx.out);
        }
    }

    /// Bytes arrived: replies go to whoever asked, in order.
    pub(super) fn link_bytes(&mut self, cx: &mut Cx<'_>, fd: Fd, data: Bytes) {
        let data = match self.fd_use(fd) {
            FdUse::Command(link) => self.quick_replies(cx, link, data),
            FdUse::PubSub(link) => self.quick_hellos(cx, fd, link, data),
            FdUse::Client(_) | FdUse::Free => return,
        };
        if data.is_empty() {
            return;
        }
        let (FdUse::Command(link) | FdUse::PubSub(link)) = self.fd_use(fd) else { return };
        let pubsub = matches!(self.fd_use(fd), FdUse::PubSub(_));
        if let Some(conn) = self.conn_mut(link, pubsub) {
            conn.reader.feed(data);
        }
        // A reply may close the connection that it came in on.
        loop {
            let (link, pubsub) = match self.fd_use(fd) {
                FdUse::Command(link) => (link, false),
                FdUse::PubSub(link) => (link, true),
                FdUse::Client(_) | FdUse::Free => return,
            };
            let Some(conn) = self.conn_mut(link, pubsub) else { return };
            match conn.reader.read() {
                Ok(Some(value)) => self.reply(cx, link, pubsub, value),
                Ok(None) => return,
                Err(_) => return self.break_link(cx, link, pubsub),
            }
        }
    }

    /// The answers that nearly always come, recognised without building a reply: `+PONG`, and the number that
    /// answers PUBLISH. Returns the rest.
    fn quick_replies(&mut self, cx: &mut Cx<'_>, link: LinkId, mut data: Bytes) -> Bytes {
        const PONG: &[u8] = b"+PONG\r\n";
        loop {
            let Some(conn) = &mut self.links[link].cc else { return data };
            if conn.reader.unread() > 0 {
                return data;
            }
            let Some(&(callback, id)) = conn.replies.front() else { return data };
            let used = match callback {
                Callback::Ping if data.starts_with(PONG) => {
                    conn.replies.pop_front();
                    self.pong(cx, link, id);
                    PONG.len()
                }
                Callback::Publish if data.len() >= 4 && data[0] == b':' && &data[2..4] == b"\r\n" => {
                    conn.replies.pop_front();
                    self.links[link].pending_commands -= 1;
                    self.at_mut(id).last_pub_time = cx.ms;
                    4
                }
                Callback::Discard | Callback::Ping | Callback::Info | Callback::Publish | Callback::MasterDown => {
                    return data;
                }
            };
            if used == data.len() {
                return Bytes::new();
            }
            data.advance(used);
        }
    }

    /// The command connection's PONG (the good half of `sentinelPingReplyCallback`).
    fn pong(&mut self, cx: &mut Cx<'_>, link_id: LinkId, id: Id) {
        let link = &mut self.links[link_id];
        link.pending_commands -= 1;
        link.last_avail_time = cx.ms;
        link.act_ping_time = 0;
        link.last_pong_time = cx.ms;
        let instance = self.at_mut(id);
        instance.flags.clear(super::instances::Flags::REBOOT);
        instance.cause = EventId::NONE;
        self.touch(id);
    }

    /// Whole hello messages, recognised by their constant beginning. Returns the rest.
    fn quick_hellos(&mut self, cx: &mut Cx<'_>, fd: Fd, link: LinkId, mut data: Bytes) -> Bytes {
        const HEAD: &[u8] = b"*3\r\n$7\r\nmessage\r\n$18\r\n__sentinel__:hello\r\n$";
        loop {
            // Acting on a hello may close this very connection.
            if self.fd_use(fd) != FdUse::PubSub(link) {
                return Bytes::new();
            }
            let Some(conn) = &self.links[link].pc else { return Bytes::new() };
            let Some(subscriber) = conn.subscriber else { return data };
            if conn.reader.unread() > 0 || !conn.replies.is_empty() || !data.starts_with(HEAD) {
                return data;
            }
            let rest = &data[HEAD.len()..];
            let Some(line) = rest.iter().take(12).position(|&byte| byte == b'\r') else { return data };
            let Some(len) = crate::resp::parse_i64(&rest[..line]).and_then(|len| usize::try_from(len).ok()) else {
                return data;
            };
            let from = HEAD.len() + line + 2;
            if data.len() < from.saturating_add(len).saturating_add(2) {
                return data;
            }
            let end = from + len;
            self.hello_activity(cx, subscriber);
            self.hello_received(cx, &data[from..end]);
            if end + 2 == data.len() {
                return Bytes::new();
            }
            data.advance(end + 2);
        }
    }

    fn hello_activity(&mut self, cx: &mut Cx<'_>, subscriber: Id) {
        let link = self.instances[subscriber].link;
        self.links[link].pc_last_activity = cx.ms;
        self.touch(subscriber);
    }

    fn hello_received(&mut self, cx: &mut Cx<'_>, hello: &[u8]) {
        if self.heard_before(cx, hello) {
            return;
        }
        // Sentinels hear their own messages, whose third field is their id.
        let mine = hello.split(|&byte| byte == b',').nth(2) == Some(&self.my_id.hex()[..]);
        if mine {
            self.remember_hello(hello, None);
        } else {
            self.process_hello(cx, hello);
        }
    }

    /// One reply, to the oldest request, or to the subscription when nothing else is pending
    /// (`redisProcessCallbacks`).
    fn reply(&mut self, cx: &mut Cx<'_>, link_id: LinkId, pubsub: bool, value: Value) {
        let Some(conn) = self.conn_mut(link_id, pubsub) else { return };
        let subscriber = conn.subscriber;
        match conn.replies.pop_front() {
            Some((callback, id)) => {
                self.links[link_id].pending_commands -= 1;
                match callback {
                    Callback::Discard => {}
                    Callback::Ping => self.ping_reply(cx, link_id, id, &value),
                    Callback::Info => {
                        if let Value::Bulk(info) | Value::Verbatim(_, info) = value {
                            self.refresh_info(cx, id, info);
                        }
                    }
                    Callback::Publish => {
                        if value.error().is_none() {
                            self.at_mut(id).last_pub_time = cx.ms;
                        }
                    }
                    Callback::MasterDown => self.master_down_reply(cx, id, &value),
                }
                if self.instances.contains(id) {
                    self.touch(id);
                }
            }
            // A server that refuses the subscription, or has no room for the connection.
            None if value.error().is_some() => self.break_link(cx, link_id, pubsub),
            None => {
                let Some(subscriber) = subscriber else { return };
                let Some(items) = value.items() else { return };
                if items.len() < 3 || items[1].text() != Some(HELLO_CHANNEL) {
                    return;
                }
                self.hello_activity(cx, subscriber);
                if let [Value::Bulk(kind), Value::Bulk(_), Value::Bulk(hello)] = items
                    && kind.as_ref() == b"message"
                {
                    self.hello_received(cx, hello);
                }
            }
        }
    }

    /// hiredis gives a connection up.
    fn break_link(&mut self, cx: &mut Cx<'_>, link: LinkId, pubsub: bool) {
        let Some(fd) = self.conn_mut(link, pubsub).map(|conn| conn.fd) else { return };
        self.link_lost(cx.out.cause(), link, pubsub);
        cx.out.close(fd);
    }
}
