//! Where a topic's partitions begin and end.

use super::client;
use super::login::ClientSettings;
use crate::ports::PortError;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::fmt;
use std::time::Duration;

/// The most that one question to a broker takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks where partitions of one topic begin and end.
pub struct LogBounds {
    settings: ClientSettings,
    topic: String,
    /// Built anew after a failure: a client that saw all brokers go may stay deaf after they are back.
    reader: Option<BaseConsumer>,
}

impl fmt::Debug for LogBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogBounds").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl LogBounds {
    /// `settings` are those of a plain consumer; it joins nothing.
    #[must_use]
    pub fn new(settings: ClientSettings, topic: &str) -> Self {
        Self { settings, topic: topic.to_owned(), reader: None }
    }

    /// The first offset of `partition`, and the last stable one: what a `read_committed` reader finds between.
    pub fn of(&mut self, partition: i32) -> Result<(i64, i64), PortError> {
        let renewed = self.settings.is_renewed();
        let reader = match self.reader.take().filter(|_| !renewed) {
            Some(reader) => reader,
            None => self.settings.create().map_err(|error| PortError::Fatal(format!("reader: {error}")))?,
        };
        match reader.fetch_watermarks(&self.topic, partition, PATIENCE) {
            Ok(bounds) => {
                self.reader = Some(reader);
                Ok(bounds)
            }
            Err(error) => {
                client::close_aside(reader);
                Err(PortError::Retriable(format!("{} [{partition}]: {error}", self.topic)))
            }
        }
    }
}
