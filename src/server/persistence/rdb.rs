//! RDB snapshots, version 10: bytes to entries and back. What is saved when, and what loading does to a server, is
//! decided elsewhere.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use crc::{CRC_64_REDIS, Crc, Table};

use super::values::is_value;
use crate::id::HexId;
use crate::resp::parse_i64;
use crate::server::keyspace::stream::Stream;
use crate::server::keyspace::{Value, lzf};

/// The format's version that is written; older ones are read.
const VERSION: u32 = 10;
/// The version of Redis that the files claim to be from.
const REDIS_VERSION: &str = "7.0.15";

const CHECKSUM: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// Opcodes (`RDB_OPCODE_*`) that are understood.
mod opcode {
    pub(super) const FUNCTION2: u8 = 245;
    pub(super) const FUNCTION: u8 = 246;
    pub(super) const MODULE_AUX: u8 = 247;
    pub(super) const IDLE: u8 = 248;
    pub(super) const FREQ: u8 = 249;
    pub(super) const AUX: u8 = 250;
    pub(super) const RESIZE_DB: u8 = 251;
    pub(super) const EXPIRE_MS: u8 = 252;
    pub(super) const EXPIRE: u8 = 253;
    pub(super) const SELECT_DB: u8 = 254;
    pub(super) const EOF: u8 = 255;
}

/// How a file is written (`rdbcompression`, `rdbchecksum`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Compress strings of more than 20 bytes.
    pub compression: bool,
    /// Write (and check) the checksum; without it eight zero bytes stand in its place.
    pub checksum: bool,
}

/// Where in which replication stream a snapshot stands (`rdbSaveInfo`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPosition {
    /// The database that the stream has selected.
    pub db: u32,
    /// The replication id.
    pub replid: HexId,
    /// The offset.
    pub offset: u64,
}

/// What a file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Wall-clock seconds when it was made.
    pub ctime: u64,
    /// Bytes that the dataset took in memory.
    pub used_memory: u64,
    /// Its place in the stream, if the server is part of a replication chain.
    pub stream: Option<StreamPosition>,
    /// It is the base of an append-only file.
    pub aof_base: bool,
}

/// What is known of a key besides its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct KeyInfo {
    /// When it expires, in wall-clock milliseconds.
    pub expire_ms: Option<i64>,
    /// Seconds since it was used, when an LRU policy is set.
    pub idle_s: Option<u64>,
    /// Its logarithmic frequency, when an LFU policy is set.
    pub frequency: Option<u8>,
}

/// A node of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListNode {
    /// It is one large element.
    pub plain: bool,
    /// Its elements.
    pub items: Vec<Bytes>,
}

/// A value as it is in a file.
#[derive(Clone, Debug, PartialEq)]
pub enum RdbValue {
    /// A string.
    String(Bytes),
    /// A list's elements from its head.
    List(Vec<Bytes>),
    /// A list in the nodes that it is cut into.
    Nodes(Vec<ListNode>),
    /// A set's members.
    Set(Vec<Bytes>),
    /// A sorted set's members with their scores.
    ZSet(Vec<(Bytes, f64)>),
    /// A hash's fields with their values.
    Hash(Vec<(Bytes, Bytes)>),
    /// A stream.
    Stream(Box<Stream>),
}

impl RdbValue {
    /// True for a collection without elements, which is left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            RdbValue::String(_) | RdbValue::Stream(_) => false,
            RdbValue::List(items) | RdbValue::Set(items) => items.is_empty(),
            RdbValue::Nodes(nodes) => nodes.is_empty(),
            RdbValue::ZSet(members) => members.is_empty(),
            RdbValue::Hash(pairs) => pairs.is_empty(),
        }
    }
}

/// Why a file can't be loaded, in the words that `rdb.c` logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RdbError {
    /// It doesn't begin with `REDIS`.
    Signature,
    /// A version that is not known.
    Version(i64),
    /// It ends too early.
    ShortRead,
    /// An impossible length, encoding or type, described.
    Corrupt(String),
    /// The checksum differs.
    Checksum {
        /// As computed.
        computed: u64,
        /// As in the file.
        found: u64,
    },
    /// More databases than are configured.
    Databases(u32),
    /// A key twice in one database.
    DuplicateKey(Bytes, u32),
    /// Something that a real server would load and this one can't: named.
    Unsupported(&'static str),
}

impl fmt::Display for RdbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RdbError::Signature => f.write_str("Wrong signature trying to load DB from file"),
            RdbError::Version(version) => write!(f, "Can't handle RDB format version {version}"),
            RdbError::ShortRead => f.write_str("Short read or OOM loading DB. Unrecoverable error, aborting now."),
            RdbError::Corrupt(what) => f.write_str(what),
            RdbError::Checksum { computed, found } => {
                write!(f, "Wrong RDB checksum expected: ({computed:x}) but got ({found:x}). Aborting now.")
            }
            RdbError::Databases(count) => write!(
                f,
                "FATAL: Data file was created with a Redis server configured to handle more than {count} databases. Exiting"
            ),
            RdbError::DuplicateKey(key, db) => {
                write!(f, "RDB has duplicated key '{}' in DB {db}", String::from_utf8_lossy(key))
            }
            RdbError::Unsupported(what) => write!(f, "the RDB file holds {what}, which is not modelled"),
        }
    }
}

impl std::error::Error for RdbError {}

/// Writes one file.
#[derive(Debug)]
pub struct Writer {
    pub(super) out: BytesMut,
    options: Options,
    compressor: lzf::Compressor,
    scratch: Vec<u8>,
}

impl Writer {
    /// Begins a file: signature and auxiliary fields (`rdbSaveInfoAuxFields`).
    #[must_use]
    pub fn new(options: Options, about: &About) -> Writer {
        let mut writer = Writer {
            out: BytesMut::with_capacity(256),
            options,
            compressor: lzf::Compressor::default(),
            scratch: Vec::new(),
        };
        writer.out.put_slice(format!("REDIS{VERSION:04}").as_bytes());
        writer.aux("redis-ver", REDIS_VERSION);
        writer.aux("redis-bits", "64");
        writer.aux("ctime", &about.ctime.to_string());
        writer.aux("used-mem", &about.used_memory.to_string());
        if let Some(stream) = about.stream {
            writer.aux("repl-stream-db", &stream.db.to_string());
            writer.aux("repl-id", &stream.replid.to_string());
            writer.aux("repl-offset", &stream.offset.to_string());
        }
        writer.aux("aof-base", if about.aof_base { "1" } else { "0" });
        writer
    }

    /// Nothing yet.
    fn bare(compression: bool) -> Writer {
        Writer {
            out: BytesMut::new(),
            options: Options { compression, checksum: true },
            compressor: lzf::Compressor::default(),
            scratch: Vec::new(),
        }
    }

    fn aux(&mut self, name: &str, value: &str) {
        self.out.put_u8(opcode::AUX);
        self.string(name.as_bytes());
        self.string(value.as_bytes());
    }

    /// A library of functions (`rdbSaveFunctions`).
    pub(super) fn library(&mut self, code: &[u8]) {
        self.out.put_u8(opcode::FUNCTION2);
        self.string(code);
    }

    /// Begins a database that has keys; empty ones are not mentioned.
    pub fn select_db(&mut self, db: u32, keys: u64, expires: u64) {
        self.out.put_u8(opcode::SELECT_DB);
        self.length(u64::from(db));
        self.out.put_u8(opcode::RESIZE_DB);
        self.length(keys);
        self.length(expires);
    }

    /// A key with its value (`rdbSaveKeyValuePair`).
    pub fn entry(&mut self, key: &[u8], value: &Value, info: &KeyInfo) {
        if let Some(at) = info.expire_ms {
            self.out.put_u8(opcode::EXPIRE_MS);
            self.out.put_i64_le(at);
        }
        if let Some(idle) = info.idle_s {
            self.out.put_u8(opcode::IDLE);
            self.length(idle);
        }
        if let Some(frequency) = info.frequency {
            self.out.put_slice(&[opcode::FREQ, frequency]);
        }
        self.value_type(value);
        self.string(key);
        self.value(value);
    }

    /// Ends the file.
    #[must_use]
    pub fn finish(mut self) -> Bytes {
        self.out.put_u8(opcode::EOF);
        let checksum = if self.options.checksum { CHECKSUM.checksum(&self.out) } else { 0 };
        self.out.put_u64_le(checksum);
        self.out.freeze()
    }

    /// Version and checksum of a payload.
    fn finish_payload(mut self) -> Bytes {
        self.out.put_u16_le(u16::try_from(VERSION).expect("versions are small"));
        let checksum = CHECKSUM.checksum(&self.out);
        self.out.put_u64_le(checksum);
        self.out.freeze()
    }

    /// `rdbSaveLen`.
    pub(super) fn length(&mut self, len: u64) {
        if let (true, Ok(short)) = (len < 1 << 14, u16::try_from(len)) {
            if short < 1 << 6 {
                self.out.put_slice(&short.to_be_bytes()[1..]);
            } else {
                self.out.put_u16(0x4000 | short);
            }
        } else if let Ok(len) = u32::try_from(len) {
            self.out.put_u8(0x80);
            self.out.put_u32(len);
        } else {
            self.out.put_u8(0x81);
            self.out.put_u64(len);
        }
    }

    /// `rdbSaveRawString`: as a small integer, compressed, or as it is.
    pub(super) fn string(&mut self, text: &[u8]) {
        if text.len() <= 11
            && let Some(number) = parse_i64(text)
        {
            if let Ok(number) = i8::try_from(number) {
                self.out.put_u8(0xc0);
                return self.out.put_i8(number);
            } else if let Ok(number) = i16::try_from(number) {
                self.out.put_u8(0xc1);
                return self.out.put_i16_le(number);
            } else if let Ok(number) = i32::try_from(number) {
                self.out.put_u8(0xc2);
                return self.out.put_i32_le(number);
            }
        }
        if self.options.compression && text.len() > 20 && self.compress(text, text.len() - 4) {
            return;
        }
        self.length(text.len() as u64);
        self.out.put_slice(text);
    }

    /// A string in its compressed form, if that has at most so many bytes.
    fn compress(&mut self, text: &[u8], len_max: usize) -> bool {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let smaller = self.compressor.compress(text, len_max, &mut scratch);
        if smaller {
            self.out.put_u8(0xc3);
            self.length(scratch.len() as u64);
            self.length(text.len() as u64);
            self.out.put_slice(&scratch);
        }
        self.scratch = scratch;
        smaller
    }

    /// A string that is kept compressed, whether or not others are compressed here (`rdbSaveLzfBlob`).
    pub(super) fn compressed(&mut self, text: &[u8]) {
        assert!(self.compress(text, text.len()), "it has been compressed before");
    }
}

/// A value on its own, without its type (`rdbSavedObjectLen` is the length of it).
#[must_use]
pub fn bare(value: &Value, compression: bool) -> Bytes {
    let mut writer = Writer::bare(compression);
    writer.value(value);
    writer.out.freeze()
}

/// A value as DUMP answers it: type, value, version, checksum (`createDumpPayload`).
#[must_use]
pub fn payload(value: &Value, compression: bool) -> Bytes {
    let mut writer = Writer::bare(compression);
    writer.value_type(value);
    writer.value(value);
    writer.finish_payload()
}

/// Libraries of functions as FUNCTION DUMP answers them.
#[must_use]
pub fn libraries_payload<'a>(codes: impl Iterator<Item = &'a [u8]>, compression: bool) -> Bytes {
    let mut writer = Writer::bare(compression);
    codes.for_each(|code| writer.library(code));
    writer.finish_payload()
}

/// The codes of libraries in an answer of FUNCTION DUMP.
///
/// # Errors
/// In the words of FUNCTION RESTORE.
pub fn libraries_of_payload(data: &Bytes) -> Result<Vec<Bytes>, &'static str> {
    let body = checked(data, true)?;
    let mut reader = Reader { data: &body, at: 0 };
    let mut codes = Vec::new();
    while let Ok(byte) = reader.byte() {
        if byte != opcode::FUNCTION && byte != opcode::FUNCTION2 {
            return Err("ERR given type is not a function");
        }
        codes.push(reader.library(byte == opcode::FUNCTION2).map_err(|_| "ERR Failed loading library payload")?);
    }
    Ok(codes)
}

/// The value of a DUMP's answer (`verifyDumpPayload`, `rdbLoadObject`).
///
/// # Errors
/// In the words of RESTORE.
pub fn from_payload(data: &Bytes, with_sum: bool) -> Result<RdbValue, &'static str> {
    const BAD: &str = "ERR Bad data format";
    checked(data, with_sum)?;
    // The version and the checksum behind the value are read as well, if the value claims to be longer.
    let mut reader = Reader { data, at: 0 };
    let byte = reader.byte().ok().filter(|&byte| is_value(byte)).ok_or(BAD)?;
    reader.value(byte).ok().filter(|value| !value.is_empty()).ok_or(BAD)
}

/// What a payload holds, if its version and its checksum are right (`verifyDumpPayload`).
fn checked(data: &Bytes, with_sum: bool) -> Result<Bytes, &'static str> {
    const WRONG: &str = "ERR DUMP payload version or checksum are wrong";
    let body = data.len().checked_sub(10).ok_or(WRONG)?;
    let version = u16::from_le_bytes([data[body], data[body + 1]]);
    let sum = CHECKSUM.checksum(&data[..body + 2]);
    if u32::from(version) > VERSION || with_sum && data[body + 2..] != sum.to_le_bytes() {
        return Err(WRONG);
    }
    Ok(data.slice(..body))
}

/// What takes the entries of a file that is read.
pub trait Load {
    /// A key of a database. `false`: it is there already.
    fn entry(&mut self, db: u32, key: Bytes, value: RdbValue, info: KeyInfo) -> bool;

    /// A library of functions, by its code. The error says why it can't be made.
    fn library(&mut self, code: Bytes) -> Result<(), String>;
}

/// What a file said besides its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Loaded {
    /// `repl-stream-db`.
    pub stream_db: Option<i64>,
    /// `repl-id`.
    pub replid: Option<HexId>,
    /// `repl-offset`.
    pub offset: Option<i64>,
    /// How many bytes it was long; what follows isn't part of it.
    pub bytes: usize,
    /// How many keys it held.
    pub keys: u64,
}

impl Loaded {
    /// The place in a stream, if the file names one completely (`rsi_is_valid`).
    #[must_use]
    pub fn stream(&self) -> Option<StreamPosition> {
        let db = u32::try_from(self.stream_db?).ok()?;
        Some(StreamPosition { db, replid: self.replid?, offset: u64::try_from(self.offset?).ok()? })
    }
}

/// Reads a file into `load` (`rdbLoadRioWithLoadingCtx`). Entries before an error have been given to `load` already.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn read(data: &Bytes, checksum: bool, databases: u32, load: &mut impl Load) -> Result<Loaded, RdbError> {
    let mut reader = Reader { data, at: 0 };
    let version = reader.signature()?;
    let mut loaded = Loaded::default();
    let (mut db, mut info) = (0, KeyInfo::default());
    loop {
        match reader.byte()? {
            opcode::EXPIRE => {
                let seconds = i32::from_le_bytes(reader.array()?);
                info.expire_ms = Some(i64::from(seconds) * 1000);
            }
            opcode::EXPIRE_MS => info.expire_ms = Some(i64::from_le_bytes(reader.array()?)),
            opcode::FREQ => info.frequency = Some(reader.byte()?),
            opcode::IDLE => info.idle_s = Some(reader.length()?),
            opcode::EOF => break,
            opcode::SELECT_DB => {
                let selected = reader.length()?;
                db = u32::try_from(selected).ok().filter(|&db| db < databases).ok_or(RdbError::Databases(databases))?;
            }
            opcode::RESIZE_DB => {
                reader.length()?;
                reader.length()?;
            }
            opcode::AUX => {
                let (name, value) = (reader.string()?, reader.string()?);
                loaded.aux(&name, &value);
            }
            byte @ (opcode::FUNCTION | opcode::FUNCTION2) => {
                let code = reader.library(byte == opcode::FUNCTION2)?;
                load.library(code)
                    .map_err(|problem| RdbError::Corrupt(format!("Failed creating function, {problem}")))?;
            }
            opcode::MODULE_AUX => return Err(RdbError::Unsupported("data of a module")),
            byte if is_value(byte) => {
                let (key, value) = (reader.string()?, reader.value(byte)?);
                if !value.is_empty() {
                    loaded.keys += 1;
                    if !load.entry(db, key.clone(), value, info) {
                        return Err(RdbError::DuplicateKey(key, db));
                    }
                }
                info = KeyInfo::default();
            }
            other => return Err(unknown_type(other)),
        }
    }
    if version >= 5 {
        let computed = CHECKSUM.checksum(&data[..reader.at]);
        let found = u64::from_le_bytes(reader.array()?);
        if checksum && found != 0 && found != computed {
            return Err(RdbError::Checksum { computed, found });
        }
    }
    loaded.bytes = reader.at;
    Ok(loaded)
}

/// What a file says of itself at its head: names and values.
pub(super) fn about(data: &Bytes) -> Vec<(Bytes, Bytes)> {
    let mut reader = Reader { data, at: 0 };
    if reader.signature().is_err() {
        return Vec::new();
    }
    let pair = || {
        let next = reader.byte().ok()?;
        if next == opcode::AUX { Some((reader.string().ok()?, reader.string().ok()?)) } else { None }
    };
    std::iter::from_fn(pair).collect()
}

impl Loaded {
    fn aux(&mut self, name: &[u8], value: &[u8]) {
        if name.eq_ignore_ascii_case(b"repl-stream-db") {
            self.stream_db = parse_i64(value);
        } else if name.eq_ignore_ascii_case(b"repl-id") {
            self.replid = HexId::parse(value);
        } else if name.eq_ignore_ascii_case(b"repl-offset") {
            self.offset = parse_i64(value);
        }
    }
}

/// The value types that real files may hold and that are not modelled, by name.
fn unknown_type(byte: u8) -> RdbError {
    let name = match byte {
        6 | 7 => "a value of a module",
        15 | 19 => "a stream",
        other => return RdbError::Corrupt(format!("Unknown RDB encoding type {other}")),
    };
    RdbError::Unsupported(name)
}

/// Reads a file piece by piece.
pub(super) struct Reader<'a> {
    data: &'a Bytes,
    at: usize,
}

/// A length, or the number of a special encoding.
enum Length {
    Plain(u64),
    Encoded(u8),
}

impl Reader<'_> {
    /// The code of a library; that of the first release candidates of 7.0 has name and engine apart.
    fn library(&mut self, is_new: bool) -> Result<Bytes, RdbError> {
        if is_new {
            return self.string();
        }
        let (name, engine) = (self.string()?, self.string()?);
        if self.length()? != 0 {
            self.string()?;
        }
        let code = self.string()?;
        Ok([&b"#!"[..], &engine, b" name=", &name, b"\n", &code].concat().into())
    }

    fn signature(&mut self) -> Result<i64, RdbError> {
        let magic = self.take(9)?;
        let version = magic.strip_prefix(b"REDIS").ok_or(RdbError::Signature)?;
        // As atoi: digits up to the first other character.
        let digits = version.iter().take_while(|byte| byte.is_ascii_digit());
        let version = digits.fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
        if (1..=i64::from(VERSION)).contains(&version) { Ok(version) } else { Err(RdbError::Version(version)) }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<Bytes, RdbError> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.data.len()).ok_or(RdbError::ShortRead)?;
        let bytes = self.data.slice(self.at..end);
        self.at = end;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], RdbError> {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let array = *rest.first_chunk().ok_or(RdbError::ShortRead)?;
        self.at += N;
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> Result<u8, RdbError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// `rdbLoadLenByRef`.
    fn length_or_encoding(&mut self) -> Result<Length, RdbError> {
        let first = self.byte()?;
        Ok(match first >> 6 {
            0 => Length::Plain(u64::from(first)),
            1 => Length::Plain(u64::from(first & 0x3f) << 8 | u64::from(self.byte()?)),
            2 if first == 0x80 => Length::Plain(u64::from(u32::from_be_bytes(self.array()?))),
            2 if first == 0x81 => Length::Plain(u64::from_be_bytes(self.array()?)),
            2 => return Err(RdbError::Corrupt("Unknown length encoding 2 in rdbLoadLen()".to_owned())),
            _ => Length::Encoded(first & 0x3f),
        })
    }

    /// A length where no encoding is looked for: Redis takes the encoding's number for it.
    pub(super) fn length(&mut self) -> Result<u64, RdbError> {
        Ok(match self.length_or_encoding()? {
            Length::Plain(len) => len,
            Length::Encoded(kind) => u64::from(kind),
        })
    }

    fn size(&mut self) -> Result<usize, RdbError> {
        usize::try_from(self.length()?).map_err(|_| RdbError::ShortRead)
    }

    /// `rdbGenericLoadStringObject`.
    pub(super) fn string(&mut self) -> Result<Bytes, RdbError> {
        let number = match self.length_or_encoding()? {
            Length::Plain(len) => return self.take(usize::try_from(len).map_err(|_| RdbError::ShortRead)?),
            Length::Encoded(0) => i64::from(i8::from_le_bytes(self.array()?)),
            Length::Encoded(1) => i64::from(i16::from_le_bytes(self.array()?)),
            Length::Encoded(2) => i64::from(i32::from_le_bytes(self.array()?)),
            Length::Encoded(3) => {
                let (compressed, len) = (self.size()?, self.size()?);
                let data = self.take(compressed)?;
                return lzf::decompress(&data, len)
                    .ok_or_else(|| RdbError::Corrupt("Invalid LZF compressed string".to_owned()));
            }
            Length::Encoded(kind) => {
                return Err(RdbError::Corrupt(format!("Unknown RDB string encoding type {kind}")));
            }
        };
        Ok(Bytes::from(number.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Default, Debug)]
    struct Entries(Vec<(u32, Bytes, Bytes, KeyInfo)>);

    impl Load for Entries {
        fn entry(&mut self, db: u32, key: Bytes, value: RdbValue, info: KeyInfo) -> bool {
            let RdbValue::String(value) = value else { panic!("only strings are written here") };
            if self.0.iter().any(|(other_db, other, _, _)| *other_db == db && *other == key) {
                return false;
            }
            self.0.push((db, key, value, info));
            true
        }

        fn library(&mut self, _: Bytes) -> Result<(), String> {
            Err("no libraries are written here".to_owned())
        }
    }

    const OPTIONS: Options = Options { compression: true, checksum: true };

    fn about() -> About {
        let replid = HexId::parse(b"0123456789abcdef0123456789abcdef01234567").expect("40 digits");
        About {
            ctime: 1_700_000_000,
            used_memory: 1_234_567,
            stream: Some(StreamPosition { db: 3, replid, offset: 98_765 }),
            aof_base: false,
        }
    }

    fn sample() -> Bytes {
        let mut writer = Writer::new(OPTIONS, &about());
        writer.select_db(0, 4, 1);
        writer.entry(b"a", &Value::string_copy(b"-128"), &KeyInfo::default());
        writer.entry(
            b"b",
            &Value::string_copy(b"2147483648"),
            &KeyInfo { expire_ms: Some(5_000_000_000_000), ..KeyInfo::default() },
        );
        writer.entry(b"c", &Value::string_copy(&[b'x'; 500]), &KeyInfo::default());
        writer.entry(b"d", &Value::string_copy(b""), &KeyInfo::default());
        writer.finish()
    }

    #[test]
    fn what_is_written_is_read() {
        let mut entries = Entries::default();
        let file = sample();
        let loaded = read(&file, true, 16, &mut entries).expect("own file");
        assert_eq!(loaded.stream(), about().stream);
        assert_eq!((loaded.keys, loaded.bytes), (4, file.len()));
        assert_eq!(entries.0[0].2, "-128");
        assert_eq!(entries.0[1].3.expire_ms, Some(5_000_000_000_000));
        assert_eq!(entries.0[2].2, [b'x'; 500][..]);
        assert_eq!(entries.0[3].2, "");
    }

    /// A file made by redis-server 7.0.15 with one string of every encoding.
    #[test]
    fn reads_a_real_file() {
        let file = Bytes::from_static(include_bytes!("../../../tests/data/redis-7.0.15.rdb"));
        let mut entries = Entries::default();
        let loaded = read(&file, true, 16, &mut entries).expect("a real file");
        assert_eq!(loaded.bytes, file.len());
        let value = |key: &str| entries.0.iter().find(|entry| entry.1 == key).map(|entry| (entry.0, entry.2.clone()));
        assert_eq!(value("int8"), Some((0, Bytes::from("-7"))));
        assert_eq!(value("int16"), Some((0, Bytes::from("-12345"))));
        assert_eq!(value("int32"), Some((0, Bytes::from("1234567890"))));
        assert_eq!(value("int64"), Some((0, Bytes::from("12345678901234"))));
        assert_eq!(value("raw"), Some((0, Bytes::from("hello world"))));
        assert_eq!(value("lzf"), Some((9, Bytes::from("abc".repeat(1000)))));
        assert_eq!(value("long"), Some((0, Bytes::from("0123456789".repeat(1700)))));
        let expiring = entries.0.iter().find(|entry| entry.1 == "expiring").expect("it was saved");
        assert_eq!(expiring.3.expire_ms, Some(4_102_444_800_123));
    }

    #[test]
    fn errors_have_redis_words() {
        let file = sample();
        let mut cases: Vec<(Vec<u8>, &str)> = vec![
            (b"RADIS0010".to_vec(), "Wrong signature trying to load DB from file"),
            (b"REDIS0011".to_vec(), "Can't handle RDB format version 11"),
            (file[..file.len() - 20].to_vec(), "Short read or OOM loading DB. Unrecoverable error, aborting now."),
            (b"REDIS0010\xfe\x10".to_vec(), "more than 16 databases"),
            (b"REDIS0010\x07\x01a".to_vec(), "the RDB file holds a value of a module"),
            (b"REDIS0010\x00\xc9".to_vec(), "Unknown RDB string encoding type 9"),
            (b"REDIS0010\x00\x01a\xc3\x02\x4f\xff\xff\xff".to_vec(), "Invalid LZF compressed string"),
            (b"REDIS0010\x00\x01a\x01b\x00\x01a\x01b".to_vec(), "RDB has duplicated key 'a' in DB 0"),
        ];
        let mut flipped = file.to_vec();
        let last = flipped.len() - 1;
        flipped[last] ^= 1;
        cases.push((flipped, "Wrong RDB checksum expected"));
        for (bytes, message) in cases {
            let error = read(&Bytes::from(bytes), true, 16, &mut Entries::default()).expect_err(message);
            assert!(error.to_string().contains(message), "{error} against {message}");
        }
        let unchecked = Writer::new(Options { checksum: false, ..OPTIONS }, &about()).finish();
        assert!(read(&unchecked, true, 16, &mut Entries::default()).is_ok());
    }

    proptest! {
        #[test]
        fn corrupt_files_are_errors(at in 9usize..600, byte: u8, cut in 0usize..600) {
            let mut file = sample().to_vec();
            let at = at % file.len();
            file[at] = byte;
            file.truncate(file.len() - cut % file.len());
            // Only that it returns is asked.
            let _ = read(&Bytes::from(file), true, 16, &mut Entries::default());
        }

        #[test]
        fn any_strings_round_trip(
            pairs in proptest::collection::btree_map(
                proptest::collection::vec(any::<u8>(), 0..40), proptest::collection::vec(97u8..100, 0..20_000), 0..6),
            compression: bool,
        ) {
            let mut writer = Writer::new(Options { compression, checksum: true }, &about());
            writer.select_db(7, pairs.len() as u64, 0);
            for (key, value) in &pairs {
                writer.entry(key, &Value::string_copy(value), &KeyInfo::default());
            }
            let mut entries = Entries::default();
            read(&writer.finish(), true, 16, &mut entries).expect("what was written is read");
            let expected: Vec<_> = pairs
                .into_iter()
                .map(|(key, value)| (7, Bytes::from(key), Bytes::from(value), KeyInfo::default()))
                .collect();
            prop_assert_eq!(entries.0, expected);
        }
    }
}
