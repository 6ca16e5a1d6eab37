//! Finding a server through sentinels, as client libraries do: ask one after the other until one knows.

use bytes::{Bytes, BytesMut};

use super::config::{Policy, SentinelOrder};
use super::connection::Wanted;
use super::direct;
use crate::id::{Addr, Fd, Ip};
use crate::node::Outbox;
use crate::resp::{ReplyReader, Value, encode};
use crate::rng::Rng;
use crate::time::{Instant, Now};

/// How a search went on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No answer yet.
    NotYet,
    /// A sentinel named a server.
    Server {
        /// The sentinel.
        by: Addr,
        /// The server.
        server: Addr,
        /// What it must turn out to be.
        wanted: Wanted,
    },
    /// No sentinel could help; the last one's reason.
    Nothing(String),
}

/// The question put to a sentinel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// SENTINEL GET-MASTER-ADDR-BY-NAME
    Master,
    /// SENTINEL REPLICAS
    Replicas,
    /// GET-MASTER-ADDR-BY-NAME because there is no usable replica.
    MasterInstead,
}

/// Asks the sentinels of a list for a server. A sentinel that doesn't answer in time, doesn't know the master or
/// fails in any other way is passed over.
#[derive(Clone, Debug)]
pub(crate) struct Finder {
    master: String,
    sentinels: Vec<Addr>,
    order: SentinelOrder,
    /// Look for a replica instead of the master.
    replica: bool,
    rng: Rng,
    /// Which of `sentinels` is being asked.
    at: usize,
    query: Option<Query>,
}

#[derive(Clone, Debug)]
struct Query {
    fd: Fd,
    question: Question,
    deadline: Instant,
    reader: ReplyReader,
}

impl Finder {
    pub(crate) fn new(master: &str, sentinels: &[Addr], replica: bool, order: SentinelOrder, mut rng: Rng) -> Finder {
        let mut sentinels = sentinels.to_vec();
        if order == SentinelOrder::Shuffled {
            for last in (1..sentinels.len()).rev() {
                let other = usize::try_from(rng.below(last as u64 + 1)).expect("an index of a list in memory");
                sentinels.swap(last, other);
            }
        }
        Finder { master: master.to_owned(), sentinels, order, replica, rng, at: 0, query: None }
    }

    /// Begins a search with the first sentinel.
    pub(crate) fn begin(&mut self, now: Now, policy: &Policy, out: &mut Outbox) -> Found {
        self.abort(out);
        self.at = 0;
        self.ask(now, policy, "no sentinels are configured", out)
    }

    /// Gives the search up.
    pub(crate) fn abort(&mut self, out: &mut Outbox) {
        if let Some(query) = self.query.take() {
            out.close(query.fd);
        }
    }

    /// When the sentinel being asked has had its time.
    pub(crate) fn deadline(&self) -> Instant {
        self.query.as_ref().map_or(Instant::NEVER, |query| query.deadline)
    }

    /// Whether an input on this descriptor is for the search.
    pub(crate) fn owns(&self, fd: Fd) -> bool {
        self.query.as_ref().is_some_and(|query| query.fd == fd)
    }

    fn ask(&mut self, now: Now, policy: &Policy, why_not: &str, out: &mut Outbox) -> Found {
        let Some(&sentinel) = self.sentinels.get(self.at) else {
            return Found::Nothing(why_not.to_owned());
        };
        let question = if self.replica { Question::Replicas } else { Question::Master };
        let deadline = now.mono + policy.sentinel_timeout;
        self.query = Some(Query { fd: out.connect(sentinel), question, deadline, reader: ReplyReader::default() });
        Found::NotYet
    }

    /// The connection is up.
    pub(crate) fn on_connected(&mut self, out: &mut Outbox) {
        let query = self.query.as_ref().expect("the input is for this search");
        send_question(&self.master, query, out);
    }

    /// The connection was refused or ended (then it is closed already), or it took too long.
    pub(crate) fn on_failed(&mut self, now: Now, policy: &Policy, why: &str, open: bool, out: &mut Outbox) -> Found {
        let query = self.query.take().expect("the input is for this search");
        if open {
            out.close(query.fd);
        }
        let why = format!("{} {why}", self.sentinels[self.at]);
        self.at += 1;
        self.ask(now, policy, &why, out)
    }

    /// Bytes of an answer.
    pub(crate) fn on_bytes(&mut self, now: Now, policy: &Policy, data: Bytes, out: &mut Outbox) -> Found {
        let query = self.query.as_mut().expect("the input is for this search");
        query.reader.feed(data);
        let reply = match query.reader.read() {
            Ok(Some(reply)) => reply,
            Ok(None) => return Found::NotYet,
            Err(error) => return self.on_failed(now, policy, &error.to_string(), true, out),
        };
        if let Some(message) = reply.error() {
            let why = format!("said {}", String::from_utf8_lossy(message));
            return self.on_failed(now, policy, &why, true, out);
        }
        let answer = match query.question {
            Question::Master => master_address(&reply).map(|server| (server, Wanted::Master)),
            Question::MasterInstead => master_address(&reply).map(|server| (server, Wanted::Anyone)),
            Question::Replicas => {
                let Some(server) = direct::choose(&usable_replicas(&reply), &mut self.rng) else {
                    query.question = Question::MasterInstead;
                    send_question(&self.master, query, out);
                    return Found::NotYet;
                };
                Some((server, Wanted::Replica))
            }
        };
        let Some((server, wanted)) = answer else {
            return self.on_failed(now, policy, "does not know the master", true, out);
        };
        self.abort(out);
        let by = self.sentinels[self.at];
        if self.order != SentinelOrder::Fixed {
            self.sentinels.swap(0, self.at);
        }
        Found::Server { by, server, wanted }
    }
}

fn send_question(master: &str, query: &Query, out: &mut Outbox) {
    let subcommand: &[u8] = match query.question {
        Question::Master | Question::MasterInstead => b"GET-MASTER-ADDR-BY-NAME",
        Question::Replicas => b"REPLICAS",
    };
    let mut request = BytesMut::new();
    encode::command(&mut request, &[b"SENTINEL", subcommand, master.as_bytes()]);
    out.send(query.fd, request.freeze());
}

/// An address given as two texts.
pub(crate) fn address(ip: &[u8], port: &[u8]) -> Option<Addr> {
    let ip = Ip::parse(std::str::from_utf8(ip).ok()?)?;
    Some(Addr::new(ip, std::str::from_utf8(port).ok()?.parse().ok()?))
}

/// The answer to GET-MASTER-ADDR-BY-NAME, if the sentinel knows the master.
fn master_address(reply: &Value) -> Option<Addr> {
    let [ip, port] = reply.items()? else { return None };
    address(ip.text()?, port.text()?)
}

/// The replicas that a client may use: those that the sentinel doesn't call down or disconnected.
fn usable_replicas(reply: &Value) -> Vec<Addr> {
    let one = |replica: &Value| {
        let fields = replica.items()?;
        let field = |name: &[u8]| {
            fields.chunks_exact(2).find(|pair| pair[0].text() == Some(name)).and_then(|pair| pair[1].text())
        };
        let unusable = |flag: &[u8]| matches!(flag, b"s_down" | b"o_down" | b"disconnected");
        if field(b"flags")?.split(|&byte| byte == b',').any(unusable) {
            return None;
        }
        address(field(b"ip")?, field(b"port")?)
    };
    reply.items().unwrap_or_default().iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Bulk(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn only_reachable_replicas_are_usable() {
        let replica = |port: &str, flags: &str| {
            let fields = ["name", "x", "ip", "10.0.0.7", "port", port, "flags", flags];
            Value::Array(fields.into_iter().map(text).collect())
        };
        let reply = Value::Array(vec![
            replica("1", "slave"),
            replica("2", "s_down,slave"),
            replica("3", "slave,disconnected"),
            replica("4", "slave,reconf_inprog"),
            replica("none", "slave"),
            Value::Integer(5),
        ]);
        let ports: Vec<u16> = usable_replicas(&reply).iter().map(|addr| addr.port).collect();
        assert_eq!(ports, [1, 4]);
        assert_eq!(usable_replicas(&Value::Null), []);
    }

    #[test]
    fn master_addresses_are_two_texts() {
        let addr = master_address(&Value::Array(vec![text("10.0.0.1"), text("6379")]));
        assert_eq!(addr, Addr::parse("10.0.0.1:6379"));
        assert_eq!(master_address(&Value::Null), None);
        assert_eq!(master_address(&Value::Array(vec![text("10.0.0.1")])), None);
        assert_eq!(master_address(&Value::Array(vec![text("host"), text("6379")])), None);
    }
}
