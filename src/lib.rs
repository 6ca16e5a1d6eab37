//! A deterministic simulator of Redis deployments.
//!
//! Data flows one way: file → scenario → world → nodes → trace → check → report. The modules are those stages;
//! `docs/architecture.md` has the map and the rules about which may use which.

pub mod time;

pub mod rng;

pub mod id;

pub mod fault;

pub mod resp;

pub mod conf;

pub mod trace;

pub mod node;

pub mod server;

pub mod sentinel;

pub mod client;

pub mod resource;

pub mod stats;

pub mod check;

pub mod scenario;

pub mod world;

pub mod run;

pub mod report;

pub mod host;

pub mod cli;
