//! One test binary; each module is a subject.

mod checkers;
mod cli;
mod clients;
mod real_replica;
mod replication;
mod rig;
mod scenario_errors;
mod scenario_files;
mod scenario_fuzz;
mod schema;
mod sentinel;
mod summary;
mod tidy;
mod world;
