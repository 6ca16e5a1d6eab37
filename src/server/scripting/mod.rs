//! Scripts: what the server keeps of them, and how one of them calls commands (`script.c`, `eval.c`). The interpreter
//! lives in `lua/`, behind the cargo feature of that name; this room works without it.

mod answers;
pub(crate) mod busy;
pub(crate) mod debugger;
pub(crate) mod host;
mod journal;
mod libraries;
#[cfg(feature = "lua")]
mod lua;
#[cfg(not(feature = "lua"))]
#[path = "absent.rs"]
mod lua;
mod random;
mod shebang;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use answers::Answers;
use journal::Journal;
pub(crate) use libraries::{Libraries, Library};
pub(crate) use random::Rand48;
pub(crate) use shebang::{Code, FLAGS};

use crate::id::Fd;

/// The descriptor by which the session of scripts is known. No connection has it.
pub(crate) const SCRIPT: Fd = Fd(u32::MAX);

/// Bits of a script's flags (`SCRIPT_FLAG_*`).
pub(crate) mod flag {
    /// It doesn't write.
    pub(crate) const NO_WRITES: u8 = 1;
    /// It may run when memory is short.
    pub(crate) const ALLOW_OOM: u8 = 1 << 1;
    /// It may run on a replica without its master.
    pub(crate) const ALLOW_STALE: u8 = 1 << 2;
    /// It must not run in a cluster.
    pub(crate) const NO_CLUSTER: u8 = 1 << 3;
    /// It has no shebang: checks are made call by call.
    pub(crate) const COMPAT: u8 = 1 << 4;
    /// It may access keys of several slots.
    pub(crate) const ALLOW_CROSS_SLOT: u8 = 1 << 5;
}

/// A script of the cache.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// Its text.
    pub body: Bytes,
    /// Its flags.
    pub flags: u8,
}

/// What a server keeps for scripts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scripting {
    /// By SHA1.
    cache: Arc<BTreeMap<[u8; 20], Script>>,
    /// Bytes of the texts.
    memory: u64,
    /// Libraries of functions.
    pub libraries: Libraries,
    /// The script that takes long, or the command that waits.
    busy: Option<Box<busy::Busy>>,
    /// Nanoseconds that scripts took longer than they should while an append-only file was read.
    pub slow_ns: u64,
    /// Room for what the next script is answered.
    answers: Answers,
    /// Where `math.random` stands.
    random: Rand48,
    /// Scripts may call what they may not (DEBUG SET-DISABLE-DENY-SCRIPTS).
    pub denied_allowed: bool,
    /// What scripts have set `cjson` to, and what functions have.
    json: [JsonSettings; 2],
    /// Sessions of the debugger.
    pub debugging: Option<Box<debugger::session::Debugging>>,
}

impl Scripting {
    /// The script of that SHA1.
    #[must_use]
    pub(crate) fn get(&self, sha: &[u8; 20]) -> Option<&Script> {
        self.cache.get(sha)
    }

    /// A script takes long, or a transaction waits.
    #[inline]
    #[must_use]
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.is_some()
    }

    /// How many are cached.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.cache.len()
    }

    /// What they take in memory, about as a real server counts it.
    #[must_use]
    pub(crate) fn memory(&self) -> u64 {
        self.memory + self.cache.len() as u64 * 40
    }

    /// Forgets them all.
    pub(crate) fn flush(&mut self) {
        self.cache = Arc::default();
        self.memory = 0;
        self.json[0] = JsonSettings::default();
    }

    /// Caches a script that compiles; the error is its reply (`luaCreateFunction`).
    pub(crate) fn create(&mut self, sha: [u8; 20], body: &[u8]) -> Result<(), String> {
        if self.cache.contains_key(&sha) {
            return Ok(());
        }
        let flags = shebang::eval_flags(body)?;
        lua::compile(body).map_err(|problem| format!("ERR Error compiling script (new function): {problem}"))?;
        self.memory += body.len() as u64 + 104;
        Arc::make_mut(&mut self.cache).insert(sha, Script { body: Bytes::copy_from_slice(body), flags });
        Ok(())
    }
}

/// Forgets the interpreters of this thread.
#[cfg(all(test, feature = "lua"))]
pub(crate) fn forget_interpreters() {
    lua::forget();
}

/// The SHA1 of a script.
#[must_use]
pub(crate) fn sha1(text: &[u8]) -> [u8; 20] {
    use sha1::Digest as _;
    sha1::Sha1::digest(text).into()
}

/// Its forty digits.
#[must_use]
pub(crate) fn hex(sha: &[u8; 20]) -> String {
    sha.iter().fold(String::with_capacity(40), |mut text, byte| {
        text.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
        text.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
        text
    })
}

/// Forty digits of either case.
#[must_use]
pub(crate) fn parse_sha(text: &[u8]) -> Option<[u8; 20]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if text.len() != 40 {
        return None;
    }
    let mut sha = [0; 20];
    for (byte, pair) in sha.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(sha)
}

/// A name of a library or a function (`functionsVerifyName`).
#[must_use]
pub(crate) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// What `cjson` is set to: it stays so from script to script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the library's own words")]
pub(crate) struct JsonSettings {
    pub sparse_convert: u8,
    pub sparse_ratio: i32,
    pub sparse_safe: i32,
    pub encode_depth: i32,
    pub decode_depth: i32,
    pub encode_invalid: u8,
    pub decode_invalid: u8,
    pub keep_buffer: u8,
    pub precision: i32,
}

impl Default for JsonSettings {
    fn default() -> JsonSettings {
        JsonSettings {
            sparse_convert: 0,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_depth: 1_000,
            decode_depth: 1_000,
            encode_invalid: 0,
            decode_invalid: 1,
            keep_buffer: 1,
            precision: 14,
        }
    }
}

/// What a script asks of the server.
pub(crate) trait Host {
    /// Executes a command for a script that has come so far.
    fn call(&mut self, parts: &[&[u8]], so_far: &SoFar<'_>) -> Answer;
    /// Whether the caller may execute this; `None`: there is no such command.
    fn may_run(&mut self, parts: &[&[u8]]) -> Option<bool>;
    /// What the script was answered.
    fn answers(&self) -> Answers;
}

/// Where a script stands that calls a command.
#[derive(Debug)]
pub(crate) struct SoFar<'a> {
    /// The protocol that it has chosen.
    pub resp: u8,
    /// The bits of `redis.set_repl`.
    pub targets: u8,
    /// Instructions executed.
    pub work: u64,
    /// After so many it is stopped.
    pub budget: &'a Cell<u64>,
}

/// How a call went.
#[derive(Debug)]
pub(crate) enum Answer {
    /// What the command replied.
    Reply(BytesMut),
    /// It was not executed.
    Refused(String),
    /// The script is to be stopped: it goes on another time.
    Stop,
}

/// One run of a script.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    /// The SHA1 of its text.
    pub sha: [u8; 20],
    /// Its text, or the library's.
    pub code: Code<'a>,
    /// The library's function to call.
    pub function: Option<&'a [u8]>,
    /// What the library's variables are, if they can change.
    pub state: Option<&'a Journal>,
    /// KEYS.
    pub keys: &'a [&'a [u8]],
    /// ARGV.
    pub args: &'a [&'a [u8]],
    /// The protocol of the caller.
    pub client_resp: u8,
    /// Where `math.random` stands.
    pub random: Rand48,
    /// What scripts have set `cjson` to.
    pub json: JsonSettings,
    /// After so many instructions it is not run any further.
    pub budget: u64,
    /// What it logs is kept.
    pub logs: bool,
    /// It is debugged.
    pub debugger: Option<&'a Rc<RefCell<debugger::Debugger>>>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It returned: the reply is complete.
    Returned,
    /// With an error: its text, where it happened, and whether it is counted already.
    Failed(String, Option<(String, String)>, bool),
    /// It was stopped, by its budget or in a call.
    Stopped,
}

/// Lines for the log: levels and texts.
pub(crate) type Said = Vec<(u8, Vec<u8>)>;

/// What came of it.
#[derive(Debug)]
pub(crate) struct Run {
    /// How it ended.
    pub ending: Ending,
    /// The reply.
    pub reply: BytesMut,
    /// Errors in the reply that are to be counted.
    pub errors: Vec<String>,
    /// Where `math.random` stands now.
    pub random: Rand48,
    /// What `cjson` is set to now.
    pub json: JsonSettings,
    /// Instructions executed.
    pub work: u64,
    /// The line at which it was last seen, if it took long.
    pub line: u64,
    /// What the library's variables are now, if they can change and the script was not stopped.
    pub state: Option<Journal>,
    /// What it has logged since its start: levels and texts.
    pub said: Said,
}

/// What a library is once its code has run.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// What it has registered.
    pub functions: Vec<Function>,
    /// Its functions may leave something behind in variables.
    pub keeps_state: bool,
}

/// A function that a library registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its name.
    pub name: Bytes,
    /// What it is for.
    pub description: Option<Bytes>,
    /// Its flags.
    pub flags: u8,
}
