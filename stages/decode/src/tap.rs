//! What went into a demuxer since its last packet: to find packets again in the stream, and to notice that a
//! demuxer finds none any more.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes without a packet after which a stream is given up. Readers search for their next packet without end;
/// the largest packets of a stream that is read live are those of FLAC, and far smaller.
const BARREN_BYTES_MAX: u64 = 4 << 20;

/// Bytes that are remembered at most. Readers are ahead of their packets by 32 KiB and a packet.
const REMEMBERED_BYTES_MAX: usize = 256 << 10;

/// Shared by the byte source, which writes, and the reader's session, which asks. They run on one thread and never
/// at once; the lock is there because a media source must be `Send + Sync`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tap(Arc<Mutex<History>>);

#[derive(Debug, Default)]
struct History {
    /// What was read last, from stream offset `start` on; empty unless `remembering`.
    bytes: Vec<u8>,
    start: u64,
    remembering: bool,
    /// Whether anything was forgotten.
    forgetful: bool,
    /// Bytes since the last packet.
    barren: u64,
    /// Whether there was a packet at all: heads may be of any size.
    fertile: bool,
}

impl Tap {
    /// A tap that remembers, and whose first byte is at `start` of the stream.
    pub(crate) fn remembering(start: u64) -> Self {
        let history = History { start, remembering: true, ..History::default() };
        Self(Arc::new(Mutex::new(history)))
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of bytes that go into the demuxer.
    pub(crate) fn pass(&self, bytes: &[u8]) -> io::Result<()> {
        let mut history = self.history();
        history.barren += bytes.len() as u64;
        if history.fertile && history.barren > BARREN_BYTES_MAX {
            return Err(io::Error::other(format!("{BARREN_BYTES_MAX} bytes hold no packet")));
        }
        if history.remembering {
            history.bytes.extend_from_slice(bytes);
            let surplus = history.bytes.len().saturating_sub(2 * REMEMBERED_BYTES_MAX);
            if surplus > 0 {
                history.forget(surplus + REMEMBERED_BYTES_MAX);
            }
        }
        Ok(())
    }

    /// Takes note of a packet of any track.
    pub(crate) fn packet(&self) {
        let mut history = self.history();
        history.barren = 0;
        history.fertile = true;
    }

    /// Bytes since the last packet.
    pub(crate) fn barren(&self) -> u64 {
        self.history().barren
    }

    /// Where in the stream `packet` lies, if it is remembered; what lies before its end is then forgotten.
    pub(crate) fn locate(&self, packet: &[u8]) -> Option<u64> {
        self.take(|bytes| {
            let at = match bytes.starts_with(packet) {
                true => 0,
                false => bytes.windows(packet.len().max(1)).position(|window| window == packet)?,
            };
            Some(at..at + packet.len())
        })
    }

    /// Where in the stream that begins which `find` finds in what is remembered; what lies before its end is then
    /// forgotten.
    pub(crate) fn take(&self, find: impl FnOnce(&[u8]) -> Option<Range<usize>>) -> Option<u64> {
        let mut history = self.history();
        let found = find(&history.bytes)?;
        let offset = history.start + found.start as u64;
        history.forget(found.end);
        Some(offset)
    }

    /// All bytes so far and where in the stream they begin, if none was forgotten yet.
    pub(crate) fn beginning(&self) -> Option<(u64, Vec<u8>)> {
        let history = self.history();
        (history.remembering && !history.forgetful).then(|| (history.start, history.bytes.clone()))
    }

    /// Remembers nothing any more.
    pub(crate) fn stop(&self) {
        let mut history = self.history();
        history.remembering = false;
        history.bytes = Vec::new();
    }
}

impl History {
    fn forget(&mut self, bytes: usize) {
        self.forgetful |= bytes > 0;
        self.bytes.drain(..bytes);
        self.start += bytes as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_found_where_they_lie() {
        let tap = Tap::remembering(100);
        tap.pass(b"headAAAABBBBjunkCCCC").unwrap();
        assert_eq!(tap.locate(b"AAAA"), Some(104));
        assert_eq!(tap.locate(b"BBBB"), Some(108));
        assert_eq!(tap.locate(b"CCCC"), Some(116));
        assert_eq!(tap.locate(b"BBBB"), None);
    }

    #[test]
    fn memory_is_bounded() {
        let tap = Tap::remembering(0);
        for _ in 0..100 {
            tap.pass(&[0; 32 << 10]).unwrap();
        }
        assert!(tap.history().bytes.len() <= 2 * REMEMBERED_BYTES_MAX);
        tap.pass(b"packet").unwrap();
        assert_eq!(tap.locate(b"packet"), Some(100 * (32 << 10)));
    }

    #[test]
    fn bytes_without_a_packet_end_in_an_error_once_there_was_one() {
        let tap = Tap::default();
        let block = vec![0; 1 << 20];
        assert!((0..10).all(|_| tap.pass(&block).is_ok()));
        tap.packet();
        assert_eq!((0..10).filter(|_| tap.pass(&block).is_ok()).count(), 4);
    }
}
