//! `gen-apu-data-pkg`: see `gen_apu_data_pkg::run`.

use std::process::ExitCode;

fn main() -> ExitCode {
    apu_archive::serve_deb_reader().unwrap_or_else(gen_apu_data_pkg::run)
}
