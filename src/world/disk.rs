//! Disks: files with a written and a synced length, what they cost, and what a crash or a power cut keeps.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::fault::DiskEffect;
use crate::id::{EventId, MachineId};
use crate::node::{DiskImage, DiskOp, Trouble};
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
    /// What faults do to it, by their number. The room that one leaves shrinks as files grow.
    faults: Vec<(u16, DiskEffect)>,
    draws: Rng,
    /// Cost of the CPU's part in thousandths; 0: none.
    cpu_milli: u64,
}

impl Drive {
    fn device(&mut self) -> Span {
        self.fsync.draw(&mut self.draws) + self.extra()
    }

    fn extra(&mut self) -> Span {
        let Drive { faults, draws, .. } = self;
        let slow = faults.iter().filter_map(|(_, effect)| effect.slow.as_ref());
        slow.fold(Span::ZERO, |sum, extra| sum + extra.draw(draws))
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
            faults: Vec::new(),
            draws: seed.stream(&machine.name, "disk"),
            cpu_milli: u64::from(cpu_milli),
        };
        let count = machines.iter().map(|machine| usize::from(machine.disk) + 1).max().unwrap_or(0);
        Storage { drives: machines.iter().map(drive).collect(), journals: vec![Journal::default(); count] }
    }

    /// A fault strikes a machine's drive.
    pub(super) fn strike(&mut self, machine: MachineId, fault: u16, effect: &DiskEffect) {
        self.drives[machine.index()].faults.push((fault, effect.clone()));
    }

    /// It is over.
    pub(super) fn heal(&mut self, machine: MachineId, fault: u16) {
        self.drives[machine.index()].faults.retain(|(number, _)| *number != fault);
    }

    /// Why operations on a machine's drive fail.
    pub(super) fn trouble(&self, machine: MachineId) -> Trouble {
        let faults = || self.drives[machine.index()].faults.iter().map(|(_, effect)| effect);
        Trouble { room: faults().filter_map(|effect| effect.room).min(), fails: faults().any(|effect| effect.fails) }
    }

    /// What is synced does not stay when the power goes.
    pub(super) fn loses_syncs(&self, machine: MachineId) -> bool {
        self.drives[machine.index()].faults.iter().any(|(_, effect)| effect.loses_syncs)
    }

    /// Files on a machine's drive have grown (or shrunk) from so many bytes to so many.
    pub(super) fn resized(&mut self, machine: MachineId, from: u64, to: u64) {
        for room in self.drives[machine.index()].faults.iter_mut().filter_map(|(_, effect)| effect.room.as_mut()) {
            *room = (*room + from).saturating_sub(to);
        }
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

    /// One byte becomes another.
    fn corrupt(&mut self, draws: &mut Rng) -> Option<u64> {
        let at = (self.len > 0).then(|| draws.below(self.len))?;
        let flip = u8::try_from(1 + draws.below(255)).expect("a byte that isn't zero");
        let mut start = 0;
        let hit = self.pieces.iter_mut().find(|piece| {
            start += piece.len() as u64;
            at < start
        });
        let piece = hit.expect("it is within the file");
        let mut changed = BytesMut::from(&piece[..]);
        let within = at - (start - piece.len() as u64);
        changed[usize::try_from(within).expect("a part of a length")] ^= flip;
        *piece = changed.freeze();
        Some(at)
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

/// An operation of the background thread.
#[derive(Clone, Debug)]
struct Pending {
    op: DiskOp,
    number: u64,
    cause: EventId,
    /// What the file's length was when an fsync was asked for.
    len: u64,
    /// When it will be done.
    ends: Instant,
}

impl Pending {
    fn syncs(&self, name: &str) -> bool {
        matches!(&self.op, DiskOp::Fsync { file } if **file == *name)
    }
}

/// One node's working directory.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    files: BTreeMap<Arc<str>, File>,
    /// Folders that somebody outside has made.
    folders: BTreeSet<Arc<str>>,
    /// Operations of the background thread, oldest first.
    pending: VecDeque<Pending>,
    free_at: Instant,
    /// What was done to files, in order, if somebody outside keeps a copy of them.
    told: Option<Vec<DiskOp>>,
}

impl Disk {
    /// What is done to files from now on is kept for whoever takes it with [`Disk::changes`].
    pub(super) fn tell(&mut self) {
        self.told.get_or_insert_default();
    }

    /// What was done to files since the last call.
    pub(super) fn changes(&mut self) -> Vec<DiskOp> {
        self.told.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Something was done to files.
    fn done(&mut self, op: impl FnOnce() -> DiskOp) {
        if let Some(told) = &mut self.told {
            told.push(op());
        }
    }

    /// What a starting process finds.
    pub(super) fn image(&self) -> DiskImage {
        self.files.iter().map(|(name, file)| (name.clone(), file.content())).collect()
    }

    /// A file that is there and safe, put there from outside.
    pub(super) fn put(&mut self, name: &str, content: Bytes) {
        let synced = content.len() as u64;
        self.folders.remove(name);
        self.files.insert(name.into(), File { pieces: vec![content], len: synced, synced });
    }

    /// Somebody outside removes a file or a folder.
    pub(super) fn take_away(&mut self, name: &str) {
        self.files.remove(name);
        self.folders.remove(name);
    }

    /// Somebody outside makes a folder, in the place of a file if there was one.
    pub(super) fn make_folder(&mut self, name: Arc<str>) {
        self.files.remove(&name);
        self.folders.insert(name);
    }

    /// The written length.
    pub(super) fn len(&self, file: &str) -> u64 {
        self.files.get(file).map_or(0, |file| file.len)
    }

    /// The length of all files.
    pub(super) fn total(&self) -> u64 {
        self.files.values().map(|file| file.len).sum()
    }

    /// How long an operation takes. Who writes to a file of which an fsync is under way waits for that.
    pub(super) fn latency(&self, at: Asked, op: &DiskOp, storage: &mut Storage) -> Span {
        let machine = at.machine;
        match op {
            DiskOp::Append { file, data } => {
                let syncs = self.pending.iter().filter(|other| other.syncs(file) && !at.background);
                let held_up = syncs.map(|sync| sync.ends.since(at.now)).max().unwrap_or(Span::ZERO);
                held_up + storage.call(machine, CALL + Span(data.len() as u64 / CACHE_BYTES_PER_NS))
            }
            DiskOp::Create { .. } => Span::ZERO,
            DiskOp::Write { data, .. } => storage.call(machine, CALL + Span(data.len() as u64 / CACHE_BYTES_PER_NS)),
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
        self.done(|| op.clone());
        match op {
            DiskOp::Write { file, data } => {
                let mut fresh = File::default();
                fresh.append(data);
                self.files.insert(file, fresh);
            }
            DiskOp::Create { file } => {
                self.files.insert(file, File::default());
            }
            DiskOp::Append { file, data } => self.files.entry(file).or_default().append(data),
            DiskOp::Fsync { file } => {
                let len = self.len(&file);
                self.synced(&file, len);
            }
            DiskOp::Rename { from, to } => {
                if let Some(file) = self.files.remove(&from) {
                    // Who syncs it has it open.
                    for other in &mut self.pending {
                        if let DiskOp::Fsync { file } = &mut other.op
                            && *file == from
                        {
                            *file = to.clone();
                        }
                    }
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
        self.free_at = self.free_at.max(now) + takes;
        self.pending.push_back(Pending { op, number, cause, len, ends: self.free_at });
        self.free_at
    }

    /// The oldest background operation is done, on a drive with that wrong with it: its number and cause, and whether
    /// it succeeded. Who can't write a file removes what there is of it.
    pub(super) fn complete(&mut self, trouble: Trouble, loses_syncs: bool) -> (u64, EventId, bool) {
        let done = self.pending.pop_front().expect("one completion for each submission");
        let (number, cause) = (done.number, done.cause);
        let folder = done.op.target().is_some_and(|file| self.folders.contains(file));
        if trouble.refuses(&done.op).is_err() || folder {
            if let DiskOp::Write { file, .. } = done.op {
                self.apply(DiskOp::Remove { file });
            }
            return (number, cause, false);
        }
        let missing = |file: &str| file != "." && !self.files.contains_key(file);
        match done.op {
            DiskOp::Fsync { file } if missing(&file) => return (number, cause, false),
            DiskOp::Rename { from, .. } if missing(&from) => return (number, cause, false),
            DiskOp::Fsync { file } if !loses_syncs => self.synced(&file, done.len),
            DiskOp::Fsync { .. } => {}
            op @ (DiskOp::Write { .. }
            | DiskOp::Create { .. }
            | DiskOp::Append { .. }
            | DiskOp::Rename { .. }
            | DiskOp::Remove { .. }
            | DiskOp::Truncate { .. }) => self.apply(op),
        }
        (number, cause, true)
    }

    /// A byte of each file of that name, with or without its folder, becomes another one: which, and where.
    pub(super) fn corrupt(&mut self, name: &str, draws: &mut Rng) -> Vec<(Arc<str>, u64)> {
        let named = |file: &str| file == name || file.rsplit_once('/').is_some_and(|(_, base)| base == name);
        let files = self.files.iter_mut().filter(|(file, _)| named(file));
        let hit: Vec<_> = files.filter_map(|(file, content)| Some((file.clone(), content.corrupt(draws)?))).collect();
        for (file, _) in &hit {
            let data = self.files[file].content();
            self.done(|| DiskOp::Write { file: file.clone(), data });
        }
        hit
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
        for (file, _) in &lost {
            let len = self.len(file);
            self.done(|| DiskOp::Truncate { file: file.clone(), len });
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
        assert_eq!(disk.complete(Trouble::default(), false), (7, EventId::NONE, true));
        assert_eq!(disk.files["aof"].synced, 6);
    }

    #[test]
    fn syncs_that_a_drive_loses_protect_nothing() {
        let mut disk = Disk::default();
        append(&mut disk, "before");
        disk.submit(Instant(5), Span(10), DiskOp::Fsync { file: "aof".into() }, 7, EventId::NONE);
        assert!(disk.complete(Trouble::default(), true).2, "it says that it has done it");
        assert_eq!(disk.files["aof"].synced, 0);
    }

    #[test]
    fn a_file_that_does_not_fit_is_not_renamed_either() {
        let mut disk = Disk::default();
        let ops = [
            DiskOp::Write { file: "temp".into(), data: Bytes::from_static(b"1234567890") },
            DiskOp::Fsync { file: "temp".into() },
            DiskOp::Rename { from: "temp".into(), to: "rdb".into() },
            DiskOp::fsync_directory(),
        ];
        for (number, op) in (0..).zip(ops) {
            disk.submit(Instant(5), Span(10), op, number, EventId::NONE);
        }
        let full = Trouble { room: Some(9), fails: false };
        let ok: Vec<bool> = (0..4).map(|_| disk.complete(full, false).2).collect();
        assert_eq!(ok, [false, false, false, true]);
        assert!(disk.image().is_empty());
    }

    #[test]
    fn a_corrupt_file_differs_in_one_byte() {
        let mut disk = Disk::default();
        append(&mut disk, "abc");
        append(&mut disk, "def");
        let hit = disk.corrupt("aof", &mut Seed(3).stream("d", "corrupt"));
        let after = disk.image()["aof"].clone();
        let at = usize::try_from(hit[0].1).expect("small");
        assert!(after.iter().zip(b"abcdef").enumerate().all(|(i, (is, was))| (is == was) == (i != at)));
    }

    #[test]
    fn who_writes_during_an_fsync_waits_for_it_whatever_the_file_is_called_now() {
        let machine = Machine {
            name: "m".into(),
            ip: crate::id::Ip::LOOPBACK,
            zone: None,
            clock_offset_ns: 0,
            clock_drift_ppm: 0,
            cpu_milli: 1_000,
            fsync: Dist::Constant(Span::ZERO),
            disk: 0,
        };
        let mut storage = Storage::new(std::slice::from_ref(&machine), 0, Seed(1));
        let mut disk = Disk::default();
        append(&mut disk, "abc");
        disk.submit(Instant(5), Span(100), DiskOp::Fsync { file: "aof".into() }, 1, EventId::NONE);
        disk.apply(DiskOp::Rename { from: "aof".into(), to: "new".into() });
        let asked = Asked { now: Instant(25), machine: MachineId(0), background: false };
        let op = DiskOp::Append { file: "new".into(), data: Bytes::from_static(b"d") };
        assert_eq!(disk.latency(asked, &op, &mut storage), Span(80));
        disk.complete(Trouble::default(), false);
        assert_eq!(disk.files["new"].synced, 3);
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
