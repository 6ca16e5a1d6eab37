//! Nodes that go: with them goes every mention of them.

use super::tree;
use crate::scenario::tree::{Data, Tree};

/// The names of all servers and sentinels, in the order of the file.
pub(super) fn processes(tree: &Tree) -> Vec<String> {
    let entries = ["redis", "sentinel"].iter().flat_map(|section| tree::items(tree, section));
    entries.flat_map(tree::names).map(str::to_owned).collect()
}

/// The names of all entries of `[[client]]`.
pub(super) fn clients(tree: &Tree) -> Vec<String> {
    tree::items(tree, "client").iter().flat_map(tree::names).map(str::to_owned).collect()
}

/// The file without these nodes. Machines and zones that are left empty go too, and faults and links that are left with
/// nobody to strike.
pub(super) fn without(file: &Tree, names: &[String]) -> Tree {
    let mut out = file.clone();
    let mut gone: Vec<String> = names.to_vec();
    for entry in tree::items(file, "client") {
        for name in tree::names(entry).into_iter().filter(|name| names.iter().any(|gone| gone == name)) {
            if let Some(Data::Int(count)) = entry.get("count").map(|count| &count.data) {
                gone.extend((1..=*count).map(|number| format!("{name}-{number}")));
            }
        }
    }
    for section in ["redis", "sentinel", "client", "resource"] {
        retain(&mut out, section, |entry| {
            let here = ["name", "names"].iter().all(|field| keep_names(entry, field, &gone));
            here && {
                keep_names(entry, "sentinels", &gone);
                true
            }
        });
    }
    for section in ["machines", "zones"] {
        let Some(Tree { data: Data::Table(sets), .. }) = tree::field_mut(&mut out, section) else { continue };
        let mut emptied = Vec::new();
        sets.retain_mut(|(key, value)| {
            let table = matches!(value.data, Data::Table(_));
            let stays = if table { keep_names(value, "nodes", &gone) } else { filter(value, &gone) };
            if !stays {
                emptied.push(key.name.clone());
            }
            stays
        });
        gone.extend(emptied);
    }
    retain(&mut out, "link", |link| ends_stay(link, &gone));
    retain(&mut out, "fault", |fault| fault_stays(fault, &gone));
    out
}

/// Keeps the items of a section that the function wants; an empty section goes.
fn retain(file: &mut Tree, section: &str, keep: impl Fn(&mut Tree) -> bool) {
    let Data::Table(fields) = &mut file.data else { return };
    fields.retain_mut(|(key, value)| {
        let Data::List(items) = &mut value.data else { return true };
        if key.name != section {
            return true;
        }
        items.retain_mut(&keep);
        !items.is_empty()
    });
}

/// Takes names out of a text or a list; false when nothing is left.
fn filter(value: &mut Tree, gone: &[String]) -> bool {
    match &mut value.data {
        Data::Text(text) => !gone.contains(text),
        Data::List(items) => {
            items.retain_mut(|item| filter(item, gone));
            !items.is_empty()
        }
        Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Table(_) => true,
    }
}

/// Takes names out of a field; false when there was something and nothing is left (the field goes too).
fn keep_names(entry: &mut Tree, field: &str, gone: &[String]) -> bool {
    let Some(value) = tree::field_mut(entry, field) else { return true };
    if filter(value, gone) {
        return true;
    }
    if let Data::Table(fields) = &mut entry.data {
        fields.retain(|(key, _)| key.name != field);
    }
    false
}

fn ends_stay(link: &mut Tree, gone: &[String]) -> bool {
    keep_names(link, "from", gone) && keep_names(link, "to", gone)
}

fn fault_stays(fault: &mut Tree, gone: &[String]) -> bool {
    let Data::Table(fields) = &mut fault.data else { return true };
    fields.iter_mut().all(|(key, value)| match key.name.as_str() {
        "pause" if matches!(value.data, Data::Table(_)) => {
            let paused = keep_names(value, "node", gone) && keep_names(value, "client", gone);
            paused && tree::field_mut(value, "when").is_none_or(|when| keep_names(when, "node", gone))
        }
        "when" => keep_names(value, "node", gone),
        "crash" | "shutdown" | "restart" | "pause" | "power-off" => filter(value, gone),
        "partition" => {
            if let Data::List(groups) = &mut value.data {
                groups.retain_mut(|group| filter(group, gone));
                groups.len() > 1
            } else {
                ends_stay(value, gone)
            }
        }
        "link" => ends_stay(value, gone),
        "clock" | "disk" => keep_names(value, "machines", gone),
        "cpu" => keep_names(value, "nodes", gone),
        "exec" => keep_names(value, "node", gone),
        _ => true,
    })
}

/// The file without a machine that has one node and no properties, once for each such machine: its node stands for it.
pub(super) fn without_machines(file: &Tree) -> Vec<Tree> {
    let Some(Tree { data: Data::Table(machines), .. }) = file.get("machines") else { return Vec::new() };
    let plain = machines.iter().filter_map(|(key, value)| {
        let Data::Table(fields) = &value.data else { return None };
        let nodes = value.get("nodes").map(tree::texts)?;
        match (fields.as_slice(), nodes.as_slice()) {
            ([_], [node]) => Some((key.name.clone(), (*node).to_owned(), tree::id(value))),
            _ => None,
        }
    });
    let renamed = plain.map(|(machine, node, id)| {
        let mut out = tree::without(file, &[id]);
        for section in ["zones", "link", "fault"] {
            if let Some(section) = tree::field_mut(&mut out, section) {
                rename(section, &machine, &node);
            }
        }
        if let Data::Table(fields) = &mut out.data {
            fields.retain(|(key, value)| key.name != "machines" || value.data != Data::Table(Vec::new()));
        }
        out
    });
    renamed.collect()
}

fn rename(value: &mut Tree, from: &str, to: &str) {
    match &mut value.data {
        Data::Text(text) if text == from => *text = to.to_owned(),
        Data::List(items) => items.iter_mut().for_each(|item| rename(item, from, to)),
        Data::Table(fields) => fields.iter_mut().for_each(|(_, value)| rename(value, from, to)),
        Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) => {}
    }
}
