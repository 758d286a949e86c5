//! apu-wrapper
fn main() {}
