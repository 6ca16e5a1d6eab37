//! One test binary; each module is a subject.

mod checkers;
mod clients;
