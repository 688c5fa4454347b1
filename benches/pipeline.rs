//! The whole pipeline on a real Kafka: beside the sum of its stages, beside the same job written in Python, live, and under
//! more and more streams.
//!
//! Run by `make bench`; with names after `--`, only those groups: `live`, `rolling`, `crowd`, `throughput`, `scale`, `kafka`, `commit`, `lake`,
//! `day`. Brokers, pipeline and publisher share the machine, as they do in a test: figures of this table are floors.

#[path = "pipeline/commit.rs"]
mod commit;
#[path = "pipeline/crowd.rs"]
mod crowd;
#[path = "pipeline/day.rs"]
mod day;
#[path = "pipeline/kafka.rs"]
mod kafka;
#[path = "pipeline/lake.rs"]
mod lake;
#[path = "pipeline/live.rs"]
mod live;
#[path = "pipeline/rolling.rs"]
mod rolling;
#[path = "pipeline/scale.rs"]
mod scale;
#[path = "pipeline/throughput.rs"]
mod throughput;

use anyhow::{Result, ensure};
use treble_bench_support::{Figure, report};
use treble_test_support::broker::LocalStack;

type Group = fn(&LocalStack) -> Result<Vec<Figure>>;

const GROUPS: [(&str, Group); 9] = [
    ("live", live::figures),
    ("rolling", rolling::figures),
    ("crowd", crowd::figures),
    ("throughput", throughput::figures),
    ("scale", scale::figures),
    ("kafka", kafka::figures),
    ("commit", commit::figures),
    ("lake", lake::figures),
    ("day", |_| day::figures()),
];

fn main() -> Result<()> {
    // `cargo bench` adds an argument of its own, `--bench`.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let known = |name: &String| GROUPS.iter().any(|(group, _)| group == name);
    ensure!(
        wanted.iter().all(known),
        "of {wanted:?} not all are groups: live, rolling, crowd, throughput, scale, kafka, commit, lake, day"
    );
    let stack = LocalStack::start(1)?;
    for (name, figures) in GROUPS {
        if wanted.is_empty() || wanted.iter().any(|group| group == name) {
            // Told one after the other: all of it takes minutes.
            report(&figures(&stack)?)?;
        }
    }
    Ok(())
}
