//! Windows of all streams of a partition, brought to the model in one batch and back.

use super::Partition;
use crate::error::PartitionHalt;
use crate::runtime::lineage::{Batch, Links};
use crate::runtime::stream::StreamOutput;
use std::rc::Rc;
use std::time::Duration;
use treble_core::{StageError, Window};
use treble_schemas::StreamId;

impl Partition {
    /// Runs the model for everything that waits for it.
    pub fn settle(&mut self) -> Result<(), PartitionHalt> {
        loop {
            let (owners, windows) = self.gather();
            if windows.is_empty() {
                self.waiting_windows = 0;
                return Ok(());
            }
            let (count, began) = (windows.len(), self.writer.clock().now());
            let began_us = self.writer.clock().unix_us();
            let results = self.infer(windows)?;
            self.note_batch(&owners, count as u64, began_us);
            let each =
                self.writer.clock().now().saturating_sub(began) / u32::try_from(count).unwrap_or(u32::MAX);
            self.distribute(owners, results, each)?;
        }
    }

    fn gather(&mut self) -> (Vec<(StreamId, usize, usize)>, Vec<Window>) {
        let (mut owners, mut all) = (Vec::new(), Vec::new());
        for id in &self.touched {
            let Some(stream) = self.streams.get_mut(id) else { continue };
            for (operator, windows) in stream.windows() {
                owners.push((id.clone(), operator, windows.len()));
                all.extend(windows);
            }
        }
        (owners, all)
    }

    fn infer(&self, windows: Vec<Window>) -> Result<Vec<Window>, PartitionHalt> {
        let stage = self.writer.stage_name();
        let missing =
            || StageError::Inference { detail: "a stage wants a model, but none is loaded".to_owned() };
        let engine = self.blueprint.assets.inference.as_ref();
        let engine = engine.ok_or_else(|| PartitionHalt::Engine { stage, error: missing() })?;
        engine.infer(windows).map_err(|error| PartitionHalt::Engine { stage, error })
    }

    /// Links a run of the model that began at `began_us` to the streams whose windows were in it.
    fn note_batch(&mut self, owners: &[(StreamId, usize, usize)], windows: u64, began_us: i64) {
        let writer = Rc::clone(&self.writer);
        let Some(lineage) = writer.lineage() else { return };
        let Some(context) = lineage.batch(self.id, began_us) else { return };
        let mut links = Links::default();
        for (id, operator, _) in owners {
            let Some(stream) = self.streams.get_mut(id) else { continue };
            let stage = stream.operator(*operator);
            let Some(place) = stream.place_mut() else { continue };
            place.join(stage, context);
            if let Some(batched) = lineage.batched(place, stage) {
                links.add(batched);
            }
        }
        if !links.kept.is_empty() {
            let window_us = (began_us, writer.clock().unix_us());
            self.told.batches.push(Batch {
                context,
                window_us,
                windows,
                streams: owners.len() as u64,
                links,
            });
        }
    }

    fn distribute(
        &mut self,
        owners: Vec<(StreamId, usize, usize)>,
        results: Vec<Window>,
        each: Duration,
    ) -> Result<(), PartitionHalt> {
        let batch = results.len() as u64;
        let mut results = results.into_iter();
        for (id, operator, count) in owners {
            let own: Vec<Window> = results.by_ref().take(count).collect();
            let Some(mut stream) = self.streams.remove(&id) else { continue };
            let mut out = StreamOutput::default();
            stream.note_inference(batch, each * u32::try_from(count).unwrap_or(u32::MAX));
            let outcome = stream.supply(operator, own, &mut out);
            self.write(&mut stream, out);
            self.conclude(stream, outcome, None)?;
        }
        Ok(())
    }
}
