//! Places in the files a scenario is made of, and what is wrong there: collected, then shown together.

use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode};

/// A stretch of one of the texts in [`Sources`], in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    /// Which text.
    pub source: usize,
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A text that places point into.
#[derive(Clone, Debug)]
pub struct Source {
    /// What it is called in messages: a path, `--set`.
    pub name: String,
    /// Its content.
    pub text: Arc<str>,
}

/// Every text of one load: the scenario file first, then overrides and configuration files as they are met.
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// Adds a text and returns its number.
    pub fn add(&mut self, name: impl Into<String>, text: &str) -> usize {
        self.0.push(Source { name: name.into(), text: Arc::from(text) });
        self.0.len() - 1
    }

    /// The text that a place points into.
    #[must_use]
    pub fn get(&self, place: Place) -> Option<&Source> {
        self.0.get(place.source)
    }

    /// Line and column of a place, both counted from 1 (columns in characters).
    #[must_use]
    pub fn line_column(&self, place: Place) -> (usize, usize) {
        let Some(source) = self.get(place) else { return (0, 0) };
        let before = source.text.as_bytes().get(..place.start).unwrap_or_default();
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        (line, String::from_utf8_lossy(&before[start..]).chars().count() + 1)
    }

    /// The part of a place on its first line: a table is marked at its beginning.
    fn first_line_of(&self, place: Place) -> Place {
        let text = self.get(place).map_or("", |source| &source.text);
        let end = text.get(place.start..place.end).and_then(|marked| marked.find('\n'));
        Place { end: end.map_or(place.end, |at| place.start + at), ..place }
    }

    /// The whole of a line (counted from 1) without the blanks around it.
    #[must_use]
    pub fn line(&self, source: usize, line: usize) -> Place {
        let mut start = 0;
        let text = self.0.get(source).map_or("", |source| &source.text);
        for (index, content) in text.split('\n').enumerate() {
            if index + 1 == line {
                let lead = content.len() - content.trim_start().len();
                let end = start + content.trim_end().len();
                return Place { source, start: (start + lead).min(end), end };
            }
            start += content.len() + 1;
        }
        Place { source, start: 0, end: 0 }
    }
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The scenario can't be run.
    Error,
    /// It can, but probably doesn't say what was meant.
    Warning,
}

/// Something wrong at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad.
    pub severity: Severity,
    /// Where; `None` when no text shows it.
    pub place: Option<Place>,
    /// What, in one line.
    pub message: String,
    /// What the marked text is, in a few words.
    pub label: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Other places that matter, each with a few words.
    pub also: Vec<(Place, String)>,
}

impl Problem {
    /// Says what the marked text is.
    pub fn label(&mut self, text: impl Into<String>) -> &mut Self {
        self.label = text.into();
        self
    }

    /// Says what to do about it.
    pub fn help(&mut self, text: impl Into<String>) -> &mut Self {
        self.help = Some(text.into());
        self
    }

    /// Marks another place.
    pub fn also(&mut self, place: Place, text: impl Into<String>) -> &mut Self {
        self.also.push((place, text.into()));
        self
    }

    /// Suggests the nearest of `known` to `name`; lists all of them when none is near (and they are few).
    pub fn suggest<'a>(&mut self, name: &str, what: &str, known: impl IntoIterator<Item = &'a str>) -> &mut Self {
        let known: Vec<&str> = known.into_iter().collect();
        if let Some(near) = crate::conf::nearest(name, known.iter().copied()) {
            self.help(format!("did you mean `{near}`?"))
        } else if known.is_empty() {
            self.help(format!("there are no {what}"))
        } else if known.len() <= 24 {
            self.help(format!("the {what} are {}", known.join(", ")))
        } else {
            self.help(format!("none of the {} {what} is spelled like it", known.len()))
        }
    }
}

/// All that was found wrong.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    /// Adds an error.
    pub fn error(&mut self, place: Place, message: impl Into<String>) -> &mut Problem {
        self.add(Severity::Error, Some(place), message.into())
    }

    /// Adds a warning.
    pub fn warning(&mut self, place: Place, message: impl Into<String>) -> &mut Problem {
        self.add(Severity::Warning, Some(place), message.into())
    }

    /// Adds an error that no text shows.
    pub fn nowhere(&mut self, message: impl Into<String>) -> &mut Problem {
        self.add(Severity::Error, None, message.into())
    }

    fn add(&mut self, severity: Severity, place: Option<Place>, message: String) -> &mut Problem {
        self.list.push(Problem { severity, place, message, label: String::new(), help: None, also: Vec::new() });
        self.list.last_mut().expect("one was just pushed")
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// Whether any of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them, errors before warnings, each in the order of the text; each once.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Problem> {
        let mut all: Vec<&Problem> = Vec::new();
        for problem in &self.list {
            if !all.contains(&problem) {
                all.push(problem);
            }
        }
        all.sort_by_key(|problem| (problem.severity, problem.place));
        all
    }
}

/// Problems together with the texts they are in: what a failed load returns.
#[derive(Clone, Debug)]
pub struct Report {
    /// The texts.
    pub sources: Sources,
    /// What is wrong in them.
    pub problems: Problems,
}

impl Report {
    /// The problems as text for people, each with the lines it is about.
    #[must_use]
    pub fn render(&self, width: usize, colour: bool) -> String {
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(width)
            .with_links(false)
            .without_syntax_highlighting()
            .with_context_lines(1);
        let mut out = String::new();
        for problem in self.problems.sorted() {
            if handler.render_report(&mut out, &Shown { problem, sources: &self.sources }).is_err() {
                out.push_str(&problem.message);
                out.push('\n');
            }
        }
        out
    }

    /// The problems alone, a line each: for those who haven't seen the texts.
    #[must_use]
    pub fn plain(&self) -> String {
        let line = |problem: &&Problem| match &problem.help {
            Some(help) => format!("{}: {help}", problem.message),
            None => problem.message.clone(),
        };
        self.problems.sorted().iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// The problems as a JSON array of `{severity, file, line, column, message, label, help}`.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let item = |problem: &&Problem| {
            let (line, column) = problem.place.map_or((0, 0), |place| self.sources.line_column(place));
            serde_json::json!({
                "severity": match problem.severity { Severity::Error => "error", Severity::Warning => "warning" },
                "file": problem.place.and_then(|place| self.sources.get(place)).map(|source| source.name.as_str()),
                "line": line,
                "column": column,
                "message": problem.message,
                "label": problem.label,
                "help": problem.help,
            })
        };
        self.problems.sorted().iter().map(item).collect()
    }
}

/// One problem as miette wants it.
struct Shown<'a> {
    problem: &'a Problem,
    sources: &'a Sources,
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.problem, f)
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.problem.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.problem.place.and_then(|place| self.sources.get(place)).map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let main = self.sources.first_line_of(self.problem.place?);
        let label = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let first = LabeledSpan::new_primary_with_span(label(&self.problem.label), main.start..main.end);
        let rest = self.problem.also.iter().filter(move |(place, _)| place.source == main.source);
        let rest = rest.map(move |(place, text)| {
            let place = self.sources.first_line_of(*place);
            LabeledSpan::new_with_span(label(text), place.start..place.end)
        });
        Some(Box::new(std::iter::once(first).chain(rest)))
    }
}

impl SourceCode for Source {
    /// With context: the whole lines that are marked, and no others. Without: just what is marked, whose line and column become
    /// the heading's.
    fn read_span<'a>(
        &'a self,
        span: &miette::SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        let bytes = self.text.as_bytes();
        let (mut start, mut end) = (span.offset(), span.offset() + span.len());
        if before > 0 || after > 0 {
            let outside = || miette::MietteError::OutOfBounds;
            let upto = bytes.get(..start).ok_or_else(outside)?;
            start = upto.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            let rest = bytes.get(end..).ok_or_else(outside)?;
            end = rest.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |at| end + at);
        }
        let inner = self.text.as_ref().read_span(&miette::SourceSpan::from(start..end), 0, 0)?;
        Ok(Box::new(miette::MietteSpanContents::new_named(
            self.name.clone(),
            inner.data(),
            *inner.span(),
            inner.line(),
            inner.column(),
            inner.line_count(),
        )))
    }
}
