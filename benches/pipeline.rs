//! The whole pipeline on a real Kafka: beside the sum of its stages, beside the same job written in Python, live, and under
//! more and more streams.
//!
//! Run by `make bench`. Brokers, pipeline and publisher share the machine, as they do in a test: figures of this table are
//! floors.

#[path = "pipeline/crowd.rs"]
mod crowd;
#[path = "pipeline/day.rs"]
mod day;
#[path = "pipeline/live.rs"]
mod live;
#[path = "pipeline/rolling.rs"]
mod rolling;
#[path = "pipeline/throughput.rs"]
mod throughput;

use anyhow::Result;
use treble_bench_support::report;
use treble_test_support::broker::LocalStack;

fn main() -> Result<()> {
    // Told one after the other: all of it takes a quarter of an hour.
    let stack = LocalStack::start(1)?;
    report(&live::figures(&stack)?)?;
    report(&rolling::figures(&stack)?)?;
    report(&crowd::figures(&stack)?)?;
    report(&throughput::figures(&stack)?)?;
    report(&day::figures()?)
}
