//! apu-client
fn main() {}
