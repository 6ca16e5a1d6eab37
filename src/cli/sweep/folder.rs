//! The results' folder: `sweep.json` says what it is about, `rows.jsonl` grows by a line a run and can be gone on with.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::super::Failure;
use crate::report::sweep::plan::{FORMAT, Plan};
use crate::report::sweep::{Collector, Record};
use crate::rng::Seeds;

/// What the folder is about.
const PLAN: &str = "sweep.json";
/// The rows.
pub(super) const ROWS: &str = "rows.jsonl";

/// A folder that rows are added to.
pub(super) struct Folder {
    path: PathBuf,
    rows: File,
    line: Vec<u8>,
}

pub(super) fn failure(path: &Path, doing: &str, error: &std::io::Error) -> Failure {
    Failure::Message(format!("can't {doing} {}: {error}", path.display()))
}

impl Folder {
    /// Begins a new sweep.
    pub(super) fn begin(path: &Path, plan: &Plan) -> Result<Folder, Failure> {
        fs::create_dir_all(path).map_err(|error| failure(path, "create", &error))?;
        let rows_path = path.join(ROWS);
        // Rows of one sweep never stand beside the plan of another.
        if rows_path.exists() {
            fs::remove_file(&rows_path).map_err(|error| failure(&rows_path, "replace", &error))?;
        }
        write_plan(path, plan)?;
        let rows = File::create(&rows_path).map_err(|error| failure(&rows_path, "write", &error))?;
        Ok(Folder { path: path.to_owned(), rows, line: Vec::new() })
    }

    /// Goes on with a sweep: its rows go to the collector again. Returns how many they are.
    pub(super) fn resume(
        path: &Path,
        plan: &Plan,
        collector: &mut Collector,
        seeds: &Seeds,
    ) -> Result<(Folder, u64), Failure> {
        let Some(known) = read_plan(path)? else { return Ok((Folder::begin(path, plan)?, 0)) };
        if let Some(what) = difference(&known, plan) {
            let message = format!(
                "{} holds a sweep of {what}: it can't be gone on with (--overwrite begins again, --out DIR writes elsewhere)",
                path.display()
            );
            return Err(Failure::Message(message));
        }
        let rows_path = path.join(ROWS);
        let open = OpenOptions::new().create(true).read(true).append(true).open(&rows_path);
        let mut rows = open.map_err(|error| failure(&rows_path, "open", &error))?;
        let mut reader = Rows::open(path, plan, seeds)?;
        let expect = collector.expectations().to_vec();
        while let Some(record) = reader.next(&expect)? {
            collector.add(&record);
        }
        // What a killed process wrote of its last line is dropped.
        rows.set_len(reader.whole).map_err(|error| failure(&rows_path, "write", &error))?;
        rows.seek(SeekFrom::End(0)).map_err(|error| failure(&rows_path, "write", &error))?;
        Ok((Folder { path: path.to_owned(), rows, line: Vec::new() }, reader.count))
    }

    /// Adds a row. It is the system's from here on: the process may die.
    pub(super) fn add(&mut self, plan: &Plan, record: &Record) -> Result<(), Failure> {
        self.line.clear();
        record.write(plan, &mut self.line);
        self.rows.write_all(&self.line).map_err(|error| failure(&self.path.join(ROWS), "write", &error))
    }

    /// Adds a row as another folder has it.
    pub(super) fn add_line(&mut self, line: &[u8]) -> Result<(), Failure> {
        self.rows.write_all(line).map_err(|error| failure(&self.path.join(ROWS), "write", &error))
    }

    /// Writes the other files.
    pub(super) fn finish(self, files: &[(String, Vec<u8>)]) -> Result<(), Failure> {
        for (name, bytes) in files {
            let path = self.path.join(name);
            fs::write(&path, bytes).map_err(|error| failure(&path, "write", &error))?;
        }
        Ok(())
    }
}

/// What tells two sweeps apart; `None` when one can go on with the other's rows.
fn difference(known: &Plan, plan: &Plan) -> Option<String> {
    if known.scenario != plan.scenario {
        Some(format!("another scenario, {}", known.scenario))
    } else if known.splitbrain != plan.splitbrain {
        Some(format!("version {} of splitbrain", known.splitbrain))
    } else if known.seeds != plan.seeds {
        Some(format!("other seeds, {}", known.seeds))
    } else if known.shard != plan.shard {
        Some(known.shard.map_or("all shards".to_owned(), |shard| format!("another shard, {shard}")))
    } else {
        (known.identity != plan.identity).then(|| "another version of this scenario, or other settings".to_owned())
    }
}

/// The number of runs that a folder has of how many, if it holds an unfinished sweep.
pub(super) fn unfinished(path: &Path) -> Result<Option<(u64, u64)>, Failure> {
    let Some(plan) = read_plan(path)? else { return Ok(None) };
    let rows_path = path.join(ROWS);
    let Ok(file) = File::open(&rows_path) else { return Ok(None) };
    let mut reader = BufReader::new(file);
    let (mut count, mut line) = (0, Vec::new());
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(|error| failure(&rows_path, "read", &error))?;
        if read == 0 || line.last() != Some(&b'\n') {
            break;
        }
        count += 1;
    }
    Ok((count > 0 && count < plan.runs()).then(|| (count, plan.runs())))
}

/// In one piece: a process that dies leaves the old plan or the new one.
fn write_plan(path: &Path, plan: &Plan) -> Result<(), Failure> {
    let (place, draft) = (path.join(PLAN), path.join("sweep.json.new"));
    let mut text = serde_json::to_vec_pretty(plan).expect("plain data is JSON");
    text.push(b'\n');
    fs::write(&draft, text).and_then(|()| fs::rename(&draft, &place)).map_err(|error| failure(&place, "write", &error))
}

/// The plan in a folder, if there is one.
pub(super) fn read_plan(path: &Path) -> Result<Option<Plan>, Failure> {
    let place = path.join(PLAN);
    let text = match fs::read(&place) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failure(&place, "read", &error)),
    };
    let format = serde_json::from_slice::<serde_json::Value>(&text).ok();
    let format = format.as_ref().and_then(|json| json.get("format")).and_then(serde_json::Value::as_u64);
    if format.is_some_and(|format| format != u64::from(FORMAT)) {
        return Err(Failure::Message(format!("{} was written by another version of splitbrain", place.display())));
    }
    let plan: Plan = serde_json::from_slice(&text)
        .map_err(|error| Failure::Message(format!("{} is not a sweep's: {error}", place.display())))?;
    Ok(Some(plan))
}

/// A folder's rows, read in order and checked against its plan.
pub(super) struct Rows {
    path: PathBuf,
    reader: BufReader<File>,
    line: Vec<u8>,
    plan: Plan,
    seeds: Seeds,
    numbers: Box<dyn Iterator<Item = u64>>,
    /// How many there were so far.
    pub(super) count: u64,
    /// The bytes of whole lines so far.
    whole: u64,
}

impl Rows {
    pub(super) fn open(folder: &Path, plan: &Plan, seeds: &Seeds) -> Result<Rows, Failure> {
        let path = folder.join(ROWS);
        let file = File::open(&path).map_err(|error| failure(&path, "read", &error))?;
        Ok(Rows {
            path,
            reader: BufReader::with_capacity(1 << 16, file),
            line: Vec::new(),
            plan: plan.clone(),
            seeds: seeds.clone(),
            numbers: Box::new(plan.numbers()),
            count: 0,
            whole: 0,
        })
    }

    /// The next row; a line without an end is none.
    pub(super) fn next(&mut self, expect: &[Vec<crate::check::Expectation>]) -> Result<Option<Record>, Failure> {
        self.line.clear();
        let read =
            self.reader.read_until(b'\n', &mut self.line).map_err(|error| failure(&self.path, "read", &error))?;
        if read == 0 || self.line.last() != Some(&b'\n') {
            return Ok(None);
        }
        let place = format!("{}, line {}", self.path.display(), self.count + 1);
        let record = Record::read(&self.line, expect)
            .map_err(|error| Failure::Message(format!("{place} is not a row of this sweep: {error}")))?;
        let expected = self.numbers.next().map(|number| self.plan.place(number));
        let expected = expected.and_then(|(variant, at)| Some((variant, self.seeds.nth(at)?)));
        if expected != Some((record.variant, record.seed)) {
            let what = expected.map_or("the end".to_owned(), |(_, seed)| format!("seed {}", seed.0));
            return Err(Failure::Message(format!("{place} has seed {} where {what} is due", record.seed.0)));
        }
        self.count += 1;
        self.whole += u64::try_from(read).unwrap_or(u64::MAX);
        Ok(Some(record))
    }

    /// The line of the last row, with its newline.
    pub(super) fn line(&self) -> &[u8] {
        &self.line
    }
}
