//! One clip on its way.

use super::clip;
use crate::cli::gather::{Gathered, Piece, chunk_of};
use crate::cli::{Exit, Failure, registry};
use crate::config::Config;
use crate::kafka::fetcher::{Fetcher, Polled, Position};
use crate::kafka::headers::CONTENT_TYPE;
use crate::kafka::publisher::Publisher;
use crate::ports::{Clock, Header, InRecord, OutRecord};
use std::sync::Arc;
use std::time::Duration;
use treble_decode::DecodeStage;
use treble_schemas::event::{Event, StageEvent};
use treble_schemas::frame::{self, Format};
use treble_schemas::{ChunkBody, StreamId};

/// Between two looks at the clock.
const POLL: Duration = Duration::from_millis(50);
/// How long news of stages is waited for in the end: it was committed with what came back, and is seen a moment later.
const GRACE: Duration = Duration::from_secs(1);

/// What became of a clip.
#[derive(Debug, PartialEq)]
pub(super) enum Fate {
    /// It is back, and what was sent.
    Ok {
        /// From sending it to having all of it.
        latency: Duration,
        /// How far the tone stands above the rest.
        snr_db: f64,
    },
    /// It is not back in time, or will not be.
    Lost(String),
    /// What is back is not what was sent.
    Corrupt(String),
}

impl Fate {
    pub(super) const fn exit(&self) -> Exit {
        match self {
            Self::Ok { .. } => Exit::Success,
            Self::Lost(_) => Exit::Temporary,
            Self::Corrupt(_) => Exit::Data,
        }
    }
}

/// A clip that was sent.
#[derive(Debug)]
pub(super) struct Round {
    /// Its name.
    pub(super) stream: StreamId,
    /// The stages that told of it, in the order in which they did.
    pub(super) passed: Vec<String>,
    /// What became of it.
    pub(super) fate: Fate,
}

impl Round {
    /// Sends a clip and waits for it.
    pub(super) fn fly(config: &Config, clock: &Arc<dyn Clock>, within: Duration) -> Self {
        let stream = StreamId::new(format!("canary-{}", clock.unix_us()))
            .expect("a word and a number are a name that the rules allow");
        let mut passed = Vec::new();
        let fate = Flight::begin(config, clock, &stream)
            .and_then(|mut flight| {
                let fate = flight.follow(config, within)?;
                let until = clock.now() + GRACE;
                while clock.now() < until {
                    flight.hear(POLL)?;
                }
                passed = flight.passed;
                Ok(fate)
            })
            .unwrap_or_else(|failure| Fate::Lost(failure.to_string()));
        Self { stream, passed, fate }
    }
}

/// The clients of one clip: they come anew for each, as a user's would.
struct Flight<'a> {
    stream: &'a StreamId,
    clock: &'a dyn Clock,
    began: Duration,
    out: Fetcher,
    /// News of stages, where they are told.
    events: Option<Fetcher>,
    passed: Vec<String>,
}

impl<'a> Flight<'a> {
    fn begin(config: &Config, clock: &'a Arc<dyn Clock>, stream: &'a StreamId) -> Result<Self, Failure> {
        let topics = registry::topics(config);
        let publisher = Publisher::connect(&config.kafka, Arc::clone(clock))?;
        let input = topics.audio_in();
        let partition = Publisher::place(stream.as_str().as_bytes(), publisher.partitions(&input)?);
        let mut out = Fetcher::connect(&config.kafka, &topics.audio_out())?;
        out.start(&[Position { partition, offset: out.end(partition)? }])?;
        let events = if config.events.enabled { Some(at_end(config, &topics.events())?) } else { None };
        let record = OutRecord {
            topic: input,
            partition: Some(partition),
            key: stream.as_str().as_bytes().to_vec().into(),
            value: Some(clip::wav().into()),
            headers: vec![Header::text(CONTENT_TYPE, "audio/wav")],
        };
        let began = clock.now();
        publisher.publish(&record)?;
        publisher.flush()?;
        Ok(Self { stream, clock: &**clock, began, out, events, passed: Vec::new() })
    }

    fn is_ours(&self, record: &InRecord) -> bool {
        record.key.as_deref() == Some(self.stream.as_str().as_bytes())
    }

    /// Reads what comes back until it is whole, or time is up.
    fn follow(&mut self, config: &Config, within: Duration) -> Result<Fate, Failure> {
        let (mut gathered, mut file) = (Gathered::default(), Vec::new());
        while self.clock.now().saturating_sub(self.began) < within {
            self.hear(Duration::ZERO)?;
            let Polled::Record(record) = self.out.poll(POLL)? else { continue };
            if !self.is_ours(&record) {
                continue;
            }
            let chunk = match chunk_of(&record) {
                Ok(chunk) => chunk,
                Err(failure) => return Ok(Fate::Corrupt(failure.to_string())),
            };
            if let ChunkBody::Abort(reason) = &chunk.body {
                return Ok(Fate::Lost(format!(
                    "given up by {}: {} ({})",
                    reason.stage, reason.message, reason.code
                )));
            }
            match gathered.take(chunk) {
                Err(failure) => return Ok(Fate::Corrupt(failure.to_string())),
                Ok(Piece::Data(data)) => file.extend_from_slice(&data),
                Ok(Piece::End(_)) => {
                    let latency = self.clock.now().saturating_sub(self.began);
                    let decode = config.stage_configs.of::<DecodeStage>();
                    let judged = clip::judge(&decode, gathered.media_type(), &file);
                    return Ok(judged.map_or_else(Fate::Corrupt, |snr_db| Fate::Ok { latency, snr_db }));
                }
            }
        }
        let so_far = gathered.chunks();
        Ok(Fate::Lost(format!("not back within {} s: {so_far} chunks are", within.as_secs())))
    }

    /// Takes the next event, if there is one.
    fn hear(&mut self, wait: Duration) -> Result<(), Failure> {
        let Some(events) = &mut self.events else { return Ok(()) };
        let Polled::Record(record) = events.poll(wait)? else { return Ok(()) };
        let told = record.value.as_ref().and_then(|value| frame::split(value, Format::Avro).ok());
        let event = told.and_then(|framed| StageEvent::decode(&framed.body).ok());
        let is_news = |event: &StageEvent| {
            event.stream_id == self.stream.as_str() && !self.passed.contains(&event.stage)
        };
        if let Some(event) = event.filter(is_news) {
            self.passed.push(event.stage);
        }
        Ok(())
    }
}

/// A reader of `topic` from its end on.
fn at_end(config: &Config, topic: &str) -> Result<Fetcher, Failure> {
    let mut fetcher = Fetcher::connect(&config.kafka, topic)?;
    let mut positions = fetcher.beginnings(None)?;
    for position in &mut positions {
        position.offset = fetcher.end(position.partition)?;
    }
    fetcher.start(&positions)?;
    Ok(fetcher)
}
