//! [`Transactions`] over a `BaseProducer` that its thread owns: begin, produce, offsets, commit, or abort.
//!
//! One producer serves as long as nothing goes wrong. After an abort, and after any transaction in which a request may
//! have been given up while it was under way, the next one gets a new producer, whose epoch is higher: librdkafka does
//! not speak KIP-890, under which every transaction has an epoch of its own, so a request that arrives late, an
//! EndTxn or a Produce, would be taken for one of the transaction that is open then.
//!
//! The late transaction of ADR 0002: it is opened when everything is ready, and is open for milliseconds. A
//! `ThreadedProducer` is not used: its poll thread and `flush` take the delivery events from each other,
//! and every commit would wait for a 100 ms poll.

use super::fault::hear;
use super::headers;
use super::login::ClientSettings;
use crate::ports::{Clock, Epoch, OutRecord, Outcome, PortError, Transactions};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

mod offsets;
#[cfg(test)]
mod tests;

/// Remembers what went wrong during the open transaction.
#[derive(Debug, Default)]
struct Deliveries {
    /// Records that were refused.
    failed: AtomicU64,
    /// Whether a connection was lost or a request timed out: it may arrive yet.
    troubled: AtomicBool,
}

impl Deliveries {
    fn begin(&self) {
        self.failed.store(0, Ordering::Relaxed);
        self.troubled.store(false, Ordering::Relaxed);
    }
}

impl ClientContext for Deliveries {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, _: &str) {
        if TROUBLE.contains(&facility) {
            self.troubled.store(true, Ordering::Relaxed);
        }
    }
}

/// Under these names librdkafka logs, down to level "info", that a connection that was not idle was lost, and that
/// requests timed out. Its error events leave out what it mends by itself.
const TROUBLE: [&str; 2] = ["FAIL", "REQTMOUT"];

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A transactional producer, rebuilt where it breaks.
pub struct KafkaTransactions {
    settings: ClientSettings,
    input_topic: Arc<str>,
    clock: Arc<dyn Clock>,
    producer: Option<Arc<BaseProducer<Deliveries>>>,
}

impl std::fmt::Debug for KafkaTransactions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaTransactions").field("input_topic", &self.input_topic).finish_non_exhaustive()
    }
}

/// The most that one call of `init_transactions` waits.
const INIT_PATIENCE: Duration = Duration::from_secs(30);

/// How a step of a transaction failed.
enum Failure {
    /// Abort, then the same epoch may be tried again.
    Abort(String),
    /// The producer is of no use any more.
    Broken { reason: String, fenced: bool },
}

impl KafkaTransactions {
    /// A producer to be built from `settings`; offsets are those of `input_topic`.
    #[must_use]
    pub fn new(mut settings: ClientSettings, input_topic: &str, clock: Arc<dyn Clock>) -> Self {
        settings.set_log_level(RDKafkaLogLevel::Info);
        Self { settings, input_topic: input_topic.into(), clock, producer: None }
    }

    fn attempt(
        &self,
        epoch: &Epoch,
        membership: ConsumerGroupMetadata,
        until: Duration,
    ) -> Result<(), Failure> {
        let producer = self.producer()?;
        hear(producer);
        producer.context().begin();
        producer.begin_transaction().map_err(|error| classify("begin", &error))?;
        for record in &epoch.records {
            self.produce(producer, record, until)?;
        }
        if !epoch.offsets.is_empty() {
            self.send_offsets(producer, &epoch.offsets, membership, until)?;
        }
        self.await_deliveries(producer, until)?;
        retry(&*self.clock, producer, until, "commit", |left| producer.commit_transaction(left))
    }

    fn produce(
        &self,
        producer: &BaseProducer<Deliveries>,
        record: &OutRecord,
        until: Duration,
    ) -> Result<(), Failure> {
        let mut message: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&record.topic).key(&record.key);
        if let Some(value) = &record.value {
            message = message.payload(value);
        }
        if let Some(partition) = record.partition {
            message = message.partition(partition);
        }
        if !record.headers.is_empty() {
            message = message.headers(headers::write(&record.headers));
        }
        loop {
            match producer.send(message) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    if self.clock.now() >= until {
                        return Err(Failure::Abort("the producer's queue stayed full".to_owned()));
                    }
                    attend(producer);
                    message = refused;
                }
                Err((error, _)) => return Err(classify(&format!("produce to {}", record.topic), &error)),
            }
        }
    }

    fn await_deliveries(&self, producer: &BaseProducer<Deliveries>, until: Duration) -> Result<(), Failure> {
        while producer.in_flight_count() > 0 {
            if self.clock.now() >= until {
                return Err(Failure::Abort("records were not acknowledged within the deadline".to_owned()));
            }
            attend(producer);
        }
        match producer.context().failed.load(Ordering::Relaxed) {
            0 => Ok(()),
            failed => Err(Failure::Abort(format!("{failed} records were refused by the brokers"))),
        }
    }

    fn producer(&self) -> Result<&Arc<BaseProducer<Deliveries>>, Failure> {
        let missing = || Failure::Broken { reason: "not initialised".to_owned(), fenced: false };
        self.producer.as_ref().ok_or_else(missing)
    }

    fn abort(&self, deadline: Duration) -> Result<(), Failure> {
        let producer = self.producer()?;
        producer.purge(PurgeConfig::default().queue().inflight());
        let until = self.clock.now() + deadline;
        while producer.in_flight_count() > 0 && self.clock.now() < until {
            attend(producer);
        }
        retry(&*self.clock, producer, until, "abort", |left| producer.abort_transaction(left))
    }

    fn settle(&self, epoch: &Epoch, membership: ConsumerGroupMetadata, deadline: Duration) -> Outcome {
        let until = self.clock.now() + deadline;
        match self.attempt(epoch, membership, until) {
            Ok(()) => Outcome::Committed,
            Err(Failure::Broken { reason, fenced }) => Outcome::Broken { reason, fenced },
            Err(Failure::Abort(reason)) => match self.abort(deadline) {
                Ok(()) => Outcome::Aborted { reason },
                Err(Failure::Abort(also)) => {
                    Outcome::Broken { reason: format!("{reason}; abort: {also}"), fenced: false }
                }
                Err(Failure::Broken { reason, fenced }) => Outcome::Broken { reason, fenced },
            },
        }
    }

    /// Whether a request of the last transaction may be under way still.
    fn is_troubled(&self) -> bool {
        self.producer.as_ref().is_some_and(|producer| {
            hear(producer);
            producer.context().troubled.load(Ordering::Relaxed)
        })
    }
}

/// Serves the producer's events, and lets a moment pass. Not `poll` with patience: it stays to the end of it, whatever comes,
/// and burns the last millisecond.
fn attend(producer: &BaseProducer<Deliveries>) {
    hear(producer);
    std::thread::park_timeout(Duration::from_micros(500));
}

impl Transactions<ConsumerGroupMetadata> for KafkaTransactions {
    fn init(&mut self) -> Result<(), PortError> {
        self.producer = None;
        // A password that was changed is read with it.
        self.settings.is_renewed();
        let built: Result<BaseProducer<Deliveries>, _> =
            self.settings.create_with_context(Deliveries::default());
        let producer = built.map_err(|error| PortError::Fatal(format!("producer: {error}")))?;
        match producer.init_transactions(INIT_PATIENCE) {
            Ok(()) => {
                self.producer = Some(Arc::new(producer));
                Ok(())
            }
            Err(KafkaError::Transaction(fault)) if fault.is_fatal() => Err(PortError::Fatal(format!(
                "init_transactions: {fault}; check that the user may write to this transactional id"
            ))),
            Err(error) => Err(PortError::Retriable(format!("init_transactions: {error}"))),
        }
    }

    fn commit(&mut self, epoch: &Epoch, membership: ConsumerGroupMetadata, deadline: Duration) -> Outcome {
        if let Some(producer) = &self.producer {
            self.settings.renew(producer.client());
        }
        let outcome = self.settle(epoch, membership, deadline);
        match outcome {
            Outcome::Committed if self.is_troubled() => {
                // Committed is committed: where there is no new producer yet, the next epoch finds none, and asks.
                self.init().ok();
                Outcome::Committed
            }
            Outcome::Committed => Outcome::Committed,
            Outcome::Aborted { reason } => match self.init() {
                Ok(()) => Outcome::Aborted { reason },
                Err(error) => Outcome::Broken { reason: format!("{reason}; {error}"), fenced: false },
            },
            Outcome::Broken { reason, fenced } => {
                self.producer = None;
                Outcome::Broken { reason, fenced }
            }
        }
    }
}

/// Calls `step` until it succeeds, fails for good, or the deadline has passed. A commit whose outcome is unknown is
/// asked for again: it is idempotent.
fn retry(
    clock: &dyn Clock,
    producer: &BaseProducer<Deliveries>,
    until: Duration,
    what: &str,
    step: impl Fn(Duration) -> Result<(), KafkaError>,
) -> Result<(), Failure> {
    loop {
        let left = until.saturating_sub(clock.now()).max(Duration::from_millis(1));
        let Err(error) = step(left) else { return Ok(()) };
        producer.context().troubled.store(true, Ordering::Relaxed);
        let late = clock.now() >= until;
        match (&error, late) {
            (KafkaError::Transaction(fault), false) if fault.is_retriable() => {}
            (KafkaError::Flush(_), false) => {}
            (KafkaError::Transaction(fault), true) if fault.is_retriable() && what == "commit" => {
                // Neither committed nor aborted as far as we know: only a new producer, whose
                // initialisation resolves it, and the committed offsets can tell.
                return Err(Failure::Broken {
                    reason: format!("commit: outcome unknown: {error}"),
                    fenced: false,
                });
            }
            _ => return Err(classify(what, &error)),
        }
    }
}

fn classify(what: &str, error: &KafkaError) -> Failure {
    let reason = format!("{what}: {error}");
    match error {
        KafkaError::Transaction(fault) => {
            let fenced = matches!(
                fault.code(),
                RDKafkaErrorCode::Fenced
                    | RDKafkaErrorCode::ProducerFenced
                    | RDKafkaErrorCode::InvalidProducerEpoch
            );
            if fault.is_fatal() || fenced {
                Failure::Broken { reason, fenced }
            } else {
                Failure::Abort(reason)
            }
        }
        KafkaError::MessageProduction(RDKafkaErrorCode::Fatal | RDKafkaErrorCode::Fenced) => {
            Failure::Broken { reason, fenced: true }
        }
        _ => Failure::Abort(reason),
    }
}
