//! apu
fn main() {}
