//! The world without Redis: small programs on its machines, and what must hold for any of them.

mod engine;
mod machines;
pub(crate) mod rig;
mod tcp;
