//! Everything on the server that is not the button.

use std::process::ExitCode;

fn main() -> ExitCode {
    apu_archive::serve_deb_reader().unwrap_or_else(apu_server::apu::main)
}
