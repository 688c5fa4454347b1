//! A rolling restart of all stages under live load: how long consumers see nothing.

use crate::live::Crowd;
use anyhow::Result;
use std::time::Duration;
use treble_bench_support::Figure;
use treble_test_support::broker::LocalStack;
use treble_test_support::kafka;
use treble_test_support::process::Worker;

const STREAMS: usize = 20;
const SECONDS: u32 = 30;

pub(crate) fn figures(stack: &LocalStack) -> Result<Vec<Figure>> {
    let prefix = "rolling";
    kafka::create_topics(stack, prefix)?;
    let mut workers = Vec::new();
    for instance in ["a", "b"] {
        workers.push(Worker::new(stack, prefix, "decode,upscale,encode", instance, &[])?);
    }
    workers.iter_mut().try_for_each(Worker::start)?;
    workers.iter_mut().try_for_each(|worker| worker.await_ready(kafka::PATIENCE))?;
    let restart_each = |workers: &mut Vec<Worker>| -> Result<()> {
        for worker in workers {
            std::thread::park_timeout(Duration::from_secs(5));
            worker.terminate()?;
            worker.start()?;
            worker.await_ready(kafka::PATIENCE)?;
        }
        Ok(())
    };
    let crowd =
        Crowd::publish_and_follow_while(stack, prefix, STREAMS, SECONDS, || restart_each(&mut workers))?;
    workers.iter_mut().try_for_each(Worker::terminate)?;
    Ok(vec![
        Figure {
            name: "rolling_restart_pause".to_owned(),
            value: crowd.longest_pause().as_secs_f64(),
            unit: "s",
            better: "lower",
            against: None,
        },
        Figure {
            name: "rolling_restart_delivered".to_owned(),
            value: crowd.delivered(),
            unit: "share",
            better: "higher",
            against: Some("chunks published".to_owned()),
        },
    ])
}
