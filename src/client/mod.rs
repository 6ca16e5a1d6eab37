//! Simulated applications: nodes that talk to Redis as real client libraries do and record every operation.

pub mod config;
