//! The stage: one stream's reader, fed chunk by chunk.

use crate::assemble::{Assembler, Delivery};
use crate::checkpoint::Checkpoint;
use crate::config::DecodeConfig;
use crate::limits::check;
use crate::raw::RawForm;
use crate::reader;
use crate::resume::{Kind, Resume};
use crate::session::Job;
use crate::source::{Feed, Progress, Suspended};
use std::collections::VecDeque;
use std::rc::Rc;
use treble_core::grid::chunk_frames;
use treble_core::{
    Assets, ConfigError, EncodedChunk, EncodedFormat, LimitKind, Outbox, PcmBlock, Restart, Stage, StageError,
};

/// Decodes one stream of encoded bytes to planar PCM.
///
/// The first chunk announces the format and may hold bytes already; later chunks hold bytes, cut anywhere.
/// What is announced about a container is not trusted: the bytes say what they are. Only headerless PCM is
/// taken at its word. The first item emitted announces the decoded format; every block but the last then
/// holds [`treble_core::grid::chunk_frames`] frames.
///
/// [`restart`](Stage::restart) moves forward for headerless PCM, WAV of PCM, FLAC, MPEG audio, AAC in ADTS and Vorbis in
/// Ogg; for all else it stays at the stream's beginning.
#[derive(Debug)]
pub struct DecodeStage {
    config: DecodeConfig,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Before the first chunk.
    Fresh,
    /// Within a stream.
    Running(Box<Stream>),
    /// Refused; said again until the stream ends.
    Failed(StageError),
}

#[derive(Debug)]
struct Stream {
    /// `None` once it has read all that it wanted: a container may end before its stream does.
    reader: Option<Suspended>,
    delivery: Delivery,
    /// The format of the first chunk.
    format: EncodedFormat,
    /// Bytes of the stream so far.
    bytes: u64,
    /// Bytes to pass over before any is read.
    skip: u64,
    /// Chunks to come whose marks of discontinuity were seen already.
    seen: u64,
    /// Chunks of the stream so far.
    pushed: u64,
    /// Number and first byte of the chunks from which a successor may be fed; the first one is where it starts.
    chunks: VecDeque<(u64, u64)>,
}

impl Stage for DecodeStage {
    const NAME: &'static str = "decode";
    const SUMMARY: &'static str = "encoded bytes of any common format to PCM";
    const SETTINGS: &'static str = include_str!("config.toml");
    type Config = DecodeConfig;
    type In = EncodedChunk;
    type Out = PcmBlock;

    fn check(config: &DecodeConfig) -> Result<(), ConfigError> {
        config.limits.validate()
    }

    fn new(config: &DecodeConfig, _: &Assets) -> Result<Self, ConfigError> {
        Self::check(config)?;
        Ok(Self { config: config.clone(), state: State::Fresh })
    }

    fn restore(&mut self, checkpoint: &[u8]) -> Result<(), StageError> {
        if checkpoint.is_empty() {
            return Ok(());
        }
        let checkpoint = Checkpoint::decode(checkpoint)?;
        self.state = State::Running(Box::new(Stream::resume(checkpoint, &self.config)?));
        Ok(())
    }

    fn push(&mut self, input: EncodedChunk, out: &mut Outbox<PcmBlock>) -> Result<(), StageError> {
        let result = self.running(&input.format).and_then(|(stream, config)| stream.push(input, config));
        self.settle(result, out)
    }

    fn finish(&mut self, out: &mut Outbox<PcmBlock>) -> Result<(), StageError> {
        let result = self.running(&EncodedFormat::default()).and_then(|(stream, _)| stream.feed(Feed::End));
        let result = self.settle(result, out);
        self.state = State::Fresh;
        result
    }

    fn restart(&self) -> Restart {
        match &self.state {
            State::Running(stream) => stream.restart().unwrap_or_default(),
            State::Fresh | State::Failed(_) => Restart::default(),
        }
    }
}

impl DecodeStage {
    fn running(&mut self, format: &EncodedFormat) -> Result<(&mut Stream, &DecodeConfig), StageError> {
        if let State::Fresh = self.state {
            self.state = State::Running(Box::new(Stream::open(format, &self.config)?));
        }
        match &mut self.state {
            State::Running(stream) => Ok((stream, &self.config)),
            State::Failed(error) => Err(error.clone()),
            State::Fresh => unreachable!("opened above"),
        }
    }

    /// Hands on what was delivered, or nothing after an error.
    fn settle(
        &mut self,
        result: Result<(), StageError>,
        out: &mut Outbox<PcmBlock>,
    ) -> Result<(), StageError> {
        match (&result, &self.state) {
            (Ok(()), State::Running(stream)) => {
                let delivered = &mut stream.delivery.borrow_mut().outbox;
                out.items.append(&mut delivered.items);
                out.facts.append(&mut delivered.facts);
            }
            (Err(error), _) => self.state = State::Failed(error.clone()),
            (Ok(()), _) => {}
        }
        result
    }
}

impl Stream {
    fn open(format: &EncodedFormat, config: &DecodeConfig) -> Result<Self, StageError> {
        let delivery = Delivery::default();
        let assembler = Assembler::new(Rc::clone(&delivery));
        let reader = start(format, config, assembler, None)?;
        Ok(Self {
            reader: Some(reader),
            delivery,
            format: format.clone(),
            bytes: 0,
            skip: 0,
            seen: 0,
            pushed: 0,
            chunks: VecDeque::new(),
        })
    }

    fn resume(checkpoint: Checkpoint, config: &DecodeConfig) -> Result<Self, StageError> {
        let Checkpoint { format, resume, skip, bytes_before, input, seen } = checkpoint;
        let delivery = Delivery::default();
        let assembler = Assembler::resumed(Rc::clone(&delivery), resume.spec, resume.grid, resume.gap);
        delivery.borrow_mut().resume = Some(resume.clone());
        let reader = start(&format, config, assembler, Some(resume))?;
        Ok(Self {
            reader: Some(reader),
            delivery,
            format,
            bytes: bytes_before,
            skip,
            seen,
            pushed: input,
            chunks: VecDeque::from([(input, bytes_before)]),
        })
    }

    fn push(&mut self, input: EncodedChunk, config: &DecodeConfig) -> Result<(), StageError> {
        self.check_format(&input.format)?;
        if self.chunks.back().is_none_or(|(last, _)| *last < self.pushed) {
            self.chunks.push_back((self.pushed, self.bytes));
        }
        self.pushed += 1;
        let news = self.seen == 0;
        self.seen = self.seen.saturating_sub(1);
        if input.discontinuity && news {
            self.delivery.borrow_mut().gap_before = true;
        }
        // The bytes within the limit are read before the limit is reported, so that what is reported does not
        // depend on the cut.
        let limit = config.limits.stream_bytes;
        let mut data = input.data;
        let room = usize::try_from(limit.saturating_sub(self.bytes)).unwrap_or(usize::MAX);
        let over = data.len() > room;
        data.truncate(room);
        self.bytes += data.len() as u64;
        let passed = data.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
        self.skip -= passed as u64;
        let data = data.split_off(passed);
        if !data.is_empty() {
            self.feed(Feed::Data(data))?;
        }
        self.forget_chunks();
        check(LimitKind::StreamBytes, self.bytes + u64::from(over), limit)
    }

    /// Raw samples cannot change their form: nothing in the bytes would tell.
    fn check_format(&self, format: &EncodedFormat) -> Result<(), StageError> {
        let changed = (format.rate.is_some() && format.rate != self.format.rate)
            || (format.channels.is_some() && format.channels != self.format.channels);
        if !changed {
            return Ok(());
        }
        Err(StageError::FormatChanged {
            detail: "the announced rate or channels differ from the first".to_owned(),
        })
    }

    fn feed(&mut self, feed: Feed) -> Result<(), StageError> {
        let Some(reader) = self.reader.as_mut() else { return Ok(()) };
        match reader.resume(feed) {
            Progress::Hungry => Ok(()),
            Progress::Done(result) => {
                self.reader = None;
                result
            }
        }
    }

    /// Drops the chunks that no successor will be fed again.
    fn forget_chunks(&mut self) {
        let delivered = self.delivery.borrow();
        match &delivered.resume {
            Some(resume) => {
                let behind = self.chunks.partition_point(|(_, first)| *first <= resume.offset);
                self.chunks.drain(..behind.saturating_sub(1));
            }
            None if delivered.whole_only => self.chunks.clear(),
            None => {}
        }
    }

    fn restart(&self) -> Option<Restart> {
        let delivered = self.delivery.borrow();
        let mut resume = delivered.resume.clone()?;
        resume.gap |= delivered.gap_before;
        let (input, first) = self.chunks.front().copied().filter(|(_, first)| *first <= resume.offset)?;
        // The announcement, and full blocks.
        let output = 1 + resume.grid / chunk_frames(resume.spec) as u64;
        let checkpoint = Checkpoint {
            format: self.format.clone(),
            skip: resume.offset - first,
            bytes_before: first,
            input,
            seen: self.pushed - input + self.seen,
            resume,
        };
        Some(Restart { input, output, checkpoint: checkpoint.encode() })
    }
}

/// A reader for a stream of `format`, not yet fed.
fn start(
    format: &EncodedFormat,
    config: &DecodeConfig,
    assembler: Assembler,
    resume: Option<Resume>,
) -> Result<Suspended, StageError> {
    let raw = RawForm::announced(format)?;
    if resume.as_ref().is_some_and(|resume| (resume.kind == Kind::Raw) != raw.is_some()) {
        return Err(StageError::Checkpoint { detail: "it is of another kind of stream".to_owned() });
    }
    let job = Job { assembler, limits: config.limits.clone(), pace: format.pace, resume };
    let media_type = format.media_type.clone();
    Suspended::new(move |source| match raw {
        Some(form) => reader::read_raw(source, form, job),
        None => reader::read_container(source, &media_type, job),
    })
}
