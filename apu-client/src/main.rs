//! The binary; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    apu_client::main(std::env::args_os().skip(1))
}
