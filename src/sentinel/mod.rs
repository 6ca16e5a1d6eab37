//! redis-sentinel as a state machine.

pub mod config;
