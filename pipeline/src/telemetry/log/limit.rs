//! How often one place of the program may write. What is beyond is not lost sight of: it is counted, and one line stands for it.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// For how long lines are counted together.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// Counts the lines of each place in windows of [`WINDOW`]. The places are those of the program's text, so that their number is bounded.
#[derive(Debug)]
pub(super) struct Limiter<P> {
    lines: u64,
    places: HashMap<P, Counted>,
}

#[derive(Debug)]
struct Counted {
    began: Duration,
    passed: u64,
    suppressed: u64,
}

impl<P: Hash + Eq + Clone> Limiter<P> {
    /// Lets `lines` of a place through in a window; all of them where it is 0.
    pub(super) fn new(lines: u64) -> Self {
        Self { lines, places: HashMap::new() }
    }

    /// Whether a line of `place` is written at `now`. A new window begins with the first line after the old one that was told of.
    pub(super) fn admits(&mut self, place: &P, now: Duration) -> bool {
        if self.lines == 0 {
            return true;
        }
        let Some(counted) = self.places.get_mut(place) else {
            self.places.insert(place.clone(), Counted { began: now, passed: 1, suppressed: 0 });
            return true;
        };
        if counted.suppressed == 0 && now.saturating_sub(counted.began) >= WINDOW {
            *counted = Counted { began: now, passed: 0, suppressed: 0 };
        }
        let admitted = counted.passed < self.lines;
        *(if admitted { &mut counted.passed } else { &mut counted.suppressed }) += 1;
        admitted
    }

    /// The places whose window is over at `now`, with the number of lines that were suppressed there; they begin anew.
    pub(super) fn over(&mut self, now: Duration) -> Vec<(P, u64)> {
        self.take(|counted| now.saturating_sub(counted.began) >= WINDOW)
    }

    /// All that was suppressed and not told of.
    pub(super) fn rest(&mut self) -> Vec<(P, u64)> {
        self.take(|_| true)
    }

    fn take(&mut self, is_over: impl Fn(&Counted) -> bool) -> Vec<(P, u64)> {
        let mut taken = Vec::new();
        self.places.retain(|place, counted| {
            let over = is_over(counted);
            if over && counted.suppressed > 0 {
                taken.push((place.clone(), counted.suppressed));
            }
            !over
        });
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_place_is_heard_so_often_and_then_told_of_once() {
        let mut limiter = Limiter::new(2);
        let heard: Vec<bool> = (0..5).map(|_| limiter.admits(&"a", at(0))).collect();
        assert_eq!(heard, [true, true, false, false, false]);
        assert!(limiter.admits(&"b", at(1)), "another place has its own count");
        assert!(limiter.over(at(9)).is_empty());
        assert!(!limiter.admits(&"a", at(11)), "what is suppressed is told of before more is written");
        assert_eq!(limiter.over(at(11)), [("a", 4)]);
        assert!(limiter.over(at(60)).is_empty(), "told once");
        assert!(limiter.admits(&"a", at(61)));
    }

    #[test]
    fn no_limit_suppresses_nothing() {
        let mut limiter = Limiter::new(0);
        assert!((0..1_000).all(|_| limiter.admits(&"a", at(0))));
        assert!(limiter.rest().is_empty());
    }

    proptest! {
        #[test]
        fn every_line_is_written_or_told_of(
            lines in 1_u64..5,
            steps in proptest::collection::vec((0_u8..4, 0_u64..8, any::<bool>()), 0..200),
        ) {
            let (mut limiter, mut now, mut written, mut told, mut offered) = (Limiter::new(lines), 0, 0, 0, 0_u64);
            for (place, pause, sweep) in steps {
                now += pause;
                offered += 1;
                written += u64::from(limiter.admits(&place, at(now)));
                if sweep {
                    told += limiter.over(at(now)).iter().map(|(_, count)| count).sum::<u64>();
                }
            }
            told += limiter.rest().iter().map(|(_, count)| count).sum::<u64>();
            prop_assert_eq!(offered, written + told);
        }
    }
}
