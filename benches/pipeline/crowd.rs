//! More and more live streams through one process, until it falls behind: where the limit of this machine is, what a
//! stream costs below it, and whether the cost grows with the number.

use crate::live::{Crowd, start};
use anyhow::Result;
use treble_bench_support::Figure;
use treble_test_support::broker::LocalStack;

/// 2,000 is what a machine of this size is asked for.
const STEPS: [usize; 9] = [10, 100, 200, 300, 400, 500, 700, 1_000, 2_000];
const SECONDS: u32 = 15;
/// Behind means: at the end of a step, output lags further than this.
const KEEPS_UP_MS: f64 = 2_000.0;

pub(crate) fn figures(stack: &LocalStack) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let (mut most, mut first_cost, mut last_cost) = (0, None, 0.0);
    for streams in STEPS {
        let prefix = format!("crowd-{streams}");
        let settings = [("topology", "fused".to_owned())];
        let mut worker = start(stack, &prefix, &settings)?;
        let (cpu_before, memory_before) = (worker.cpu_seconds()?, worker.resident_bytes()?);
        let mut crowd = Crowd::publish_and_follow(stack, &prefix, streams, SECONDS)?;
        let cpu = worker.cpu_seconds()? - cpu_before;
        let grown = worker.peak_resident_bytes()?.saturating_sub(memory_before);
        worker.terminate()?;
        let p99 = crowd.percentile_ms(99)?;
        let keeps_up = crowd.delivered() > 0.98 && p99 < KEEPS_UP_MS;
        // Of one core, while one second of one stream passes.
        let cost = cpu / (streams as f64 * f64::from(SECONDS)) * 100.0;
        figures.push(lower(&format!("crowd_{streams}_latency_p99"), p99, "ms"));
        figures.push(lower(&format!("crowd_{streams}_cpu_per_stream"), cost, "% of a core"));
        figures.push(lower(
            &format!("crowd_{streams}_memory_per_stream"),
            grown as f64 / streams as f64 / 1024.0,
            "KiB",
        ));
        if !keeps_up {
            break;
        }
        (most, last_cost) = (streams, cost);
        first_cost.get_or_insert(cost);
    }
    figures.push(Figure {
        name: "live_streams_kept_up_with".to_owned(),
        value: most as f64,
        unit: "streams",
        better: "higher",
        against: None,
    });
    if let Some(first_cost) = first_cost {
        figures.push(Figure {
            name: "crowd_cpu_growth".to_owned(),
            value: last_cost / first_cost,
            unit: "ratio",
            better: "lower",
            against: Some(format!("processor time a stream at {} streams", STEPS[0])),
        });
    }
    Ok(figures)
}

fn lower(name: &str, value: f64, unit: &'static str) -> Figure {
    Figure { name: name.to_owned(), value, unit, better: "lower", against: None }
}
