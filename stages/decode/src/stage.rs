//! The stage: one stream's reader, fed chunk by chunk.

use crate::assemble::{Assembler, Delivery};
use crate::config::DecodeConfig;
use crate::limits::check;
use crate::raw::RawForm;
use crate::reader;
use crate::source::{Feed, Progress, Suspended};
use std::rc::Rc;
use treble_core::{
    Assets, ConfigError, EncodedChunk, EncodedFormat, LimitKind, Outbox, PcmBlock, Stage, StageError,
};

/// Decodes one stream of encoded bytes to planar PCM.
///
/// The first chunk announces the format and may hold bytes already; later chunks hold bytes, cut anywhere.
/// What is announced about a container is not trusted: the bytes say what they are. Only headerless PCM is
/// taken at its word. The first item emitted announces the decoded format; every block but the last then
/// holds [`treble_core::grid::chunk_frames`] frames.
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
    Running(Stream),
    /// Refused; said again until the stream ends.
    Failed(StageError),
}

#[derive(Debug)]
struct Stream {
    /// `None` once it has read all that it wanted: a container may end before its stream does.
    reader: Option<Suspended>,
    delivery: Delivery,
    format: EncodedFormat,
    bytes: u64,
}

impl Stage for DecodeStage {
    const NAME: &'static str = "decode";
    const SUMMARY: &'static str = "encoded bytes of any common format to PCM";
    type Config = DecodeConfig;
    type In = EncodedChunk;
    type Out = PcmBlock;

    fn new(config: &DecodeConfig, _: &Assets) -> Result<Self, ConfigError> {
        config.limits.validate()?;
        Ok(Self { config: config.clone(), state: State::Fresh })
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
}

impl DecodeStage {
    fn running(&mut self, format: &EncodedFormat) -> Result<(&mut Stream, &DecodeConfig), StageError> {
        if let State::Fresh = self.state {
            self.state = State::Running(Stream::open(format, &self.config)?);
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
                let mut delivered = stream.delivery.borrow_mut();
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
        let raw = RawForm::announced(format)?;
        let delivery = Delivery::default();
        let assembler = Assembler::new(Rc::clone(&delivery));
        let (limits, pace) = (config.limits.clone(), format.pace);
        let media_type = format.media_type.clone();
        let reader = Suspended::new(move |source| match raw {
            Some(form) => reader::read_raw(source, form, assembler, limits, pace),
            None => reader::read_container(source, &media_type, assembler, limits, pace),
        })?;
        Ok(Self { reader: Some(reader), delivery, format: format.clone(), bytes: 0 })
    }

    fn push(&mut self, input: EncodedChunk, config: &DecodeConfig) -> Result<(), StageError> {
        self.check_format(&input.format)?;
        // The bytes within the limit are read before the limit is reported, so that what is reported does not
        // depend on the cut.
        let limit = config.limits.stream_bytes;
        let mut data = input.data;
        let room = usize::try_from(limit - self.bytes).unwrap_or(usize::MAX);
        let over = data.len() > room;
        data.truncate(room);
        self.bytes += data.len() as u64;
        if !data.is_empty() {
            self.feed(Feed::Data(data))?;
        }
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
}
