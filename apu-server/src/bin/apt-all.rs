//! The button.

use std::process::ExitCode;

fn main() -> ExitCode {
    apu_server::apt_all::main()
}
