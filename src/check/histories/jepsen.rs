//! Jepsen's histories: maps with `:process`, `:type`, `:f`, `:value`, in EDN or JSON. Ours are the same with a `key`.

use std::sync::Arc;

use super::BadLine;
use super::edn::Reader;
use super::json;
use super::record::{Recorder, Says};
use crate::check::linearizable::{Datum, Entry, History};

/// Maps one after the other, or in a vector or list.
pub(super) fn from_edn(text: &str) -> Result<History, BadLine> {
    let mut reader = Reader::new(text);
    let mut recorder = Recorder::default();
    let close = reader.enter()?;
    loop {
        if let Some(close) = close {
            if reader.leave(close)? {
                break;
            }
        } else if !reader.more(0)? {
            break;
        }
        let line = reader.line();
        let value = reader.value(0)?;
        take(&mut recorder, &value, line)?;
    }
    finish(recorder)
}

/// An array of objects, or objects one after the other.
pub(super) fn from_json(text: &str) -> Result<History, BadLine> {
    let mut recorder = Recorder::default();
    let mut items = json::Items::new(text);
    while let Some((line, value)) = items.item()? {
        take(&mut recorder, &json::datum(&value), line)?;
    }
    finish(recorder)
}

/// One event.
fn take(recorder: &mut Recorder, event: &Datum, line: u32) -> Result<(), BadLine> {
    let bad = |message: String| Err(BadLine { line, message });
    if !matches!(event, Datum::Map(_)) {
        return bad(format!("a map is expected, not {event}"));
    }
    let process: Arc<str> = match event.get("process") {
        Some(Datum::Int(number)) => number.to_string().into(),
        // The nemesis, which is no client.
        Some(Datum::Word(_) | Datum::Text(_)) => return Ok(()),
        Some(other) => return bad(format!("a :process is a number or a name, not {other}")),
        None => return bad("no :process".to_owned()),
    };
    let Some(kind) = event.get("type").and_then(Datum::word) else { return bad("no :type".to_owned()) };
    let Some(f) = event.get("f").and_then(Datum::word) else { return bad("no :f".to_owned()) };
    let value = event.get("value").cloned().unwrap_or(Datum::Nil);
    let at = event.get("time").and_then(Datum::int).and_then(|ns| u64::try_from(ns).ok());
    let place = (line, at);
    let says = match kind {
        "invoke" => {
            let entry = recorder.call(process, f, value, place)?;
            entry.key = event.get("key").cloned();
            return Ok(());
        }
        "ok" => Says::Ok,
        "fail" => Says::Fail,
        "info" => Says::Info,
        other => return bad(format!(":type is invoke, ok, fail or info, not {other}")),
    };
    recorder.ret(&process, says, value, place)?;
    Ok(())
}

/// Finds the keys, where values carry them.
fn finish(recorder: Recorder) -> Result<History, BadLine> {
    let mut history = recorder.finish();
    let entries = &mut history.entries;
    for entry in entries.iter_mut().filter(|entry| &*entry.f == "txn") {
        open_transaction(entry)?;
    }
    let keyed = |entry: &Entry| {
        let inner = entry.input.pair();
        entry.key.is_none() && inner.is_some_and(|(_, inner)| &*entry.f != "cas" || inner.pair().is_some())
    };
    if !entries.is_empty() && entries.iter().all(keyed) {
        for entry in entries {
            let (key, input) = entry.input.pair().expect("just looked");
            let output = entry.output.pair().map_or(Datum::Nil, |(_, output)| output.clone());
            (entry.key, entry.input, entry.output) = (Some(key.clone()), input.clone(), output);
        }
    }
    Ok(history)
}

/// `[[:append key value]]` becomes an append.
fn open_transaction(entry: &mut Entry) -> Result<(), BadLine> {
    let line = entry.call.line;
    let single = |value: &Datum| match value.elements() {
        Some([Datum::List(parts)]) if parts.len() == 3 => Some(parts.clone()),
        Some(_) | None => None,
    };
    let Some(parts) = single(&entry.input) else {
        let message = format!(
            "a transaction must have one operation, [[f key value]], not {}: Elle checks longer ones",
            entry.input
        );
        return Err(BadLine { line, message });
    };
    let f = match parts[0].word() {
        Some("r") => "read",
        Some("w") => "write",
        Some(other) => other,
        None => return Err(BadLine { line, message: format!("{} is no operation of a transaction", parts[0]) }),
    };
    let output = single(&entry.output).map_or(Datum::Nil, |parts| parts[2].clone());
    entry.f = f.into();
    (entry.key, entry.input, entry.output) = (Some(parts[1].clone()), parts[2].clone(), output);
    Ok(())
}
