//! The button.

use std::process::ExitCode;

fn main() -> ExitCode {
    apu_archive::serve_deb_reader();
    apu_server::apt_all::main()
}
