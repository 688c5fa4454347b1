//! Puts the chunks of one output stream together, and refuses what is not gapless and whole.

use super::{Exit, Failure};
use crate::ports::InRecord;
use bytes::Bytes;
use treble_schemas::chunk::crc32c_append;
use treble_schemas::frame::{self, Format};
use treble_schemas::{AudioChunk, AudioFormat, ChunkBody, Totals};

/// What one record added.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    /// These bytes.
    Data(Bytes),
    /// Nothing more will come, and what came is whole.
    End(Totals),
}

/// The stream so far.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    next_seq: u64,
    samples: u64,
    bytes: u64,
    crc32c: u32,
    format: Option<AudioFormat>,
}

impl Gathered {
    /// Bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Chunks so far.
    pub(super) fn chunks(&self) -> u64 {
        self.next_seq
    }

    /// Seconds of audio so far.
    #[expect(clippy::cast_precision_loss, reason = "2^53 frames are 6,000 years at 48 kHz")]
    pub(super) fn seconds(&self) -> f64 {
        let rate = self.format.as_ref().map_or(0, |format| format.sample_rate_hz);
        if rate == 0 { 0.0 } else { self.samples as f64 / f64::from(rate) }
    }

    /// The media type, once it is known.
    pub(super) fn media_type(&self) -> &str {
        self.format.as_ref().map_or("", |format| &format.codec)
    }

    /// Takes the next chunk.
    pub(super) fn take(&mut self, chunk: AudioChunk) -> Result<Piece, Failure> {
        if chunk.seq != self.next_seq {
            let what = format!("the stream has a gap: chunk {} follows {}", chunk.seq, self.next_seq);
            return Err(damaged(&what));
        }
        self.next_seq += 1;
        match chunk.body {
            ChunkBody::Start { format, segment } => {
                self.format = Some(format);
                Ok(self.add(segment.data, segment.n_samples))
            }
            ChunkBody::Data { format, segment } => {
                self.format = format.or(self.format.take());
                Ok(self.add(segment.data, segment.n_samples))
            }
            ChunkBody::End(totals) => self.check(totals).map(|()| Piece::End(totals)),
            ChunkBody::Abort(reason) => Err(Failure::new(Exit::Data, "the stream was aborted")
                .because(format!("{} ({}, stage {})", reason.message, reason.code, reason.stage))
                .mend("`treble dlq list` shows the record at fault; what came before it was written")),
        }
    }

    fn add(&mut self, data: Bytes, samples: u64) -> Piece {
        self.samples += samples;
        self.bytes += data.len() as u64;
        self.crc32c = crc32c_append(self.crc32c, &data);
        Piece::Data(data)
    }

    fn check(&self, totals: Totals) -> Result<(), Failure> {
        let same = totals.bytes == self.bytes
            && totals.samples == self.samples
            && totals.crc32c.is_none_or(|crc32c| crc32c == self.crc32c);
        if same {
            return Ok(());
        }
        let (bytes, samples) = (self.bytes, self.samples);
        Err(damaged(&format!(
            "END claims {} bytes and {} frames, but {bytes} bytes and {samples} frames came, or their checksum differs",
            totals.bytes, totals.samples
        )))
    }
}

/// The chunk that `record` holds, if it is one of ours.
pub(super) fn chunk_of(record: &InRecord) -> Result<AudioChunk, Failure> {
    let place = format!("{} partition {} offset {}", record.topic, record.partition, record.offset);
    let refuse = |why: String| damaged(&format!("{place} holds no chunk")).because(why);
    let value = record.value.as_ref().ok_or_else(|| refuse("it has no value".to_owned()))?;
    let framed = frame::split(value, Format::Protobuf).map_err(|error| refuse(error.to_string()))?;
    AudioChunk::decode(framed.body).map_err(|error| refuse(error.to_string()))
}

fn damaged(what: &str) -> Failure {
    Failure::new(Exit::Data, what)
        .mend("nobody but Treble may write to its output topic; please report it otherwise")
}

#[cfg(test)]
mod tests {
    use super::*;
    use treble_schemas::{AbortReason, Segment, StreamId};

    fn chunk(seq: u64, body: ChunkBody) -> AudioChunk {
        AudioChunk { stream_id: StreamId::new("a").unwrap(), seq, capture_time_us: 0, source: None, body }
    }

    fn segment(data: &'static [u8], n_samples: u64) -> Segment {
        Segment { data: Bytes::from_static(data), n_samples, ..Segment::default() }
    }

    fn start() -> AudioChunk {
        let format = AudioFormat { codec: "audio/flac".into(), sample_rate_hz: 2, ..AudioFormat::default() };
        chunk(0, ChunkBody::Start { format, segment: segment(b"head", 0) })
    }

    fn data(seq: u64) -> AudioChunk {
        chunk(seq, ChunkBody::Data { format: None, segment: segment(b"data", 3) })
    }

    fn end(seq: u64, bytes: u64, samples: u64) -> AudioChunk {
        let crc32c = Some(crc32c_append(0, b"headdata"));
        chunk(seq, ChunkBody::End(Totals { samples, bytes, crc32c }))
    }

    #[test]
    fn a_whole_stream_comes_out_whole() {
        let mut gathered = Gathered::default();
        assert_eq!(gathered.take(start()).unwrap(), Piece::Data(Bytes::from_static(b"head")));
        assert_eq!(gathered.take(data(1)).unwrap(), Piece::Data(Bytes::from_static(b"data")));
        assert!(matches!(gathered.take(end(2, 8, 3)).unwrap(), Piece::End(_)));
        assert_eq!((gathered.bytes(), gathered.seconds(), gathered.media_type()), (8, 1.5, "audio/flac"));
    }

    #[test]
    fn gaps_repeats_and_false_totals_are_refused() {
        for wrong in [data(2), data(0), end(1, 8, 3)] {
            let mut gathered = Gathered::default();
            gathered.take(start()).unwrap();
            assert_eq!(gathered.take(wrong).unwrap_err().exit, Exit::Data);
        }
    }

    #[test]
    fn an_abort_says_why() {
        let reason =
            AbortReason { code: "not_audio".into(), message: "no reader".into(), stage: "decode".into() };
        let failure = Gathered::default().take(chunk(0, ChunkBody::Abort(reason))).unwrap_err();
        assert_eq!(failure.exit, Exit::Data);
        assert!(failure.to_string().contains("no reader (not_audio, stage decode)"), "{failure}");
    }
}
