//! Requests as `sessions.txt` describes them: words, classes of words, alternatives, what may be left out or repeated.

use std::collections::BTreeMap;

use splitbrain::resp::split_args;

use super::draw::Draw;

/// Families by name, in the file's order.
pub(super) struct Sessions(pub(super) Vec<Family>);

/// Requests that are drawn together.
#[derive(Default)]
pub(super) struct Family {
    pub(super) name: String,
    /// Directives that both servers start with.
    pub(super) config: Vec<(String, String)>,
    /// What is sent first, to set something up.
    pub(super) first: Vec<Line>,
    pub(super) lines: Vec<Line>,
    classes: BTreeMap<String, Vec<Vec<u8>>>,
}

/// A request, who may send it, and how its reply is compared.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) conns: Vec<char>,
    pub(super) how: How,
    pieces: Vec<Piece>,
}

/// How replies are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum How {
    Exactly,
    /// Lines in any order.
    Sorted,
    /// Numbers are all alike, lines come in any order.
    Masked,
    /// The first line only: the type, and of an array how long it is.
    Head,
    /// The type only.
    Kind,
    /// Not at all: it depends on what a child has come to.
    Not,
}

#[derive(Clone)]
struct Piece {
    node: Node,
    repeat: Repeat,
}

#[derive(Clone)]
enum Node {
    Word(Vec<u8>),
    Class(String),
    Choice(Vec<Vec<Piece>>),
}

#[derive(Clone, Copy, PartialEq)]
enum Repeat {
    Once,
    Maybe,
    Any,
    Some,
}

/// A word of a request: some are known only when the request is sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    Text(Vec<u8>),
    /// What DUMP says of this key.
    Dump(Vec<u8>),
    /// What FUNCTION DUMP says.
    Functions,
}

fn repeat(token: &str) -> (&str, Repeat) {
    for (suffix, repeat) in [('?', Repeat::Maybe), ('*', Repeat::Any), ('+', Repeat::Some)] {
        if let Some(rest) = token.strip_suffix(suffix).filter(|rest| rest.ends_with(['}', ']'])) {
            return (rest, repeat);
        }
    }
    (token, Repeat::Once)
}

/// Splits a line at its blanks, but for those in quotes.
fn tokens(text: &str) -> Vec<&str> {
    let (mut all, mut rest) = (Vec::new(), text.trim_start());
    while !rest.is_empty() {
        let mut escaped = false;
        let end = if let Some(inner) = rest.strip_prefix('"') {
            let mut is_end = |c: char| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            };
            inner.find(&mut is_end).expect("a closing quote") + 2
        } else {
            rest.find(' ').unwrap_or(rest.len())
        };
        all.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    all
}

/// Reads up to the end, or to the bracket that ends a choice: its alternatives, and how often.
fn alternatives<'a>(tokens: &mut impl Iterator<Item = &'a str>) -> (Vec<Vec<Piece>>, Repeat) {
    let mut all = vec![Vec::new()];
    while let Some(token) = tokens.next() {
        let (text, mut times) = repeat(token);
        let node = match text {
            "]" => return (all, times),
            "|" => {
                all.push(Vec::new());
                continue;
            }
            "[" => {
                let choice;
                (choice, times) = alternatives(tokens);
                Node::Choice(choice)
            }
            _ => match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(class) => Node::Class(class.to_owned()),
                None => Node::Word(split_args(text.as_bytes()).expect("matching quotes").concat()),
            },
        };
        all.last_mut().expect("never empty").push(Piece { node, repeat: times });
    }
    (all, Repeat::Once)
}

fn line(text: &str) -> Option<Line> {
    let (head, rest) = text.split_once("> ")?;
    let how = match head.trim_start_matches(|c: char| c.is_ascii_lowercase()) {
        "" => How::Exactly,
        "%" => How::Sorted,
        "~" => How::Masked,
        "#" => How::Head,
        "?" => How::Kind,
        "!" => How::Not,
        _ => return None,
    };
    let conns = head.chars().filter(char::is_ascii_lowercase).collect();
    let pieces = alternatives(&mut tokens(rest).into_iter()).0.remove(0);
    Some(Line { conns, how, pieces })
}

impl Sessions {
    /// Reads the file: `[family]`, `@class = word word`, `config name value`, `first a> …`, `ab> …`.
    pub(super) fn read(text: &str) -> Sessions {
        let (mut shared, mut families) = (BTreeMap::new(), Vec::<Family>::new());
        for row in text.lines().filter(|row| !row.trim().is_empty() && !row.starts_with('#')) {
            if let Some(name) = row.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                families.push(Family { name: name.to_owned(), classes: shared.clone(), ..Family::default() });
            } else if let Some((name, words)) = row.strip_prefix('@').and_then(|rest| rest.split_once('=')) {
                let words = split_args(words.as_bytes()).unwrap_or_else(|| panic!("quotes: {row}"));
                families
                    .last_mut()
                    .map_or(&mut shared, |family| &mut family.classes)
                    .insert(name.trim().to_owned(), words);
            } else {
                let family = families.last_mut().expect("a family is named first");
                if let Some((name, value)) = row.strip_prefix("config ").and_then(|rest| rest.split_once(' ')) {
                    family.config.push((name.to_owned(), value.to_owned()));
                } else if let Some(rest) = row.strip_prefix("first ") {
                    family.first.push(line(rest).unwrap_or_else(|| panic!("not a request: {row}")));
                } else {
                    family.lines.push(line(row).unwrap_or_else(|| panic!("not a request: {row}")));
                }
            }
        }
        Sessions(families)
    }
}

impl Family {
    /// One of its requests and who sends it.
    pub(super) fn draw(&self, draw: &mut Draw) -> (String, How, Vec<Word>) {
        let line = &self.lines[draw.below(self.lines.len())];
        let conn = line.conns[draw.below(line.conns.len())];
        let mut words = self.words(line, draw);
        // What is compared only in part would do something else.
        if words.len() > 1 && matches!(line.how, How::Exactly | How::Sorted) && draw.percent(4) {
            spoil(draw, &mut words);
        }
        (conn.to_string(), line.how, words)
    }

    /// The words of a line.
    pub(super) fn words(&self, line: &Line, draw: &mut Draw) -> Vec<Word> {
        let mut words = Vec::new();
        self.pieces(&line.pieces, draw, &mut words);
        words
    }

    fn pieces(&self, pieces: &[Piece], draw: &mut Draw, words: &mut Vec<Word>) {
        for piece in pieces {
            let times = match piece.repeat {
                Repeat::Once => 1,
                Repeat::Maybe => usize::from(draw.percent(40)),
                Repeat::Any => draw.below(4),
                Repeat::Some => 1 + draw.below(3),
            };
            for _ in 0..times {
                match &piece.node {
                    Node::Word(word) => words.push(Word::Text(word.clone())),
                    Node::Class(name) if name == "dump" => words.push(Word::Dump(self.one("key", draw))),
                    Node::Class(name) if name == "functions" => words.push(Word::Functions),
                    Node::Class(name) => words.push(Word::Text(self.one(name, draw))),
                    Node::Choice(choice) => self.pieces(&choice[draw.below(choice.len())], draw, words),
                }
            }
        }
    }

    fn one(&self, class: &str, draw: &mut Draw) -> Vec<u8> {
        let words = self.classes.get(class).unwrap_or_else(|| panic!("no class is called {class}"));
        words[draw.below(words.len())].clone()
    }
}

/// An argument is left out, said twice, replaced or put at the end.
fn spoil(draw: &mut Draw, words: &mut Vec<Word>) {
    let at = 1 + draw.below(words.len() - 1);
    match draw.below(4) {
        0 => drop(words.remove(at)),
        1 => words.insert(at, words[at].clone()),
        2 => {
            let odd = ["", "x", "-1", "nan", "1.5", "99999999999999999999", "(", "*", "\u{1}", "0"];
            words[at] = Word::Text(draw.pick(&odd).as_bytes().to_vec());
        }
        _ => {
            let word = words.remove(at);
            words.push(word);
        }
    }
}
