//! Exactly once (invariants 4 and 5) on a real Kafka: while streams of every format flow, processes are killed, frozen and
//! rebalanced, brokers and the registry go away, and commits stay unanswered. What comes out is what came in, once, byte
//! for byte as the offline path writes it.

#![expect(clippy::print_stdout, reason = "a suite tells what it counted; libtest shows it on demand")]

#[path = "exactly_once/cluster.rs"]
mod cluster;
#[path = "exactly_once/processes.rs"]
mod processes;
#[path = "exactly_once/trial.rs"]
mod trial;
#[path = "exactly_once/upgrade.rs"]
mod upgrade;
