//! Streams that cannot go on, because retention deleted what they must be fed again.

use super::Partition;
use crate::error::{PartitionHalt, StreamFault};
use crate::ports::InRecord;
use crate::runtime::stream::Stream;
use std::sync::Arc;
use treble_schemas::StreamId;

impl Partition {
    /// Gives up the streams that cannot go on, because retention deleted what they must be fed again. Those of which
    /// that is not certain yet wait for their next record.
    pub fn give_up_lost(&mut self) -> Result<(), PartitionHalt> {
        let Some(first) = self.blueprint.stages.first() else { return Ok(()) };
        let lost = self.streams.iter().filter(|(_, stream)| stream.is_lost(first));
        let mut lost: Vec<StreamId> = lost.map(|(id, _)| id.clone()).collect();
        lost.sort();
        for id in lost {
            let record = self.streams.get(&id).map(|stream| Arc::new(self.deleted_record(stream)));
            self.give_up(&id, &StreamFault::LostRestart, record)?;
        }
        Ok(())
    }

    /// What is known of the record that a lost stream must be fed next: where it was.
    fn deleted_record(&self, stream: &Stream) -> InRecord {
        InRecord {
            topic: self.writer.input_topic().into(),
            partition: self.id,
            offset: stream.resume_offset(),
            timestamp_ms: -1,
            key: Some(stream.id().as_str().to_owned().into()),
            value: None,
            headers: Vec::new(),
        }
    }
}
