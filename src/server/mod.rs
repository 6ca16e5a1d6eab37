//! redis-server as a state machine.

pub mod config;
