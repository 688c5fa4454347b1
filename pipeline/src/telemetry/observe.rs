//! What the loops report, counted and logged.

use super::labels::{
    Dependency, ErrorType, FactName, Mode, Outcome as OutcomeLabel, Queue, Rebalance, RecordResult,
};
use super::labels::{Partition as PartitionLabel, Stage, Status, Topic};
use super::log::event::Event;
use super::metrics::Metrics;
use super::segment::{Identity, SegmentMetrics};
use super::trace::{Traces, spans};
use super::watermark::EventTimes;
use crate::flow::flood::FloodGate;
use crate::flow::readiness::Readiness;
use crate::kafka::headers::TraceContext;
use crate::ports::{Clock, Epoch, Outcome};
use crate::runtime::compute::Observer;
use crate::runtime::partition::{Ending, Load, Notice, Settled};
use crate::runtime::worker::WorkerObserver;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use treble_core::Fact;
use treble_schemas::StreamId;

/// What all observers of one segment share.
#[derive(Debug)]
pub struct SegmentTelemetry {
    segment: String,
    input_topic: String,
    traced: spans::Segment,
    traces: Traces,
    all: Metrics,
    metrics: SegmentMetrics,
    clock: Arc<dyn Clock>,
    /// Shared by the segment's compute threads, each of which counts dead letters.
    flood: Mutex<FloodGate>,
    /// Shared by the compute threads, which read, and the worker, which commits.
    times: Mutex<EventTimes>,
    flooded: AtomicBool,
}

impl SegmentTelemetry {
    /// Telemetry of a segment; above `dead_letters_per_minute` it reports a flood.
    #[must_use]
    pub fn new(
        identity: &Identity,
        metrics: &Metrics,
        clock: Arc<dyn Clock>,
        dead_letters_per_minute: usize,
    ) -> Self {
        let all = metrics.clone();
        let metrics = SegmentMetrics::new(metrics, identity);
        // This process would not have come so far without them.
        [Dependency::Kafka, Dependency::SchemaRegistry]
            .into_iter()
            .for_each(|needed| all.needs(needed, true));
        Self {
            segment: identity.name.clone(),
            input_topic: identity.input_topic.clone(),
            traced: spans::Segment {
                name: identity.name.clone(),
                group: identity.group.clone(),
                topic: identity.input_topic.clone(),
            },
            traces: Traces::default(),
            all,
            metrics,
            clock,
            flood: Mutex::new(FloodGate::new(dead_letters_per_minute)),
            times: Mutex::default(),
            flooded: AtomicBool::new(false),
        }
    }

    /// The same, which tells `traces` of what was committed.
    #[must_use]
    pub fn with_traces(self, traces: Traces) -> Self {
        Self { traces, ..self }
    }

    /// Whether dead letters came faster than the limit: the stage must halt.
    #[must_use]
    pub fn flooded(&self) -> bool {
        self.flooded.load(Ordering::Acquire)
    }

    /// How it stands with the segment.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.metrics.membership.readiness()
    }

    /// Whether any broker answers: told again and again, noted where it changes.
    pub fn contact(&self, reachable: bool) {
        self.metrics.membership.contact(reachable);
        self.all.needs(Dependency::Kafka, reachable);
    }

    fn times(&self) -> MutexGuard<'_, EventTimes> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_seconds(&self) -> f64 {
        self.clock.unix_us() as f64 / 1e6
    }

    fn dead_letter(&self, code: &'static str) {
        let kind = ErrorType::of(code).unwrap_or_else(|| {
            self.metrics.unknown_errors.inc();
            ErrorType::Other
        });
        self.metrics.dead_letters.of(kind).inc();
        self.metrics.errors.of(kind).inc();
        let now = self.clock.now();
        if self.flood.lock().unwrap_or_else(PoisonError::into_inner).admit(now) {
            self.flooded.store(true, Ordering::Release);
        }
    }

    fn over(&self, partition: i32, id: &StreamId, code: Option<&'static str>, ending: &Ending) {
        let status = match code {
            None => Status::Success,
            Some(_) if ending.by_producer => Status::Cancelled,
            Some(_) => Status::Failed,
        };
        if code == Some("gap") {
            self.metrics.gaps.inc();
        }
        self.count_over(status, ending);
        self.tell(partition, id, code, status, ending);
    }

    fn count_over(&self, status: Status, ending: &Ending) {
        let mode = Mode::from(ending.mode);
        self.metrics.duration.of(status).of(mode).observe(ending.open.as_secs_f64());
        if ending.audio_seconds > 0.0 {
            self.metrics.factor.of(mode).observe(ending.busy.as_secs_f64() / ending.audio_seconds);
        }
        if let Some(finished) = &self.metrics.finished {
            finished.of(status).of(mode).inc();
        }
        if let Some(latency) = self.metrics.latency.as_ref().filter(|_| status == Status::Success)
            && ending.last_capture_us > 0
        {
            let age_us = self.clock.unix_us().saturating_sub(ending.last_capture_us).max(0);
            latency.of(mode).observe(age_us as f64 / 1e6);
        }
    }

    /// Two places of the program, so that a flood of failures does not silence what ended well. Where something went wrong, the line of
    /// the dead letter is the warning.
    fn tell(&self, partition: i32, id: &StreamId, code: Option<&str>, status: Status, ending: &Ending) {
        let (segment, stream_id) = (self.segment.as_str(), id.as_str());
        let trace_id = ending.trace.map(TraceContext::trace_id_hex);
        let (mode, status) = (Mode::from(ending.mode).text(), status.text());
        let (audio_seconds, duration_seconds) = (ending.audio_seconds, ending.open.as_secs_f64());
        if code.is_none() {
            let event = Event::StreamEnded.text();
            tracing::info!(
                event,
                segment,
                partition,
                stream_id,
                trace_id,
                mode,
                audio_seconds,
                duration_seconds,
                "stream finished"
            );
        } else {
            let event = Event::StreamGivenUp.text();
            tracing::info!(
                event,
                segment,
                partition,
                stream_id,
                trace_id,
                mode,
                status,
                code,
                audio_seconds,
                duration_seconds,
                "stream given up"
            );
        }
    }

    fn tell_letter(&self, partition: i32, offset: i64, code: &str, trace: Option<TraceContext>) {
        let (segment, topic) = (self.segment.as_str(), self.input_topic.as_str());
        let (event, trace_id) = (Event::DeadLetter.text(), trace.map(TraceContext::trace_id_hex));
        tracing::warn!(event, segment, topic, partition, offset, code, trace_id, "dead letter");
    }

    fn fact(&self, stage: &'static str, fact: &Fact) {
        let (name, count) = match fact {
            Fact::SourceIdentified { codec, spec } => {
                tracing::debug!(stage, codec, rate_hz = spec.rate.hz(), "source identified");
                ("source_identified", 1)
            }
            Fact::PacketSkipped { reason } => {
                let event = Event::PacketSkipped.text();
                tracing::warn!(event, stage, reason, "corrupt packet skipped");
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
        self.all.facts.of((Stage::from(stage), FactName::from(name))).inc_by(count);
    }
}

/// Observes one compute thread.
#[derive(Debug)]
pub struct ComputeObserver {
    shared: Arc<SegmentTelemetry>,
    /// What this thread added to the segment's gauges.
    load: Cell<Load>,
}

impl ComputeObserver {
    /// An observer that adds to what the segment's others count.
    #[must_use]
    pub fn new(shared: Arc<SegmentTelemetry>) -> Self {
        Self { shared, load: Cell::default() }
    }
}

impl Observer for ComputeObserver {
    fn notice(&self, partition: i32, notice: Notice) {
        let (metrics, segment) = (&self.shared.metrics, self.shared.segment.as_str());
        match notice {
            Notice::RecordRead { offset, timestamp_ms, bytes } => {
                metrics.received.inc();
                metrics.input_bytes.inc_by(bytes);
                self.shared.times().read(partition, offset, timestamp_ms);
            }
            Notice::RecordSettled(settled) => metrics.processed.of(result_of(settled)).inc(),
            Notice::Fed { waited } => metrics.queue_wait.observe(waited.as_secs_f64()),
            Notice::Emitted { bytes } => {
                metrics.emitted.inc();
                metrics.output_bytes.inc_by(bytes);
            }
            Notice::StreamStarted => tracing::debug!(segment, partition, "stream started"),
            Notice::StreamOver { id, code, ending } => self.shared.over(partition, &id, code, &ending),
            Notice::DeadLetter { code, offset, trace } => {
                self.shared.dead_letter(code);
                self.shared.tell_letter(partition, offset, code, trace);
            }
            Notice::Repeat => metrics.duplicates.inc(),
            Notice::Skipped => metrics.late.inc(),
            Notice::Fact(stage, fact) => self.shared.fact(stage, &fact),
        }
    }

    fn load(&self, load: Load) {
        let before = self.load.replace(load);
        let metrics = &self.shared.metrics;
        metrics.streams.add(difference(load.streams as u64, before.streams as u64));
        let depths = [
            (Queue::Input, load.records, before.records),
            (Queue::Batch, load.windows, before.windows),
            (Queue::Output, load.written, before.written),
        ];
        for (queue, now, before) in depths {
            metrics.queue_depth.of(queue).add(difference(now as u64, before as u64));
        }
        metrics.queue_bytes.of(Queue::Output).add(difference(load.written_bytes, before.written_bytes));
    }

    fn registry_unavailable(&self, reason: &str) {
        self.shared.metrics.registry_failures.inc();
        self.shared.all.needs(Dependency::SchemaRegistry, false);
        let (segment, event) = (self.shared.segment.as_str(), Event::RegistryUnreachable.text());
        tracing::warn!(
            event,
            segment,
            reason,
            "the schema registry cannot be asked; waiting, nothing is lost"
        );
    }

    fn registry_answers(&self) {
        self.shared.all.needs(Dependency::SchemaRegistry, true);
        let (segment, event) = (self.shared.segment.as_str(), Event::RegistryReachable.text());
        tracing::info!(event, segment, "the schema registry answers again");
    }
}

fn difference(now: u64, before: u64) -> i64 {
    now.cast_signed().saturating_sub(before.cast_signed())
}

const fn result_of(settled: Settled) -> RecordResult {
    match settled {
        Settled::Taken => RecordResult::Ok,
        Settled::DeadLettered => RecordResult::Dlq,
        Settled::Dropped => RecordResult::Dropped,
    }
}

/// Observes a worker.
#[derive(Debug)]
pub struct SegmentObserver {
    shared: Arc<SegmentTelemetry>,
    /// When the last turn was over, and whether reading was paused then.
    turn: Cell<Option<(Duration, bool)>>,
    /// The partitions whose last commit is told.
    told: RefCell<BTreeSet<i32>>,
}

impl SegmentObserver {
    /// An observer of the segment's worker.
    #[must_use]
    pub fn new(shared: Arc<SegmentTelemetry>) -> Self {
        Self { shared, turn: Cell::default(), told: RefCell::default() }
    }

    fn tell_committed(&self, epoch: &Epoch, took: Duration) {
        let now_us = self.shared.clock.unix_us();
        let took_us = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
        let window_us = (now_us.saturating_sub(took_us), now_us);
        let commit = spans::Commit { window_us, records: epoch.records.len() };
        self.shared.traces.committed(&self.shared.traced, &commit, &epoch.told);
    }

    fn count_committed(&self, epoch: &Epoch) {
        let (shared, now) = (&self.shared, self.shared.now_seconds());
        shared.metrics.last_processed.set(now);
        for (partition, _) in &epoch.offsets {
            let topic = Topic::from(shared.input_topic.as_str());
            shared.all.last_commit.of((topic, PartitionLabel(*partition))).set(now);
            self.told.borrow_mut().insert(*partition);
        }
        let mut produced: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for record in &epoch.records {
            let sum = produced.entry(&record.topic).or_default();
            *sum = (sum.0 + 1, sum.1 + record.size_bytes());
        }
        for (topic, (records, bytes)) in produced {
            shared.all.produced_records.of((Topic::from(topic),)).inc_by(records);
            shared.all.produced_bytes.of((Topic::from(topic),)).inc_by(bytes);
        }
        let mut times = shared.times();
        times.commit(&epoch.offsets);
        if let Some(watermark_ms) = times.watermark_ms() {
            shared.metrics.watermark.set(watermark_ms as f64 / 1e3);
        }
    }
}

impl WorkerObserver for SegmentObserver {
    fn polled(&self, records: usize, bytes: u64) {
        self.shared.metrics.consumed.0.inc_by(records as u64);
        self.shared.metrics.consumed.1.inc_by(bytes);
    }

    fn submitted(&self) {
        self.shared.metrics.transaction_open.set(self.shared.now_seconds());
    }

    fn committed(&self, outcome: &Outcome, took: Duration, epoch: &Epoch) {
        let label = match outcome {
            Outcome::Committed => OutcomeLabel::Committed,
            Outcome::Aborted { .. } => OutcomeLabel::Aborted,
            Outcome::Broken { fenced: true, .. } => OutcomeLabel::Fenced,
            Outcome::Broken { fenced: false, .. } => OutcomeLabel::Broken,
        };
        let metrics = &self.shared.metrics;
        metrics.transactions.of(label).inc();
        metrics.transaction_duration.of(label).observe(took.as_secs_f64());
        metrics.transaction_open.set(0.0);
        if *outcome == Outcome::Committed {
            self.count_committed(epoch);
            self.tell_committed(epoch, took);
        }
        let (segment, offsets) = (self.shared.segment.as_str(), &epoch.offsets);
        tracing::trace!(segment, ?outcome, ?offsets, took_ms = took.as_millis(), "transaction");
    }

    fn restored(&self, partition: i32, replay_records: i64) {
        let (segment, event) = (self.shared.segment.as_str(), Event::PartitionRestored.text());
        tracing::info!(event, segment, partition, replay_records, "partition restored");
    }

    fn assignment(&self, assigned: &BTreeSet<i32>, live: &BTreeMap<i32, u64>) {
        let shared = &self.shared;
        shared.times().keep(|partition| live.contains_key(&partition));
        self.told.borrow_mut().retain(|partition| {
            let ours = assigned.contains(partition);
            if !ours {
                let topic = Topic::from(shared.input_topic.as_str());
                shared.all.last_commit.forget((topic, PartitionLabel(*partition)));
            }
            ours
        });
        shared.metrics.membership.partitions(assigned.len(), live.len());
    }

    fn turned(&self, in_flight_bytes: u64, paused: bool) {
        let metrics = &self.shared.metrics;
        let bytes = i64::try_from(in_flight_bytes).unwrap_or(i64::MAX);
        metrics.queue_bytes.of(Queue::Input).set(bytes);
        let live = metrics.membership.live();
        metrics.paused.set(if paused { live } else { 0 });
        let now = self.shared.clock.now();
        if let Some((before, was_paused)) = self.turn.replace(Some((now, paused))) {
            let took = now.saturating_sub(before).as_secs_f64();
            metrics.poll_interval.observe(took);
            if was_paused {
                metrics.backpressure.inc_by(took);
            }
        }
    }

    fn note(&self, what: &'static str, detail: &str) {
        let (metrics, segment) = (&self.shared.metrics, self.shared.segment.as_str());
        let rebalance = Rebalance::of(what);
        if let Some(kind) = rebalance {
            metrics.rebalances.of(kind).inc();
        } else if what.contains("retried") || what.contains("not ready") {
            metrics.retries.of(ErrorType::KafkaError).inc();
        }
        let event = rebalance.map(|_| Event::Rebalanced.text());
        tracing::info!(event, segment, detail, "{what}");
    }
}
