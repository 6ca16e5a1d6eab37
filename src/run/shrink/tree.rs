//! Finding one's way in a scenario's tree. While it is shrunk every value carries a number, in the place where a value
//! read from a file has its position: so it is known again after others are gone or it has changed.

use crate::scenario::source::Place;
use crate::scenario::tree::{Data, Tree};

/// Gives every value its number, from 1, parents before what is in them.
pub(super) fn number(tree: &mut Tree) {
    fn walk(tree: &mut Tree, next: &mut usize) {
        *next += 1;
        tree.place = Place { source: 0, start: *next, end: *next };
        match &mut tree.data {
            Data::List(items) => items.iter_mut().for_each(|item| walk(item, next)),
            Data::Table(fields) => fields.iter_mut().for_each(|(_, value)| walk(value, next)),
            Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) => {}
        }
    }
    walk(tree, &mut 0);
}

/// A value's number.
pub(super) fn id(tree: &Tree) -> usize {
    tree.place.start
}

/// Sees every value with the names on the way to it (items of lists have none), parents first. What is in a value is
/// left out when `see` says so.
pub(super) fn walk<'a>(tree: &'a Tree, see: &mut dyn FnMut(&[&'a str], &'a Tree) -> bool) {
    fn step<'a>(tree: &'a Tree, path: &mut Vec<&'a str>, see: &mut dyn FnMut(&[&'a str], &'a Tree) -> bool) {
        if !see(path, tree) {
            return;
        }
        match &tree.data {
            Data::List(items) => items.iter().for_each(|item| step(item, path, see)),
            Data::Table(fields) => {
                for (key, value) in fields {
                    path.push(&key.name);
                    step(value, path, see);
                    path.pop();
                }
            }
            Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) => {}
        }
    }
    step(tree, &mut Vec::new(), see);
}

/// The value of that number.
pub(super) fn find(tree: &Tree, wanted: usize) -> Option<&Tree> {
    if id(tree) == wanted {
        return Some(tree);
    }
    match &tree.data {
        Data::List(items) => items.iter().find_map(|item| find(item, wanted)),
        Data::Table(fields) => fields.iter().find_map(|(_, value)| find(value, wanted)),
        Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) => None,
    }
}

/// The tree without the values of those numbers, and without lists that have become empty.
pub(super) fn without(tree: &Tree, gone: &[usize]) -> Tree {
    let mut out = tree.clone();
    prune(&mut out, gone);
    out
}

fn prune(tree: &mut Tree, gone: &[usize]) {
    let stays = |value: &mut Tree| {
        let full = matches!(&value.data, Data::List(items) if !items.is_empty());
        if gone.contains(&id(value)) {
            return false;
        }
        prune(value, gone);
        !(full && matches!(&value.data, Data::List(items) if items.is_empty()))
    };
    match &mut tree.data {
        Data::List(items) => items.retain_mut(stays),
        Data::Table(fields) => fields.retain_mut(|(_, value)| stays(value)),
        Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) => {}
    }
}

/// The tree with other data in the value of that number.
pub(super) fn with(tree: &Tree, wanted: usize, data: Data) -> Tree {
    let mut out = tree.clone();
    change(&mut out, wanted, &mut |value| value.data = data.clone());
    out
}

/// Does something to the value of that number.
pub(super) fn change(tree: &mut Tree, wanted: usize, act: &mut dyn FnMut(&mut Tree)) {
    if id(tree) == wanted {
        return act(tree);
    }
    match &mut tree.data {
        Data::List(items) => items.iter_mut().for_each(|item| change(item, wanted, act)),
        Data::Table(fields) => fields.iter_mut().for_each(|(_, value)| change(value, wanted, act)),
        Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) => {}
    }
}

/// A field's value, to be changed.
pub(super) fn field_mut<'a>(tree: &'a mut Tree, name: &str) -> Option<&'a mut Tree> {
    let Data::Table(fields) = &mut tree.data else { return None };
    fields.iter_mut().find(|(key, _)| key.name == name).map(|(_, value)| value)
}

/// The items of a section such as `[[fault]]`.
pub(super) fn items<'a>(tree: &'a Tree, section: &str) -> &'a [Tree] {
    match tree.get(section).map(|value| &value.data) {
        Some(Data::List(items)) => items,
        _ => &[],
    }
}

/// The text of a field.
pub(super) fn text<'a>(tree: &'a Tree, name: &str) -> Option<&'a str> {
    match tree.get(name).map(|value| &value.data) {
        Some(Data::Text(text)) => Some(text),
        _ => None,
    }
}

/// The texts of a value that is one text or a list of them.
pub(super) fn texts(tree: &Tree) -> Vec<&str> {
    match &tree.data {
        Data::Text(text) => vec![text],
        Data::List(items) => items.iter().flat_map(texts).collect(),
        Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Table(_) => Vec::new(),
    }
}

/// The names that an entry of `[[redis]]`, `[[sentinel]]` or `[[client]]` gives to nodes.
pub(super) fn names(entry: &Tree) -> Vec<&str> {
    ["name", "names"].iter().filter_map(|field| entry.get(field)).flat_map(texts).collect()
}
