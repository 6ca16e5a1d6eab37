//! The `splitbrain` binary.

/// The program's allocator; the library takes whatever its program uses.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    splitbrain::cli::main(std::env::args_os())
}
