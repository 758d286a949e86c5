//! apt-all
fn main() {}
