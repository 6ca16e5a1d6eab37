//! The flags of `ctl`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `ctl`
#[derive(Debug, Args)]
pub(in crate::cli) struct CtlArgs {
    /// The control socket of the deployment [default: `splitbrain-PORT.sock` in the folder for temporary files]
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) socket: Option<PathBuf>,
    /// The first server's port, which the socket's name has
    #[arg(long, value_name = "PORT", default_value_t = 7000, conflicts_with = "socket")]
    pub(in crate::cli) base_port: u16,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// The order.
    #[command(subcommand)]
    pub(in crate::cli) order: OrderArgs,
}

/// How long a fault lasts.
#[derive(Debug, Args)]
pub(in crate::cli) struct For {
    /// How long, as in `20s` [default: until it is healed]
    #[arg(long = "for", value_name = "TIME")]
    pub(in crate::cli) lasts: Option<String>,
}

/// When what was killed starts again.
#[derive(Debug, Args)]
pub(in crate::cli) struct RestartAfter {
    /// Start it again after so long, as in `20s`
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) restart_after: Option<String>,
}

/// The orders. Nodes, machines and zones are those of the scenario; `outside` is everything outside.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum OrderArgs {
    /// Show nodes, where they listen, roles, and the faults in force
    Status,
    /// Print what has happened
    Events {
        /// And what happens from now on
        #[arg(long, short)]
        follow: bool,
    },
    /// Kill processes (kill -9)
    Crash {
        /// Nodes, or machines for all on them
        #[arg(required = true, value_name = "NODE")]
        nodes: Vec<String>,
        #[command(flatten)]
        restart: RestartAfter,
    },
    /// Send SIGTERM
    Shutdown {
        /// Nodes, or machines for all on them
        #[arg(required = true, value_name = "NODE")]
        nodes: Vec<String>,
        #[command(flatten)]
        restart: RestartAfter,
    },
    /// Take machines their power
    PowerOff {
        /// Machines, or nodes for the machines that they are on
        #[arg(required = true, value_name = "MACHINE")]
        machines: Vec<String>,
        #[command(flatten)]
        restart: RestartAfter,
    },
    /// Start processes, after a kill if they run
    Restart {
        /// Nodes
        #[arg(required = true, value_name = "NODE")]
        nodes: Vec<String>,
    },
    /// Stop processes (SIGSTOP)
    Pause {
        /// Nodes
        #[arg(required = true, value_name = "NODE")]
        nodes: Vec<String>,
        #[command(flatten)]
        time: For,
    },
    /// Let paused processes go on
    Resume {
        /// Nodes
        #[arg(required = true, value_name = "NODE")]
        nodes: Vec<String>,
    },
    /// Cut groups of machines from each other, as in `partition r1,outside r2,r3`
    Partition {
        /// Groups: names with commas between them
        #[arg(required = true, num_args = 2.., value_name = "GROUP")]
        groups: Vec<String>,
        /// Nothing passes from the first group to the second; the way back is open
        #[arg(long)]
        one_way: bool,
        /// On and off with this period
        #[arg(long, value_name = "TIME")]
        flap: Option<String>,
        #[command(flatten)]
        time: For,
    },
    /// Make the paths between machines worse
    Link {
        /// One end: names with commas between them
        from: String,
        /// The other end
        to: String,
        /// One-way latency, as in `50ms` or `uniform(1ms, 20ms)`
        #[arg(long)]
        latency: Option<String>,
        /// Share of segments that are lost, from 0 to 0.9
        #[arg(long)]
        loss: Option<f64>,
        /// As in `1mb/s`
        #[arg(long)]
        bandwidth: Option<String>,
        /// Nothing passes
        #[arg(long)]
        down: bool,
        /// Not the way back
        #[arg(long)]
        one_way: bool,
        #[command(flatten)]
        time: For,
    },
    /// Step or bend machines' clocks
    Clock {
        /// Machines
        #[arg(required = true, value_name = "MACHINE")]
        machines: Vec<String>,
        /// By how much the wall clock steps, as in `+1h` or `-500ms`
        #[arg(long, allow_hyphen_values = true)]
        jump: Option<String>,
        /// Parts per million
        #[arg(long, allow_hyphen_values = true)]
        drift: Option<i32>,
        #[command(flatten)]
        time: For,
    },
    /// Make processes slow
    Cpu {
        /// Nodes
        #[arg(required = true, value_name = "NODE")]
        nodes: Vec<String>,
        /// How many times slower
        #[arg(long, value_name = "FACTOR")]
        slow_down: f64,
        #[command(flatten)]
        time: For,
    },
    /// Make disks slow, full, broken or forgetful
    Disk {
        /// Machines
        #[arg(required = true, value_name = "MACHINE")]
        machines: Vec<String>,
        /// What each operation takes longer, as in `100ms`
        #[arg(long, value_name = "TIME")]
        slow: Option<String>,
        /// Nothing more fits
        #[arg(long)]
        full: bool,
        /// Every operation fails
        #[arg(long)]
        fails: bool,
        /// What is synced is lost when the power goes
        #[arg(long)]
        loses_syncs: bool,
        /// A file of which a byte becomes another one
        #[arg(long, value_name = "FILE")]
        corrupts: Option<String>,
        #[command(flatten)]
        time: For,
    },
    /// Any fault, in the fields of a scenario file without `at`, as in 'pause = "r1", for = "5s"'
    Fault {
        /// The fields, with commas between them
        fields: String,
    },
    /// Type a command at a node, from its own machine, and print the reply
    Exec {
        /// The node
        node: String,
        /// The command
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "WORD")]
        words: Vec<String>,
    },
    /// End faults: those of these numbers, or all that are in force
    Heal {
        /// Their numbers, as `status` shows them
        #[arg(value_name = "NUMBER")]
        faults: Vec<u16>,
    },
    /// End the deployment, as Ctrl-C does
    Stop,
}
