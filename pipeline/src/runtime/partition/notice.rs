//! What a partition notices, for the runner to count: nothing here is decided upon.

use super::Partition;
use crate::kafka::headers::TraceContext;
use crate::runtime::stream::Stream;
use std::time::Duration;
use treble_core::Fact;
use treble_schemas::StreamId;
use treble_schemas::event::Mode;

/// What a partition noticed.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// A record was read for the first time.
    RecordRead {
        /// Its offset.
        offset: i64,
        /// Unix time in milliseconds that it carries; −1 where it carries none.
        timestamp_ms: i64,
        /// Its size.
        bytes: u64,
    },
    /// The record read last was looked at.
    RecordSettled(Settled),
    /// A chunk went into its stream's first stage.
    Fed {
        /// The time since its poll.
        waited: Duration,
    },
    /// A stream began.
    StreamStarted,
    /// A stream is over.
    StreamOver {
        /// Which.
        id: StreamId,
        /// Why it was given up, if it was: the error's code.
        code: Option<&'static str>,
        /// What is known of it.
        ending: Ending,
    },
    /// A dead letter was written.
    DeadLetter {
        /// The error's code.
        code: &'static str,
        /// The offset of the record at fault.
        offset: i64,
        /// The trace that it names.
        trace: Option<TraceContext>,
    },
    /// A chunk had been seen before.
    Repeat,
    /// A chunk of a stream that was given up, or of one that ended, was skipped.
    Skipped,
    /// A stage noticed something.
    Fact(&'static str, Fact),
    /// A chunk was emitted.
    Emitted {
        /// Its payload bytes.
        bytes: u64,
    },
}

/// What became of a record when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Its stream took it.
    Taken,
    /// It became a dead letter.
    DeadLettered,
    /// Its stream had it already, or is over.
    Dropped,
}

/// What is known of a stream that is over.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Ending {
    /// How the sound was raised.
    pub mode: Mode,
    /// Seconds of audio that were emitted.
    pub audio_seconds: f64,
    /// Time that the segment worked on it, in this process.
    pub busy: Duration,
    /// Time since it was first seen, in this process.
    pub open: Duration,
    /// When its last chunk was captured, Unix time in microseconds; 0 where nobody said.
    pub last_capture_us: i64,
    /// Whether it was the producer that gave it up.
    pub by_producer: bool,
    /// Its trace, and its parent there.
    pub trace: Option<TraceContext>,
}

/// What waits inside a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Streams in flight.
    pub streams: usize,
    /// Records polled and not looked at.
    pub records: usize,
    /// Windows that wait for the model.
    pub windows: usize,
    /// Records written and not committed.
    pub written: usize,
    /// Their bytes.
    pub written_bytes: u64,
}

impl std::iter::Sum for Load {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, load| Self {
            streams: sum.streams + load.streams,
            records: sum.records + load.records,
            windows: sum.windows + load.windows,
            written: sum.written + load.written,
            written_bytes: sum.written_bytes + load.written_bytes,
        })
    }
}

impl Partition {
    /// What waits here.
    #[must_use]
    pub fn load(&self) -> Load {
        Load {
            streams: self.streams.len(),
            records: self.inbox.len(),
            windows: self.waiting_windows,
            written: self.records.len(),
            written_bytes: self.record_bytes,
        }
    }

    /// What was noticed since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Notes that `stream` is over, because of `code` if it was given up.
    pub(super) fn over(&mut self, stream: &Stream, code: Option<&'static str>) {
        let clock = self.writer.clock();
        let (now, id) = ((clock.now(), clock.unix_us()), stream.id().clone());
        self.notices.push(Notice::StreamOver { id, code, ending: stream.ending(now.0) });
        let lineage = self.writer.lineage();
        let passage = lineage.and_then(|lineage| stream.passage(lineage, self.id, code, now));
        self.told.passages.extend(passage);
    }

    /// Notes what became of a record, going by what was noticed since there were `before` notices.
    pub(super) fn settled(&mut self, before: usize) {
        let since = &self.notices[before.min(self.notices.len())..];
        let result = if since.iter().any(|notice| matches!(notice, Notice::DeadLetter { .. })) {
            Settled::DeadLettered
        } else if since.iter().any(|notice| matches!(notice, Notice::Repeat | Notice::Skipped)) {
            Settled::Dropped
        } else {
            Settled::Taken
        };
        self.notices.push(Notice::RecordSettled(result));
    }
}
