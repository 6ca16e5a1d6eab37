//! The logs in the test data of Porcupine's repository.

use std::sync::Arc;

use super::edn::Reader;
use super::record::{Recorder, Says};
use super::{BadLine, line_number};
use crate::check::linearizable::{Datum, History};

/// Whether a line is an operation of a Jepsen log.
pub(super) fn is_etcd_line(line: &str) -> bool {
    words(line).is_some()
}

/// Whether a line is one of a key-value log.
pub(super) fn is_kv_line(line: &str) -> bool {
    let f = [":f :get,", ":f :put,", ":f :append,"].iter().any(|f| line.contains(f));
    f && line.starts_with("{:") && line.contains(":key \"")
}

/// `{:process 9, :type :invoke, :f :append, :key "0", :value "x"}` in each line.
pub(super) fn kv(text: &str) -> Result<History, BadLine> {
    let mut recorder = Recorder::default();
    for (index, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let line = line_number(index);
        let event = Reader::new(text).value(0).map_err(|bad| BadLine { line, ..bad })?;
        let field =
            |name: &str| event.get(name).cloned().ok_or_else(|| BadLine { line, message: format!("no :{name}") });
        let word = |name: &str| {
            let value = field(name)?;
            let expected = || BadLine { line, message: format!(":{name} is a keyword, not {value}") };
            value.word().map(Arc::<str>::from).ok_or_else(expected)
        };
        let process: Arc<str> = field("process")?.to_string().into();
        let (kind, f, key, value) = (word("type")?, word("f")?, field("key")?, field("value")?);
        match &*kind {
            "invoke" => recorder.call(process, &f, value, (line, None))?.key = Some(key),
            "ok" => _ = recorder.ret(&process, Says::Ok, value, (line, None))?,
            other => {
                return Err(BadLine { line, message: format!(":type is invoke or ok, not {other}") });
            }
        }
    }
    Ok(recorder.finish())
}

/// The parts of `INFO  jepsen.util - 4⇥:invoke⇥:read⇥nil`.
fn words(line: &str) -> Option<[&str; 4]> {
    let rest = line.strip_prefix("INFO")?.trim_start().strip_prefix("jepsen.util")?.trim_start().strip_prefix('-')?;
    let mut rest = rest.trim();
    let mut next = || {
        let (word, left) = rest.split_at(rest.find(char::is_whitespace)?);
        rest = left.trim_start();
        Some(word)
    };
    let (process, kind, f) = (next()?, next()?, next()?);
    let words = [process, kind, f, rest];
    let number = words[0].bytes().all(|byte| byte.is_ascii_digit()) && !words[0].is_empty();
    (number && words[1].starts_with(':')).then_some(words)
}

/// The log of a Jepsen run on one register of etcd. Here a compare-and-set that fails was carried out and found
/// another value, as Porcupine reads it.
pub(super) fn etcd(text: &str) -> Result<History, BadLine> {
    let mut recorder = Recorder::default();
    for (index, text) in text.lines().enumerate() {
        let Some([process, kind, f, value]) = words(text) else { continue };
        let line = line_number(index);
        let f = f.trim_start_matches(':');
        if !matches!(f, "read" | "write" | "cas") {
            return Err(BadLine { line, message: format!("the operations are read, write or cas, not {f}") });
        }
        let value = Reader::new(value).value(0).map_err(|bad| BadLine { line, ..bad })?;
        let place = (line, None);
        match kind {
            ":invoke" => _ = recorder.call(process.into(), f, value, place)?,
            ":ok" => _ = recorder.ret(process, Says::Ok, value, place)?,
            ":fail" if f == "cas" => _ = recorder.ret(process, Says::Ok, Datum::Bool(false), place)?,
            ":fail" | ":info" => {
                let says = if kind == ":fail" && f == "write" { Says::Fail } else { Says::Info };
                recorder.ret(process, says, value, place)?;
            }
            other => {
                return Err(BadLine { line, message: format!("{other} is none of :invoke, :ok, :fail and :info") });
            }
        }
    }
    Ok(recorder.finish())
}
