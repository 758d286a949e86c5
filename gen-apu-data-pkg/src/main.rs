//! `gen-apu-data-pkg`: see `gen_apu_data_pkg::run`.

use std::process::ExitCode;

fn main() -> ExitCode {
    gen_apu_data_pkg::run()
}
