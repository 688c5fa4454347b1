//! Cuts a stream of bytes into the chunks that a producer publishes: START, DATA, END.

use bytes::Bytes;
use std::io::{self, Read};
use treble_schemas::chunk::crc32c_append;
use treble_schemas::{AudioChunk, AudioFormat, ChunkBody, Segment, StreamId, Totals};

/// Data bytes of a chunk: half of what a reader takes, a fortieth of a second of 24/96 PCM more than one of
/// Kafka's batches needs to be worth its overhead.
pub(super) const CHUNK_BYTES: usize = 256 * 1024;

/// The chunks of one stream, in order.
#[derive(Debug)]
pub(super) struct Chunker {
    stream_id: StreamId,
    next_seq: u64,
    totals: Totals,
}

impl Chunker {
    pub(super) fn new(stream_id: StreamId) -> Self {
        let totals = Totals { samples: 0, bytes: 0, crc32c: Some(0) };
        Self { stream_id, next_seq: 0, totals }
    }

    /// Bytes cut so far.
    pub(super) fn bytes(&self) -> u64 {
        self.totals.bytes
    }

    /// The first chunk: what the stream is.
    pub(super) fn start(&mut self, media_type: &str, live: bool, now_us: i64) -> AudioChunk {
        let format = AudioFormat { codec: media_type.to_owned(), live, ..AudioFormat::default() };
        self.chunk(now_us, ChunkBody::Start { format, segment: Segment::default() })
    }

    /// The next chunk.
    pub(super) fn data(&mut self, data: Bytes, now_us: i64) -> AudioChunk {
        self.totals.bytes += data.len() as u64;
        self.totals.crc32c = self.totals.crc32c.map(|crc| crc32c_append(crc, &data));
        self.chunk(now_us, ChunkBody::Data { format: None, segment: Segment { data, ..Segment::default() } })
    }

    /// The last chunk.
    pub(super) fn end(&mut self, now_us: i64) -> AudioChunk {
        self.chunk(now_us, ChunkBody::End(self.totals))
    }

    fn chunk(&mut self, capture_time_us: i64, body: ChunkBody) -> AudioChunk {
        let seq = self.next_seq;
        self.next_seq += 1;
        AudioChunk { stream_id: self.stream_id.clone(), seq, capture_time_us, source: None, body }
    }
}

/// The next `size` bytes, fewer at the end; of a live source what is there now. Empty at the end.
pub(super) fn next_piece(input: &mut dyn Read, size: usize, live: bool) -> io::Result<Bytes> {
    let mut piece = vec![0; size];
    let mut filled = 0;
    while filled < size {
        match input.read(&mut piece[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if live {
            break;
        }
    }
    piece.truncate(filled);
    Ok(piece.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use treble_schemas::ChunkKind;

    #[test]
    fn a_stream_is_start_data_end_without_gaps() {
        let mut chunker = Chunker::new(StreamId::new("a").unwrap());
        let chunks = [
            chunker.start("audio/wav", false, 1),
            chunker.data(Bytes::from_static(b"one"), 2),
            chunker.data(Bytes::from_static(b"two"), 3),
            chunker.end(4),
        ];
        let kinds: Vec<_> = chunks.iter().map(|chunk| (chunk.seq, chunk.body.kind())).collect();
        let expect = [ChunkKind::Start, ChunkKind::Data, ChunkKind::Data, ChunkKind::End];
        assert_eq!(kinds, (0..).zip(expect).collect::<Vec<_>>());
        let ChunkBody::End(totals) = &chunks[3].body else { panic!("END is last") };
        assert_eq!((totals.bytes, totals.crc32c), (6, Some(crc32c_append(0, b"onetwo"))));
    }

    #[test]
    fn pieces_are_full_but_the_last_and_live_ones_are_not_waited_for() {
        struct Drip(usize);
        impl Read for Drip {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                let length = self.0.min(3).min(out.len());
                self.0 -= length;
                Ok(length)
            }
        }
        let lengths = |live: bool| {
            let mut input = Drip(10);
            let pieces = std::iter::repeat_with(move || next_piece(&mut input, 4, live).unwrap().len());
            pieces.take_while(|length| *length > 0).collect::<Vec<_>>()
        };
        assert_eq!(lengths(false), [4, 4, 2]);
        assert_eq!(lengths(true), [3, 3, 3, 1]);
    }
}
