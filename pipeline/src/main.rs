//! The `treble` command.
fn main() {}
