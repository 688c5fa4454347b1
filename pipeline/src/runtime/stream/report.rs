//! What a stream tells of itself: its share in the event of a commit, and the report at its end.

use super::{Inbound, Stream};
use crate::kafka::headers;
use crate::runtime::account::{self, Account, Reporter, Subject, Tally};
use crate::runtime::partition::Ending;
use crate::stages::INPUT_TOPIC;
use std::time::Duration;
use treble_schemas::event::{Mode, StageEvent, Status, StreamReport};
use treble_schemas::{AbortReason, ChunkBody};

impl Stream {
    /// Counts an input that is about to be fed, unless a predecessor has.
    pub(super) fn count_input(&mut self, seq: u64, inbound: &Inbound) {
        self.fresh = seq >= self.replay_until;
        self.last_offset = inbound.record.offset;
        if !self.fresh {
            return;
        }
        let bytes = match &inbound.body {
            ChunkBody::Start { segment, .. } | ChunkBody::Data { segment, .. } => segment.data.len() as u64,
            ChunkBody::End(_) | ChunkBody::Abort(_) => 0,
        };
        self.tally.take(inbound.record.offset, bytes, self.waited);
        self.account.bytes_in += bytes;
        // From stages before this one only: a producer has no account.
        if !inbound.record.topic.ends_with(INPUT_TOPIC)
            && let ChunkBody::End(_) | ChunkBody::Abort(_) = inbound.body
            && let Some(before) = headers::text(&inbound.record.headers, account::HEADER)
        {
            self.account.inherit(Account::read(before.as_bytes()));
        }
    }

    fn subject<'a>(&'a self, (partition, now_us): (i32, i64), status: Status) -> Subject<'a> {
        Subject {
            id: self.id.as_str(),
            traceparent: &self.traceparent,
            now_us,
            status,
            reason: self.reason(),
            input: self.formats.back().map(|(_, format)| format),
            account: &self.account,
            partition,
            last_offset: self.last_offset,
        }
    }

    /// The event of the commit that is being prepared; counting starts anew.
    pub fn stage_event(&mut self, reporter: &Reporter, at: (i32, i64), status: Status) -> Option<StageEvent> {
        if self.tally.is_empty() {
            return None;
        }
        let tally = std::mem::take(&mut self.tally);
        self.measures = tally.measures.or(self.measures);
        Some(account::stage_event(reporter, &self.subject(at, status), &tally))
    }

    /// The report of a stream that is over.
    #[must_use]
    pub fn report(&self, at: (i32, i64), status: Status) -> StreamReport {
        let times = (self.started_at_us, self.last_capture_us);
        account::stream_report(&self.subject(at, status), &self.totals, self.measures, times)
    }

    /// What was counted since the stream's beginning.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Why the stream was given up, by whom ever.
    #[must_use]
    pub fn reason(&self) -> Option<&AbortReason> {
        self.aborted.as_ref().or(self.upstream.as_ref())
    }

    /// Notes how the segment raises the sound.
    pub fn note_mode(&mut self, reporter: &Reporter) {
        if reporter.mode != Mode::None {
            self.account.mode = reporter.mode;
            let model = reporter.model.as_ref();
            self.account.model =
                model.map(|model| [model.device.clone(), model.name.clone(), model.version.clone()]);
        }
    }

    /// Notes how long what is about to be fed has waited.
    pub fn note_wait(&mut self, waited: Duration) {
        self.waited = waited;
    }

    /// Notes how long the stages took.
    pub fn note_processing(&mut self, took: Duration) {
        self.tally.processing += took;
        self.busy += took;
    }

    /// The model ran `windows` windows for this stream and others, and this stream's share took that long.
    pub fn note_inference(&mut self, windows: u64, share: Duration) {
        self.tally.batches = (self.tally.batches.0 + 1, self.tally.batches.1 + windows);
        self.tally.processing += share;
        self.busy += share;
    }

    /// What is known of a stream that is over at `now`.
    #[must_use]
    pub fn ending(&self, now: Duration) -> Ending {
        let rate_hz = self.out_format.as_ref().map_or(0, |format| format.sample_rate_hz);
        let seconds = self.totals.samples as f64 / f64::from(rate_hz.max(1));
        let superseded = self.aborted.as_ref().is_some_and(|reason| reason.code == "superseded");
        Ending {
            mode: self.account.mode,
            audio_seconds: if rate_hz > 0 { seconds } else { 0.0 },
            busy: self.busy,
            open: now.saturating_sub(self.opened),
            last_capture_us: self.last_capture_us,
            trace: headers::TraceContext::parse(&self.traceparent),
            by_producer: superseded || self.upstream.as_ref().is_some_and(|reason| reason.stage.is_empty()),
        }
    }

    /// What was counted in this epoch is of no use: nothing of it is told.
    pub fn forget_tally(&mut self) {
        self.tally = Tally::default();
    }
}
