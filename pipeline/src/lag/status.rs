//! What a window means, by the rules of LinkedIn's Burrow (core/internal/evaluator/caching.go), in their order.

use super::window::{SAMPLES, Window};
use std::time::Duration;

/// The state of one position; the numbers are Burrow's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// On its way, or done.
    Ok = 1,
    /// The lag never fell in the whole window.
    Warn = 2,
    /// Nothing is committed any more.
    Stop = 4,
    /// The same position is committed again and again.
    Stall = 5,
    /// The position went back, and has not come back to where it was.
    Rewind = 6,
}

/// The state of a group: that of its worst position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum GroupStatus {
    /// It has committed nothing.
    NotFound = 0,
    /// All positions are.
    Ok = 1,
    /// The lag of one never falls.
    Warn = 2,
    /// One has stopped, stalls or went back.
    Err = 3,
}

/// The state of a position at `now`, lags up to `allowed` being none. A window that is less than half full says OK.
#[must_use]
pub fn evaluate(window: &Window, now: Duration, allowed: i64) -> Status {
    let samples = window.samples();
    let Some(last) = samples.back() else { return Status::Ok };
    if last.lag <= allowed || samples.len() * 2 < SAMPLES {
        return Status::Ok;
    }
    if has_stopped(window, now) && !was_recently_done(window, allowed) {
        return Status::Stop;
    }
    if went_back(window) {
        return Status::Rewind;
    }
    if samples.iter().any(|sample| sample.lag <= allowed) {
        return Status::Ok;
    }
    let commits_go_on = samples.front().is_some_and(|first| first.committed_at < last.committed_at);
    if commits_go_on && samples.iter().all(|sample| sample.committed == last.committed) {
        return Status::Stall;
    }
    let never_falls = samples.iter().zip(samples.iter().skip(1)).all(|(one, next)| next.lag >= one.lag);
    if never_falls { Status::Warn } else { Status::Ok }
}

/// The time since the last commit is longer than that from the first to the last of the window.
fn has_stopped(window: &Window, now: Duration) -> bool {
    let samples = window.samples();
    let (Some(first), Some(last)) = (samples.front(), samples.back()) else { return false };
    now.saturating_sub(last.committed_at) > last.committed_at.saturating_sub(first.committed_at)
}

/// There was nothing to do at the position that is still the last: whoever has just got work cannot have stopped.
fn was_recently_done(window: &Window, allowed: i64) -> bool {
    let Some(last) = window.samples().back() else { return false };
    let since = window.samples().iter().rev().take_while(|sample| sample.committed == last.committed);
    since.into_iter().any(|sample| sample.lag <= allowed)
}

fn went_back(window: &Window) -> bool {
    let highest = window.samples().iter().map(|sample| sample.committed).max();
    window.samples().back().is_some_and(|last| Some(last.committed) < highest)
}

/// The state of a group with these positions.
#[must_use]
pub fn of_group(positions: impl IntoIterator<Item = Status>) -> GroupStatus {
    let each = positions.into_iter().map(|status| match status {
        Status::Ok => GroupStatus::Ok,
        Status::Warn => GroupStatus::Warn,
        Status::Stop | Status::Stall | Status::Rewind => GroupStatus::Err,
    });
    each.max().unwrap_or(GroupStatus::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A window of (committed, end) ten seconds apart; commits are seen, not told.
    fn window(looks: &[(i64, i64)]) -> (Window, Duration) {
        let mut window = Window::default();
        let mut now = Duration::ZERO;
        for (committed, end) in looks {
            now += Duration::from_secs(10);
            window.add(now, *committed, *end, (end - committed).max(0), None);
        }
        (window, now)
    }

    fn check(looks: &[(i64, i64)], expect: Status) {
        let (window, now) = window(looks);
        assert_eq!(evaluate(&window, now, 0), expect, "{looks:?}");
    }

    fn looks(count: usize, look: impl Fn(i64) -> (i64, i64)) -> Vec<(i64, i64)> {
        (0..count as i64).map(look).collect()
    }

    #[test]
    fn a_group_that_keeps_up_is_ok() {
        check(&looks(15, |n| (100 * n, 100 * n)), Status::Ok);
        check(&looks(15, |n| (100 * n, 100 * n + 30)), Status::Warn);
    }

    #[test]
    fn a_backlog_that_drains_is_ok() {
        check(&looks(15, |n| (1_000 * n, 19_000)), Status::Ok);
        check(&looks(15, |n| (1_000 * n, 19_000 + 100 * n)), Status::Ok);
    }

    #[test]
    fn falling_behind_is_a_warning() {
        check(&looks(15, |n| (50 * n, 100 * n + 10)), Status::Warn);
    }

    #[test]
    fn a_group_that_commits_no_more_has_stopped() {
        check(&looks(15, |n| (100, 200 + 10 * n)), Status::Stop);
        // It went on for a while, and has been standing for longer.
        check(&looks(15, |n| (100 * n.min(4), 2_000)), Status::Stop);
    }

    #[test]
    fn one_stuck_partition_in_a_healthy_group_makes_the_group_err() {
        let (stuck, now) = window(&looks(15, |n| (7, 8 + n)));
        let (healthy, _) = window(&looks(15, |n| (100 * n, 100 * n)));
        let each = [&healthy, &stuck, &healthy].map(|window| evaluate(window, now, 0));
        assert_eq!(each, [Status::Ok, Status::Stop, Status::Ok]);
        assert_eq!(of_group(each), GroupStatus::Err);
        assert_eq!(of_group([]), GroupStatus::NotFound);
    }

    #[test]
    fn work_after_a_quiet_time_is_no_stop() {
        // Nothing to do for 130 s, then records come: the last commit is old, but nobody is late.
        check(&looks(15, |n| (500, if n < 14 { 500 } else { 520 })), Status::Ok);
    }

    #[test]
    fn the_same_position_committed_again_is_a_stall() {
        let mut window = Window::default();
        for n in 1..=15 {
            let at = Duration::from_secs(10 * n);
            window.add(at, 100, 200, 100, Some(at));
        }
        assert_eq!(evaluate(&window, Duration::from_secs(150), 0), Status::Stall);
    }

    #[test]
    fn a_position_that_went_back_is_a_rewind_until_it_is_regained() {
        let back = |n: i64| if n < 8 { (1_000 + 10 * n, 2_000) } else { (100 * (n - 7), 2_000) };
        check(&looks(15, back), Status::Rewind);
        check(&looks(15, |n| if n == 3 { (0, 2_000) } else { (1_000 + n, 2_000) }), Status::Ok);
    }

    #[test]
    fn a_window_less_than_half_full_accuses_nobody() {
        check(&looks(7, |_| (0, 1_000)), Status::Ok);
        check(&looks(8, |_| (0, 1_000)), Status::Stop);
    }

    #[test]
    fn a_marker_at_the_end_is_no_lag_where_it_is_allowed() {
        let (window, now) = window(&looks(15, |_| (100, 101)));
        assert_eq!(evaluate(&window, now, 1), Status::Ok);
    }

    proptest! {
        #[test]
        fn whoever_is_done_is_ok_and_draining_never_warns(
            committed in prop::collection::vec(0_i64..1_000, 15),
            rate in 1_i64..100,
        ) {
            let mut done: Vec<(i64, i64)> = committed.iter().map(|c| (*c, 1_000)).collect();
            done.push((1_000, 1_000));
            check(&done, Status::Ok);
            check(&looks(15, |n| (n * rate, 15 * 100)), Status::Ok);
        }
    }
}
