//! What the loops report, counted and logged; and the decorator that times every stage.

use super::metrics::Metrics;
use crate::flow::flood::FloodGate;
use crate::ports::{Clock, Outcome};
use crate::runtime::blueprint::Decorate;
use crate::runtime::compute::Observer;
use crate::runtime::partition::Notice;
use crate::runtime::worker::WorkerObserver;
use crate::stages::ErasedStage;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use treble_core::{AnyPayload, Fact, Outbox, Restart, StageError, Window};

/// What all observers of one segment share.
#[derive(Debug)]
pub struct SegmentTelemetry {
    segment: String,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    /// Shared by the segment's compute threads, each of which counts dead letters.
    flood: Mutex<FloodGate>,
    flooded: AtomicBool,
    assigned: AtomicI64,
    live: AtomicI64,
}

impl SegmentTelemetry {
    /// Telemetry of `segment`; above `dead_letters_per_minute` it reports a flood.
    #[must_use]
    pub fn new(
        segment: String,
        metrics: Metrics,
        clock: Arc<dyn Clock>,
        dead_letters_per_minute: usize,
    ) -> Self {
        let flood = Mutex::new(FloodGate::new(dead_letters_per_minute));
        // Not ready before the group has answered once, with whatever partitions.
        let flags = (AtomicBool::new(false), AtomicI64::new(-1), AtomicI64::new(0));
        Self { segment, metrics, clock, flood, flooded: flags.0, assigned: flags.1, live: flags.2 }
    }

    /// Whether dead letters came faster than the limit: the stage must halt.
    #[must_use]
    pub fn flooded(&self) -> bool {
        self.flooded.load(Ordering::Acquire)
    }

    /// Whether every partition that is ours is restored and being read, and there is at least one answer.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.assigned.load(Ordering::Acquire) >= 0
            && self.live.load(Ordering::Acquire) == self.assigned.load(Ordering::Acquire)
    }

    fn dead_letter(&self, code: &'static str) {
        self.metrics.dlq_records.with_label_values(&[self.segment.as_str(), code]).inc();
        self.metrics.processing_errors.with_label_values(&[code, self.segment.as_str()]).inc();
        let now = self.clock.now();
        if self.flood.lock().unwrap_or_else(PoisonError::into_inner).admit(now) {
            self.flooded.store(true, Ordering::Release);
        }
    }

    fn fact(&self, stage: &'static str, fact: &Fact) {
        let (name, count) = match fact {
            Fact::SourceIdentified { codec, spec } => {
                tracing::debug!(stage, codec, rate_hz = spec.rate.hz(), "source identified");
                ("source_identified", 1)
            }
            Fact::PacketSkipped { reason } => {
                tracing::warn!(stage, reason, "corrupt packet skipped");
                ("packet_skipped", 1)
            }
            Fact::FramesTrimmed { frames } => ("frames_trimmed", *frames),
            Fact::SamplesClipped { samples } => ("samples_clipped", *samples),
            Fact::SamplesReplaced { samples } => ("samples_replaced", *samples),
            Fact::BandwidthDetected { hz } => {
                tracing::debug!(stage, hz, "bandwidth detected");
                ("bandwidth_detected", 1)
            }
            Fact::AlreadyFullBand => ("already_full_band", 1),
            Fact::Measured(_) => ("measured", 1),
        };
        self.metrics.facts.with_label_values(&[stage, name]).inc_by(count);
    }
}

/// Observes one compute thread.
#[derive(Debug)]
pub struct ComputeObserver {
    shared: Arc<SegmentTelemetry>,
    streams: AtomicI64,
}

impl ComputeObserver {
    /// An observer that adds to what the segment's others count.
    #[must_use]
    pub fn new(shared: Arc<SegmentTelemetry>) -> Self {
        Self { shared, streams: AtomicI64::new(0) }
    }
}

impl Observer for ComputeObserver {
    fn notice(&self, partition: i32, notice: Notice) {
        let (metrics, segment) = (&self.shared.metrics, self.shared.segment.as_str());
        let finished = |status| metrics.files_processed.with_label_values(&[segment, status]).inc();
        let dropped = |reason| metrics.chunks_dropped.with_label_values(&[segment, reason]).inc();
        match notice {
            Notice::RecordRead { bytes } => {
                metrics.records_received.with_label_values(&[segment]).inc();
                metrics.input_bytes.with_label_values(&[segment]).inc_by(bytes);
            }
            Notice::Emitted { frames, bytes } => {
                metrics.records_emitted.with_label_values(&[segment]).inc();
                metrics.frames_emitted.with_label_values(&[segment]).inc_by(frames);
                metrics.output_bytes.with_label_values(&[segment]).inc_by(bytes);
            }
            Notice::StreamStarted => tracing::debug!(segment, partition, "stream started"),
            Notice::StreamEnded => finished("success"),
            Notice::StreamAborted { code } => {
                finished("failed");
                tracing::warn!(segment, partition, code, "stream given up");
            }
            Notice::DeadLetter { code } => self.shared.dead_letter(code),
            Notice::Repeat => dropped("repeat"),
            Notice::Skipped => dropped("given_up"),
            Notice::Fact(stage, fact) => self.shared.fact(stage, &fact),
        }
    }

    fn streams(&self, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let before = self.streams.swap(count, Ordering::Relaxed);
        self.shared
            .metrics
            .streams_active
            .with_label_values(&[self.shared.segment.as_str()])
            .add(count - before);
    }

    fn registry_unavailable(&self, reason: &str) {
        let segment = self.shared.segment.as_str();
        self.shared.metrics.registry_failures.with_label_values(&[segment]).inc();
        tracing::warn!(segment, reason, "the schema registry cannot be asked; waiting, nothing is lost");
    }
}

/// Observes a worker.
#[derive(Debug)]
pub struct SegmentObserver(pub Arc<SegmentTelemetry>);

impl WorkerObserver for SegmentObserver {
    #[expect(clippy::cast_precision_loss, reason = "microseconds since 1970 are exact in f64 until 2255")]
    fn committed(&self, outcome: &Outcome, took: Duration, offsets: &[(i32, i64)]) {
        let segment = self.0.segment.as_str();
        let label = match outcome {
            Outcome::Committed => "committed",
            Outcome::Aborted { .. } => "aborted",
            Outcome::Broken { fenced: true, .. } => "fenced",
            Outcome::Broken { fenced: false, .. } => "broken",
        };
        let metrics = &self.0.metrics;
        metrics.transactions.with_label_values(&[segment, label]).inc();
        metrics.transaction_duration_seconds.with_label_values(&[segment]).observe(took.as_secs_f64());
        if *outcome == Outcome::Committed {
            let now = self.0.clock.unix_us() as f64 / 1e6;
            metrics.last_commit_timestamp_seconds.with_label_values(&[segment]).set(now);
        }
        tracing::trace!(segment, ?outcome, ?offsets, took_ms = took.as_millis(), "transaction");
    }

    fn restored(&self, partition: i32, replay_records: i64) {
        let segment = self.0.segment.as_str();
        tracing::info!(segment, partition, replay_records, "partition restored");
    }

    fn assignment(&self, assigned: usize, live: usize) {
        let segment = self.0.segment.as_str();
        let (assigned, live) = (assigned.try_into().unwrap_or(0), live.try_into().unwrap_or(0));
        self.0.metrics.assigned_partitions.with_label_values(&[segment]).set(assigned);
        self.0.metrics.live_partitions.with_label_values(&[segment]).set(live);
        self.0.live.store(live, Ordering::Release);
        self.0.assigned.store(assigned, Ordering::Release);
    }

    fn in_flight(&self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.0.metrics.queue_bytes.with_label_values(&[self.0.segment.as_str()]).set(bytes);
    }

    fn note(&self, what: &'static str, detail: &str) {
        let segment = self.0.segment.as_str();
        self.0.metrics.worker_events.with_label_values(&[segment, what]).inc();
        tracing::info!(segment, detail, "{what}");
    }
}

/// Times every call of every stage.
#[derive(Debug, Clone)]
pub struct TimedStages {
    metrics: Metrics,
    clock: Arc<dyn Clock>,
}

impl TimedStages {
    /// A decorator that counts into `metrics`.
    #[must_use]
    pub fn new(metrics: Metrics, clock: Arc<dyn Clock>) -> Self {
        Self { metrics, clock }
    }
}

impl Decorate for TimedStages {
    fn decorate(&self, name: &'static str, inner: Box<dyn ErasedStage>) -> Box<dyn ErasedStage> {
        let duration = self.metrics.stage_duration_seconds.with_label_values(&[name]);
        let busy = self.metrics.busy_seconds.with_label_values(&[name]);
        Box::new(TimedStage { inner, duration, busy, clock: Arc::clone(&self.clock) })
    }
}

#[derive(Debug)]
struct TimedStage {
    inner: Box<dyn ErasedStage>,
    duration: prometheus::Histogram,
    busy: prometheus::Counter,
    clock: Arc<dyn Clock>,
}

impl TimedStage {
    fn timed<T>(&mut self, call: impl FnOnce(&mut dyn ErasedStage) -> T) -> T {
        let begin = self.clock.now();
        let result = call(self.inner.as_mut());
        let seconds = self.clock.now().saturating_sub(begin).as_secs_f64();
        self.duration.observe(seconds);
        self.busy.inc_by(seconds);
        result
    }
}

impl ErasedStage for TimedStage {
    fn restore(&mut self, checkpoint: &[u8]) -> Result<(), StageError> {
        self.inner.restore(checkpoint)
    }

    fn push(&mut self, input: AnyPayload, out: &mut Outbox<AnyPayload>) -> Result<(), StageError> {
        self.timed(|stage| stage.push(input, out))
    }

    fn finish(&mut self, out: &mut Outbox<AnyPayload>) -> Result<(), StageError> {
        self.timed(|stage| stage.finish(out))
    }

    fn windows(&mut self) -> Vec<Window> {
        self.inner.windows()
    }

    fn supply(&mut self, results: Vec<Window>, out: &mut Outbox<AnyPayload>) -> Result<(), StageError> {
        self.timed(|stage| stage.supply(results, out))
    }

    fn restart(&self) -> Restart {
        self.inner.restart()
    }
}
