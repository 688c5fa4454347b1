//! What is durable about a stream: the state record, written in the transaction of its effects, and a stream rebuilt
//! from it.

use super::Stream;
use crate::flow::reorder::Reorder;
use crate::runtime::account::Account;
use crate::runtime::chain::ChainRestart;
use crate::stages::StageEntry;
use std::time::Duration;
use treble_core::Restart;
use treble_schemas::{OperatorState, StreamId, StreamState, Totals};

impl Stream {
    /// A stream as its state record left it: inputs from `restart_offset` on are to be fed again, output that
    /// is already committed stays suppressed. `from` is the first offset that is read.
    #[must_use]
    pub fn restore(id: StreamId, state: StreamState, from: i64, now: Duration) -> Self {
        let mut stream = Self::new(id, state.first_offset, state.traceparent, now);
        let operators = state.operators.iter().map(|operator| Restart {
            input: operator.restart_input,
            output: operator.restart_output,
            checkpoint: operator.checkpoint.clone(),
        });
        stream.restart = ChainRestart { operators: operators.collect() };
        stream.order = Reorder::new(state.restart_in_seq);
        stream.resume_offset = state.restart_offset;
        stream.lossy = state.restart_offset < from;
        stream.replay_until = state.next_in_seq;
        stream.started_at_us = state.started_at_us;
        stream.last_capture_us = state.started_at_us;
        // Bytes before the restart point are not read again, so END's count cannot be checked.
        stream.in_bytes = (state.restart_in_seq == 0).then_some(0);
        stream.next_out_seq = state.next_out_seq;
        stream.totals =
            Totals { samples: state.out_samples, bytes: state.out_bytes, crc32c: Some(state.out_crc32c) };
        stream.formats.extend(state.in_format.map(|format| (0, format)));
        stream.aborted = state.aborted;
        stream.account = Account::read(&state.account);
        stream
    }

    /// The record to make durable, where nothing waits for the model; records from `read_to` on are still to be looked
    /// at. While a successor reads again what its predecessor committed, that lies behind the watermark: a
    /// restart point at the watermark would lose what is between them if the successor died now.
    pub fn state(&mut self, read_to: i64, stages: &[&'static StageEntry]) -> StreamState {
        let restart = match &mut self.chain {
            Some(chain) => {
                chain.note_restarts();
                chain.restart(self.next_out_seq)
            }
            None => self.restart.clone(),
        };
        let next_in_seq = self.order.next_seq().max(self.replay_until);
        let idle_chain = self.chain.is_none() && self.aborted.is_some();
        let restart_in_seq = if idle_chain { self.order.next_seq() } else { restart.input() };
        self.forget_before(restart_in_seq);
        let awaits_replay = self.chain.is_none() && self.aborted.is_none();
        let floor = if awaits_replay { self.resume_offset } else { read_to };
        let restart_offset = self.offsets.iter().map(|(_, offset)| *offset).min().unwrap_or(floor).min(floor);
        StreamState {
            next_in_seq,
            restart_offset,
            restart_in_seq,
            next_out_seq: self.next_out_seq,
            out_samples: self.totals.samples,
            out_bytes: self.totals.bytes,
            out_crc32c: self.totals.crc32c.unwrap_or_default(),
            in_format: self.formats.front().map(|(_, format)| format.clone()),
            started_at_us: self.started_at_us,
            operators: operator_states(&restart, stages),
            aborted: self.aborted.clone(),
            traceparent: self.traceparent.clone(),
            first_offset: self.first_offset,
            account: self.account.write().into(),
        }
    }

    /// Drops what a successor that restarts at `seq` does not need; keeps the format in force there.
    fn forget_before(&mut self, seq: u64) {
        while self.offsets.front().is_some_and(|(first, _)| *first < seq) {
            self.offsets.pop_front();
        }
        while self.formats.get(1).is_some_and(|(since, _)| *since < seq) {
            self.formats.pop_front();
        }
    }
}

fn operator_states(restart: &ChainRestart, stages: &[&'static StageEntry]) -> Vec<OperatorState> {
    let points = restart.operators.iter().zip(stages);
    let state = |(point, entry): (&Restart, &&StageEntry)| OperatorState {
        stage: entry.name.to_owned(),
        restart_input: point.input,
        restart_output: point.output,
        checkpoint: point.checkpoint.clone(),
        model_version: String::new(),
    };
    points.map(state).collect()
}
