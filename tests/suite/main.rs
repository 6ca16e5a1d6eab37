//! One test binary; each module is a subject.

mod aof;
#[cfg(unix)]
mod belongings;
mod bisect;
mod calibration;
mod chaos;
mod checkers;
mod cli;
mod clients;
mod compare;
mod conformance;
mod cost;
mod differential;
mod every_form;
mod gallery;
#[cfg(unix)]
mod hosts;
mod limits;
mod linearizable;
mod locks;
mod many_runs_cli;
mod migrate;
mod quick;
mod readme;
mod real_master;
mod real_replica;
mod replication;
mod restarts;
mod rig;
mod runs;
mod scenario_errors;
mod scenario_files;
mod scenario_fuzz;
mod schema;
mod scripts;
mod sentinel;
mod shrink;
mod slices;
mod snapshots_of_runs;
mod summary;
mod sweep;
mod targets;
mod testing;
mod tidy;
mod triggers;
mod world;
