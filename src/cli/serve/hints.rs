//! What is served where, and lines to paste into programs.

use std::path::Path;

use crate::host::tcp::Place;
use crate::report::table::{Align, Table};
use crate::scenario::{NodeKind, Scenario};

/// The masters that sentinels watch, in the order of their first mention.
pub(super) fn masters(scenario: &Scenario) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for node in &scenario.nodes {
        if let NodeKind::Sentinel(config) = &node.kind {
            for master in &config.masters {
                if !names.iter().any(|name| **name == *master.name) {
                    names.push(master.name.to_string());
                }
            }
        }
    }
    names
}

/// The password that clients need, if the first server has one.
fn password(scenario: &Scenario) -> Option<&str> {
    scenario.nodes.iter().find_map(|node| match &node.kind {
        NodeKind::Server(config) => Some(config.requirepass.as_str()).filter(|password| !password.is_empty()),
        NodeKind::Sentinel(_) | NodeKind::Client(_) | NodeKind::Locker(_) | NodeKind::Resource(_) => None,
    })
}

/// The whole text.
pub(super) fn table(scenario: &Scenario, places: &[Place], control: Option<&Path>) -> String {
    let ip = places.first().map_or_else(String::new, |place| place.addr.ip.to_string());
    let mut nodes = Table::new(&[Align::Left, Align::Left, Align::Left]);
    for place in places {
        nodes.row([&place.name, if place.sentinel { "sentinel" } else { "server" }, &place.addr.to_string()]);
    }
    let mut lines = Table::new(&[Align::Left, Align::Left]);
    for (client, line) in hints(scenario, places) {
        lines.row([&client, &line]);
    }
    if let Some(path) = control {
        lines.row(["faults", &format!("splitbrain ctl --socket {} status", path.display())]);
    }
    let indented = |lines: Vec<String>| lines.iter().map(|line| format!("  {line}\n")).collect::<String>();
    let (nodes, lines) = (indented(nodes.lines()), indented(lines.lines()));
    format!("{} listens on {ip}; Ctrl-C ends it\n\n{nodes}\n{lines}\n", scenario.name)
}

/// Client libraries and how each finds this deployment.
fn hints(scenario: &Scenario, places: &[Place]) -> Vec<(String, String)> {
    let mut hints = Vec::new();
    let mut hint = |client: &str, line: String| hints.push((client.to_owned(), line));
    let Some(first) = places.iter().find(|place| !place.sentinel).map(|place| place.addr) else { return hints };
    let (ip, port) = (first.ip.to_string(), first.port);
    let password = password(scenario);
    let option = password.map_or(String::new(), |password| format!(" -a {password}"));
    hint("redis-cli", format!("redis-cli -h {ip} -p {port}{option}"));
    let sentinels: Vec<_> = places.iter().filter(|place| place.sentinel).map(|place| place.addr.port).collect();
    let masters = masters(scenario);
    if let (Some(sentinel), Some(master)) = (sentinels.first(), masters.first()) {
        hint("", format!("redis-cli -h {ip} -p {sentinel} SENTINEL get-master-addr-by-name {master}"));
        let each =
            |show: &dyn Fn(u16) -> String| sentinels.iter().map(|&port| show(port)).collect::<Vec<_>>().join(", ");
        let addrs = |quote: &str| each(&|port| format!("{quote}{ip}:{port}{quote}"));
        let python = password.map_or(String::new(), |password| format!(", password=\"{password}\""));
        let tuples = each(&|port| format!("(\"{ip}\", {port})"));
        hint("redis-py", format!("Sentinel([{tuples}]).master_for(\"{master}\"{python})"));
        let objects = each(&|port| format!("{{ host: \"{ip}\", port: {port} }}"));
        let node = password.map_or(String::new(), |password| format!(", password: \"{password}\""));
        hint("ioredis", format!("new Redis({{ sentinels: [{objects}], name: \"{master}\"{node} }})"));
        let go = password.map_or(String::new(), |password| format!(", Password: \"{password}\""));
        let strings = addrs("\"");
        hint(
            "go-redis",
            format!(
                "redis.NewFailoverClient(&redis.FailoverOptions{{MasterName: \"{master}\", SentinelAddrs: \
                 []string{{{strings}}}{go}}})"
            ),
        );
        let user = password.map_or(String::new(), |password| format!("{password}@"));
        let plain = each(&|port| format!("{ip}:{port}")).replace(' ', "");
        hint("lettuce", format!("redis-sentinel://{user}{plain}#{master}"));
        let jedis = password.map_or(String::new(), |password| format!(", \"{password}\""));
        hint("jedis", format!("new JedisSentinelPool(\"{master}\", Set.of({strings}){jedis})"));
    } else {
        let user = password.map_or(String::new(), |password| format!(":{password}@"));
        hint("redis-py", format!("redis.from_url(\"redis://{user}{ip}:{port}\")"));
        hint("ioredis", format!("new Redis(\"redis://{user}{ip}:{port}\")"));
        hint("go-redis", format!("redis.ParseURL(\"redis://{user}{ip}:{port}\")"));
        hint("lettuce", format!("redis://{}{ip}:{port}", user.trim_start_matches(':')));
    }
    hints
}
