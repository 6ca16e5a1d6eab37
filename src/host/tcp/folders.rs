//! Nodes' working directories as real folders: what is there at first, what nodes do to it, what others do to it meanwhile.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::host::Entry;
use crate::id::NodeId;
use crate::node::DiskOp;

/// Folders within folders are followed so far: that of the append-only file is the only one that nodes have.
const DEPTH: usize = 3;
/// Looking at folders takes no more than one part in so many of the time.
const SHARE: u32 = 20;

/// What a file was like when it was last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
    /// It is a folder; what happens in it is another matter.
    folder: bool,
}

impl Stamp {
    fn of(meta: &Metadata) -> Stamp {
        if meta.is_dir() {
            return Stamp { inode: meta.ino(), size: 0, changed: (0, 0), folder: true };
        }
        let changed = (meta.mtime(), meta.mtime_nsec());
        Stamp { inode: meta.ino(), size: meta.size(), changed, folder: false }
    }
}

/// The regular files below a folder, by their names from there, and the folders in it that have none. What isn't there has
/// nothing.
fn list(folder: &Path) -> io::Result<BTreeMap<String, Metadata>> {
    fn collect(folder: &Path, prefix: &str, into: &mut BTreeMap<String, Metadata>, depth: usize) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let (kind, name) = (entry.file_type()?, entry.file_name());
            let Some(name) = name.to_str().map(|name| format!("{prefix}{name}")) else { continue };
            if kind.is_dir() && depth > 1 {
                let before = into.len();
                collect(&entry.path(), &format!("{name}/"), into, depth - 1)?;
                if into.len() == before {
                    into.insert(name, entry.metadata()?);
                }
            } else if kind.is_file() {
                into.insert(name, entry.metadata()?);
            }
        }
        Ok(())
    }
    let mut files = BTreeMap::new();
    match collect(folder, "", &mut files, DEPTH) {
        // Somebody removes things meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(files),
        Err(error) => Err(error),
        Ok(()) => Ok(files),
    }
}

/// What is in a node's folder, which is made if it isn't there.
///
/// # Errors
/// It can't be read.
pub fn read(folder: &Path) -> io::Result<BTreeMap<String, Bytes>> {
    fs::create_dir_all(folder)?;
    let read = |(name, _): (String, Metadata)| Ok((name.clone(), Bytes::from(fs::read(folder.join(name))?)));
    list(folder)?.into_iter().filter(|(_, meta)| meta.is_file()).map(read).collect()
}

/// A node's folder.
#[derive(Debug)]
pub(super) struct Folder {
    /// Whose it is.
    pub(super) node: NodeId,
    path: PathBuf,
    known: BTreeMap<String, Stamp>,
    /// The file that was written to last: most often it is the next one too.
    open: Option<(Arc<str>, File)>,
    /// Files of the host's own, by their inodes: nodes know nothing of them.
    others: Vec<u64>,
    looked: Instant,
    /// What it took to look.
    took: Duration,
}

impl Folder {
    /// A folder whose files the node has.
    #[allow(clippy::disallowed_methods, reason = "folders are looked at in real time; what is found is recorded")]
    pub(super) fn new(node: NodeId, path: PathBuf, others: Vec<u64>) -> io::Result<Folder> {
        // Folders are news.
        let ours = |meta: &Metadata| meta.is_file() && !others.contains(&meta.ino());
        let found = list(&path)?.into_iter().filter(|(_, meta)| ours(meta));
        let known = found.map(|(name, meta)| (name, Stamp::of(&meta))).collect();
        Ok(Folder { node, path, known, open: None, others, looked: Instant::now(), took: Duration::ZERO })
    }

    /// What others have done to files since the last look.
    #[allow(clippy::disallowed_methods, reason = "folders are looked at in real time; what is found is recorded")]
    pub(super) fn look(&mut self, into: &mut Vec<Entry>) -> io::Result<()> {
        let began = Instant::now();
        if began.duration_since(self.looked) < self.took * SHARE {
            return Ok(());
        }
        let mut found = list(&self.path)?;
        found.retain(|_, meta| !self.others.contains(&meta.ino()));
        for (name, meta) in &found {
            let stamp = Stamp::of(meta);
            if self.known.get(name) == Some(&stamp) {
                continue;
            }
            if stamp.folder {
                self.known.insert(name.clone(), stamp);
                into.push(Entry::Folder(self.node, name.clone()));
            } else if let Ok(content) = fs::read(self.path.join(name)) {
                self.known.insert(name.clone(), stamp);
                into.push(Entry::Put(self.node, name.clone(), content.into()));
            }
        }
        if self.known.len() > found.len() {
            let gone: Vec<String> = self.known.keys().filter(|name| !found.contains_key(*name)).cloned().collect();
            for name in gone {
                self.known.remove(&name);
                into.push(Entry::Remove(self.node, name));
            }
        }
        (self.looked, self.took) = (began, began.elapsed());
        Ok(())
    }

    /// Does what the node has done.
    pub(super) fn follow(&mut self, ops: Vec<DiskOp>) -> io::Result<()> {
        for op in ops {
            match op {
                DiskOp::Append { file, data } => {
                    self.appendable(&file)?.write_all(&data)?;
                    self.note(&file)?;
                }
                DiskOp::Write { file, data } => {
                    let path = self.place(&file)?;
                    fs::write(path, &data)?;
                    self.note(&file)?;
                }
                DiskOp::Create { file } => {
                    let path = self.place(&file)?;
                    fs::write(path, b"")?;
                    self.note(&file)?;
                }
                DiskOp::Truncate { file, len } => {
                    let path = self.place(&file)?;
                    OpenOptions::new().write(true).open(path)?.set_len(len)?;
                    self.note(&file)?;
                }
                DiskOp::Rename { from, to } => {
                    let (from_path, to_path) = (self.place(&from)?, self.place(&to)?);
                    absent(fs::rename(from_path, to_path))?;
                    self.note(&from)?;
                    self.note(&to)?;
                }
                DiskOp::Remove { file } => {
                    let path = self.place(&file)?;
                    absent(fs::remove_file(path))?;
                    self.note(&file)?;
                }
                // What outlasts a power cut is decided inside; outside there is none.
                DiskOp::Fsync { .. } => {}
            }
        }
        Ok(())
    }

    /// Where a file is. Nobody has it open any more.
    fn place(&mut self, name: &str) -> io::Result<PathBuf> {
        self.open = None;
        let path = self.path.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(path)
    }

    fn appendable(&mut self, name: &Arc<str>) -> io::Result<&mut File> {
        if self.open.as_ref().is_none_or(|(open, _)| open != name) {
            let path = self.place(name)?;
            let file = OpenOptions::new().append(true).create(true).open(path)?;
            self.open = Some((name.clone(), file));
        }
        Ok(&mut self.open.as_mut().expect("opened above").1)
    }

    /// What a file is like now is the node's own doing.
    fn note(&mut self, name: &str) -> io::Result<()> {
        match fs::symlink_metadata(self.path.join(name)) {
            Ok(meta) => drop(self.known.insert(name.to_owned(), Stamp::of(&meta))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => drop(self.known.remove(name)),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// It is no mistake if somebody else has removed it.
fn absent(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_what_the_node_and_others_make_of_it() {
        let place = tempfile::tempdir().expect("a folder");
        let path = place.path().join("r1");
        assert!(read(&path).expect("made").is_empty());
        fs::write(path.join("dump.rdb"), b"old").expect("written");
        assert_eq!(read(&path).expect("readable")["dump.rdb"], Bytes::from_static(b"old"));
        let mut folder = Folder::new(NodeId(3), path.clone(), Vec::new()).expect("readable");
        let (data, file): (_, Arc<str>) = (Bytes::from_static(b"abc"), "appendonlydir/a".into());
        let ops = vec![
            DiskOp::Write { file: "t".into(), data: data.clone() },
            DiskOp::Rename { from: "t".into(), to: "dump.rdb".into() },
            DiskOp::Append { file: file.clone(), data: data.clone() },
            DiskOp::Append { file: file.clone(), data },
            DiskOp::Truncate { file: file.clone(), len: 4 },
            DiskOp::Remove { file: "none".into() },
        ];
        folder.follow(ops).expect("done");
        let files = read(&path).expect("readable");
        assert_eq!(files.len(), 2);
        assert_eq!((&files["dump.rdb"][..], &files["appendonlydir/a"][..]), (&b"abc"[..], &b"abca"[..]));
        // Its own doing is no news; that of others is.
        let mut news = Vec::new();
        folder.look(&mut news).expect("readable");
        assert_eq!(news, []);
        fs::write(path.join("users.acl"), b"user a on").expect("written");
        fs::remove_file(path.join("dump.rdb")).expect("removed");
        folder.took = Duration::ZERO;
        folder.look(&mut news).expect("readable");
        let put = Entry::Put(NodeId(3), "users.acl".to_owned(), Bytes::from_static(b"user a on"));
        assert_eq!(news, [put, Entry::Remove(NodeId(3), "dump.rdb".to_owned())]);
        // A folder is in a file's way.
        fs::create_dir(path.join("dump.rdb")).expect("made");
        let mut look = || {
            let mut news = Vec::new();
            folder.took = Duration::ZERO;
            folder.look(&mut news).expect("readable");
            news
        };
        assert_eq!(look(), [Entry::Folder(NodeId(3), "dump.rdb".to_owned())]);
        assert_eq!(look(), []);
        fs::remove_dir(path.join("dump.rdb")).expect("removed");
        assert_eq!(look(), [Entry::Remove(NodeId(3), "dump.rdb".to_owned())]);
    }
}
