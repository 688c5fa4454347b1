//! When the end of a log was where: for positions whose record cannot be read in time.

use std::collections::VecDeque;
use std::time::Duration;

/// Points that are kept.
const POINTS: usize = 60;
/// Records a second under which a rate says nothing.
const RATE_FLOOR: f64 = 0.1;

/// The end of one log over time, Unix time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    points: VecDeque<(i64, Duration)>,
}

impl History {
    /// The log ended at `end` at time `at`. What is out of order is left out; while the end stands still, only the first
    /// and the last look at it are kept.
    pub fn add(&mut self, end: i64, at: Duration) {
        let mut latest = self.points.iter().rev();
        let (last, before) = (latest.next(), latest.next());
        if last.is_some_and(|(last_end, last_at)| end < *last_end || at <= *last_at) {
            return;
        }
        if let (Some((one, _)), Some((other, _))) = (last, before)
            && *one == end
            && *other == end
        {
            self.points.pop_back();
        }
        if self.points.len() == POINTS {
            self.points.pop_front();
        }
        self.points.push_back((end, at));
    }

    /// When the record at `offset` was written, between two points; `None` outside them, and while there are fewer.
    #[must_use]
    pub fn time_of(&self, offset: i64) -> Option<Duration> {
        let after = self.points.iter().position(|(end, _)| *end > offset)?;
        let (later_end, later_at) = self.points[after];
        let (end, at) = *self.points.get(after.checked_sub(1)?)?;
        let share = (offset - end) as f64 / (later_end - end) as f64;
        Some(at + later_at.saturating_sub(at).mul_f64(share.clamp(0.0, 1.0)))
    }

    /// Records written a second; `None` where that is too little to divide by.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        let ((first, since), (last, until)) = (self.points.front()?, self.points.back()?);
        let seconds = until.saturating_sub(*since).as_secs_f64();
        let rate = if seconds > 0.0 { (last - first) as f64 / seconds } else { 0.0 };
        (rate >= RATE_FLOOR).then_some(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(points: &[(i64, u64)]) -> History {
        let mut history = History::default();
        points.iter().for_each(|(end, at)| history.add(*end, Duration::from_secs(*at)));
        history
    }

    #[test]
    fn a_position_between_two_points_lies_between_their_times() {
        let known = history(&[(100, 10), (200, 20)]);
        assert_eq!(known.time_of(150), Some(Duration::from_secs(15)));
        assert_eq!(known.time_of(100), Some(Duration::from_secs(10)), "an exact hit");
        assert_eq!(known.time_of(99), None, "older than what is known");
        assert_eq!(known.time_of(200), None, "not written yet");
        assert_eq!(history(&[(100, 10)]).time_of(100), None, "one point is no line");
    }

    #[test]
    fn an_idle_producer_does_not_stretch_the_line() {
        let idle = history(&[(100, 10), (100, 20), (100, 600), (200, 610)]);
        assert_eq!(idle.points.len(), 3, "first and last look at a flat stretch, and what follows");
        assert_eq!(idle.time_of(150), Some(Duration::from_secs(605)));
    }

    #[test]
    fn what_is_out_of_order_is_left_out() {
        assert_eq!(history(&[(100, 10), (90, 20), (200, 10)]), history(&[(100, 10)]));
    }

    #[test]
    fn a_rate_needs_enough_to_divide_by() {
        assert_eq!(history(&[(0, 10), (100, 20)]).rate(), Some(10.0));
        assert_eq!(history(&[(0, 10), (1, 1_000)]).rate(), None);
        assert_eq!(History::default().rate(), None);
    }
}
