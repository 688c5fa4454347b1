//! What happens to processes: SIGKILL, a rebalance, a freeze that outlives the session.

use crate::trial::{DISTRIBUTED, Schedule, Trial, kill_all_over, timeouts};
use anyhow::{Context, Result, ensure};
use std::thread;
use std::time::Duration;
use treble_test_support::process::Worker;
use treble_test_support::{configuration, kafka};

/// Kills while everything flows, then once more each to see how long recovery takes, and judges.
fn survive(
    prefix: &'static str,
    plans: &[(&'static str, &str)],
    more: &[(&'static str, String)],
    kills: u32,
    seed: u64,
) -> Result<()> {
    let mut trial = Trial::start(prefix, plans, more)?;
    let killed = trial.while_flowing(|_, workers| kill_all_over(workers, kills, &mut Schedule(seed)))?;
    trial.workers.iter_mut().try_for_each(|worker| worker.await_ready(kafka::PATIENCE))?;
    let recoveries = trial.recoveries()?;
    let killed = killed as usize + recoveries.len();
    println!("kills={killed} {} recovery={recoveries:.1?}", trial.judge()?);
    Ok(())
}

#[test]
fn three_stage_processes_survive_kills_with_every_stream_whole_single_and_identical() -> Result<()> {
    survive("killed", &DISTRIBUTED, &[], 20, 0x5eed)
}

#[test]
fn a_fused_process_with_the_model_survives_kills_with_every_stream_whole_single_and_identical() -> Result<()>
{
    let mut settings = configuration::with_model()?;
    settings.push(("topology", "fused".to_owned()));
    survive("fusedkill", &[("decode,upscale,encode", "f1")], &settings, 5, 0x5eed)
}

/// `make soak KILLS=200`: rounds of 20 kills, each with a schedule of its own.
#[test]
#[ignore = "takes a minute for every 20 kills; `make soak`"]
#[expect(
    clippy::disallowed_methods,
    reason = "how long to go on is a wish of whoever starts it, no configuration"
)]
fn kills_for_as_long_as_one_likes() -> Result<()> {
    let kills: u64 = std::env::var("TREBLE_SOAK_KILLS").map_or(Ok(200), |text| text.parse())?;
    for round in 0..kills.div_ceil(20) {
        let prefix: &'static str = format!("soak{round}").leak();
        let seed = 0x5eed + round;
        survive(prefix, &DISTRIBUTED, &[], 20, seed)
            .with_context(|| format!("round {round}, seed {seed}"))?;
    }
    Ok(())
}

#[test]
fn a_second_process_joins_and_leaves_while_streams_flow() -> Result<()> {
    let mut trial = Trial::start("joined", &DISTRIBUTED, &[])?;
    let mut second =
        Worker::new(&trial.cluster, trial.prefix, "decode,upscale,encode", "all-2", &timeouts())?;
    trial.while_flowing(|_, _| {
        thread::park_timeout(Duration::from_secs(3));
        second.start()?;
        second.await_ready(kafka::PATIENCE)?;
        thread::park_timeout(Duration::from_secs(4));
        second.terminate()
    })?;
    println!("rebalances=2 {}", trial.judge()?);
    Ok(())
}

/// A process of the group is killed while another joins: its partitions move twice, and nobody lets go of them.
#[test]
fn a_process_killed_during_a_rebalance_leaves_nothing_behind() -> Result<()> {
    let mut trial = Trial::start("rekilled", &DISTRIBUTED, &[])?;
    let mut second =
        Worker::new(&trial.cluster, trial.prefix, "decode,upscale,encode", "all-2", &timeouts())?;
    trial.while_flowing(|_, workers| {
        for worker in workers {
            thread::park_timeout(Duration::from_secs(1));
            second.start()?;
            // In the middle of the rebalance that its joining began.
            thread::park_timeout(Duration::from_millis(400));
            worker.kill()?;
            second.await_ready(kafka::PATIENCE)?;
            second.kill()?;
            worker.start()?;
            worker.await_ready(kafka::PATIENCE)?;
        }
        Ok(())
    })?;
    println!("kills=6 {}", trial.judge()?);
    Ok(())
}

/// A frozen process whose successor takes over before it wakes up.
#[test]
fn a_zombie_changes_nothing() -> Result<()> {
    let mut trial = Trial::start("zombie", &DISTRIBUTED, &[])?;
    let mut successor = Worker::new(&trial.cluster, trial.prefix, "upscale", "u1", &timeouts())?;
    trial.while_flowing(|_, workers| {
        thread::park_timeout(Duration::from_secs(2));
        workers[1].signal("STOP")?;
        successor.start()?;
        successor.await_ready(kafka::PATIENCE)?;
        workers[1].signal("CONT")
    })?;
    workers_fenced(&mut trial.workers[1], &mut successor)?;
    std::mem::swap(&mut trial.workers[1], &mut successor);
    println!("zombies=1 {}", trial.judge()?);
    Ok(())
}

/// The zombie has ended by itself and says why; its successor goes on.
fn workers_fenced(zombie: &mut Worker, successor: &mut Worker) -> Result<()> {
    let step = Duration::from_millis(100);
    let mut waited = Duration::ZERO;
    while !zombie.has_ended()? {
        ensure!(waited < kafka::PATIENCE, "the zombie still runs\n{}", zombie.log_tail());
        thread::park_timeout(step);
        waited += step;
    }
    ensure!(!successor.has_ended()?, "the successor ended\n{}", successor.log_tail());
    Ok(())
}
