//! [`StateLog`]: the group's stable position and the compacted state topic, read on assignment.
//!
//! The order matters. The committed position is asked for first, and the broker answers only once no
//! transaction is pending on it. The markers of that transaction reach the state partition independently, so the
//! reader then waits until the last stable offset has passed the end of the log as it was seen: only then is
//! every state record of the position's transaction visible.

use super::client;
use super::login::ClientSettings;
use crate::ports::{Clock, Durable, PortError, StateLog};
use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use treble_schemas::frame::{self, Format};
use treble_schemas::{StreamId, StreamState};

/// The most that one question to a broker takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// The two clients of a reader.
struct Readers {
    committed: BaseConsumer,
    uncommitted: BaseConsumer,
}

/// Reads what is durable about the partitions of one segment.
pub struct KafkaStateLog {
    settings: ClientSettings,
    /// Built anew after a failure: a client that saw all brokers go may stay deaf after they are back.
    readers: Option<Readers>,
    input_topic: String,
    state_topic: String,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for KafkaStateLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaStateLog").field("state_topic", &self.state_topic).finish_non_exhaustive()
    }
}

impl KafkaStateLog {
    /// `settings` are those of a plain consumer of the segment's group; it joins nothing.
    pub fn new(
        settings: &ClientSettings,
        input_topic: &str,
        state_topic: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, PortError> {
        Ok(Self {
            settings: settings.clone(),
            readers: Some(Readers::build(settings)?),
            input_topic: input_topic.to_owned(),
            state_topic: state_topic.to_owned(),
            clock,
        })
    }

    fn durable(&self, readers: &Readers, partition: i32) -> Result<Durable, PortError> {
        let committed = self.position(readers, partition)?;
        let (log_start, log_end) = bounds(&readers.committed, &self.input_topic, partition)?;
        let streams = self.streams(readers, partition)?;
        Ok(Durable { committed, log_start, log_end, streams })
    }

    fn position(&self, readers: &Readers, partition: i32) -> Result<Option<i64>, PortError> {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.input_topic, partition);
        let answered =
            readers.committed.committed_offsets(list, PATIENCE).map_err(|error| retriable(&error))?;
        let element = answered.find_partition(&self.input_topic, partition);
        let offset =
            element.map(|element| (element.error().map_err(|error| retriable(&error)), element.offset()));
        match offset {
            Some((Err(error), _)) => Err(error),
            Some((Ok(()), Offset::Offset(offset))) => Ok(Some(offset)),
            _ => Ok(None),
        }
    }

    /// Waits until everything that was in the log is settled; the end of what is to be read.
    fn settled_end(&self, readers: &Readers, partition: i32) -> Result<(i64, i64), PortError> {
        let (_, high) = bounds(&readers.uncommitted, &self.state_topic, partition)?;
        let until = self.clock.now() + PATIENCE;
        loop {
            let (low, stable) = bounds(&readers.committed, &self.state_topic, partition)?;
            if stable >= high {
                return Ok((low, stable));
            }
            if self.clock.now() >= until {
                return Err(PortError::Retriable(format!(
                    "{} partition {partition}: a transaction is still open at offset {stable}",
                    self.state_topic
                )));
            }
        }
    }

    fn streams(&self, readers: &Readers, partition: i32) -> Result<Vec<(StreamId, StreamState)>, PortError> {
        let (low, end) = self.settled_end(readers, partition)?;
        if low >= end {
            return Ok(Vec::new());
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.state_topic, partition, Offset::Offset(low))
            .map_err(|error| retriable(&error))?;
        readers.committed.assign(&list).map_err(|error| retriable(&error))?;
        let read = self.read_to_end(&readers.committed, partition);
        readers.committed.unassign().map_err(|error| retriable(&error))?;
        read
    }

    fn read_to_end(
        &self,
        reader: &BaseConsumer,
        partition: i32,
    ) -> Result<Vec<(StreamId, StreamState)>, PortError> {
        let mut latest: BTreeMap<StreamId, StreamState> = BTreeMap::new();
        let mut until = self.clock.now() + PATIENCE;
        loop {
            match reader.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    until = self.clock.now() + PATIENCE;
                    let id = StreamId::from_key(message.key().unwrap_or_default());
                    let id = id.map_err(|error| self.foreign(&message, &error.to_string()))?;
                    match message.payload() {
                        None => drop(latest.remove(&id)),
                        Some(value) => {
                            let state = state(value).map_err(|fault| self.foreign(&message, &fault))?;
                            latest.insert(id, state);
                        }
                    }
                }
                Some(Err(KafkaError::PartitionEOF(ended))) if ended == partition => {
                    return Ok(latest.into_iter().collect());
                }
                Some(Err(error)) => return Err(retriable(&error)),
                None if self.clock.now() >= until => {
                    return Err(PortError::Retriable(format!("{}: no answer", self.state_topic)));
                }
                None => {}
            }
        }
    }

    fn foreign(&self, message: &impl Message, fault: &str) -> PortError {
        PortError::Fatal(format!(
            "{} partition {} offset {}: {fault}; nothing but Treble may write to this topic",
            self.state_topic,
            message.partition(),
            message.offset()
        ))
    }
}

impl StateLog for KafkaStateLog {
    fn read(&mut self, partition: i32) -> Result<Durable, PortError> {
        let renewed = self.settings.is_renewed();
        let readers = match self.readers.take().filter(|_| !renewed) {
            Some(readers) => readers,
            None => Readers::build(&self.settings)?,
        };
        let durable = self.durable(&readers, partition);
        match durable {
            Ok(_) => self.readers = Some(readers),
            Err(_) => client::close_aside(readers),
        }
        durable
    }
}

impl Readers {
    fn build(settings: &ClientSettings) -> Result<Self, PortError> {
        let build = |settings: &ClientSettings| {
            let built = settings.create::<BaseConsumer>();
            built.map_err(|error| PortError::Fatal(format!("state reader: {error}")))
        };
        let mut committed = settings.clone();
        committed.set("enable.partition.eof", "true");
        let mut uncommitted = settings.clone();
        uncommitted.set("isolation.level", "read_uncommitted");
        Ok(Self { committed: build(&committed)?, uncommitted: build(&uncommitted)? })
    }
}

fn bounds(reader: &BaseConsumer, topic: &str, partition: i32) -> Result<(i64, i64), PortError> {
    reader.fetch_watermarks(topic, partition, PATIENCE).map_err(|error| retriable(&error))
}

fn state(value: &[u8]) -> Result<StreamState, String> {
    let value = Bytes::copy_from_slice(value);
    let framed = frame::split(&value, Format::Protobuf).map_err(|error| error.to_string())?;
    StreamState::from_wire(framed.body).map_err(|error| error.to_string())
}

fn retriable(error: &KafkaError) -> PortError {
    PortError::Retriable(error.to_string())
}
