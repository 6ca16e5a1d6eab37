//! What commands look like, as a real server's COMMAND DOCS says: the options in every combination come from it.

use bytes::{Bytes, BytesMut};
use splitbrain::resp::{ReplyReader, Value, encode};

use crate::targets::Target;

/// A command and its arguments.
#[derive(Debug)]
pub(super) struct Grammar {
    pub(super) name: String,
    pub(super) group: String,
    pub(super) args: Vec<Arg>,
}

/// One argument.
#[derive(Debug)]
pub(super) struct Arg {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) token: Option<String>,
    pub(super) optional: bool,
    pub(super) multiple: bool,
    /// The token is said again before each of several.
    pub(super) multiple_token: bool,
    pub(super) args: Vec<Arg>,
}

fn text(value: &Value) -> String {
    String::from_utf8_lossy(value.text().expect("a text")).into_owned()
}

/// Looks a name up in a list of names and values.
fn field<'a>(pairs: &'a [Value], name: &str) -> Option<&'a Value> {
    pairs.chunks_exact(2).find(|pair| pair[0].text() == Some(name.as_bytes())).map(|pair| &pair[1])
}

impl Arg {
    fn read(value: &Value) -> Arg {
        let pairs = value.items().expect("an argument");
        let flags: Vec<String> =
            field(pairs, "flags").and_then(Value::items).unwrap_or_default().iter().map(text).collect();
        let has = |flag: &str| flags.iter().any(|have| have == flag);
        Arg {
            name: text(field(pairs, "name").expect("a name")),
            kind: text(field(pairs, "type").expect("a type")),
            token: field(pairs, "token").map(text),
            optional: has("optional"),
            multiple: has("multiple"),
            multiple_token: has("multiple_token"),
            args: field(pairs, "arguments").and_then(Value::items).unwrap_or_default().iter().map(Arg::read).collect(),
        }
    }
}

/// Sends a request over a connection for long replies.
pub(super) fn reply(target: &mut dyn Target, line: &str) -> Value {
    let mut request = BytesMut::new();
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    encode::command(&mut request, &words);
    let mut reader = ReplyReader::default();
    reader.feed(Bytes::from(target.exchange("docs", &request).remove("docs").expect("a reply").0));
    loop {
        match reader.read().expect("RESP") {
            Some(value) => break value,
            // A long reply comes in pieces.
            None => reader.feed(Bytes::from(target.sleep(20).remove("docs").unwrap_or_default().0)),
        }
    }
}

/// Asks for the documentation of all commands, in the order of their names.
pub(super) fn ask(target: &mut dyn Target) -> Vec<Grammar> {
    let docs = reply(target, "COMMAND DOCS");
    let mut all = Vec::new();
    for pair in docs.items().expect("a list").chunks_exact(2) {
        let pairs = pair[1].items().expect("a command");
        let group = text(field(pairs, "group").expect("a group"));
        let one = |name: String, pairs: &[Value]| Grammar {
            name,
            group: group.clone(),
            args: field(pairs, "arguments").and_then(Value::items).unwrap_or_default().iter().map(Arg::read).collect(),
        };
        match field(pairs, "subcommands").and_then(Value::items) {
            Some(subs) => all.extend(
                subs.chunks_exact(2)
                    .map(|sub| one(text(&sub[0]).replace('|', " "), sub[1].items().expect("a command"))),
            ),
            None => all.push(one(text(&pair[0]), pairs)),
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}
