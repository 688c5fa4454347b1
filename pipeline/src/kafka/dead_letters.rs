//! Reads the topic of dead letters on and on, as a member of no group.

use super::fault::KafkaFault;
use super::fetcher::{Fetcher, Polled};
use crate::config::KafkaConfig;
use crate::lag::dead_letters::{DeadLetters, Waiting};
use crate::ports::{Clock, InRecord};
use crate::stages::STAGES;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use treble_schemas::dead_letter::DeadLetter;

/// How long one poll waits for what is there already.
const POLL: Duration = Duration::from_millis(50);

/// See the module.
#[derive(Debug)]
pub struct DeadLetterReader {
    config: KafkaConfig,
    topic: String,
    clock: Arc<dyn Clock>,
    fetcher: Option<Fetcher>,
    letters: DeadLetters,
    /// Whether the end was reached once: before that, what was read says nothing of what is there.
    caught_up: bool,
}

impl DeadLetterReader {
    /// A reader of `topic` in the cluster of `config`; nothing is asked yet.
    #[must_use]
    pub fn new(config: &KafkaConfig, topic: String, clock: Arc<dyn Clock>) -> Self {
        let letters = DeadLetters::new(STAGES.iter().map(|entry| entry.name));
        Self { config: config.clone(), topic, clock, fetcher: None, letters, caught_up: false }
    }

    /// What waits, by stage, after reading on for `deadline` at most; nothing where there is no such topic, or where its end was
    /// not reached yet.
    pub fn look(&mut self, deadline: Duration) -> Result<Option<BTreeMap<String, Waiting>>, KafkaFault> {
        let until = self.clock.now() + deadline;
        match self.read(until) {
            Ok(()) => Ok(self.caught_up.then(|| self.letters.waiting())),
            Err(KafkaFault::NoTopic { .. }) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    fn read(&mut self, until: Duration) -> Result<(), KafkaFault> {
        let (fetcher, letters) = (&mut self.fetcher, &mut self.letters);
        let fetcher = match fetcher {
            Some(fetcher) => {
                for position in fetcher.beginnings(None)? {
                    letters.begins_at(position.partition, position.offset);
                }
                fetcher
            }
            None => {
                let mut new = Fetcher::connect(&self.config, &self.topic)?;
                let beginnings = new.beginnings(None)?;
                new.start(&beginnings)?;
                fetcher.insert(new)
            }
        };
        while self.clock.now() < until && !letters.is_full() {
            match fetcher.poll(POLL)? {
                Polled::Record(record) => add(letters, &record),
                Polled::AtEnd => {
                    self.caught_up = true;
                    return Ok(());
                }
                // The end is told once; afterwards, nothing for now is the end.
                Polled::Nothing if self.caught_up => return Ok(()),
                Polled::Nothing => {}
            }
        }
        self.caught_up |= letters.is_full();
        Ok(())
    }
}

fn add(letters: &mut DeadLetters, record: &InRecord) {
    let said = DeadLetter::from_headers(&record.headers).ok();
    let stage = said.as_ref().map(|letter| letter.stage.as_str());
    letters.add(record.partition, record.offset, stage, record.timestamp_ms);
}
