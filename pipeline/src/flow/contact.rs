//! Whether any broker can be reached, from what the client library says of its connections.

use std::time::Duration;

/// What is known of the connection to one broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// Whether it stands.
    pub up: bool,
    /// Since it answered last; `None` if it never did.
    pub silent_for: Option<Duration>,
}

/// A consumer that reads asks several times a second, and a member without partitions, or whose partitions are being restored, sends
/// a heartbeat every three seconds at most. A broker that answers neither for so long stands still, although its connection stands.
const SILENCE: Duration = Duration::from_secs(10);

/// Whether at least one broker answers.
#[must_use]
pub fn is_reachable(connections: &[Connection]) -> bool {
    connections.iter().any(|connection| {
        connection.up && connection.silent_for.is_some_and(|silent_for| silent_for < SILENCE)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(connections: &[(bool, Option<u64>)], expect: bool) {
        let connections: Vec<Connection> = connections
            .iter()
            .map(|&(up, seconds)| Connection { up, silent_for: seconds.map(Duration::from_secs) })
            .collect();
        assert_eq!(is_reachable(&connections), expect, "{connections:?}");
    }

    #[test]
    fn one_broker_that_answers_is_enough() {
        check(&[(false, Some(40)), (true, Some(1))], true);
        check(&[(true, Some(40)), (true, Some(3))], true);
    }

    #[test]
    fn a_lost_one_a_frozen_one_and_one_never_heard_do_not_count() {
        check(&[], false);
        check(&[(false, Some(1))], false);
        check(&[(true, Some(10))], false);
        check(&[(true, None)], false);
    }
}
