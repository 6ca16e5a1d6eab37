//! Scheduled disturbances: one enum, resolved to machines and nodes, with one rendering.
//!
//! Scenarios schedule them, the world applies and heals them, the trace records them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{MachineId, NodeId};
use crate::rng::{Dist, Ratio, Seed};
use crate::time::Span;

/// The kind of a fault, for colours, legends and grouping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// kill -9
    Crash,
    /// SIGTERM
    Shutdown,
    /// the machine loses power
    PowerOff,
    /// start again (after a kill if it runs)
    Restart,
    /// SIGSTOP
    Pause,
    /// groups of machines cut from each other
    Partition,
    /// a path made worse
    Link,
    /// a clock made wrong
    Clock,
    /// a CPU made slow
    Cpu,
    /// a disk made bad
    Disk,
    /// a command typed by an operator
    Exec,
}

/// One disturbance, resolved to ids. `for_` and restarts belong to the schedule ([`Timed`]).
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The processes die at once (kill -9): kernels close their sockets, written data stays on disk.
    Crash {
        /// Which.
        nodes: Vec<NodeId>,
    },
    /// The processes get SIGTERM.
    Shutdown {
        /// Which.
        nodes: Vec<NodeId>,
    },
    /// The machines lose power: no packet leaves them, what was not synced is lost.
    PowerOff {
        /// Which.
        machines: Vec<MachineId>,
    },
    /// The processes are started; a running one is killed first.
    Restart {
        /// Which.
        nodes: Vec<NodeId>,
    },
    /// The processes stop running but their kernels go on (SIGSTOP); healing continues them.
    Pause {
        /// Which.
        nodes: Vec<NodeId>,
    },
    /// No packet passes between machines of different groups; machines in no group reach everyone.
    Partition {
        /// The groups.
        groups: Vec<Vec<MachineId>>,
        /// Toggle with this period instead of cutting steadily.
        flap: Option<Span>,
    },
    /// No packet passes from the first set to the second; the way back is open.
    PartitionOneWay {
        /// Senders.
        from: Vec<MachineId>,
        /// Receivers.
        to: Vec<MachineId>,
        /// Toggle with this period instead of cutting steadily.
        flap: Option<Span>,
    },
    /// The directed paths between two sets get other properties; what is `None` stays as it was.
    Link {
        /// One end.
        from: Vec<MachineId>,
        /// The other end.
        to: Vec<MachineId>,
        /// The way back too.
        both: bool,
        /// What changes.
        effect: LinkEffect,
    },
    /// The machines' clocks.
    Clock {
        /// Which.
        machines: Vec<MachineId>,
        /// Wall clock steps by this many nanoseconds, once; healing steps back.
        jump_ns: i64,
        /// Both clocks run this many parts per million fast (or slow) while it lasts.
        drift_ppm: Option<i32>,
    },
    /// The processes' CPU costs are multiplied.
    Cpu {
        /// Which.
        nodes: Vec<NodeId>,
        /// By how much, in thousandths: 10,000 is ten times slower.
        slow_down_milli: u32,
    },
    /// The machines' disks.
    Disk {
        /// Which.
        machines: Vec<MachineId>,
        /// What is wrong with them.
        effect: DiskEffect,
    },
    /// A command typed at a node by an operator, over a connection from the node's own machine.
    Exec {
        /// Where.
        node: NodeId,
        /// The command and its arguments.
        argv: Vec<Arc<str>>,
    },
}

/// What happens to a path.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct LinkEffect {
    /// One-way latency instead of the fabric's.
    pub latency: Option<Dist>,
    /// Loss instead of the fabric's.
    pub loss: Option<Ratio>,
    /// Bytes a second instead of the fabric's.
    pub bandwidth: Option<u64>,
    /// Nothing passes.
    pub down: bool,
}

/// What is wrong with a disk.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DiskEffect {
    /// Every operation takes this much longer.
    pub slow: Option<Dist>,
    /// Only so many bytes more fit.
    pub room: Option<u64>,
    /// Every operation fails.
    pub fails: bool,
    /// It says that it has synced, and has not.
    pub loses_syncs: bool,
    /// A byte of each file of this name becomes another one, once.
    pub corrupts: Option<Arc<str>>,
}

impl DiskEffect {
    /// A slow disk.
    #[must_use]
    pub fn slow(extra: Dist) -> DiskEffect {
        DiskEffect { slow: Some(extra), ..DiskEffect::default() }
    }
}

/// A fault on the timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Timed {
    /// When, after the start. The world draws each once, when it is built, from the stream (`fault <index>`, `at`).
    pub at: Dist,
    /// When it heals (after `at`); `None`: when the run settles, or never for what can't be healed. Drawn likewise
    /// (`fault <index>`, `for`).
    pub lasts: Option<Dist>,
    /// For crash, shutdown and power-off: start the processes again this long after. Drawn likewise
    /// (`fault <index>`, `restart-after`).
    pub restart_after: Option<Dist>,
    /// Begins this long after the fault with that index began, instead of after the start: `after = 0` in a scenario.
    pub after: Option<u16>,
    /// Begins `at` after an event of the trace, instead of after the start.
    pub when: Option<Trigger>,
    /// What.
    pub fault: Fault,
    /// The fault as a sentence, with the scenario's names: made by [`Fault::describe`].
    pub text: Arc<str>,
}

/// An event of the trace that a fault waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// The event's name, one of those of the trace.
    pub event: Arc<str>,
    /// At which nodes; none: anywhere.
    pub nodes: Vec<NodeId>,
    /// The how-many-th of them, from 1.
    pub nth: u32,
}

/// The times of a fault in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When it begins: after the start, or after the fault that it follows.
    pub at: Span,
    /// When it heals, after it began.
    pub lasts: Option<Span>,
    /// When what it killed starts again, after it began.
    pub restart_after: Option<Span>,
}

impl Timed {
    /// Its times in the run with that seed, if it is the fault of that index.
    #[must_use]
    pub fn times(&self, index: usize, seed: Seed) -> Times {
        let draw = |dist: &Dist, purpose: &str| dist.draw(&mut seed.stream(&format!("fault {index}"), purpose));
        Times {
            at: draw(&self.at, "at"),
            lasts: self.lasts.as_ref().map(|dist| draw(dist, "for")),
            restart_after: self.restart_after.as_ref().map(|dist| draw(dist, "restart-after")),
        }
    }
}

impl Trigger {
    /// In words: `when c1 lock-acquired`, `when +odown (the 2nd)`.
    #[must_use]
    pub fn describe(&self, node: &dyn Fn(NodeId) -> String) -> String {
        let nodes: Vec<String> = self.nodes.iter().map(|&id| node(id)).collect();
        let who = if nodes.is_empty() { String::new() } else { format!(" {}", nodes.join(" ")) };
        let nth = if self.nth == 1 { String::new() } else { format!(" no. {}", self.nth) };
        format!("when{who} {}{nth}", self.event)
    }
}

impl Fault {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> FaultKind {
        match self {
            Fault::Crash { .. } => FaultKind::Crash,
            Fault::Shutdown { .. } => FaultKind::Shutdown,
            Fault::PowerOff { .. } => FaultKind::PowerOff,
            Fault::Restart { .. } => FaultKind::Restart,
            Fault::Pause { .. } => FaultKind::Pause,
            Fault::Partition { .. } | Fault::PartitionOneWay { .. } => FaultKind::Partition,
            Fault::Link { .. } => FaultKind::Link,
            Fault::Clock { .. } => FaultKind::Clock,
            Fault::Cpu { .. } => FaultKind::Cpu,
            Fault::Disk { .. } => FaultKind::Disk,
            Fault::Exec { .. } => FaultKind::Exec,
        }
    }

    /// The fault in words: `crash r1`, `partition {m1 | r2 r3 s2 s3}`, `link r1 <-> r2 latency 50ms`.
    #[must_use]
    pub fn describe(&self, node: &dyn Fn(NodeId) -> String, machine: &dyn Fn(MachineId) -> String) -> String {
        let nodes = |ids: &[NodeId]| ids.iter().map(|&id| node(id)).collect::<Vec<_>>().join(" ");
        let machines = |ids: &[MachineId]| ids.iter().map(|&id| machine(id)).collect::<Vec<_>>().join(" ");
        let flapping = |flap: &Option<Span>| flap.map_or(String::new(), |period| format!(" flapping every {period}"));
        match self {
            Fault::Crash { nodes: ids } => format!("crash {}", nodes(ids)),
            Fault::Shutdown { nodes: ids } => format!("shutdown {}", nodes(ids)),
            Fault::PowerOff { machines: ids } => format!("power-off {}", machines(ids)),
            Fault::Restart { nodes: ids } => format!("restart {}", nodes(ids)),
            Fault::Pause { nodes: ids } => format!("pause {}", nodes(ids)),
            Fault::Partition { groups, flap } => {
                let groups: Vec<String> = groups.iter().map(|group| machines(group)).collect();
                format!("partition {{{}}}{}", groups.join(" | "), flapping(flap))
            }
            Fault::PartitionOneWay { from, to, flap } => {
                format!("partition {{{} -/-> {}}}{}", machines(from), machines(to), flapping(flap))
            }
            Fault::Link { from, to, both, effect } => {
                let arrow = if *both { "<->" } else { "->" };
                format!("link {} {arrow} {}{effect}", machines(from), machines(to))
            }
            Fault::Clock { machines: ids, jump_ns, drift_ppm } => {
                let mut text = format!("clock {}", machines(ids));
                if *jump_ns != 0 {
                    let sign = if *jump_ns < 0 { "-" } else { "+" };
                    text.push_str(&format!(" jump {sign}{}", Span(jump_ns.unsigned_abs())));
                }
                if let Some(ppm) = drift_ppm {
                    text.push_str(&format!(" drift {ppm:+} ppm"));
                }
                text
            }
            Fault::Cpu { nodes: ids, slow_down_milli } => {
                format!("cpu {} {}.{:03} times slower", nodes(ids), slow_down_milli / 1000, slow_down_milli % 1000)
            }
            Fault::Disk { machines: ids, effect } => format!("disk {}{effect}", machines(ids)),
            Fault::Exec { node: id, argv } => format!("exec {}: {}", node(*id), argv.join(" ")),
        }
    }
}

impl fmt::Display for DiskEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(extra) = &self.slow {
            write!(f, " slower by {extra}")?;
        }
        match self.room {
            Some(0) => f.write_str(" full")?,
            Some(room) => write!(f, " with room for {room} bytes")?,
            None => {}
        }
        for (is, word) in [(self.fails, " fails"), (self.loses_syncs, " loses syncs")] {
            f.write_str(if is { word } else { "" })?;
        }
        self.corrupts.as_ref().map_or(Ok(()), |file| write!(f, " corrupts {file}"))
    }
}

impl fmt::Display for LinkEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(latency) = &self.latency {
            write!(f, " latency {latency}")?;
        }
        if let Some(loss) = &self.loss {
            write!(f, " loss {loss:?}")?;
        }
        if let Some(bandwidth) = &self.bandwidth {
            write!(f, " bandwidth {bandwidth} B/s")?;
        }
        if self.down {
            f.write_str(" down")?;
        }
        Ok(())
    }
}
