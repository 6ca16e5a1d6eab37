//! Pinned digests: compared, explained, and pinned anew, in the scenario file and in the file beside it.

use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, InlineTable, Item, Table, Value, value};

use super::{Case, Failure, Row, TestArgs, shell, unwritable};
use crate::report::exam::Pinned;
use crate::report::pins::{Comparer, Pin, Pinner, Pins};
use crate::rng::Seed;
use crate::run::{Limits, run_limited};
use crate::scenario::Loaded;

/// The file beside a scenario.
fn beside(path: &Path) -> PathBuf {
    path.with_extension("pins")
}

/// Checks the pins of a scenario, or pins anew.
pub(super) fn check(args: &TestArgs, case: &Case, rows: &[Row]) -> Result<Vec<Pinned>, Failure> {
    if args.bless {
        return bless(case);
    }
    // Changed scenarios run differently; that says nothing about the pins.
    if !args.set.set.is_empty() {
        return Ok(Vec::new());
    }
    let kept = read(&beside(&case.path))?;
    let mut out = Vec::new();
    for (seed, pinned) in &case.scenario.test.digests {
        let known = rows.iter().find(|row| row.seed == *seed).map(|row| row.digest.to_string());
        let found = known.unwrap_or_else(|| make(case, *seed).digest.to_string());
        let differs = found != **pinned;
        let pin = kept.pins.get(&seed.0.to_string()).filter(|pin| differs && pin.digest.to_string() == **pinned);
        let bless = ["splitbrain".to_owned(), "test".to_owned(), case.file(), "--bless".to_owned()];
        out.push(Pinned {
            seed: *seed,
            line: line_of(&case.loaded, *seed),
            pinned: pinned.to_string(),
            found,
            change: pin.map(|pin| {
                let mut comparer = Comparer::new(pin);
                let run = run_limited(&case.scenario, *seed, &limits(case), &mut |event| comparer.see(event));
                comparer.finish(&run.metrics)
            }),
            blessed: false,
            bless: shell::line(&bless),
        });
    }
    Ok(out)
}

fn limits(case: &Case) -> Limits {
    case.limits()
}

fn make(case: &Case, seed: Seed) -> Pin {
    let mut pinner = Pinner::default();
    let run = run_limited(&case.scenario, seed, &limits(case), &mut |event| pinner.see(event));
    pinner.finish(&run.metrics)
}

fn line_of(loaded: &Loaded, seed: Seed) -> Option<usize> {
    let digests = &loaded.effective.test.as_ref()?.digests;
    let (key, _) = digests.0.iter().find(|(key, _)| key.value == seed.0.to_string())?;
    Some(loaded.report.sources.line_column(key.place).0)
}

/// Pins every seed that is pinned, or else the scenario's own.
fn bless(case: &Case) -> Result<Vec<Pinned>, Failure> {
    let plan = &case.scenario.test;
    let mut wanted: Vec<(Seed, String)> =
        plan.digests.iter().map(|(seed, digest)| (*seed, digest.to_string())).collect();
    if wanted.is_empty() {
        wanted.push((case.scenario.seed, String::new()));
    }
    let mut kept = Pins { splitbrain: env!("CARGO_PKG_VERSION").to_owned(), ..Pins::default() };
    let mut out = Vec::new();
    for (seed, pinned) in wanted {
        let pin = make(case, seed);
        let found = pin.digest.to_string();
        kept.pins.insert(seed.0.to_string(), pin);
        let blessed = pinned != found;
        out.push(Pinned { seed, line: None, pinned, found, change: None, blessed, bless: String::new() });
    }
    if out.iter().any(|pin| pin.blessed) {
        rewrite(&case.path, &out)?;
    }
    let path = beside(&case.path);
    let mut text = serde_json::to_string_pretty(&kept).expect("plain data is JSON");
    text.push('\n');
    if std::fs::read(&path).ok().as_deref() != Some(text.as_bytes()) {
        std::fs::write(&path, text).map_err(|error| unwritable(&path, &error))?;
    }
    Ok(out)
}

/// Puts digests into a scenario file; the rest of it stays as it is.
fn rewrite(path: &Path, pins: &[Pinned]) -> Result<(), Failure> {
    let text = super::load::text(path)?;
    let message = |why: &str| Failure::Message(format!("can't pin digests in {}: {why}", path.display()));
    let digests: Vec<(String, &str)> = pins.iter().map(|pin| (pin.seed.0.to_string(), pin.found.as_str())).collect();
    let changed = with_digests(&text, &digests).map_err(|why| message(&why))?;
    std::fs::write(path, changed).map_err(|error| unwritable(path, &error))
}

fn with_digests(text: &str, digests: &[(String, &str)]) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|_| "only scenarios in TOML are rewritten".to_owned())?;
    if !document.contains_key("test") {
        let mut table = Table::new();
        table.decor_mut().set_prefix("\n");
        document.insert("test", Item::Table(table));
    }
    let test = document.get_mut("test").and_then(Item::as_table_like_mut).ok_or("`test` is no table")?;
    if !test.contains_key("digests") {
        test.insert("digests", value(InlineTable::new()));
    }
    let table = test.get_mut("digests").and_then(Item::as_table_like_mut).ok_or("`digests` is no table")?;
    for (seed, digest) in digests {
        match table.get_mut(seed).and_then(Item::as_value_mut) {
            Some(old) => {
                let decor = old.decor().clone();
                *old = Value::from(*digest);
                *old.decor_mut() = decor;
            }
            None => {
                table.insert(seed, value(*digest));
            }
        }
    }
    Ok(document.to_string())
}

/// The kept pins; none where there is no such file.
fn read(path: &Path) -> Result<Pins, Failure> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Pins::default()),
        Err(error) => return Err(Failure::Message(format!("can't read {}: {error}", path.display()))),
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        Failure::Message(format!("{} is damaged ({error}); `splitbrain test --bless` writes it anew", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::with_digests;

    #[test]
    fn a_file_keeps_its_comments_and_layout() {
        let text = "# About.\nduration = \"10s\" # long\n\n[test]  # CI\nseeds   = \"0..3\"\ndigests = { 42 = \"00\",  7 = \"11\" } # pinned\n\n[expect]\nconverged = true\n";
        let changed = with_digests(text, &[("42".to_owned(), "aa"), ("7".to_owned(), "bb")]).expect("rewritten");
        assert_eq!(changed, text.replace("\"00\"", "\"aa\"").replace("\"11\"", "\"bb\""));
        let text = "# About.\n[test.digests]\n42 = \"00\"   # the first\n";
        let changed = with_digests(text, &[("42".to_owned(), "aa")]).expect("rewritten");
        assert_eq!(changed, text.replace("00", "aa"));
    }

    #[test]
    fn a_first_pin_makes_its_table() {
        let changed = with_digests("# About.\nduration = \"10s\"\n", &[("1".to_owned(), "aa")]).expect("rewritten");
        assert_eq!(changed, "# About.\nduration = \"10s\"\n\n[test]\ndigests = { 1 = \"aa\" }\n");
        let changed = with_digests("[test]\nseeds = \"0..3\"\n", &[("1".to_owned(), "aa")]).expect("rewritten");
        assert_eq!(changed, "[test]\nseeds = \"0..3\"\ndigests = { 1 = \"aa\" }\n");
        assert!(with_digests("{\"a\": 1}", &[]).is_err());
    }
}
