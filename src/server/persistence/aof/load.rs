//! Loading an append-only file: what is read of it, what is done with a torn end, and how the server goes on with it
//! (`loadAppendOnlyFiles`, `loadSingleAppendOnlyFile`, `aofOpenIfNeededOnServerStart`).

use std::sync::Arc;

use bytes::Bytes;

use super::manifest::Manifest;
use super::{State, dataset, path, persist};
use crate::id::{Addr, Fd};
use crate::node::{DiskError, DiskImage, DiskOp, Outbox};
use crate::resp::Args;
use crate::server::acl::UserId;
use crate::server::commands::{self, flag};
use crate::server::persistence::{loading, pid};
use crate::server::scripting::Libraries;
use crate::server::session::Flags;
use crate::server::{Server, cost, replication};
use crate::trace::Kind;
use crate::trace::event::ServerEvent;

/// The longest line that isn't an argument (`AOF_ANNOTATION_LINE_MAX_LEN`).
const LINE_MAX: usize = 1023;

/// What was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replayed {
    /// There was nothing to read.
    pub(crate) missing: bool,
    /// Bytes of all files, and of the base.
    pub(crate) bytes: u64,
    base_bytes: u64,
    /// The file that was read last, up to which byte, and how many bytes behind that were cut off.
    last: (u64, u64),
    cut: u64,
    /// Nanoseconds of the cost table, and how many keys and commands these are for.
    pub(crate) spent: (u64, u64),
    /// Nanoseconds that scripts took longer than they should: others are answered in that time.
    pub(crate) slow_ns: u64,
}

/// How the reading of one file ended.
enum End {
    /// All of it was read.
    Whole,
    /// The rest is torn: so much of it was whole.
    Torn(u64),
}

/// Takes what the manifest on the disk says, if there is one (`aofLoadManifestFromDisk`).
///
/// # Errors
/// What a real server exits with.
pub(crate) fn read_manifest(s: &mut Server, files: &DiskImage) -> Result<(), String> {
    let name = path(s, &format!("{}.manifest", s.config.appendfilename));
    s.persistence.aof.manifest = match files.get(&name) {
        None => Manifest::default(),
        Some(text) => Manifest::parse(text).map_err(|problem| format!("FATAL AOF MANIFEST FILE ERROR: {problem}"))?,
    };
    Ok(())
}

/// A single file of an older version becomes the base (`aofUpgradePrepare`). Its name is the same in the folder.
///
/// # Errors
/// When the disk fails.
pub(crate) fn upgrade(s: &mut Server, files: &mut DiskImage, out: &mut Outbox) -> Result<(), DiskError> {
    let name = s.config.appendfilename.clone();
    let Some(old) = files.get(name.as_str()) else { return Ok(()) };
    let moved = path(s, &name);
    let manifest = &s.persistence.aof.manifest;
    let half_done = manifest.incr.is_empty()
        && manifest.base.as_ref().is_some_and(|base| base.name == name)
        && !files.contains_key(&moved);
    if !manifest.is_empty() && !half_done {
        return Ok(());
    }
    let old = old.clone();
    let mut manifest = manifest.clone();
    manifest.adopt(&name);
    persist(s, &mut manifest, out)?;
    out.disk_wait(DiskOp::Rename { from: name.as_str().into(), to: moved.clone() })?;
    s.persistence.aof.manifest = manifest;
    files.remove(name.as_str());
    files.insert(moved, old);
    Ok(())
}

/// Reads all files of the manifest into the keyspace.
///
/// # Errors
/// What a real server exits with.
pub(crate) fn read(s: &mut Server, files: &DiskImage, out: &mut Outbox) -> Result<Replayed, String> {
    let manifest = s.persistence.aof.manifest.clone();
    let mut replayed = Replayed::default();
    if manifest.is_empty() {
        return Ok(Replayed { missing: true, ..replayed });
    }
    let parts: Vec<_> = manifest.base.iter().chain(&manifest.incr).collect();
    let mut contents = Vec::new();
    for part in &parts {
        let content = files.get(&path(s, &part.name)).ok_or_else(|| {
            format!("Unable to obtain the AOF file {} length. stat: No such file or directory", part.name)
        })?;
        replayed.bytes += content.len() as u64;
        contents.push(content.clone());
    }
    if replayed.bytes == 0 {
        return Ok(replayed);
    }
    if manifest.base.is_some() {
        replayed.base_bytes = contents[0].len() as u64;
    }
    let was_loading = std::mem::replace(&mut s.loading, true);
    let result = read_parts(s, &parts, &contents, &mut replayed, out);
    s.loading = was_loading;
    replayed.slow_ns = std::mem::take(&mut s.scripting.slow_ns);
    result.map(|()| replayed)
}

fn read_parts(
    s: &mut Server,
    parts: &[&super::manifest::Part],
    contents: &[Bytes],
    replayed: &mut Replayed,
    out: &mut Outbox,
) -> Result<(), String> {
    for (number, (part, content)) in parts.iter().zip(contents).enumerate() {
        let is_incr = number > 0 || s.persistence.aof.manifest.base.is_none();
        let seq = if is_incr { u64::try_from(part.seq).unwrap_or(0) } else { 0 };
        replayed.last = (seq, content.len() as u64);
        if content.is_empty() {
            continue;
        }
        let mut reader = Reader { data: content, at: 0, whole: 0, before_multi: 0 };
        let fd = out.fds.open();
        let at = Addr::new(s.init.addr.ip, 0);
        let session = s.sessions.insert(fd, at, at, s.now.unix);
        session.flags.set(Flags::SCRIPT);
        (session.user, session.authenticated) = (UserId::SUPERUSER, true);
        s.exec.from_master = true;
        let end = reader.read_file(s, fd, &part.name, &mut replayed.spent, out);
        s.exec.from_master = false;
        s.forget_session(fd, out);
        out.fds.close(fd);
        if let End::Torn(whole) = end? {
            if number + 1 < parts.len() {
                return Err("Fatal error: the truncated file is not the last file".to_owned());
            }
            replayed.cut = content.len() as u64 - whole;
            replayed.last.1 = whole;
            let cut = DiskOp::Truncate { file: path(s, &part.name), len: whole };
            out.disk_wait(cut).map_err(|error| format!("Error truncating the AOF file {}: {error}", part.name))?;
        }
    }
    Ok(())
}

/// Where the reading of one file stands.
struct Reader<'a> {
    data: &'a Bytes,
    at: usize,
    /// Up to here it consists of whole commands (`valid_up_to`).
    whole: usize,
    /// The same before the last MULTI.
    before_multi: usize,
}

/// Why a command can't be read.
enum Stop {
    /// The file ends in the middle of it.
    Torn,
    /// It is no command.
    Malformed,
}

impl Reader<'_> {
    /// Reads the file to its end.
    fn read_file(
        &mut self,
        s: &mut Server,
        fd: Fd,
        name: &str,
        spent: &mut (u64, u64),
        out: &mut Outbox,
    ) -> Result<End, String> {
        if self.data.starts_with(b"REDIS") {
            let loaded = loading::replace(s, self.data).map_err(|error| error.to_string())?;
            spent.0 += loaded.keys * cost::LOAD_KEY + loaded.bytes as u64 / 16 * cost::LOAD_16;
            spent.1 += loaded.keys;
            self.at = loaded.bytes;
        }
        let mut transaction = Vec::new();
        let torn = loop {
            match self.command() {
                Ok(None) => break !transaction.is_empty() || s.sessions.at(fd).flags.has(Flags::MULTI),
                Ok(Some(args)) => {
                    spent.0 += cost::COMMAND + args.raw().map_or(0, Bytes::len) as u64 / 16 * cost::COPY_16;
                    spent.1 += 1;
                    self.execute(s, fd, name, args, &mut transaction, out)?;
                    self.whole = self.at;
                }
                Err(Stop::Torn) => break true,
                Err(Stop::Malformed) => {
                    return Err(format!(
                        "Bad file format reading the append only file {name}: make a backup of your AOF file, then use \
                         ./redis-check-aof --fix <filename.manifest>"
                    ));
                }
            }
        };
        let in_multi = s.sessions.at(fd).flags.has(Flags::MULTI);
        let whole = if in_multi { self.before_multi } else { self.whole };
        if !torn {
            return Ok(End::Whole);
        }
        if !s.config.aof_load_truncated {
            return Err(format!(
                "Unexpected end of file reading the append only file {name}. You can: 1) Make a backup of your AOF file, \
                 then use ./redis-check-aof --fix <filename.manifest>. 2) Alternatively you can set the \
                 'aof-load-truncated' configuration option to yes and restart the server."
            ));
        }
        Ok(End::Torn(whole as u64))
    }

    /// The next command; `None`: the file is over.
    fn command(&mut self) -> Result<Option<Args>, Stop> {
        let line = loop {
            match self.line() {
                None => return Ok(None),
                Some(line) if line[0] == b'#' => {}
                Some(line) => break line,
            }
        };
        if line[0] != b'*' {
            return Err(Stop::Malformed);
        }
        if line.len() == 1 {
            return Err(Stop::Torn);
        }
        let count = number(&line[1..]).filter(|&count| count >= 1).ok_or(Stop::Malformed)?;
        let mut words: Vec<Bytes> = Vec::new();
        for _ in 0..count {
            let line = self.line().ok_or(Stop::Torn)?;
            if line[0] != b'$' {
                return Err(Stop::Malformed);
            }
            let len = number(&line[1..]).ok_or(Stop::Malformed)?;
            let len = usize::try_from(len).map_err(|_| Stop::Malformed)?;
            words.push(self.take(len)?);
            self.take(2)?;
        }
        let words: Vec<&[u8]> = words.iter().map(|word| &word[..]).collect();
        Ok(Some(Args::from_parts(&words)))
    }

    /// A line with what ends it, as `fgets` reads it.
    fn line(&mut self) -> Option<Bytes> {
        let rest = &self.data[self.at..];
        if rest.is_empty() {
            return None;
        }
        let end =
            rest.iter().take(LINE_MAX).position(|&byte| byte == b'\n').map_or(rest.len().min(LINE_MAX), |at| at + 1);
        self.take(end).ok()
    }

    fn take(&mut self, count: usize) -> Result<Bytes, Stop> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.data.len()).ok_or(Stop::Torn)?;
        let bytes = self.data.slice(self.at..end);
        self.at = end;
        Ok(bytes)
    }

    /// Executes a command, or keeps it for the EXEC that ends its transaction.
    fn execute(
        &mut self,
        s: &mut Server,
        fd: Fd,
        name: &str,
        args: Args,
        transaction: &mut Vec<(&'static commands::Command, Args)>,
        out: &mut Outbox,
    ) -> Result<(), String> {
        let words: Vec<&[u8]> = args.iter().collect();
        let verb = || String::from_utf8_lossy(args.get(0)).into_owned();
        let Some(command) = s.config.renamed.lookup_request(&words).filter(|command| command.modelled) else {
            return Err(format!("Unknown command '{}' reading the append only file {name}", verb()));
        };
        if !may_be_logged(command) {
            return Err(format!("'{}' changes nothing and is in the append-only file {name}", verb()));
        }
        if !command.takes(args.len()) {
            return Err(format!("Wrong number of arguments for '{}' reading the append only file {name}", verb()));
        }
        if command.spec.name == "multi" {
            self.before_multi = self.whole;
        }
        let in_multi = s.sessions.at(fd).flags.has(Flags::MULTI);
        if in_multi && command.is_exec() {
            for (queued, args) in std::mem::take(transaction) {
                s.replay(fd, queued, &args, out);
            }
            s.sessions.at_mut(fd).flags.clear(Flags::MULTI);
        } else if in_multi {
            transaction.push((command, args));
        } else {
            s.replay(fd, command, &args, out);
        }
        Ok(())
    }
}

/// Whether a command belongs into such a file: it writes, or says where.
fn may_be_logged(command: &commands::Command) -> bool {
    let writes = command.is(flag::WRITE | flag::MAY_REPLICATE) && command.spec.name != "migrate";
    writes || matches!(command.spec.name, "select" | "multi" | "exec" | "discard" | "ping")
}

/// What `atoi` makes of a line; `None`: negative, or no number that fits.
fn number(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit());
    if line.first() == Some(&b'-') {
        return None;
    }
    Some(digits.fold(0u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

/// What was read is said.
pub(crate) fn note_loaded(s: &mut Server, replayed: &Replayed, out: &mut Outbox) {
    let aof = &mut s.persistence.aof;
    aof.current_size = replayed.bytes;
    aof.base_size = replayed.base_bytes;
    if replayed.missing {
        return;
    }
    let (seq, bytes) = replayed.last;
    let keys = s.keyspace.len() as u64;
    out.note(Kind::Server(ServerEvent::AofLoaded { seq, bytes, cut: replayed.cut, keys }));
}

/// The dataset is there: the file is opened, and begun if there is none (`aofOpenIfNeededOnServerStart`).
pub(crate) fn open_at_start(s: &mut Server, replayed: Option<&Replayed>, out: &mut Outbox) {
    let size = replayed.filter(|replayed| replayed.last.0 > 0).map_or(0, |replayed| replayed.last.1);
    if s.config.appendonly
        && let Err(error) = open(s, size, out)
    {
        s.die(&format!("Can't open the append-only file: {error}"), 1, out);
    } else {
        super::remove_history(s, out);
    }
}

fn open(s: &mut Server, size: u64, out: &mut Outbox) -> Result<(), DiskError> {
    let mut manifest = std::mem::take(&mut s.persistence.aof.manifest);
    if manifest.is_empty() {
        let name = manifest.new_base(&s.config.appendfilename, s.config.aof_use_rdb_preamble);
        let (data, ns) = dataset::encode(s);
        s.meter.add(ns);
        out.busy(s.meter.take());
        let temp: Arc<str> = format!("temp-rewriteaof-{}.aof", pid(s)).into();
        out.disk_wait(DiskOp::Write { file: temp.clone(), data })?;
        out.disk_wait(DiskOp::Fsync { file: temp.clone() })?;
        out.disk_wait(DiskOp::Rename { from: temp, to: path(s, &name) })?;
    }
    let file = match manifest.incr.last() {
        Some(part) => path(s, &part.name),
        None => {
            let name = manifest.new_incr(&s.config.appendfilename);
            let file = path(s, &name);
            out.disk_wait(DiskOp::Write { file: file.clone(), data: Bytes::new() })?;
            file
        }
    };
    persist(s, &mut manifest, out)?;
    let now = s.now.unix.secs();
    let aof = &mut s.persistence.aof;
    aof.manifest = manifest;
    aof.file = Some(file);
    aof.state = State::On;
    (aof.size, aof.synced) = (size, size);
    aof.last_fsync = now;
    Ok(())
}

/// DEBUG LOADAOF, once the files have been read: the dataset is what they say.
///
/// # Errors
/// What a real server exits with.
pub(crate) fn reload_files(s: &mut Server, files: &DiskImage, out: &mut Outbox) -> Result<Replayed, String> {
    replication::empty_data(s);
    s.scripting.libraries = Libraries::default();
    read_manifest(s, files)?;
    super::remove_history(s, out);
    let replayed = read(s, files, out)?;
    if replayed.missing || replayed.cut > 0 {
        return Err("DEBUG LOADAOF of an append-only file that is not whole".to_owned());
    }
    Ok(replayed)
}
