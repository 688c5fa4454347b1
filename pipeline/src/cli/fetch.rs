//! `treble fetch`.

use super::destination::Destination;
use super::gather::{Gathered, Piece, chunk_of};
use super::progress::{Progress, Step};
use super::{Context, Exit, Failure, registry, tracing};
use crate::clock::SystemClock;
use crate::kafka::fetcher::{Fetcher, Polled, Position};
use crate::kafka::headers::{self, TraceContext};
use crate::ports::{Clock, InRecord};
use crate::telemetry::trace::Traces;
use crate::telemetry::trace::spans::ClientCall;
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use treble_schemas::StreamId;

/// Fetches the upscaled audio of a stream, whole and in order
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  treble fetch song -o song.flac\n  \
    treble fetch studio --follow -o - | ffplay -")]
pub(super) struct Fetch {
    /// Name of the stream
    stream: String,
    /// The file to write; - writes standard output
    #[arg(short = 'o', long = "to", value_name = "FILE", default_value = "-")]
    to: PathBuf,
    /// Waits for the stream to begin, and for what is still to come
    #[arg(long)]
    follow: bool,
    /// Gives up after this many seconds without news of the stream; 0 never does
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    timeout: u64,
}

/// Between two looks at the clock.
const POLL: Duration = Duration::from_millis(200);
/// Without an answer for this long, the cluster counts as gone.
const SILENCE: Duration = Duration::from_secs(15);

impl Fetch {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let config = context.load(&context.options.request())?.config;
        let stream =
            StreamId::new(&self.stream).map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        let topic = registry::topics(&config).audio_out();
        let clock = SystemClock::new();
        let traces = tracing::open(&config)?;
        let mut reader = Reader {
            fetcher: Fetcher::connect(&config.kafka, &topic)?,
            stream,
            clock: &clock,
            follow: self.follow,
            timeout: (self.timeout > 0).then(|| Duration::from_secs(self.timeout)),
            heard: clock.now(),
            trace: None,
        };
        let position = reader.locate()?;
        let mut destination = Destination::open(&self.to, Path::new(""))?;
        let began = clock.now();
        let mut progress = Progress::new(context.options.progress, &self.stream);
        let mut gathered = Gathered::default();
        let step = |gathered: &Gathered| Step {
            part: None,
            audio_seconds: gathered.seconds(),
            bytes: gathered.bytes(),
            elapsed: clock.now() - began,
        };
        let read = reader.read(position, &mut gathered, |gathered, data| {
            progress.update(&step(gathered));
            // A live listener wants what is there.
            destination.write(data, &self.to)
        });
        if let Some((came_with, began_us)) = reader.trace {
            let window_us = (began_us, clock.unix_us());
            trace(&traces, &topic, (position, came_with), window_us, (&gathered, read.is_err()));
            tracing::settle(&traces, &context.output);
        }
        read?;
        progress.finish(&step(&gathered));
        destination.keep(&self.to)?;
        self.tell(context, &gathered, reader.trace.map(|(context, _)| context))
    }

    fn tell(
        &self,
        context: &Context,
        gathered: &Gathered,
        trace: Option<TraceContext>,
    ) -> Result<Exit, Failure> {
        let to = self.to.display();
        let text = format!("{to}: {:.1} s of {}", gathered.seconds(), gathered.media_type());
        let document = json!({
            "stream_id": self.stream,
            "file": to.to_string(),
            "media_type": gathered.media_type(),
            "audio_seconds": gathered.seconds(),
            "bytes": gathered.bytes(),
            "chunks": gathered.chunks(),
            "trace_id": trace.map(TraceContext::trace_id_hex),
        });
        if self.to == Path::new("-") {
            context.output.say(&text);
        } else {
            context.output.document("fetched", &document, || text)?;
        }
        Ok(Exit::Success)
    }
}

/// Tells that the stream which begins at a position, and came with a trace context, was read, or only a part of it.
fn trace(
    traces: &Traces,
    topic: &str,
    (position, parent): (Position, TraceContext),
    window_us: (i64, i64),
    (gathered, failed): (&Gathered, bool),
) {
    let Some(context) = tracing::under(parent) else { return };
    traces.client(&ClientCall {
        operation: "process",
        topic,
        place: (position.partition, Some(position.offset)),
        parent: Some(parent),
        context,
        window_us,
        records: gathered.chunks(),
        error: failed.then_some("incomplete"),
    });
}

struct Reader<'a> {
    fetcher: Fetcher,
    stream: StreamId,
    clock: &'a dyn Clock,
    follow: bool,
    timeout: Option<Duration>,
    /// When there last was news of the stream.
    heard: Duration,
    /// The trace that it is part of, and when its first record came, Unix time in microseconds.
    trace: Option<(TraceContext, i64)>,
}

impl Reader<'_> {
    /// Where the stream begins: its latest START, since a name may be used again.
    fn locate(&mut self) -> Result<Position, Failure> {
        let beginnings = self.fetcher.beginnings(None)?;
        self.fetcher.start(&beginnings)?;
        let mut found = None;
        let mut answered = self.clock.now();
        loop {
            match self.fetcher.poll(POLL)? {
                Polled::Record(record) => {
                    answered = self.clock.now();
                    if self.begins(&record)? {
                        found = Some(Position { partition: record.partition, offset: record.offset });
                    }
                }
                Polled::AtEnd | Polled::Nothing if self.follow && found.is_none() => self.wait("begin")?,
                Polled::AtEnd => return found.ok_or_else(|| self.absent()),
                Polled::Nothing if self.clock.now() - answered > SILENCE => return Err(self.silence()),
                Polled::Nothing => {}
            }
            // Whoever waits for a stream wants it as soon as it begins, not at the end of the topic.
            if let (true, Some(position), true) = (self.follow, found, self.fetcher.is_at_end()) {
                return Ok(position);
            }
        }
    }

    fn begins(&self, record: &InRecord) -> Result<bool, Failure> {
        if record.key.as_deref() != Some(self.stream.as_str().as_bytes()) {
            return Ok(false);
        }
        // Usually START; a stream that was refused from its first byte is an ABORT and nothing else.
        Ok(chunk_of(record)?.seq == 0)
    }

    /// Reads the stream from `position` to its END.
    fn read(
        &mut self,
        position: Position,
        gathered: &mut Gathered,
        mut each: impl FnMut(&Gathered, &[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.fetcher.start(&[position])?;
        self.heard = self.clock.now();
        loop {
            match self.fetcher.poll(POLL)? {
                Polled::Record(record) => {
                    if record.key.as_deref() != Some(self.stream.as_str().as_bytes()) {
                        continue;
                    }
                    self.heard = self.clock.now();
                    self.trace = self
                        .trace
                        .or_else(|| Some((headers::trace_context(&record.headers)?, self.clock.unix_us())));
                    match gathered.take(chunk_of(&record)?)? {
                        Piece::Data(data) => each(gathered, &data)?,
                        Piece::End(_) => return Ok(()),
                    }
                }
                Polled::AtEnd | Polled::Nothing if self.follow => self.wait("go on")?,
                Polled::AtEnd => return Err(self.unfinished(gathered)),
                Polled::Nothing if self.clock.now() - self.heard > SILENCE => return Err(self.silence()),
                Polled::Nothing => {}
            }
        }
    }

    fn wait(&self, to: &str) -> Result<(), Failure> {
        match self.timeout {
            Some(timeout) if self.clock.now() - self.heard >= timeout => {
                let what = format!("stream {} did not {to} within {} s", self.stream, timeout.as_secs());
                Err(Failure::new(Exit::Temporary, what)
                    .mend("check that `treble run` is running, and `treble dlq list`"))
            }
            _ => Ok(()),
        }
    }

    fn absent(&self) -> Failure {
        Failure::new(Exit::NoInput, format!("there is no stream {} in the output topic", self.stream))
            .mend("check the name; --follow waits for it; `treble dlq list` tells of refused records")
    }

    fn unfinished(&self, gathered: &Gathered) -> Failure {
        let what = format!("stream {} is not finished: {} chunks are there", self.stream, gathered.chunks());
        Failure::new(Exit::Temporary, what).mend("--follow waits for the rest")
    }

    fn silence(&self) -> Failure {
        Failure::silence(self.fetcher.trouble())
    }
}
