//! The `treble` command as its users meet it: exit codes, messages, files.
//!
//! Map: `treble` runs the command · `first_hour` the errors of a newcomer, each with its remedy · `texts` help,
//! configuration, graphs · `files` the offline verbs on real audio · `circle` publish → run → fetch and the dead
//! letters, on a real Kafka · `report` what a report of a fault takes: the bundle, and doctor.

#![expect(clippy::unwrap_used, reason = "a suite that cannot set its stage has failed")]

#[path = "cli/circle.rs"]
mod circle;
#[path = "cli/files.rs"]
mod files;
#[path = "cli/first_hour.rs"]
mod first_hour;
#[path = "cli/report.rs"]
mod report;
#[path = "cli/texts.rs"]
mod texts;
#[path = "cli/treble.rs"]
mod treble;
