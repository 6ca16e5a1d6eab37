//! The record of a served deployment: JSON lines, the first of which says what was served; the others what came from
//! outside, and when.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::id::{Addr, Ip, NodeId};
use crate::rng::Seed;
use crate::scenario::{self, Input, Layout, NodeKind, Report, Scenario};
use crate::time::{Instant, Span, Unix};
use crate::world::{Injection, beginning};

/// The version of the format.
const FORMAT: u32 = 1;

/// What was served: all that is needed to make the same world again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Header {
    /// The version of the format.
    pub record: u32,
    /// The version of splitbrain.
    pub splitbrain: String,
    /// The scenario's file with defaults filled in, changes applied, and configuration files inlined.
    pub scenario: String,
    /// The nodes' address.
    pub ip: Ip,
    /// The first node's port.
    pub base_port: u16,
    /// Whether the scenario's own clients run.
    pub clients: bool,
    /// The number of the process that served it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_id: Option<u32>,
    /// The wall clock when it began, in nanoseconds.
    pub began: u64,
    /// Files of users (`aclfile`), by the names that directives give them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// What is on nodes' disks at first, by the nodes' names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub disks: BTreeMap<String, BTreeMap<String, Content>>,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Spelled", into = "Spelled")]
pub struct Content(pub Bytes);

/// Bytes as they are written: text where they are text, and hexadecimal digits where they aren't.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Spelled {
    Text(String),
    Hex(String),
}

impl From<&Bytes> for Spelled {
    fn from(data: &Bytes) -> Spelled {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        if let Ok(text) = std::str::from_utf8(data) {
            return Spelled::Text(text.to_owned());
        }
        let digits = data.iter().flat_map(|byte| [byte >> 4, byte & 15].map(|half| DIGITS[usize::from(half)] as char));
        Spelled::Hex(digits.collect())
    }
}

impl TryFrom<Spelled> for Bytes {
    type Error = &'static str;

    fn try_from(written: Spelled) -> Result<Bytes, &'static str> {
        let digits = match written {
            Spelled::Text(text) => return Ok(Bytes::from(text)),
            Spelled::Hex(digits) => digits,
        };
        let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let data: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
        Ok(data.ok_or("expected hexadecimal digits")?.into())
    }
}

impl From<Content> for Spelled {
    fn from(content: Content) -> Spelled {
        Spelled::from(&content.0)
    }
}

impl TryFrom<Spelled> for Content {
    type Error = &'static str;

    fn try_from(written: Spelled) -> Result<Content, &'static str> {
        Bytes::try_from(written).map(Content)
    }
}

impl Header {
    /// For a scenario's effective file.
    #[must_use]
    pub fn new(scenario: String, layout: Layout, began: Unix) -> Header {
        Header {
            record: FORMAT,
            splitbrain: env!("CARGO_PKG_VERSION").to_owned(),
            scenario,
            ip: layout.ip,
            base_port: layout.base_port,
            clients: layout.clients,
            process_id: layout.process_id,
            began: began.0,
            files: BTreeMap::new(),
            disks: BTreeMap::new(),
        }
    }

    /// The same with files on a node's disk.
    #[must_use]
    pub fn with_disk(mut self, node: &str, files: &BTreeMap<String, Bytes>) -> Header {
        let files = files.iter().map(|(name, data)| (name.clone(), Content(data.clone()))).collect();
        self.disks.insert(node.to_owned(), files);
        self
    }

    /// The same with the files of users that a scenario's servers have read.
    #[must_use]
    pub fn with_files_of(mut self, scenario: &Scenario) -> Header {
        for node in &scenario.nodes {
            if let NodeKind::Server(config) = &node.kind
                && let Some(text) = &config.acl_text
            {
                self.files.insert(config.aclfile.clone(), String::from_utf8_lossy(text).into_owned());
            }
        }
        self
    }

    /// Reads the first line of a record.
    ///
    /// # Errors
    /// What it lacks.
    pub fn parse(line: &str) -> Result<Header, String> {
        let header: Header = serde_json::from_str(line)
            .map_err(|error| format!("expected the first line of what `splitbrain serve --record` writes: {error}"))?;
        if header.record != FORMAT {
            return Err(format!("a record of format {}, this version reads {FORMAT}", header.record));
        }
        Ok(header)
    }

    fn load(&self, sets: &[String]) -> Result<Scenario, Box<Report>> {
        // Configuration files are inlined.
        let read_file = |name: &str| {
            let text = self.files.get(name).ok_or_else(|| format!("{name} is not part of the record"))?;
            Ok(text.clone().into_bytes())
        };
        let input = Input { name: "scenario.toml", text: &self.scenario, sets, read_file: &read_file };
        let Header { ip, base_port, clients, process_id, .. } = *self;
        let layout = Layout { ip, base_port, clients, process_id };
        Ok(scenario::load_served(input, layout)?.scenario)
    }

    /// The scenario as it is served: machines whose clocks are as far off as it says show the real time at the start.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn scenario(&self) -> Result<Scenario, Box<Report>> {
        let mut scenario = self.load(&[])?;
        let shift = i128::from(self.began) - i128::from(beginning(scenario.seed).0);
        let shift = i64::try_from(shift).unwrap_or(0);
        for machine in &mut scenario.machines {
            machine.clock_offset_ns = machine.clock_offset_ns.saturating_add(shift);
        }
        Ok(scenario)
    }

    /// A fault as a scenario file writes it, without its `at`: what it is, and how long it lasts. `number` says how many
    /// were asked for before it, which random times depend on.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn fault(&self, fields: &str, number: u64) -> Result<(Fault, Option<Span>), Box<Report>> {
        let scenario = self.load(&[format!("fault=[{{ at = \"0s\", {fields} }}]")])?;
        let timed = scenario.faults.first().expect("the list has one");
        let seed: Seed = scenario.seed.derive("ordered fault", number);
        let times = timed.times(0, seed);
        Ok((timed.fault.clone(), times.restart_after.or(times.lasts)))
    }
}

/// A line after the first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// What came from outside at one instant, in order.
    In {
        /// When.
        at: Instant,
        /// What.
        #[serde(rename = "in")]
        entries: Vec<Entry>,
    },
    /// The session ended.
    End {
        /// When.
        at: Instant,
        /// Always true.
        end: bool,
    },
}

impl Line {
    /// When it was.
    #[must_use]
    pub fn at(&self) -> Instant {
        match self {
            Line::In { at, .. } | Line::End { at, .. } => *at,
        }
    }
}

/// One thing that came from outside. Connections are named by their numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Entry {
    /// A connection: to where, and from where.
    Call(u32, Addr, Addr),
    /// Bytes.
    Bytes(u32, Bytes),
    /// Its end.
    Close(u32),
    /// A connection that began inside was taken.
    PickUp(u32),
    /// It was not.
    TurnDown(u32),
    /// The party takes no bytes.
    Hold(u32),
    /// It takes them again.
    Release(u32),
    /// It waits for room.
    Await(u32),
    /// A fault, as a scenario file writes it.
    Fault(String),
    /// The end of a fault, by its number.
    Heal(u16),
    /// A file was put onto a node's disk.
    Put(NodeId, String, Bytes),
    /// A folder was made in a node's.
    Folder(NodeId, String),
    /// A file or a folder was removed.
    Remove(NodeId, String),
    /// A node's child process was killed.
    KillChild(NodeId),
}

/// An entry as it is written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Written {
    Call(u32, Addr, Addr),
    Text(u32, String),
    Hex(u32, String),
    Close(u32),
    PickUp(u32),
    TurnDown(u32),
    Hold(u32),
    Release(u32),
    Await(u32),
    Fault(String),
    Heal(u16),
    Put(NodeId, String, Content),
    Folder(NodeId, String),
    Remove(NodeId, String),
    KillChild(NodeId),
}

impl From<Entry> for Written {
    fn from(entry: Entry) -> Written {
        match entry {
            Entry::Call(id, to, from) => Written::Call(id, to, from),
            Entry::Bytes(id, data) => match Spelled::from(&data) {
                Spelled::Text(text) => Written::Text(id, text),
                Spelled::Hex(digits) => Written::Hex(id, digits),
            },
            Entry::Close(id) => Written::Close(id),
            Entry::PickUp(id) => Written::PickUp(id),
            Entry::TurnDown(id) => Written::TurnDown(id),
            Entry::Hold(id) => Written::Hold(id),
            Entry::Release(id) => Written::Release(id),
            Entry::Await(id) => Written::Await(id),
            Entry::Fault(fields) => Written::Fault(fields),
            Entry::Heal(fault) => Written::Heal(fault),
            Entry::Put(node, name, data) => Written::Put(node, name, Content(data)),
            Entry::Folder(node, name) => Written::Folder(node, name),
            Entry::Remove(node, name) => Written::Remove(node, name),
            Entry::KillChild(node) => Written::KillChild(node),
        }
    }
}

impl TryFrom<Written> for Entry {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Entry, &'static str> {
        Ok(match written {
            Written::Call(id, to, from) => Entry::Call(id, to, from),
            Written::Text(id, text) => Entry::Bytes(id, Bytes::from(text)),
            Written::Hex(id, digits) => Entry::Bytes(id, Spelled::Hex(digits).try_into()?),
            Written::Close(id) => Entry::Close(id),
            Written::PickUp(id) => Entry::PickUp(id),
            Written::TurnDown(id) => Entry::TurnDown(id),
            Written::Hold(id) => Entry::Hold(id),
            Written::Release(id) => Entry::Release(id),
            Written::Await(id) => Entry::Await(id),
            Written::Fault(fields) => Entry::Fault(fields),
            Written::Heal(fault) => Entry::Heal(fault),
            Written::Put(node, name, content) => Entry::Put(node, name, content.0),
            Written::Folder(node, name) => Entry::Folder(node, name),
            Written::Remove(node, name) => Entry::Remove(node, name),
            Written::KillChild(node) => Entry::KillChild(node),
        })
    }
}

impl Entry {
    /// What it does to a world.
    pub(super) fn injection(self, header: &Header, orders: u64) -> Result<Injection, Box<Report>> {
        Ok(match self {
            Entry::Call(id, to, from) => Injection::Call { id, to, from },
            Entry::Bytes(id, data) => Injection::Bytes { id, data },
            Entry::Close(id) => Injection::Close { id },
            Entry::PickUp(id) => Injection::PickUp { id },
            Entry::TurnDown(id) => Injection::TurnDown { id },
            Entry::Hold(id) => Injection::Hold { id },
            Entry::Release(id) => Injection::Release { id },
            Entry::Await(id) => Injection::AwaitWritable { id },
            Entry::Fault(fields) => {
                let (fault, lasts) = header.fault(&fields, orders)?;
                Injection::Fault { fault, lasts }
            }
            Entry::Heal(fault) => Injection::Heal { fault },
            Entry::Put(node, name, content) => Injection::File { node, name: name.into(), content: Some(content) },
            Entry::Folder(node, name) => Injection::Folder { node, name: name.into() },
            Entry::Remove(node, name) => Injection::File { node, name: name.into(), content: None },
            Entry::KillChild(node) => Injection::KillChild { node },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back() {
        let addr = |port| Addr::new(Ip::LOOPBACK, port);
        let entries = vec![
            Entry::Call(1, addr(7000), addr(50_000)),
            Entry::Bytes(1, Bytes::from_static(b"PING\r\n")),
            Entry::Bytes(1, Bytes::from_static(b"\xff\x00")),
            Entry::Await(1),
            Entry::Fault("crash = \"r1\"".to_owned()),
            Entry::Heal(3),
            Entry::Put(NodeId(0), "dump.rdb".to_owned(), Bytes::from_static(b"REDIS\xff")),
            Entry::Folder(NodeId(0), "dump.rdb".to_owned()),
            Entry::Remove(NodeId(0), "dump.rdb".to_owned()),
            Entry::Close(1),
        ];
        let line = Line::In { at: Instant(5), entries };
        let text = serde_json::to_string(&line).expect("JSON");
        assert!(text.starts_with(r#"{"at":5,"in":[{"call":[1,"127.0.0.1:7000","127.0.0.1:50000"]},"#), "{text}");
        assert!(text.contains(r#"{"text":[1,"PING\r\n"]},{"hex":[1,"ff00"]}"#), "{text}");
        assert_eq!(serde_json::from_str::<Line>(&text).expect("reads back"), line);
        let end = r#"{"at":7,"end":true}"#;
        assert_eq!(serde_json::from_str::<Line>(end).expect("reads back"), Line::End { at: Instant(7), end: true });
    }
}
