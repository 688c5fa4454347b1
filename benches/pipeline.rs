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
    let mut figures = day::figures()?;
    let stack = LocalStack::start(1)?;
    figures.extend(throughput::figures(&stack)?);
    figures.extend(live::figures(&stack)?);
    figures.extend(rolling::figures(&stack)?);
    figures.extend(crowd::figures(&stack)?);
    report(&figures)
}
