//! `splitbrain ctl`: orders for a deployment that is served.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use super::args::{CtlArgs, For, OrderArgs, RestartAfter};
use super::{Failure, Outcome, Status, terminal};
use crate::host::Order;
use crate::host::order::{Answer, Status as Standing};
use crate::report::table::{Align, Table};

/// Where a deployment takes orders unless it is told otherwise.
pub(super) fn default_socket(base_port: u16) -> PathBuf {
    std::env::temp_dir().join(format!("splitbrain-{base_port}.sock"))
}

pub(super) fn ctl(args: &CtlArgs) -> Outcome {
    let path = args.socket.clone().unwrap_or_else(|| default_socket(args.base_port));
    let unreachable = |error: &std::io::Error| {
        Failure::Message(format!(
            "no deployment takes orders at {}: {error} (is `splitbrain serve` running? see --socket and --base-port)",
            path.display()
        ))
    };
    let mut stream = UnixStream::connect(&path).map_err(|error| unreachable(&error))?;
    let order = serde_json::to_string(&order(&args.order)).expect("plain data is JSON");
    writeln!(stream, "{order}").map_err(|error| unreachable(&error))?;
    for line in BufReader::new(stream).lines() {
        if terminal::reader_is_gone() {
            break;
        }
        let line = line.map_err(|error| unreachable(&error))?;
        let answer: Answer = serde_json::from_str(&line)
            .map_err(|error| Failure::Message(format!("the deployment is of another version: {error}")))?;
        match &answer {
            Answer::Refused(why) => {
                terminal::complain(&format!("error: {}\n", why.trim_end()));
                return Err(Failure::Said);
            }
            Answer::Done => return Ok(Status::Held),
            _ if args.json => terminal::print(&format!("{line}\n"))?,
            Answer::Said(text) => terminal::print(&format!("{text}\n"))?,
            Answer::Status(standing) => terminal::print(&shown(standing))?,
        }
    }
    // It has ended, and with it the answer.
    Ok(Status::Held)
}

/// The order that the arguments mean.
fn order(args: &OrderArgs) -> Order {
    #[allow(clippy::wildcard_enum_match_arm, reason = "all others are faults")]
    match args {
        OrderArgs::Status => Order::Status,
        OrderArgs::Events { follow } => Order::Events { follow: *follow },
        OrderArgs::Restart { nodes } => Order::Restart { nodes: nodes.clone() },
        OrderArgs::Resume { nodes } => Order::Resume { nodes: nodes.clone() },
        OrderArgs::Heal { faults } => Order::Heal { faults: faults.clone() },
        OrderArgs::Exec { node, words } => Order::Exec { node: node.clone(), words: words.clone() },
        OrderArgs::Stop => Order::Stop,
        fault => Order::Fault { fields: fields(fault) },
    }
}

/// A fault as a scenario file writes it.
fn fields(args: &OrderArgs) -> String {
    #[allow(clippy::wildcard_enum_match_arm, reason = "the caller has dealt with what isn't a fault")]
    match args {
        OrderArgs::Crash { nodes, restart } => format!("crash = {}{}", list(nodes), again(restart)),
        OrderArgs::Shutdown { nodes, restart } => format!("shutdown = {}{}", list(nodes), again(restart)),
        OrderArgs::PowerOff { machines, restart } => format!("power-off = {}{}", list(machines), again(restart)),
        OrderArgs::Pause { nodes, time } => format!("pause = {}{}", list(nodes), lasts(time)),
        OrderArgs::Partition { groups, one_way, flap, time } => {
            let what = match groups.as_slice() {
                [from, to] if *one_way => format!("{{ from = {}, to = {} }}", names(from), names(to)),
                groups => {
                    let groups: Vec<String> = groups.iter().map(|group| names(group)).collect();
                    format!("[{}]", groups.join(", "))
                }
            };
            format!("partition = {what}{}{}", optional("flap", flap.as_deref()), lasts(time))
        }
        OrderArgs::Link { from, to, latency, loss, bandwidth, down, one_way, time } => {
            let mut link = format!("from = {}, to = {}", names(from), names(to));
            link.push_str(&optional("latency", latency.as_deref()));
            link.push_str(&loss.map_or(String::new(), |loss| format!(", loss = {loss:?}")));
            link.push_str(&optional("bandwidth", bandwidth.as_deref()));
            link.push_str(if *down { ", down = true" } else { "" });
            link.push_str(if *one_way { ", both = false" } else { "" });
            format!("link = {{ {link} }}{}", lasts(time))
        }
        OrderArgs::Clock { machines, jump, drift, time } => {
            let mut clock = format!("machines = {}", list(machines));
            clock.push_str(&optional("jump", jump.as_deref()));
            clock.push_str(&drift.map_or(String::new(), |drift| format!(", drift = {drift}")));
            format!("clock = {{ {clock} }}{}", lasts(time))
        }
        OrderArgs::Cpu { nodes, slow_down, time } => {
            format!("cpu = {{ nodes = {}, slow-down = {slow_down:?} }}{}", list(nodes), lasts(time))
        }
        OrderArgs::Disk { machines, slow, full, fails, loses_syncs, corrupts, time } => {
            let mut disk = format!("machines = {}", list(machines));
            disk.push_str(&optional("slow", slow.as_deref()));
            disk.push_str(&optional("corrupts", corrupts.as_deref()));
            for (is, word) in [(full, "full"), (fails, "fails"), (loses_syncs, "loses-syncs")] {
                disk.push_str(&if *is { format!(", {word} = true") } else { String::new() });
            }
            format!("disk = {{ {disk} }}{}", lasts(time))
        }
        OrderArgs::Fault { fields } => fields.clone(),
        _ => unreachable!("no fault"),
    }
}

fn lasts(time: &For) -> String {
    optional("for", time.lasts.as_deref())
}

fn again(restart: &RestartAfter) -> String {
    optional("restart-after", restart.restart_after.as_deref())
}

fn optional(field: &str, value: Option<&str>) -> String {
    value.map_or(String::new(), |value| format!(", {field} = {}", quoted(value)))
}

/// Names with commas between them.
fn names(group: &str) -> String {
    list(&group.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>())
}

/// As TOML has it, which knows JSON's escapes.
fn list(words: &[String]) -> String {
    serde_json::to_string(words).expect("texts are JSON")
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("text is JSON")
}

/// How things stand, for people.
fn shown(standing: &Standing) -> String {
    let mut table = Table::new(&[Align::Left; 6]);
    for node in &standing.nodes {
        table.row([&node.name, &node.kind, &node.addr, &node.state, &node.role, &format!("on {}", node.machine)]);
    }
    let seconds = standing.simulated_ms / 1000;
    let mut out = format!(
        "{}: {seconds} s, {} events, {} connections\n\n{}",
        standing.scenario,
        standing.events,
        standing.connections,
        table.lines().iter().map(|line| format!("  {line}\n")).collect::<String>()
    );
    if standing.faults.is_empty() {
        out.push_str("\nno fault is in force\n");
    } else {
        out.push_str("\nin force:\n");
        for fault in &standing.faults {
            out.push_str(&format!("  {:>3}  {}\n", fault.number, fault.what));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: CtlArgs,
    }

    fn fault(line: &str) -> String {
        let words = ["ctl"].into_iter().chain(line.split(' '));
        let line = Line::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
        fields(&line.args.order)
    }

    #[test]
    fn orders_become_the_fields_of_scenario_files() {
        assert_eq!(fault("crash r1 r2 --restart-after 5s"), r#"crash = ["r1","r2"], restart-after = "5s""#);
        assert_eq!(fault("partition r1,outside r2 --for 3s"), r#"partition = [["r1","outside"], ["r2"]], for = "3s""#);
        assert_eq!(fault("partition r1 r2 --one-way"), r#"partition = { from = ["r1"], to = ["r2"] }"#);
        assert_eq!(
            fault("link r1 r2 --latency 50ms --loss 0.1 --one-way"),
            r#"link = { from = ["r1"], to = ["r2"], latency = "50ms", loss = 0.1, both = false }"#
        );
        assert_eq!(fault("clock m1 --jump -5s"), r#"clock = { machines = ["m1"], jump = "-5s" }"#);
        assert_eq!(fault("cpu r1 --slow-down 10"), r#"cpu = { nodes = ["r1"], slow-down = 10.0 }"#);
    }
}
