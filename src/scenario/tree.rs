//! A scenario file as values that know where they stand, whether it was written in TOML or in JSON.

use toml::de::{DeTable, DeValue};

use super::source::{Place, Problems};

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub data: Data,
}

/// What both languages can say.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// JSON's null: as if the field were absent.
    Null,
    /// true or false
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Tree>),
    /// Fields in the order of the file.
    Table(Vec<(Key, Tree)>),
}

/// A field's name and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Where it stands.
    pub place: Place,
    /// The name.
    pub name: String,
}

/// The two languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// TOML 1.0 (and what the parser takes of 1.1).
    Toml,
    /// JSON (RFC 8259).
    Json,
}

impl Format {
    /// By the file's name, or by its first character when the name doesn't say.
    #[must_use]
    pub fn of(name: &str, text: &str) -> Format {
        let lower = name.to_ascii_lowercase();
        let json = lower.ends_with(".json") || !lower.ends_with(".toml") && text.trim_start().starts_with('{');
        if json { Format::Json } else { Format::Toml }
    }
}

impl Data {
    /// What it is, for messages: `the number 5`, `a list`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Data::Null => "null".to_owned(),
            Data::Bool(value) => format!("`{value}`"),
            Data::Int(value) => format!("the number {value}"),
            Data::Float(value) => format!("the number {value}"),
            Data::Text(text) if text.chars().count() <= 40 => format!("the text \"{text}\""),
            Data::Text(_) => "a text".to_owned(),
            Data::List(_) => "a list".to_owned(),
            Data::Table(_) => "a table".to_owned(),
        }
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        match self {
            Data::Null => serde_json::Value::Null,
            Data::Bool(value) => (*value).into(),
            Data::Int(number) => match i64::try_from(*number) {
                Ok(small) => small.into(),
                Err(_) => number.to_string().into(),
            },
            Data::Float(number) => (*number).into(),
            Data::Text(text) => text.as_str().into(),
            Data::List(items) => items.iter().map(|item| item.data.json()).collect(),
            Data::Table(entries) => {
                let fields = entries.iter().map(|(key, value)| (key.name.clone(), value.data.json()));
                fields.collect::<serde_json::Map<_, _>>().into()
            }
        }
    }

    /// At a place of its own.
    #[must_use]
    pub fn at(self, place: Place) -> Tree {
        Tree { place, data: self }
    }
}

impl Tree {
    /// The field of that name, if this is a table that has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tree> {
        let Data::Table(entries) = &self.data else { return None };
        entries.iter().find(|(key, _)| key.name == name).map(|(_, value)| value)
    }
}

/// Reads a whole file. `None` when nothing of it is usable; the problems say why.
pub fn parse(text: &str, format: Format, source: usize, problems: &mut Problems) -> Option<Tree> {
    match format {
        Format::Toml => parse_toml(text, source, problems),
        Format::Json => super::json::parse(text, source, problems),
    }
}

fn parse_toml(text: &str, source: usize, problems: &mut Problems) -> Option<Tree> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let failed = !errors.is_empty();
    // Later syntax errors are mostly echoes of the first.
    if let Some(error) = errors.into_iter().next() {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().trim().replace('\n', ", ");
        problems.error(Place { source, start: span.start, end: span.end }, format!("not valid TOML: {message}"));
    }
    if failed {
        return None;
    }
    let span = table.span();
    let place = Place { source, start: span.start, end: span.end };
    Some(Tree { place, data: toml_table(table.get_ref(), source, problems) })
}

fn toml_table(table: &DeTable<'_>, source: usize, problems: &mut Problems) -> Data {
    let entry = |(key, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| {
        let span = key.span();
        let key =
            Key { place: Place { source, start: span.start, end: span.end }, name: key.get_ref().clone().into_owned() };
        (key, toml_value(value, source, problems))
    };
    Data::Table(table.iter().map(entry).collect())
}

fn toml_value(value: &toml::Spanned<DeValue<'_>>, source: usize, problems: &mut Problems) -> Tree {
    let span = value.span();
    let place = Place { source, start: span.start, end: span.end };
    let data = match value.get_ref() {
        DeValue::String(text) => Data::Text(text.clone().into_owned()),
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Data::Int(number),
            Err(_) => {
                problems.error(place, format!("the number {} is too large", number.as_str()));
                Data::Int(0)
            }
        },
        DeValue::Float(number) => Data::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => Data::Bool(*value),
        DeValue::Datetime(when) => {
            problems
                .error(place, "a scenario has no dates")
                .label("a date")
                .help("times count from the start of the run: \"10s\"");
            Data::Text(when.to_string())
        }
        DeValue::Array(items) => Data::List(items.iter().map(|item| toml_value(item, source, problems)).collect()),
        DeValue::Table(table) => toml_table(table, source, problems),
    };
    Tree { place, data }
}
