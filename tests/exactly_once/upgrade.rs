//! Two versions of Treble side by side, in the middle of streams.

use crate::trial::{DISTRIBUTED, Trial};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use treble_test_support::kafka;
use treble_test_support::process::Worker;

/// Replaces `worker` by `program`: drained, or killed as by a node that goes away.
fn replace(worker: &mut Worker, program: Option<&Path>, drained: bool) -> Result<()> {
    if drained {
        worker.terminate()?
    } else {
        worker.kill()?
    }
    worker.becomes(program);
    worker.start()?;
    worker.await_ready(kafka::PATIENCE)
}

/// `make upgrade`: each stage becomes another version, one after the other, in data-flow order and against it, and this one again, while
/// streams of every format flow. States, chunks and positions that either wrote are read by the other; what comes out is whole
/// and single, and sounds as the offline path has it.
#[test]
#[ignore = "wants the program of another version; `make upgrade` builds it"]
fn another_version_takes_over_and_gives_back_while_streams_flow() -> Result<()> {
    let other = std::env::var_os("TREBLE_OTHER_BINARY").context("TREBLE_OTHER_BINARY names no program")?;
    let other = PathBuf::from(other);
    let mut trial = Trial::start("upgraded", &DISTRIBUTED, &[("upscale.mode", "baseline".to_owned())])?;
    let replaced = trial.while_flowing(|_, workers| {
        let mut replaced = 0;
        for (round, drained) in [true, false].into_iter().enumerate() {
            for program in [Some(other.as_path()), None] {
                let order = if round == 0 { [0, 1, 2] } else { [2, 1, 0] };
                for stage in order {
                    replace(&mut workers[stage], program, drained)?;
                    replaced += 1;
                }
            }
        }
        Ok(replaced)
    })?;
    println!("replaced={replaced} {}", trial.judge_by_ear()?);
    Ok(())
}
