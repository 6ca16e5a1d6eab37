//! Annotations as GitHub's runners read them from a step's output.

use super::text::complaints;
use super::{Exam, Examined};

/// One line for everything that is wrong.
#[must_use]
pub fn annotations(exams: &[Exam]) -> String {
    let mut out = String::new();
    for exam in exams.iter().filter(|exam| !exam.passed()) {
        let mut say = |line: Option<usize>, text: &str| {
            let line = line.map_or(String::new(), |line| format!(",line={line}"));
            let title = property("splitbrain");
            out.push_str(&format!("::error file={}{line},title={title}::{}\n", property(&exam.file), data(text)));
        };
        let ran = match &exam.result {
            Examined::Ran(ran) => ran,
            Examined::Skipped => continue,
            Examined::Invalid(problems) => {
                say(None, problems);
                continue;
            }
        };
        let judged = ran.expectations.iter().filter(|judged| !judged.passed && !ran.negative);
        let mut lined: Vec<(String, Option<usize>)> = judged
            .map(|judged| {
                let command =
                    judged.command.as_ref().map_or(String::new(), |command| format!("\nreproduce: {command}"));
                (format!("{}{command}", judged.complaint(ran.runs)), judged.line)
            })
            .collect();
        let known: Vec<String> = lined.iter().map(|(text, _)| text.lines().next().unwrap_or("").to_owned()).collect();
        lined.extend(complaints(ran).into_iter().filter(|text| !known.contains(text)).map(|text| {
            let pin = ran.pins.iter().find(|pin| text.starts_with(&format!("digest of seed {}:", pin.seed.0)));
            let line = pin.and_then(|pin| pin.line);
            (text, line)
        }));
        lined.iter().for_each(|(text, line)| say(*line, text));
    }
    out
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
