//! Disks: files with a written and a synced length, what they cost, and what a crash or a power cut keeps.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::id::{EventId, MachineId};
use crate::node::{DiskImage, DiskOp};
use crate::rng::{Dist, Rng, Seed};
use crate::scenario::Machine;
use crate::time::{Instant, Span};

/// A system call into the page cache.
const CALL: Span = Span::from_us(10);
/// Processes that wait for the same commit are woken one after the other.
const WAKE: Span = Span::from_us(2);
/// Copying into the page cache: bytes in a nanosecond.
const CACHE_BYTES_PER_NS: u64 = 2;
/// Writing dirty pages back: nanoseconds for a byte (500 MB/s).
const WRITE_BACK_NS_PER_BYTE: u64 = 2;

/// What a file system commits, one transaction after the other. An fsync that comes while a commit runs waits for the
/// next one, and shares it with whoever else waits: processes on one disk hold each other up.
#[derive(Clone, Copy, Debug, Default)]
struct Journal {
    /// The last commit that was asked for; it may not have begun.
    begins: Instant,
    ends: Instant,
    /// Who else waits for it.
    sharers: u64,
}

impl Journal {
    /// Asks for a commit; when it will be done. `takes` is drawn for a commit of its own, not for a shared one.
    fn commit(&mut self, now: Instant, takes: impl FnOnce() -> Span) -> Instant {
        if now < self.begins {
            self.sharers += 1;
        } else {
            self.begins = self.ends.max(now);
            self.ends = self.begins + takes();
            self.sharers = 0;
        }
        self.ends + Span(WAKE.0 * self.sharers)
    }
}

/// A machine's drive: what its operations take.
#[derive(Clone, Debug)]
struct Drive {
    /// Which file system it is on.
    journal: usize,
    fsync: Dist,
    /// What faults add to each operation.
    slow: Vec<(u16, Dist)>,
    draws: Rng,
    /// Cost of the CPU's part in thousandths; 0: none.
    cpu_milli: u64,
}

impl Drive {
    fn device(&mut self) -> Span {
        self.fsync.draw(&mut self.draws) + self.extra()
    }

    fn extra(&mut self) -> Span {
        self.slow.iter().fold(Span::ZERO, |sum, (_, extra)| sum + extra.draw(&mut self.draws))
    }
}

/// When and where an operation was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) now: Instant,
    pub(super) machine: MachineId,
    /// By the background thread.
    pub(super) background: bool,
}

/// The drives of all machines, and the file systems that they share.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    drives: Vec<Drive>,
    journals: Vec<Journal>,
}

impl Storage {
    pub(super) fn new(machines: &[Machine], cpu_milli: u32, seed: Seed) -> Storage {
        let drive = |machine: &Machine| Drive {
            journal: usize::from(machine.disk),
            fsync: machine.fsync,
            slow: Vec::new(),
            draws: seed.stream(&machine.name, "disk"),
            cpu_milli: u64::from(cpu_milli),
        };
        let count = machines.iter().map(|machine| usize::from(machine.disk) + 1).max().unwrap_or(0);
        Storage { drives: machines.iter().map(drive).collect(), journals: vec![Journal::default(); count] }
    }

    pub(super) fn slow_down(&mut self, machine: MachineId, fault: u16, extra: Dist) {
        self.drives[machine.index()].slow.push((fault, extra));
    }

    pub(super) fn speed_up(&mut self, machine: MachineId, fault: u16) {
        self.drives[machine.index()].slow.retain(|(number, _)| *number != fault);
    }

    /// A system call that ends in the page cache.
    fn call(&mut self, machine: MachineId, cpu: Span) -> Span {
        let drive = &mut self.drives[machine.index()];
        Span(cpu.0 / 1_000 * drive.cpu_milli) + drive.extra()
    }

    /// An fsync that has so much to write. One that waits behind other work of its process begins at a time that isn't
    /// known yet: it takes its time, but meets no other.
    fn fsync(&mut self, machine: MachineId, now: Instant, dirty: u64, waits: bool) -> Span {
        let drive = &mut self.drives[machine.index()];
        let cpu = Span(CALL.0 / 1_000 * drive.cpu_milli);
        let write_back = Span(dirty * WRITE_BACK_NS_PER_BYTE);
        if waits {
            return cpu + write_back + drive.device();
        }
        let ends = self.journals[drive.journal].commit(now, || drive.device());
        cpu + write_back + ends.since(now)
    }
}

/// A file's content as the pieces that were written, so that appending and cloning copy nothing.
#[derive(Clone, Debug, Default)]
struct File {
    pieces: Vec<Bytes>,
    len: u64,
    /// How much of it would survive a power cut for certain.
    synced: u64,
}

impl File {
    fn append(&mut self, data: Bytes) {
        self.len += data.len() as u64;
        self.pieces.push(data);
    }

    fn truncate(&mut self, len: u64) {
        let mut left = len;
        self.pieces.retain_mut(|piece| {
            let keep = left.min(piece.len() as u64);
            left -= keep;
            piece.truncate(usize::try_from(keep).expect("a part of a length"));
            keep > 0
        });
        self.len = self.len.min(len);
        self.synced = self.synced.min(len);
    }

    fn content(&self) -> Bytes {
        if let [only] = self.pieces.as_slice() {
            return only.clone();
        }
        let mut all = BytesMut::with_capacity(self.pieces.iter().map(Bytes::len).sum());
        for piece in &self.pieces {
            all.extend_from_slice(piece);
        }
        all.freeze()
    }
}

#[derive(Clone, Debug)]
struct Pending {
    op: DiskOp,
    number: u64,
    cause: EventId,
    /// What the file's length was when an fsync was asked for.
    len: u64,
}

/// One node's working directory.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    files: BTreeMap<Arc<str>, File>,
    /// Operations of the background thread, oldest first.
    pending: VecDeque<Pending>,
    free_at: Instant,
}

impl Disk {
    /// What a starting process finds.
    pub(super) fn image(&self) -> DiskImage {
        self.files.iter().map(|(name, file)| (name.clone(), file.content())).collect()
    }

    /// The written length.
    pub(super) fn len(&self, file: &str) -> u64 {
        self.files.get(file).map_or(0, |file| file.len)
    }

    /// How long an operation takes.
    pub(super) fn latency(&self, at: Asked, op: &DiskOp, storage: &mut Storage) -> Span {
        let machine = at.machine;
        match op {
            DiskOp::Write { data, .. } | DiskOp::Append { data, .. } => {
                storage.call(machine, CALL + Span(data.len() as u64 / CACHE_BYTES_PER_NS))
            }
            DiskOp::Fsync { file } => {
                let dirty = self.files.get(file).map_or(0, |file| file.len - file.synced);
                let waits = at.background && self.free_at > at.now;
                storage.fsync(machine, at.now, dirty, waits)
            }
            DiskOp::Rename { .. } | DiskOp::Remove { .. } | DiskOp::Truncate { .. } => storage.call(machine, CALL),
        }
    }

    /// Does it, as far as the page cache and the directory are concerned. Directory changes are journalled: they
    /// survive a power cut in their order.
    pub(super) fn apply(&mut self, op: DiskOp) {
        match op {
            DiskOp::Write { file, data } => {
                let mut fresh = File::default();
                fresh.append(data);
                self.files.insert(file, fresh);
            }
            DiskOp::Append { file, data } => self.files.entry(file).or_default().append(data),
            DiskOp::Fsync { file } => {
                let len = self.len(&file);
                self.synced(&file, len);
            }
            DiskOp::Rename { from, to } => {
                if let Some(file) = self.files.remove(&from) {
                    self.files.insert(to, file);
                }
            }
            DiskOp::Remove { file } => {
                self.files.remove(&file);
            }
            DiskOp::Truncate { file, len } => {
                if let Some(file) = self.files.get_mut(&file) {
                    file.truncate(len);
                }
            }
        }
    }

    /// An fsync ended: so much of the file is durable.
    pub(super) fn synced(&mut self, file: &str, len: u64) {
        if let Some(file) = self.files.get_mut(file) {
            file.synced = file.synced.max(len.min(file.len));
        }
    }

    /// Gives an operation to the background thread; when it will be done.
    pub(super) fn submit(&mut self, now: Instant, takes: Span, op: DiskOp, number: u64, cause: EventId) -> Instant {
        let len = if let DiskOp::Fsync { file } = &op { self.len(file) } else { 0 };
        self.pending.push_back(Pending { op, number, cause, len });
        self.free_at = self.free_at.max(now) + takes;
        self.free_at
    }

    /// The oldest background operation is done: its number and cause.
    pub(super) fn complete(&mut self) -> (u64, EventId) {
        let done = self.pending.pop_front().expect("one completion for each submission");
        if let DiskOp::Fsync { file } = &done.op {
            self.synced(file, done.len);
        } else {
            self.apply(done.op);
        }
        (done.number, done.cause)
    }

    /// The process died: what was written stays, what its background thread had not begun is not done.
    pub(super) fn killed(&mut self) {
        self.pending.clear();
        self.free_at = Instant::ZERO;
    }

    /// The power went: unsynced data may have reached the disk or not, up to any byte. Returns what was lost.
    pub(super) fn power_off(&mut self, draws: &mut Rng) -> Vec<(Arc<str>, u64)> {
        let mut lost = Vec::new();
        for (name, file) in &mut self.files {
            let dirty = file.len - file.synced;
            if dirty > 0 {
                let kept = file.synced + draws.below(dirty + 1);
                if kept < file.len {
                    lost.push((name.clone(), file.len - kept));
                }
                file.truncate(kept);
            }
            file.synced = file.len;
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(disk: &mut Disk, text: &'static str) {
        disk.apply(DiskOp::Append { file: "aof".into(), data: Bytes::from_static(text.as_bytes()) });
    }

    #[test]
    fn a_kill_keeps_what_was_written_and_a_power_cut_what_was_synced() {
        let mut lost_some = false;
        let mut kept_some = false;
        for seed in 0..50 {
            let mut disk = Disk::default();
            append(&mut disk, "synced ");
            disk.apply(DiskOp::Fsync { file: "aof".into() });
            append(&mut disk, "written");
            disk.killed();
            assert_eq!(&disk.image()["aof"][..], b"synced written");
            let lost = disk.power_off(&mut Seed(seed).stream("d", "torn"));
            let image = disk.image();
            assert!(image["aof"].starts_with(b"synced "));
            assert!(b"synced written".starts_with(&image["aof"]));
            assert_eq!(lost.iter().map(|(_, bytes)| *bytes).sum::<u64>(), 14 - image["aof"].len() as u64);
            lost_some |= image["aof"].len() < 14;
            kept_some |= image["aof"].len() > 7;
        }
        assert!(lost_some && kept_some, "the tear is drawn");
    }

    #[test]
    fn background_syncs_cover_what_was_written_before_them() {
        let mut disk = Disk::default();
        append(&mut disk, "before");
        let at = disk.submit(Instant(5), Span(10), DiskOp::Fsync { file: "aof".into() }, 7, EventId::NONE);
        assert_eq!(at, Instant(15));
        append(&mut disk, "after");
        assert_eq!(disk.complete().0, 7);
        assert_eq!(disk.files["aof"].synced, 6);
    }

    #[test]
    fn commits_come_one_after_the_other_and_are_shared() {
        let mut journal = Journal::default();
        let mut commit = |now: u64| journal.commit(Instant(now), || Span(10)).0;
        assert_eq!(commit(100), 110);
        assert_eq!(commit(100), 120, "the first has begun, it can't be joined");
        assert_eq!(commit(105), 120 + WAKE.ns(), "shared with the one that waits, and woken after it");
        assert_eq!(commit(110), 130, "that one has begun");
        assert_eq!(commit(131), 141);
    }

    #[test]
    fn renames_replace_and_truncation_cuts_pieces() {
        let mut disk = Disk::default();
        disk.apply(DiskOp::Write { file: "temp".into(), data: Bytes::from_static(b"new") });
        disk.apply(DiskOp::Write { file: "rdb".into(), data: Bytes::from_static(b"old") });
        disk.apply(DiskOp::Rename { from: "temp".into(), to: "rdb".into() });
        assert_eq!(disk.image().len(), 1);
        append(&mut disk, "abc");
        append(&mut disk, "def");
        disk.apply(DiskOp::Truncate { file: "aof".into(), len: 4 });
        assert_eq!(&disk.image()["aof"][..], b"abcd");
        assert_eq!(&disk.image()["rdb"][..], b"new");
    }
}
