//! One stream: gathers integers until a chunk is whole, has it encoded, and remembers where to restart.

use crate::checkpoint::Checkpoint;
use crate::config::{BitDepth, EncodeConfig};
use crate::dither::Quantiser;
use crate::writer::Writer;
use treble_core::{EncodedChunk, EncodedFormat, PcmBlock, PcmSpec, Restart, StageError, grid};

/// One stream between its announcement and its end.
#[derive(Debug)]
pub(crate) struct Stream {
    writer: Writer,
    bits: BitDepth,
    format: EncodedFormat,
    /// PCM frames in a chunk: a multiple of the codec's frame.
    chunk_frames: usize,
    /// Interleaved integers that wait for their chunk to be whole.
    pending: Vec<i32>,
    /// Whether something is missing before or within the pending samples.
    discontinuity: bool,
    /// PCM frames that the next input repeats, since they are in chunks emitted before a restart.
    skip_frames: u64,
    /// Inputs pushed since the stream's beginning.
    inputs: u64,
    /// Where a successor would begin: always the start of `pending`.
    restart: Checkpoint,
}

impl Stream {
    /// A stream at its beginning, and the head of its file.
    pub(crate) fn opened(config: &EncodeConfig, spec: PcmSpec) -> Result<(Self, EncodedChunk), StageError> {
        let start = Checkpoint {
            codec: config.codec,
            bits: Writer::bits(config).bits(),
            spec,
            frames_emitted: 0,
            items_emitted: 0,
            input: 0,
            skip_frames: 0,
        };
        let mut stream = Self::at(config, start)?;
        let data = stream.writer.header()?;
        let head = stream.item(data, 0);
        Ok((stream, head))
    }

    /// A stream that goes on where the checkpoint was taken.
    pub(crate) fn restored(config: &EncodeConfig, checkpoint: &[u8]) -> Result<Self, StageError> {
        let bits = Writer::bits(config).bits();
        let stream = Self::at(config, Checkpoint::from_bytes(checkpoint, config.codec, bits)?)?;
        if stream.writer.restarts_at_chunks() {
            return Ok(stream);
        }
        let detail = format!("{} restarts at the stream's beginning only", config.codec.name());
        Err(StageError::Checkpoint { detail })
    }

    fn at(config: &EncodeConfig, start: Checkpoint) -> Result<Self, StageError> {
        let writer = Writer::new(config, start.spec)?;
        let block = writer.block_frames();
        let format = EncodedFormat {
            media_type: config.codec.media_type().to_owned(),
            rate: Some(start.spec.rate),
            channels: Some(start.spec.channels),
            pace: start.spec.pace,
        };
        Ok(Self {
            writer,
            bits: Writer::bits(config),
            format,
            chunk_frames: (grid::chunk_frames(start.spec) / block).max(1) * block,
            pending: Vec::new(),
            discontinuity: false,
            skip_frames: start.skip_frames,
            inputs: start.input,
            restart: start,
        })
    }

    /// Takes one block and appends the chunks that it completes; the number of samples clipped.
    pub(crate) fn push(
        &mut self,
        block: &PcmBlock,
        items: &mut Vec<EncodedChunk>,
    ) -> Result<u64, StageError> {
        self.check_format(block.spec())?;
        let skip = usize::try_from(self.skip_frames).unwrap_or(usize::MAX).min(block.frames());
        // The mark of a block whose beginning is emitted already went out with that beginning.
        self.discontinuity |= block.discontinuity() && skip == 0;
        self.skip_frames = 0;
        let clipped = self.gather(block, skip);
        self.inputs += 1;

        let mut pending = std::mem::take(&mut self.pending);
        let chunk_samples = self.chunk_frames * self.channels();
        let mut whole = pending.chunks_exact(chunk_samples);
        for samples in &mut whole {
            let data = self.writer.encode(samples, self.restart.frames_emitted)?;
            items.push(self.item(data, self.chunk_frames as u64));
        }
        let left = whole.remainder().len();
        let emitted_any = pending.len() > left;
        pending.drain(..pending.len() - left);
        // There are thousands of live streams: none keeps the room that a whole chunk took.
        pending.shrink_to(chunk_samples);
        self.pending = pending;
        self.move_restart(block, emitted_any);
        Ok(clipped)
    }

    /// Quantises the frames of `block` from number `skip` on.
    fn gather(&mut self, block: &PcmBlock, skip: usize) -> u64 {
        let mut quantiser = Quantiser::new(block.spec().depth, self.bits);
        let start = self.restart.frames_emitted + (self.pending.len() / self.channels()) as u64;
        let (channels, filled) = (self.channels(), self.pending.len());
        self.pending.resize(filled + (block.frames() - skip) * channels, 0);
        for (channel, plane) in block.planes().iter().enumerate() {
            let slots = self.pending[filled..].iter_mut().skip(channel).step_by(channels);
            quantiser.plane(&plane[skip..], channel, start, slots);
        }
        quantiser.clipped
    }

    /// Encodes what remains and the file's end, which may be no bytes at all.
    pub(crate) fn finish(mut self) -> Result<Option<EncodedChunk>, StageError> {
        let frames = (self.pending.len() / self.channels()) as u64;
        let data = self.writer.finish(&self.pending, self.restart.frames_emitted)?;
        Ok((!data.is_empty()).then(|| self.item(data, frames)))
    }

    /// Where a successor would have to be fed from.
    pub(crate) fn restart(&self) -> Restart {
        if !self.writer.restarts_at_chunks() {
            return Restart::default();
        }
        Restart {
            input: self.restart.input,
            output: self.restart.items_emitted,
            checkpoint: self.restart.to_bytes().into(),
        }
    }

    /// Rate and channels are the file's for good. The depth may change: it only decides what is dithered.
    fn check_format(&self, now: PcmSpec) -> Result<(), StageError> {
        let was = self.restart.spec;
        if (was.rate, was.channels) == (now.rate, now.channels) {
            return Ok(());
        }
        let say = |spec: PcmSpec| format!("{} channels at {} Hz", spec.channels.count(), spec.rate.hz());
        Err(StageError::FormatChanged { detail: format!("{} to {}", say(was), say(now)) })
    }

    /// The next item of the file.
    fn item(&mut self, data: Vec<u8>, frames: u64) -> EncodedChunk {
        let first_frame = self.restart.frames_emitted;
        self.restart.frames_emitted += frames;
        self.restart.items_emitted += 1;
        EncodedChunk {
            format: self.format.clone(),
            data: data.into(),
            first_frame,
            frames,
            discontinuity: std::mem::take(&mut self.discontinuity),
        }
    }

    /// Keeps the restart point at the first input that still has something to give. Only the block that
    /// completes a chunk can leave samples behind it, so one input and one count are enough.
    fn move_restart(&mut self, block: &PcmBlock, emitted_any: bool) {
        if self.pending.is_empty() && !self.discontinuity {
            (self.restart.input, self.restart.skip_frames) = (self.inputs, 0);
        } else if emitted_any {
            let left = self.pending.len() / self.channels();
            (self.restart.input, self.restart.skip_frames) =
                (self.inputs - 1, (block.frames() - left) as u64);
        }
    }

    fn channels(&self) -> usize {
        self.restart.spec.channels.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EncodeStage;
    use treble_core::{Assets, ChannelCount, Codec, Fact, Outbox, Pace, SampleDepth, SampleRate, Stage};

    fn spec(hz: u32, channels: u32, pace: Pace) -> PcmSpec {
        let (rate, channels) = (SampleRate::new(hz).unwrap(), ChannelCount::new(channels).unwrap());
        PcmSpec { rate, channels, depth: SampleDepth::F32, pace }
    }

    fn stage(codec: Codec) -> EncodeStage {
        EncodeStage::new(&EncodeConfig { codec, ..EncodeConfig::default() }, &Assets::default()).unwrap()
    }

    fn block(spec: PcmSpec, frames: usize, level: f32) -> PcmBlock {
        PcmBlock::new(spec, 0, vec![vec![level; frames]; spec.channels.count()]).0
    }

    /// Frames of each item after the head.
    fn check_grid(codec: Codec, spec: PcmSpec, frames: usize, expect: &[u64]) {
        let (mut stage, mut out) = (stage(codec), Outbox::default());
        stage.push(PcmBlock::announce(spec, 0), &mut out).unwrap();
        stage.push(block(spec, frames, 0.1), &mut out).unwrap();
        stage.finish(&mut out).unwrap();
        let mut at = 0;
        for item in &out.items {
            assert_eq!(item.first_frame, at);
            assert_eq!((item.format.rate, item.format.channels), (Some(spec.rate), Some(spec.channels)));
            assert_eq!((item.format.media_type.as_str(), item.format.pace), (codec.media_type(), spec.pace));
            at += item.frames;
        }
        let lengths: Vec<u64> = out.items.iter().map(|item| item.frames).collect();
        assert_eq!(lengths, [&[0], expect].concat(), "{codec:?} {spec:?}");
    }

    #[test]
    fn chunks_are_whole_codec_frames_near_a_second_or_a_tenth() {
        use Pace::{Bulk, Live};
        check_grid(Codec::Flac, spec(48_000, 2, Bulk), 100_000, &[45_056, 45_056, 9_888]);
        check_grid(Codec::Flac, spec(48_000, 2, Live), 8_193, &[4096, 4096, 1]);
        check_grid(Codec::Flac, spec(8_000, 1, Live), 4096, &[4096]);
        check_grid(Codec::Opus, spec(48_000, 1, Live), 9_700, &[4800, 4800, 100]);
        check_grid(Codec::Opus, spec(48_000, 1, Bulk), 48_000, &[48_000, 0]);
        check_grid(Codec::Wav, spec(44_100, 2, Bulk), 44_101, &[44_100, 1]);
    }

    #[test]
    fn a_stream_without_frames_has_a_head_and_for_opus_an_end() {
        check_grid(Codec::Flac, spec(48_000, 2, Pace::Bulk), 0, &[]);
        check_grid(Codec::Wav, spec(48_000, 2, Pace::Bulk), 0, &[]);
        check_grid(Codec::Opus, spec(48_000, 2, Pace::Bulk), 0, &[0]);
        let mut out = Outbox::default();
        stage(Codec::Flac).finish(&mut out).unwrap();
        assert!(out.items.is_empty(), "without an announcement there is no format to write a head for");
    }

    #[test]
    fn a_discontinuity_marks_the_chunk_in_which_it_falls() {
        let spec = spec(48_000, 1, Pace::Live);
        let (mut stage, mut out) = (stage(Codec::Wav), Outbox::default());
        for (frames, mark) in [(4800, false), (100, false), (0, true), (9500, false), (4800, false)] {
            stage.push(block(spec, frames, 0.0).with_discontinuity(mark), &mut out).unwrap();
        }
        let marks: Vec<bool> = out.items.iter().map(|item| item.discontinuity).collect();
        assert_eq!(marks, [false, false, true, false, false]);
    }

    #[test]
    fn clipped_samples_are_a_fact() {
        let (mut stage, mut out) = (stage(Codec::Flac), Outbox::default());
        stage.push(block(spec(48_000, 2, Pace::Bulk), 10, 1.5), &mut out).unwrap();
        stage.push(block(spec(48_000, 2, Pace::Bulk), 10, 1.0), &mut out).unwrap();
        assert_eq!(out.facts, [Fact::SamplesClipped { samples: 20 }]);
    }

    #[test]
    fn another_rate_or_another_channel_count_ends_the_stream() {
        let first = spec(48_000, 2, Pace::Bulk);
        for other in [spec(44_100, 2, Pace::Bulk), spec(48_000, 1, Pace::Bulk)] {
            let (mut stage, mut out) = (stage(Codec::Flac), Outbox::default());
            stage.push(PcmBlock::announce(first, 0), &mut out).unwrap();
            let error = stage.push(block(other, 100_000, 0.0), &mut out).unwrap_err();
            assert_eq!(error.code(), "format_changed");
            assert_eq!(out.items.len(), 1, "nothing is emitted for a refused input");
        }
    }

    #[test]
    fn the_restart_point_is_the_first_input_with_samples_left() {
        let spec = spec(48_000, 1, Pace::Live);
        let (mut stage, mut out) = (stage(Codec::Wav), Outbox::default());
        for (frames, expect) in [(0, (1, 1)), (4000, (1, 1)), (1000, (2, 2)), (0, (2, 2)), (4600, (5, 3))] {
            stage.push(block(spec, frames, 0.0), &mut out).unwrap();
            let restart = stage.restart();
            assert_eq!((restart.input, restart.output), expect);
        }
    }

    #[test]
    fn opus_restarts_at_the_beginning_only() {
        let (mut stage, mut out) = (stage(Codec::Opus), Outbox::default());
        stage.push(block(spec(48_000, 1, Pace::Live), 10_000, 0.0), &mut out).unwrap();
        assert_eq!(stage.restart(), Restart::default());
    }
}
