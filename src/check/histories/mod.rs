//! Histories from elsewhere: Jepsen's in EDN and JSON, the logs of Porcupine's repository, and our own `history.jsonl`.

mod edn;
mod jepsen;
mod json;
mod porcupine;
mod record;

use std::fmt;

use super::linearizable::History;

/// How a history is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Maps as Clojure writes them, one after the other or in a vector: Jepsen's `history.edn`.
    JepsenEdn,
    /// The same in JSON: an array, or an object in each line.
    JepsenJson,
    /// `kv/*.txt` of Porcupine's test data.
    PorcupineKv,
    /// `jepsen/etcd_*.log` of Porcupine's test data: the log of a Jepsen run on one register.
    PorcupineEtcd,
    /// The `history.jsonl` of a report folder.
    SplitbrainJsonl,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 5] =
        [Format::JepsenEdn, Format::JepsenJson, Format::PorcupineKv, Format::PorcupineEtcd, Format::SplitbrainJsonl];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Format::JepsenEdn => "jepsen-edn",
            Format::JepsenJson => "jepsen-json",
            Format::PorcupineKv => "porcupine-kv",
            Format::PorcupineEtcd => "porcupine-etcd",
            Format::SplitbrainJsonl => "splitbrain-jsonl",
        }
    }

    /// What a text looks like; `None`: like none of them.
    #[must_use]
    pub fn guess(text: &str) -> Option<Format> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(';'));
        let first = lines.next()?;
        if text.lines().take(1_000).any(porcupine::is_etcd_line) {
            return Some(Format::PorcupineEtcd);
        }
        if porcupine::is_kv_line(first) {
            return Some(Format::PorcupineKv);
        }
        let inner = first.trim_start_matches(['[', '(', ' ']);
        let inner = if inner.is_empty() { lines.next().unwrap_or("") } else { inner };
        if inner.starts_with("{\"") || inner.starts_with("{ \"") {
            let ours = ["\"process\":", "\"f\":", "\"key\":", "\"client\":"].iter().all(|field| inner.contains(field));
            return Some(if ours { Format::SplitbrainJsonl } else { Format::JepsenJson });
        }
        let edn = inner.starts_with("{:") || inner.starts_with("{ :") || inner.starts_with("#jepsen");
        edn.then_some(Format::JepsenEdn)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Where; 0 if the line isn't known.
    pub line: u32,
    /// What is wrong, and what was expected.
    pub message: String,
}

/// Reads a history.
///
/// # Errors
/// The first thing that can't be read.
pub fn read(text: &str, format: Format) -> Result<History, BadLine> {
    match format {
        Format::JepsenEdn => jepsen::from_edn(text),
        Format::JepsenJson | Format::SplitbrainJsonl => jepsen::from_json(text),
        Format::PorcupineKv => porcupine::kv(text),
        Format::PorcupineEtcd => porcupine::etcd(text),
    }
}

fn line_number(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::linearizable::{Came, Datum};

    fn row(history: &History, index: usize) -> String {
        let entry = &history.entries[index];
        let key = entry.key.as_ref().map_or(String::new(), |key| format!(" of {key}"));
        let ret = entry.ret.map_or("…".to_owned(), |place| place.line.to_string());
        let (input, output) = (&entry.input, &entry.output);
        format!("{} {}{key} {input} {:?} {output} {}-{ret}", entry.process, entry.f, entry.came, entry.call.line)
    }

    fn rows(text: &str) -> Vec<String> {
        let format = Format::guess(text).expect("a known format");
        let history = read(text, format).expect("readable");
        (0..history.entries.len()).map(|index| row(&history, index)).collect()
    }

    #[test]
    fn formats_are_told_apart() {
        for (text, format) in [
            ("{:type :invoke, :f :read}", Some(Format::JepsenEdn)),
            ("; a comment\n\n[{:type :invoke}]", Some(Format::JepsenEdn)),
            ("#jepsen.history.Op{:index 0}", Some(Format::JepsenEdn)),
            ("[\n{\"type\":\"invoke\"}]", Some(Format::JepsenJson)),
            ("{\"index\":0,\"process\":0,\"f\":\"read\",\"key\":5,\"client\":1}", Some(Format::SplitbrainJsonl)),
            ("{:process 9, :type :invoke, :f :append, :key \"0\", :value \"x\"}", Some(Format::PorcupineKv)),
            ("INFO  jepsen.core - begins\nINFO  jepsen.util - 4\t:invoke\t:read\tnil", Some(Format::PorcupineEtcd)),
            ("time,process,f", None),
            ("", None),
        ] {
            assert_eq!(Format::guess(text), format, "{text}");
        }
    }

    #[test]
    fn jepsen_histories() {
        let edn = "{:type :invoke, :f :write, :value 3, :process 0, :time 10}\n\
            {:type :info, :f :start, :value nil, :process :nemesis}\n\
            {:type :invoke, :f :cas, :value [3 4], :process 1, :time 20}\n\
            {:type :fail, :f :cas, :value [3 4], :process 1}\n\
            {:type :invoke, :f :read, :process 1}\n\
            {:type :ok, :f :read, :value 3, :process 1}\n\
            {:type :info, :f :write, :value 3, :process 0, :error :timeout}\n\
            {:type :invoke, :f :read, :value nil, :process 2}\n";
        let expected = [
            "0 write 3 Unknown nil 1-…",
            "1 cas [3 4] Failed nil 3-4",
            "1 read nil Ok 3 5-6",
            "2 read nil Unknown nil 8-…",
        ];
        assert_eq!(rows(edn), expected);
        let tagged: String = edn.lines().map(|line| format!("#jepsen.history.Op{line}\n")).collect();
        assert_eq!(rows(&tagged), expected);
        let vector = format!("[{}]", edn.trim_end());
        assert_eq!(rows(&vector), expected);
        let json = "{\"type\":\"invoke\",\"f\":\"write\",\"value\":3,\"process\":0}\n{\"type\":\"ok\",\"f\":\"write\",\"value\":3,\"process\":0}\n";
        assert_eq!(rows(json), ["0 write 3 Ok 3 1-2"]);
        let array = "[{\"type\":\"invoke\",\"f\":\"write\",\"value\":3,\"process\":0},\n{\"type\":\"ok\",\"f\":\"write\",\"value\":3,\"process\":0}]";
        assert_eq!(rows(array), ["0 write 3 Ok 3 1-2"]);
    }

    #[test]
    fn keys_of_jepsen_histories() {
        let independent = "{:type :invoke :f :cas :value [7 [1 2]] :process 0}\n{:type :ok :f :cas :value [7 [1 2]] :process 0}\n\
            {:type :invoke :f :read :value [7 nil] :process 0}\n{:type :ok :f :read :value [7 2] :process 0}\n";
        assert_eq!(rows(independent), ["0 cas of 7 [1 2] Ok [1 2] 1-2", "0 read of 7 nil Ok 2 3-4"]);
        let txn = "{:type :invoke :f :txn :value [[:append 1 5]] :process 0}\n{:type :ok :f :txn :value [[:append 1 5]] :process 0}\n\
            {:type :invoke :f :txn :value [[:r 1 nil]] :process 0}\n{:type :ok :f :txn :value [[:r 1 [5]]] :process 0}\n";
        assert_eq!(rows(txn), ["0 append of 1 5 Ok 5 1-2", "0 read of 1 nil Ok [5] 3-4"]);
    }

    #[test]
    fn porcupine_logs() {
        let kv = "{:process 9, :type :invoke, :f :append, :key \"0\", :value \"x 9\"}\n{:process 1, :type :invoke, :f :get, :key \"0\", :value nil}\n\
            {:process 9, :type :ok, :f :append, :key \"0\", :value \"x 9\"}\n{:process 1, :type :ok, :f :get, :key \"0\", :value \"x 9\"}\n";
        assert_eq!(rows(kv), ["9 append of \"0\" \"x 9\" Ok \"x 9\" 1-3", "1 get of \"0\" nil Ok \"x 9\" 2-4"]);
        let etcd = "INFO  jepsen.util - 4\t:invoke\t:read\tnil\nINFO  jepsen.util - 2\t:invoke\t:cas\t[2 4]\n\
            INFO  jepsen.util - 4\t:ok\t:read\t3\nINFO  jepsen.util - 2\t:fail\t:cas\t[2 4]\n\
            INFO  jepsen.util - 1\t:invoke\t:write\t1\nINFO  jepsen.util - 1\t:info\t:write\t:timed-out\n";
        let history = read(etcd, Format::PorcupineEtcd).expect("readable");
        assert_eq!(row(&history, 1), "2 cas [2 4] Ok false 2-4");
        assert_eq!((history.entries[2].came, &history.entries[2].output), (Came::Unknown, &Datum::Nil));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (format, text, line, message) in [
            (Format::JepsenEdn, "{:type :invoke :f :read :process 0}\n{:type :ok", 2, "ends in the middle of a map"),
            (
                Format::JepsenEdn,
                "{:type :invoke :f :read :process 0}\n\n{:type :invoke :f :read :process 0}",
                3,
                "is still busy",
            ),
            (Format::JepsenEdn, "{:type :ok :f :read :process 0 :value 3}", 1, "has invoked nothing"),
            (Format::JepsenEdn, "{:f :read :process 0}", 1, "no :type"),
            (Format::JepsenEdn, "{:type :done :f :read :process 0}", 1, "invoke, ok, fail or info"),
            (Format::JepsenEdn, "[1 2]", 1, "a map is expected"),
            (
                Format::JepsenEdn,
                "{:type :invoke :f :txn :process 0 :value [[:r 1 nil] [:r 2 nil]]}",
                1,
                "one operation",
            ),
            (Format::JepsenJson, "{\"type\":\"invoke\",\"f\":\"read\",\"process\":0}\n{\"type\":", 2, "JSON"),
            (
                Format::JepsenJson,
                "[{\"type\":\"invoke\",\"f\":\"read\",\"process\":0},\n{\"type\":\"ok\"}]",
                2,
                "no :process",
            ),
            (Format::JepsenJson, "[{\"type\":\"invoke\",\"f\":\"read\",\"process\":0}\n\n{}]", 3, "a comma or ]"),
            (
                Format::JepsenJson,
                "[{\"type\":\"invoke\",\"f\":\"read\",\"process\":0}\n",
                2,
                "in the middle of the array",
            ),
            (Format::JepsenJson, "[]\n[]", 2, "nothing may follow"),
            (Format::PorcupineKv, "{:process 9, :type :invoke, :f :append}", 1, "no :key"),
            (Format::PorcupineEtcd, "INFO  jepsen.util - 4\t:invoke\t:increment\tnil", 1, "read, write or cas"),
        ] {
            let bad = read(text, format).expect_err(text);
            assert_eq!(bad.line, line, "{text}: {}", bad.message);
            assert!(bad.message.contains(message), "{text}: {}", bad.message);
        }
    }

    proptest::proptest! {
        /// Whatever the text, it is read or refused.
        #[test]
        fn nothing_panics(text in "[\\[\\](){}#:\"a-c0-9,;\\\\ \n-]{0,60}") {
            for format in Format::ALL {
                let _ = read(&text, format);
            }
            let _ = Format::guess(&text);
        }
    }
}
