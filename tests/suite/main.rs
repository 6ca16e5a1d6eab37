//! One test binary; each module is a subject.

mod checkers;
mod clients;
mod scenario_files;
mod summary;
mod tidy;
mod world;
