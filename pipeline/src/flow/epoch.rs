//! When to commit: an epoch is cut by age or by bytes, whichever comes first.

use std::time::Duration;

/// The limits of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochLimits {
    /// The time between commits while there is something to commit; kept within a quarter ([`is_due`]).
    pub interval: Duration,
    /// The most input bytes that are given to the stages before a commit.
    pub max_bytes: u64,
}

/// What is known of the epoch that is being filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochFacts {
    /// Time since the epoch began ([`begun_at`]).
    pub age: Duration,
    /// Input bytes given to the stages since then.
    pub input_bytes: u64,
    /// Whether anything was read, or a timer went off, since then.
    pub dirty: bool,
    /// Whether the stages hold input that they have not processed.
    pub busy: bool,
    /// Time since the last record was read.
    pub quiet: Duration,
    /// Whether the previous epoch is still on its way to Kafka.
    pub in_flight: bool,
}

/// Records of one burst, of many streams that are published together, come closer than this.
const QUIET: Duration = Duration::from_millis(5);
/// The longest wait for a record where nothing else is expected.
const IDLE_PATIENCE: Duration = Duration::from_millis(5);
/// The shortest, in which threads answer. librdkafka counts in whole milliseconds, and spins through less than one.
const BRIEF_PATIENCE: Duration = Duration::from_millis(1);

/// Whether to cut now. One epoch is in flight at a time; the next fills meanwhile.
///
/// The interval is kept within a quarter: it is longer while the stages are at work, and shorter where they have nothing to do and
/// nothing comes. So cuts fall into step with bursts that come as often, as live chunks of 100 ms do, and follow each burst
/// when it has been processed. At a strict interval a burst may miss its cut by a moment, again and again, and wait for
/// the whole of the next.
#[must_use]
pub fn is_due(facts: &EpochFacts, limits: &EpochLimits) -> bool {
    let is_full = facts.input_bytes >= limits.max_bytes;
    facts.dirty && !facts.in_flight && (is_full || facts.age >= due_at(facts, limits))
}

fn due_at(facts: &EpochFacts, limits: &EpochLimits) -> Duration {
    let quarter = limits.interval / 4;
    match (facts.busy, facts.quiet >= QUIET) {
        (true, _) => limits.interval + quarter,
        (false, false) => limits.interval,
        (false, true) => limits.interval - quarter,
    }
}

/// When an epoch that was empty until `now` counts as begun, where the last one was cut at `cut_at`: no longer ago than its first records
/// leave the stages time to process them. After a pause it would be overdue before they had seen any.
#[must_use]
pub fn begun_at(cut_at: Duration, now: Duration, limits: &EpochLimits) -> Duration {
    cut_at.max(now.saturating_sub(limits.interval - limits.interval / 4))
}

/// How long to wait for the next record before looking again, in whole milliseconds: answers of the other threads do not end
/// the wait.
#[must_use]
pub fn patience(facts: &EpochFacts, limits: &EpochLimits) -> Duration {
    if facts.in_flight {
        return BRIEF_PATIENCE;
    }
    if !facts.dirty {
        return IDLE_PATIENCE;
    }
    let earliest = due_at(&EpochFacts { busy: false, quiet: QUIET, ..*facts }, limits);
    let until_due = earliest.saturating_sub(facts.age).clamp(BRIEF_PATIENCE, IDLE_PATIENCE);
    Duration::from_micros(until_due.as_micros().div_ceil(1000) as u64 * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: EpochLimits = EpochLimits { interval: Duration::from_millis(100), max_bytes: 1000 };

    /// Nothing at work, and the last record came as the last cut was made.
    fn facts(age_ms: u64) -> EpochFacts {
        let age = Duration::from_millis(age_ms);
        EpochFacts { age, input_bytes: 0, dirty: true, busy: false, quiet: age, in_flight: false }
    }

    fn check(facts: EpochFacts, expect: bool) {
        assert_eq!(is_due(&facts, &LIMITS), expect, "{facts:?}");
    }

    #[test]
    fn an_epoch_is_cut_by_age_or_bytes_and_never_while_one_is_in_flight() {
        check(EpochFacts { input_bytes: 999, ..facts(74) }, false);
        check(facts(75), true);
        check(EpochFacts { input_bytes: 1000, ..facts(0) }, true);
        check(EpochFacts { dirty: false, ..facts(125) }, false);
        check(EpochFacts { input_bytes: 1000, in_flight: true, ..facts(125) }, false);
    }

    #[test]
    fn an_epoch_waits_for_a_burst_and_longer_for_stages_at_work() {
        let quiet = Duration::from_millis(4);
        check(EpochFacts { quiet, ..facts(99) }, false);
        check(EpochFacts { quiet, ..facts(100) }, true);
        check(EpochFacts { busy: true, ..facts(124) }, false);
        check(EpochFacts { busy: true, ..facts(125) }, true);
        check(EpochFacts { busy: true, quiet, input_bytes: 1000, ..facts(0) }, true);
    }

    /// How long bursts wait for their cuts, each of two parts that are 4 ms apart and take 2 ms of work each.
    fn waits_ms(first_cut_ms: u64, period_ms: u64) -> Vec<u64> {
        let (mut begun, mut oldest_ms, mut waits_ms) =
            (Duration::from_millis(first_cut_ms), None, Vec::new());
        for now_ms in period_ms..20 * period_ms {
            let (now, phase_ms) = (Duration::from_millis(now_ms), now_ms % period_ms);
            if (phase_ms == 0 || phase_ms == 4) && oldest_ms.is_none() {
                oldest_ms = Some(now_ms);
                begun = begun_at(begun, now, &LIMITS);
            }
            let quiet = Duration::from_millis(if phase_ms < 4 { phase_ms } else { phase_ms - 4 });
            let busy = matches!(phase_ms, 0..2 | 4..6);
            let facts = EpochFacts { age: now - begun, quiet, busy, dirty: oldest_ms.is_some(), ..facts(0) };
            if is_due(&facts, &LIMITS) {
                begun = now;
                waits_ms.extend(oldest_ms.take().map(|burst_ms| now_ms - burst_ms));
            }
        }
        waits_ms
    }

    #[test]
    fn cuts_fall_into_step_with_bursts_that_come_as_often() {
        for first_cut_ms in 0..100 {
            let waits_ms = waits_ms(first_cut_ms, 100);
            assert!(waits_ms[6..].iter().all(|wait| (6..=9).contains(wait)), "{first_cut_ms}: {waits_ms:?}");
        }
    }

    #[test]
    fn a_burst_after_a_pause_is_cut_when_it_has_been_processed() {
        for period_ms in [150, 300, 1_000] {
            let waits_ms = waits_ms(0, period_ms);
            assert!(waits_ms.iter().all(|wait| *wait == 9), "{period_ms}: {waits_ms:?}");
        }
    }

    #[test]
    fn the_wait_for_a_record_ends_when_something_may_be_due() {
        let waits = |facts: EpochFacts| patience(&facts, &LIMITS).as_micros();
        assert_eq!(waits(facts(10)), 5_000);
        assert_eq!(waits(EpochFacts { age: Duration::from_micros(72_400), ..facts(0) }), 3_000);
        assert_eq!(waits(EpochFacts { busy: true, ..facts(110) }), 1_000);
        assert_eq!(waits(EpochFacts { in_flight: true, ..facts(10) }), 1_000);
        assert_eq!(waits(EpochFacts { dirty: false, ..facts(300) }), 5_000);
    }
}
