//! Which windows share a run of the model.

use super::fault::FaultKind;
use super::watch::{Closing, EngineWatch};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::time::Duration;
use treble_core::Window;

/// What a run gives: as many results as windows, or what the engine said.
pub(super) type Answer = Result<Vec<Window>, String>;

/// The windows of one caller, and where it waits.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) windows: Vec<Window>,
    pub(super) reply: SyncSender<Answer>,
}

/// Serves `queue` until all senders are gone. `run` takes at most `max_batch` windows.
pub(super) fn serve(
    queue: &Receiver<Job>,
    max_batch: usize,
    max_delay: Duration,
    watch: &dyn EngineWatch,
    mut run: impl FnMut(&[Window]) -> Answer,
) {
    let mut watched = |windows: &[Window]| {
        watch.running(windows.len(), max_batch);
        let answer = run(windows);
        watch.ran(answer.as_ref().err().map(|words| FaultKind::of(words)));
        answer
    };
    while let Ok(first) = queue.recv() {
        watch.taken();
        let (jobs, why) = gather(queue, first, max_batch, max_delay);
        watch.closed(why);
        let requests = jobs.len();
        let succeeded = answer(jobs, max_batch, &mut watched);
        watch.answered(requests, succeeded);
    }
}

/// `first` and what else is queued, up to a full batch. Where the batch is not full, waits once, for
/// `max_delay` at most.
fn gather(queue: &Receiver<Job>, first: Job, max_batch: usize, max_delay: Duration) -> (Vec<Job>, Closing) {
    let mut windows = first.windows.len();
    let mut jobs = vec![first];
    let mut patience = Some(max_delay).filter(|delay| !delay.is_zero());
    while windows < max_batch {
        let job = match (queue.try_recv(), patience) {
            (Ok(job), _) => job,
            (Err(TryRecvError::Disconnected), None) => return (jobs, Closing::Shutdown),
            (Err(_), None) => return (jobs, Closing::Deadline),
            (Err(_), Some(delay)) => match queue.recv_timeout(delay) {
                Ok(job) => {
                    patience = None;
                    job
                }
                Err(RecvTimeoutError::Timeout) => return (jobs, Closing::Deadline),
                Err(RecvTimeoutError::Disconnected) => return (jobs, Closing::Shutdown),
            },
        };
        windows += job.windows.len();
        jobs.push(job);
    }
    (jobs, Closing::Full)
}

/// Runs the windows of all `jobs` in as few batches as they fit in, and answers each job; whether with results.
fn answer(jobs: Vec<Job>, max_batch: usize, run: &mut impl FnMut(&[Window]) -> Answer) -> bool {
    let counts: Vec<usize> = jobs.iter().map(|job| job.windows.len()).collect();
    let (windows, replies): (Vec<_>, Vec<_>) = jobs.into_iter().map(|job| (job.windows, job.reply)).unzip();
    let windows: Vec<Window> = windows.into_iter().flatten().collect();
    let mut results = windows.chunks(max_batch).map(run).collect::<Result<Vec<_>, _>>().map(|batches| {
        let mut results = batches.into_iter().flatten();
        move |count: usize| results.by_ref().take(count).collect::<Vec<Window>>()
    });
    let succeeded = results.is_ok();
    for (reply, count) in replies.into_iter().zip(counts) {
        let answer = results.as_mut().map(|take| take(count)).map_err(|detail| detail.clone());
        // A caller that no longer waits needs no answer.
        drop(reply.send(answer));
    }
    succeeded
}

#[cfg(test)]
mod tests {
    use super::super::watch::Unwatched;
    use super::*;
    use std::sync::mpsc::sync_channel;

    fn job(values: &[f32]) -> (Job, Receiver<Answer>) {
        let (reply, answer) = sync_channel(1);
        (Job { windows: values.iter().map(|&value| Window(vec![value])).collect(), reply }, answer)
    }

    fn doubled(windows: &[Window]) -> Answer {
        Ok(windows.iter().map(|window| Window(vec![window.0[0] * 2.0])).collect())
    }

    #[test]
    fn jobs_that_are_queued_share_batches_and_get_their_own_results() {
        let (requests, queue) = sync_channel(8);
        let (jobs, answers): (Vec<_>, Vec<_>) =
            [&[1.0, 2.0, 3.0][..], &[4.0], &[5.0, 6.0]].map(job).into_iter().unzip();
        for job in jobs {
            requests.send(job).unwrap();
        }
        drop(requests);
        let mut sizes = Vec::new();
        serve(&queue, 4, Duration::ZERO, &Unwatched, |windows| {
            sizes.push(windows.len());
            doubled(windows)
        });
        assert_eq!(sizes, [4, 2], "three and one fill a batch of four");
        let results = answers.iter().map(|answer| answer.recv().unwrap().unwrap());
        let values: Vec<Vec<f32>> =
            results.map(|windows| windows.iter().map(|window| window.0[0]).collect()).collect();
        assert_eq!(values, [vec![2.0, 4.0, 6.0], vec![8.0], vec![10.0, 12.0]]);
    }

    #[test]
    fn a_job_larger_than_a_batch_is_split_and_a_failed_run_fails_all_that_shared_it() {
        let (requests, queue) = sync_channel(8);
        let (large, answer) = job(&[1.0; 9]);
        requests.send(large).unwrap();
        drop(requests);
        let mut sizes = Vec::new();
        serve(&queue, 4, Duration::ZERO, &Unwatched, |windows| {
            sizes.push(windows.len());
            if windows.len() == 1 { Err("no memory".to_owned()) } else { doubled(windows) }
        });
        assert_eq!(sizes, [4, 4, 1]);
        assert_eq!(answer.recv().unwrap(), Err("no memory".to_owned()));
    }

    #[derive(Debug, Default)]
    struct Diary(std::sync::Mutex<Vec<String>>);

    impl EngineWatch for Diary {
        fn closed(&self, why: Closing) {
            self.0.lock().unwrap().push(format!("{why:?}"));
        }
        fn running(&self, windows: usize, capacity: usize) {
            self.0.lock().unwrap().push(format!("{windows} of {capacity}"));
        }
        fn answered(&self, requests: usize, succeeded: bool) {
            self.0.lock().unwrap().push(format!("{requests} answered {succeeded}"));
        }
    }

    #[test]
    fn the_watch_is_told_why_a_batch_was_closed_and_what_ran() {
        let (requests, queue) = sync_channel(8);
        let (jobs, _answers): (Vec<_>, Vec<_>) =
            [&[1.0, 2.0][..], &[3.0, 4.0], &[5.0]].map(job).into_iter().unzip();
        for job in jobs {
            requests.send(job).unwrap();
        }
        drop(requests);
        let diary = Diary::default();
        serve(&queue, 4, Duration::from_secs(9), &diary, doubled);
        let told = diary.0.into_inner().unwrap();
        assert_eq!(told, ["Full", "4 of 4", "2 answered true", "Shutdown", "1 of 4", "1 answered true"]);
    }
}
