//! Everything around the nodes: virtual time, machines, network, disks, faults. Sans-IO.
//!
//! The contract with hosts: `World::new(Arc<Scenario>, Seed)`, `next_at`, `advance(to)`, `inject`, `drain`.
