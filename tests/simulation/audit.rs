//! The accounts, checked whenever a transaction has been settled: not only in the end.

use crate::input::{DLQ, GROUP, Scenario, segment};
use crate::verdict::{chunk, letter};
use std::collections::{BTreeMap, BTreeSet};
use treble_pipeline::memory::MemoryCluster;
use treble_pipeline::ports::OutRecord;
use treble_schemas::frame::{self, Format};
use treble_schemas::{ChunkBody, StreamState};

/// What a `read_committed` reader of every topic has seen so far.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    settled: usize,
    cursors: BTreeMap<(String, i32), i64>,
    positions: BTreeMap<i32, i64>,
    /// The next output seq of every stream that has begun and not ended.
    open: BTreeMap<Vec<u8>, u64>,
    states: BTreeMap<Vec<u8>, StreamState>,
    letters: BTreeSet<String>,
}

impl Audit {
    /// Reads what is new; the first contradiction.
    pub(crate) fn look(&mut self, cluster: &MemoryCluster, scenario: &Scenario) -> Result<(), String> {
        let settled = cluster.settled_transactions();
        if std::mem::replace(&mut self.settled, settled) == settled {
            return Ok(());
        }
        let segment = segment(scenario.material);
        for partition in 0..scenario.partitions {
            self.position(cluster, partition)?;
            for record in self.news(cluster, &segment.output_topic, partition) {
                self.output(&record)?;
            }
            for record in self.news(cluster, DLQ, partition) {
                let letter = letter(&record);
                if !self.letters.insert(letter.clone()) {
                    return Err(format!("two dead letters of {letter}"));
                }
            }
            for record in self.news(cluster, &segment.state_topic, partition) {
                self.state(record)?;
            }
        }
        let topics = [&segment.output_topic, &segment.state_topic];
        let all = (0..scenario.partitions).flat_map(|partition| topics.map(|topic| (topic, partition)));
        let mut ends = all.map(|(topic, partition)| cluster.ends(topic, partition));
        // While a transaction is open, one topic of a partition may be read further than the other.
        if ends.all(|(end, stable)| end == stable) { self.balance() } else { Ok(()) }
    }

    fn news(&mut self, cluster: &MemoryCluster, topic: &str, partition: i32) -> Vec<OutRecord> {
        let cursor = self.cursors.entry((topic.to_owned(), partition)).or_default();
        let mut news = Vec::new();
        while let Some((offset, record)) = cluster.next_committed(topic, partition, *cursor) {
            *cursor = offset + 1;
            news.push(record);
        }
        news
    }

    /// A committed position never moves back.
    fn position(&mut self, cluster: &MemoryCluster, partition: i32) -> Result<(), String> {
        let Ok(Some(position)) = cluster.stable_position(GROUP, partition) else { return Ok(()) };
        match self.positions.insert(partition, position) {
            Some(before) if before > position => {
                Err(format!("partition {partition}: the position moved back from {before} to {position}"))
            }
            _ => Ok(()),
        }
    }

    /// Every stream is gapless and single, at every moment.
    fn output(&mut self, record: &OutRecord) -> Result<(), String> {
        let chunk = chunk(record)?;
        let expected = self.open.get(record.key.as_ref()).copied().unwrap_or(0);
        if chunk.seq != expected {
            return Err(format!("{}: seq {} where {expected} should be", chunk.stream_id, chunk.seq));
        }
        match chunk.body {
            ChunkBody::End(_) | ChunkBody::Abort(_) => self.open.remove(record.key.as_ref()),
            _ => self.open.insert(record.key.to_vec(), expected + 1),
        };
        Ok(())
    }

    fn state(&mut self, record: OutRecord) -> Result<(), String> {
        let key = record.key.to_vec();
        let Some(value) = record.value else {
            self.states.remove(&key);
            return Ok(());
        };
        let framed = frame::split(&value, Format::Protobuf).map_err(|error| error.to_string())?;
        let state = StreamState::from_wire(framed.body).map_err(|error| error.to_string())?;
        self.states.insert(key, state);
        Ok(())
    }

    /// A stream's state and its output tell the same story.
    fn balance(&self) -> Result<(), String> {
        for (key, seq) in &self.open {
            let told = self.states.get(key).map(|state| state.next_out_seq);
            if told != Some(*seq) {
                let id = String::from_utf8_lossy(key);
                return Err(format!("{id}: {seq} chunks are out, its state says {told:?}"));
            }
        }
        Ok(())
    }
}
