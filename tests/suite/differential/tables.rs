//! What COMMAND and CONFIG GET list is what a real server lists.

use splitbrain::resp::Value;

use super::Pair;
use super::grammar::reply;

/// Directives whose value is that of a process, of the machine, or of how the test starts both.
const OWN: &[&str] = &["port", "dir", "pidfile", "bind-source-addr", "cluster-config-file", "repl-diskless-sync-delay"];

/// A value as text. What is a set, or a list that has the order of a hash table, is put in order.
fn shown(value: &Value) -> String {
    let is_command = |item: &Value| item.items().is_some_and(|fields| fields.len() == 10);
    let texts = |items: &[Value]| items.iter().map(shown).collect::<Vec<String>>();
    let (kind, mut items, sort) = if let Value::Map(pairs) = value {
        let pair = |(key, value): &(Value, Value)| format!("{}: {}", shown(key), shown(value));
        ("map", pairs.iter().map(pair).collect(), true)
    } else if let Value::Set(items) = value {
        ("set", texts(items), true)
    } else if let Value::Array(items) = value {
        let sort = items.iter().all(is_command) || items.iter().all(|item| item.text().is_some());
        ("array", texts(items), sort)
    } else {
        return format!("{value:?}");
    };
    if sort {
        items.sort();
    }
    format!("{kind} {} [\n{}\n]", items.len(), items.join("\n"))
}

/// The first lines that differ. In RESP2 nothing shows what is a set: lines in any order.
fn assert_same(line: &str, version: &str, real: &Value, ours: &Value) {
    let (mut real, mut ours) = (shown(real), shown(ours));
    if version == "HELLO 2" {
        for text in [&mut real, &mut ours] {
            let mut lines: Vec<&str> = text.lines().collect();
            lines.sort_unstable();
            *text = lines.join("\n");
        }
    }
    let differs = real.lines().zip(ours.lines()).find(|(real, ours)| real != ours);
    assert!(real == ours, "{line}: {differs:?}");
}

#[test]
fn the_tables_are_those_of_a_real_server() {
    let Some(mut pair) = Pair::start(&[]) else {
        eprintln!("redis-server is not installed: nothing was compared");
        return;
    };
    let mut lines =
        vec!["COMMAND".to_owned(), "COMMAND DOCS".to_owned(), "COMMAND LIST".to_owned(), "ACL CAT".to_owned()];
    lines.push("COMMAND LIST FILTERBY PATTERN *|*".to_owned());
    let categories = reply(&mut pair.real, "ACL CAT");
    for category in categories.items().expect("categories") {
        let name = String::from_utf8_lossy(category.text().expect("a name")).into_owned();
        lines.extend([format!("COMMAND LIST FILTERBY ACLCAT {name}"), format!("ACL CAT {name}")]);
    }
    let names = reply(&mut pair.real, "COMMAND LIST");
    for name in names.items().expect("names") {
        let name = String::from_utf8_lossy(name.text().expect("a name")).into_owned();
        lines.extend([
            format!("COMMAND INFO {name}"),
            format!("COMMAND GETKEYS {name} a 1 b 2 c"),
            format!("COMMAND GETKEYSANDFLAGS {name} a 2 b c d"),
        ]);
    }
    for hello in ["HELLO 2", "HELLO 3"] {
        reply(&mut pair.real, hello);
        reply(&mut pair.ours, hello);
        for line in &lines {
            let (real, ours) = (reply(&mut pair.real, line), reply(&mut pair.ours, line));
            assert_same(line, hello, &real, &ours);
        }
    }
    let pairs = |value: &Value| -> Vec<(String, String)> {
        let Value::Map(pairs) = value else { panic!("a map") };
        let text = |value: &Value| String::from_utf8_lossy(value.text().expect("a text")).into_owned();
        let mut pairs: Vec<_> = pairs.iter().map(|(name, value)| (text(name), text(value))).collect();
        pairs.retain(|(name, _)| !OWN.contains(&name.as_str()));
        pairs.sort();
        pairs
    };
    let (real, ours) = (reply(&mut pair.real, "CONFIG GET *"), reply(&mut pair.ours, "CONFIG GET *"));
    let (real, ours) = (pairs(&real), pairs(&ours));
    let differs: Vec<_> = real
        .iter()
        .filter(|pair| !ours.contains(pair))
        .chain(ours.iter().filter(|pair| !real.contains(pair)))
        .collect();
    assert!(differs.is_empty(), "CONFIG GET: {differs:?}");
}
