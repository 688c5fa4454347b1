//! [`StateLog`] in memory, in the order of the one on Kafka: the position first, then the states.

use super::cluster::MemoryCluster;
use crate::ports::{Durable, PortError, StateLog};
use std::collections::BTreeMap;
use treble_schemas::frame::{self, Format};
use treble_schemas::{StreamId, StreamState};

/// Reads what is durable about the partitions of one group.
#[derive(Debug, Clone)]
pub struct MemoryStateLog {
    cluster: MemoryCluster,
    group: String,
    input_topic: String,
    state_topic: String,
}

impl MemoryStateLog {
    /// A reader of `group`'s positions on `input_topic` and of the states on `state_topic`.
    #[must_use]
    pub fn new(cluster: MemoryCluster, group: &str, input_topic: &str, state_topic: &str) -> Self {
        let [group, input_topic, state_topic] = [group, input_topic, state_topic].map(str::to_owned);
        Self { cluster, group, input_topic, state_topic }
    }

    /// The first half of [`read`](StateLog::read): the stable position.
    pub fn position(&self, partition: i32) -> Result<Option<i64>, PortError> {
        let pending = |_| PortError::Retriable("a transaction is pending on the position".to_owned());
        self.cluster.stable_position(&self.group, partition).map_err(pending)
    }

    /// The second half: the states, once nothing is open on their partition.
    pub fn streams(&self, partition: i32) -> Result<Vec<(StreamId, StreamState)>, PortError> {
        let (end, stable) = self.cluster.ends(&self.state_topic, partition);
        if stable < end {
            return Err(PortError::Retriable(format!("a transaction is still open at offset {stable}")));
        }
        let mut latest = BTreeMap::new();
        for (_, record) in self.cluster.committed_records(&self.state_topic, partition) {
            let foreign = |error: String| PortError::Fatal(format!("state record: {error}"));
            let id = StreamId::from_key(&record.key).map_err(|error| foreign(error.to_string()))?;
            let Some(value) = record.value else {
                latest.remove(&id);
                continue;
            };
            let framed =
                frame::split(&value, Format::Protobuf).map_err(|error| foreign(error.to_string()))?;
            let state = StreamState::from_wire(framed.body).map_err(|error| foreign(error.to_string()))?;
            latest.insert(id, state);
        }
        Ok(latest.into_iter().collect())
    }

    /// Both halves, put together.
    #[must_use]
    pub fn durable(
        &self,
        partition: i32,
        committed: Option<i64>,
        streams: Vec<(StreamId, StreamState)>,
    ) -> Durable {
        let (_, log_end) = self.cluster.ends(&self.input_topic, partition);
        Durable { committed, log_start: 0, log_end, streams }
    }
}

impl StateLog for MemoryStateLog {
    fn read(&mut self, partition: i32) -> Result<Durable, PortError> {
        let committed = self.position(partition)?;
        let streams = self.streams(partition)?;
        Ok(self.durable(partition, committed, streams))
    }
}
