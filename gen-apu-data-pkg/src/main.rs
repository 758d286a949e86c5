//! gen-apu-data-pkg
fn main() {}
