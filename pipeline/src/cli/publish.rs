//! `treble publish`.

use super::chunker::{CHUNK_BYTES, Chunker, next_piece};
use super::input::{Input, expand};
use super::progress::{Progress, Step};
use super::{Context, Exit, Failure, listen, registry, tracing};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::kafka::headers::{TRACEPARENT, TraceContext};
use crate::kafka::publisher::Publisher;
use crate::ports::{Clock, Header, OutRecord};
use crate::telemetry::trace::Traces;
use crate::telemetry::trace::spans::ClientCall;
use clap::Args;
use serde_json::json;
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use treble_decode::DecodeStage;
use treble_schemas::frame::{self, Format};
use treble_schemas::{AudioChunk, Contract, StreamId};

/// Publishes audio files, or a live stream from standard input
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  treble publish song.mp3\n  treble publish 'album/*.flac'\n  \
    ffmpeg -i SOURCE -f wav - | treble publish - --stream-id studio --live")]
pub(super) struct Publish {
    /// Files, patterns, or - for standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Name of the stream; without it, the file's name without its extension
    #[arg(long, value_name = "NAME")]
    stream_id: Option<String>,
    /// Sends at the pace at which the audio plays, in chunks of 100 ms
    #[arg(long)]
    live: bool,
    /// Media type; without it, what the file's extension says
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
}

/// How much audio a live chunk holds, in seconds.
const LIVE_CHUNK_SECONDS: f64 = 0.1;

impl Publish {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let config = context.load(&context.options.request())?.config;
        let inputs = expand(&self.files)?;
        let streams = name_streams(&inputs, self.stream_id.as_deref())?;
        // Before anything is asked of the cluster: a missing file is the likelier mistake.
        inputs.iter().try_for_each(input_is_there)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let publisher = Publisher::connect(&config.kafka, Arc::clone(&clock))?;
        let topic = registry::topics(&config).audio_in();
        let partitions = publisher.partitions(&topic)?;
        let schema_id = registry::contract_ids(&config)?.of(Contract::AudioChunk, &topic)?;
        let traces = tracing::open(&config)?;
        let sender = Sender { publisher, topic, partitions, schema_id, clock, traces, config: &config };
        let published = inputs
            .iter()
            .zip(streams)
            .try_for_each(|(input, stream_id)| self.publish(context, &sender, input, stream_id));
        tracing::settle(&sender.traces, &context.output);
        published.map(|()| Exit::Success)
    }

    fn publish(
        &self,
        context: &Context,
        sender: &Sender<'_>,
        input: &Input,
        stream_id: StreamId,
    ) -> Result<(), Failure> {
        let media_type = self.content_type.as_deref().unwrap_or_else(|| input.media_type());
        let (mut reader, length) = input.open()?;
        let pace = self.pace(sender.config, input, length)?;
        let mut progress = Progress::new(context.options.progress, stream_id.as_str());
        let mut stream = sender.stream(&stream_id)?;
        let (began, began_us) = (sender.clock.now(), sender.clock.unix_us());
        let start = stream.chunker.start(media_type, self.live, began_us);
        sender.send(&stream, &start)?;
        loop {
            let data = next_piece(&mut *reader, pace.chunk_bytes, self.live).map_err(|error| {
                Failure::new(Exit::Io, format!("cannot read {}", input.name())).because(error)
            })?;
            if data.is_empty() {
                break;
            }
            pace.wait(stream.chunker.bytes() + data.len() as u64, &*sender.clock, began);
            let chunk = stream.chunker.data(data, sender.clock.unix_us());
            sender.send(&stream, &chunk)?;
            progress.update(&pace.step(stream.chunker.bytes(), length, sender.clock.now() - began));
        }
        let end = stream.chunker.end(sender.clock.unix_us());
        sender.send(&stream, &end)?;
        sender.publisher.flush()?;
        sender.trace(&stream, began_us, end.seq + 1);
        progress.finish(&pace.step(stream.chunker.bytes(), length, sender.clock.now() - began));
        tell(context, sender, &stream, end.seq + 1)
    }

    /// A file that plays live is decoded once beforehand: only that tells how fast its bytes play.
    fn pace(&self, config: &Config, input: &Input, length: Option<u64>) -> Result<Pace, Failure> {
        match (self.live, length) {
            (true, Some(length)) if length > 0 => {
                let seconds = listen::duration(&config.stage_configs.of::<DecodeStage>(), input)?
                    .max(LIVE_CHUNK_SECONDS);
                Ok(Pace::file(length, seconds))
            }
            _ => Ok(Pace { chunk_bytes: CHUNK_BYTES, bytes_per_second: None }),
        }
    }
}

fn tell(context: &Context, sender: &Sender<'_>, stream: &Stream, records: u64) -> Result<(), Failure> {
    let document = json!({
        "stream_id": stream.id.as_str(),
        "topic": sender.topic,
        "partition": stream.partition,
        "records": records,
        "bytes": stream.chunker.bytes(),
        "trace_id": stream.trace.trace_id_hex(),
    });
    context.output.document("published", &document, || {
        let bytes = stream.chunker.bytes();
        format!("{}: {bytes} bytes in {records} records to {}", stream.id, sender.topic)
    })
}

/// How fast bytes are sent, and in which pieces.
#[derive(Debug)]
struct Pace {
    chunk_bytes: usize,
    bytes_per_second: Option<f64>,
}

impl Pace {
    /// Real time, for a file of `length` bytes that plays `seconds`.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a pace need not be exact, and is positive"
    )]
    fn file(length: u64, seconds: f64) -> Self {
        let rate = length as f64 / seconds;
        let chunk_bytes = ((rate * LIVE_CHUNK_SECONDS) as usize).clamp(1, CHUNK_BYTES);
        Self { chunk_bytes, bytes_per_second: Some(rate) }
    }

    /// Waits until `bytes` would have been played.
    #[expect(clippy::cast_precision_loss, reason = "a pace need not be exact")]
    fn wait(&self, bytes: u64, clock: &dyn Clock, began: Duration) {
        let Some(rate) = self.bytes_per_second else { return };
        let due = began + Duration::from_secs_f64(bytes as f64 / rate);
        loop {
            match due.checked_sub(clock.now()) {
                Some(left) if !left.is_zero() => std::thread::park_timeout(left),
                _ => return,
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "for people")]
    fn step(&self, bytes: u64, length: Option<u64>, elapsed: Duration) -> Step {
        let part = length.filter(|length| *length > 0).map(|length| bytes as f64 / length as f64);
        let audio_seconds = self.bytes_per_second.map_or(0.0, |rate| bytes as f64 / rate);
        Step { part, audio_seconds, bytes, elapsed }
    }
}

/// One stream on its way.
struct Stream {
    id: StreamId,
    partition: i32,
    trace: TraceContext,
    chunker: Chunker,
}

/// Where streams go.
struct Sender<'a> {
    publisher: Publisher,
    topic: String,
    partitions: NonZeroU32,
    schema_id: u32,
    clock: Arc<dyn Clock>,
    traces: Traces,
    config: &'a Config,
}

impl Sender<'_> {
    fn stream(&self, id: &StreamId) -> Result<Stream, Failure> {
        let partition = Publisher::place(id.as_str().as_bytes(), self.partitions);
        let trace = tracing::begin(self.config.traces.sample_ratio);
        let trace = trace.ok_or_else(|| Failure::new(Exit::Software, "no trace id could be drawn"))?;
        Ok(Stream { id: id.clone(), partition, trace, chunker: Chunker::new(id.clone()) })
    }

    /// Tells of a stream that is sent, in so many records.
    fn trace(&self, stream: &Stream, began_us: i64, records: u64) {
        self.traces.client(&ClientCall {
            operation: "send",
            topic: &self.topic,
            place: (stream.partition, None),
            parent: None,
            context: stream.trace,
            window_us: (began_us, self.clock.unix_us()),
            records,
            error: None,
        });
    }

    fn send(&self, stream: &Stream, chunk: &AudioChunk) -> Result<(), Failure> {
        let mut value = Vec::new();
        frame::write_header(&mut value, self.schema_id, Format::Protobuf);
        chunk.encode(&mut value);
        let record = OutRecord {
            topic: self.topic.clone(),
            partition: Some(stream.partition),
            key: stream.id.as_str().as_bytes().to_vec().into(),
            value: Some(value.into()),
            headers: vec![Header::text(TRACEPARENT, stream.trace.to_string())],
        };
        Ok(self.publisher.publish(&record)?)
    }
}

fn input_is_there(input: &Input) -> Result<(), Failure> {
    match input {
        Input::Stdin => Ok(()),
        Input::File(_) => input.open().map(drop),
    }
}

/// A name for each input, all different.
fn name_streams(inputs: &[Input], wish: Option<&str>) -> Result<Vec<StreamId>, Failure> {
    let usage = |what: String| Failure::new(Exit::Usage, what);
    if wish.is_some() && inputs.len() > 1 {
        return Err(usage(format!("--stream-id names one stream, but {} inputs are given", inputs.len()))
            .mend("publish them one by one, or leave --stream-id out"));
    }
    let mut taken = BTreeSet::new();
    let name = |input: &Input| {
        let name = wish.map(str::to_owned).or_else(|| input.stem());
        let name =
            name.ok_or_else(|| usage("standard input has no name".to_owned()).mend("add --stream-id NAME"))?;
        let id = StreamId::new(&name).map_err(|error| usage(format!("stream id {name:?}: {error}")))?;
        if taken.insert(id.clone()) {
            return Ok(id);
        }
        Err(usage(format!("two inputs would both be stream {name:?}"))
            .mend("publish them one by one, each with its --stream-id"))
    };
    inputs.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn names(paths: &[&str], wish: Option<&str>) -> Result<Vec<String>, Exit> {
        let inputs: Vec<_> = paths.iter().map(|path| Input::of(Path::new(path))).collect();
        let names = name_streams(&inputs, wish).map_err(|failure| failure.exit)?;
        Ok(names.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_stream_has_a_name_of_its_own() {
        assert_eq!(names(&["x/a.mp3", "b.wav"], None).unwrap(), ["a", "b"]);
        assert_eq!(names(&["-"], Some("live")).unwrap(), ["live"]);
        assert_eq!(names(&["-"], None), Err(Exit::Usage));
        assert_eq!(names(&["a.mp3", "a.wav"], None), Err(Exit::Usage));
        assert_eq!(names(&["a.mp3", "b.mp3"], Some("x")), Err(Exit::Usage));
        assert_eq!(names(&["a.mp3"], Some("a\nb")), Err(Exit::Usage));
    }

    #[test]
    fn a_live_file_is_sent_in_tenths_of_a_second() {
        let pace = Pace::file(88_200 * 10, 10.0);
        assert_eq!(pace.chunk_bytes, 8_820);
        let step = pace.step(88_200, Some(882_000), Duration::from_secs(1));
        assert_eq!((step.part, step.audio_seconds), (Some(0.1), 1.0));
    }
}
