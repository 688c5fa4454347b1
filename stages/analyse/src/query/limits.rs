//! What one query may cost.

use std::time::Duration;

/// The limits of a query service. Each has an error of its own ([`QueryError`](super::QueryError)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest a query may take, from its text to its last row.
    pub time: Duration,
    /// The most rows of an answer.
    pub rows: u64,
    /// The most memory that all running queries together reserve, in bytes.
    pub memory_bytes: usize,
    /// The most bytes that queries may spill to temporary files when memory is short; 0: none is written.
    pub spill_bytes: u64,
    /// Queries that run at the same time; the next one is turned away.
    pub queries: usize,
    /// The longest statement, in bytes.
    pub statement_bytes: usize,
    /// Threads that run queries.
    pub threads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(60),
            rows: 1_000_000,
            memory_bytes: 512 << 20,
            spill_bytes: 0,
            queries: 16,
            statement_bytes: 256 << 10,
            threads: 2,
        }
    }
}
