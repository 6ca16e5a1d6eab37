//! A scenario back to TOML, laid out as a person would: a section for each table, the rest in one line.

use std::fmt::Write as _;

use super::field::Field;
use super::raw::File;
use super::source::Place;
use super::tree::{Data, Key, Tree};

/// The whole file as TOML.
pub(super) fn toml(file: &File) -> String {
    text(&file.tree(), &|_| None)
}

impl File {
    /// As the tree that a file with these fields would be read as, without places.
    #[must_use]
    pub fn tree(&self) -> Tree {
        self.write().unwrap_or(Data::Table(Vec::new())).at(Place::default())
    }
}

/// What is said about a value at the end of its line.
pub type Remark<'a> = &'a dyn Fn(&Tree) -> Option<String>;

/// A file's tree as TOML, with remarks on the values that stand on lines of their own.
#[must_use]
pub fn text(tree: &Tree, remark: Remark<'_>) -> String {
    let mut out = String::new();
    let Data::Table(entries) = &tree.data else { return out };
    let sections: Vec<&(Key, Tree)> = entries.iter().filter(|(key, value)| is_section(key, value)).collect();
    for (key, value) in entries.iter().filter(|(key, value)| !is_section(key, value)) {
        assignment(&mut out, key, value, remark);
    }
    for (key, value) in sections {
        match &value.data {
            Data::Table(fields) if key.name == "defaults" => {
                for (name, table) in fields {
                    if let Data::Table(fields) = &table.data {
                        section(&mut out, &format!("[defaults.{}]", bare(&name.name)), fields, remark);
                    }
                }
            }
            Data::Table(fields) => section(&mut out, &format!("[{}]", bare(&key.name)), fields, remark),
            Data::List(items) => {
                for item in items {
                    if let Data::Table(fields) = &item.data {
                        section(&mut out, &format!("[[{}]]", bare(&key.name)), fields, remark);
                    }
                }
            }
            Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) => {}
        }
    }
    out
}

/// Tables, and lists of tables.
fn is_section(_: &Key, value: &Tree) -> bool {
    match &value.data {
        Data::Table(_) => true,
        Data::List(items) => items.iter().all(|item| matches!(item.data, Data::Table(_))),
        Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) => false,
    }
}

fn section(out: &mut String, title: &str, fields: &[(Key, Tree)], remark: Remark<'_>) {
    if fields.is_empty() {
        return;
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(title);
    out.push('\n');
    for (key, value) in fields {
        assignment(out, key, value, remark);
    }
}

fn assignment(out: &mut String, key: &Key, value: &Tree, remark: Remark<'_>) {
    out.push_str(&bare(&key.name));
    out.push_str(" = ");
    inline(out, &value.data);
    if let Some(remark) = remark(value) {
        out.push_str("  # ");
        out.push_str(&remark);
    }
    out.push('\n');
}

/// A single value as TOML.
pub(super) fn value(data: &Data) -> String {
    let mut out = String::new();
    inline(&mut out, data);
    out
}

/// A value in one line, as TOML has it.
pub fn inline(out: &mut String, data: &Data) {
    match data {
        Data::Null => {}
        Data::Bool(value) => write!(out, "{value}").expect("writing to a string cannot fail"),
        Data::Int(number) => write!(out, "{number}").expect("writing to a string cannot fail"),
        Data::Float(number) if number.is_nan() => out.push_str("nan"),
        Data::Float(number) => write!(out, "{number:?}").expect("writing to a string cannot fail"),
        Data::Text(text) => out.push_str(&quoted(text)),
        Data::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                inline(out, &item.data);
            }
            out.push(']');
        }
        Data::Table(fields) => {
            out.push('{');
            for (index, (key, value)) in fields.iter().enumerate() {
                out.push_str(if index == 0 { " " } else { ", " });
                out.push_str(&bare(&key.name));
                out.push_str(" = ");
                inline(out, &value.data);
            }
            out.push_str(" }");
        }
    }
}

/// A key, in quotes where TOML wants them.
fn bare(key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if plain { key.to_owned() } else { quoted(key) }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => write!(out, "\\u{:04X}", u32::from(c)).expect("writing to a string cannot fail"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
