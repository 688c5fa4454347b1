//! The first bytes decide how a stream is read: containers that need seeking are held back whole, within a
//! limit; all others are read as they come.
//!
//! The same rule holds on every path, because some readers give other results where they may seek.

use crate::limits::{Limits, check};
use crate::matroska;
use crate::mp4;
use crate::source::ByteSource;
use crate::wav;
use bytes::Bytes;
use std::io;
use treble_core::{ChannelCount, LimitKind, StageError};

/// Bytes that tell the containers apart; the first page of Ogg names its codec after 28.
const HEAD_BYTES: usize = 36;

/// A stream, ready to be probed.
#[derive(Debug)]
pub(crate) enum Input {
    /// To be read as it comes.
    Live(ByteSource, Promise),
    /// A container that needs seeking, complete.
    Whole(Bytes),
}

/// What the head says about the length of a stream, where its reader does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    /// The head is not one of those that are told apart here: the prober is to search.
    Search,
    /// The reader knows best.
    None,
    /// The stream may end anywhere.
    OpenEnded,
    /// The stream has at least this many bytes.
    Bytes(u64),
}

/// Looks at the first bytes and spools the stream if its container needs seeking.
///
/// # Errors
/// If the stream holds no bytes at all, is of a kind that is known not to be readable, or passes a limit.
pub(crate) fn open(mut source: ByteSource, limits: &Limits) -> Result<Input, StageError> {
    let mut head = Vec::new();
    let promise = look(&mut source, &mut head)?;
    if head.is_empty() {
        return Err(StageError::NotAudio { detail: "the stream holds no bytes".to_owned() });
    }
    if let Some(name) = foreign(&head) {
        return Err(StageError::Unsupported { detail: name.to_owned() });
    }
    if !needs_seeking(&head) {
        source.put_back(Bytes::from(head));
        return Ok(Input::Live(source, promise));
    }
    // What is over by one byte is over: how far a run of bytes goes beyond depends on the cut.
    let limit = limits.spool_bytes;
    let within =
        |bytes: usize| check(LimitKind::SpoolBytes, (bytes as u64).min(limit.saturating_add(1)), limit);
    within(head.len())?;
    while let Some(run) = source.next_run().map_err(|error| broken(&error))? {
        within(head.len() + run.len())?;
        head.extend_from_slice(&run);
    }
    if let Some(promised) = mp4::declared_bytes(&head).filter(|promised| *promised > head.len() as u64) {
        let detail = format!("the container promises {promised} bytes");
        return Err(StageError::Truncated { frame: 0, detail });
    }
    Ok(Input::Whole(Bytes::from(head)))
}

/// Reads as much of the stream into `head` as it takes to know what it promises.
fn look(source: &mut ByteSource, head: &mut Vec<u8>) -> Result<Promise, StageError> {
    let mut wanted = HEAD_BYTES;
    loop {
        let ended = !fill(source, head, wanted).map_err(|error| broken(&error))?;
        wanted = if is_wave(head) {
            match wav::mend(head) {
                wav::Header::Needs(bytes) if !ended => bytes,
                wav::Header::OpenEnded => return Ok(Promise::OpenEnded),
                wav::Header::TooManyChannels(count) => {
                    check(LimitKind::Channels, count.into(), ChannelCount::MAX.into())?;
                    return Ok(Promise::None);
                }
                _ => return Ok(Promise::None),
            }
        } else if at(head, 0, &matroska::EBML) {
            match matroska::length(head) {
                matroska::Length::Needs(bytes) if !ended => bytes,
                matroska::Length::Bytes(bytes) => return Ok(Promise::Bytes(bytes)),
                _ => return Ok(Promise::OpenEnded),
            }
        } else {
            return Ok(Promise::Search);
        };
    }
}

/// Whether the stream begins as RIFF WAVE, or as its 64-bit sisters (EBU Tech 3306, ITU-R BS.2088).
pub(crate) fn is_wave(head: &[u8]) -> bool {
    let riff = [&b"RIFF"[..], b"RF64", b"BW64"].into_iter().any(|kind| at(head, 0, kind));
    riff && at(head, 8, b"WAVE")
}

/// Formats that are known and not read. The prober searches for what it knows, and would find the header of a
/// WAV file inside of some of these.
fn foreign(head: &[u8]) -> Option<&'static str> {
    const MAGIC: [(usize, &[u8], &str); 8] = [
        (0, b"MAC ", "Monkey's Audio"),
        (0, b"wvpk", "WavPack"),
        (0, b"MPCK", "Musepack"),
        (0, b"MP+", "Musepack"),
        (0, b"#!AMR", "AMR"),
        (0, b"TTA1", "True Audio"),
        (0, b"\x0B\x77", "AC-3"),
        (28, b"Speex   ", "Speex"),
    ];
    MAGIC.iter().find(|(from, magic, _)| at(head, *from, magic)).map(|(_, _, name)| *name)
}

fn at(head: &[u8], from: usize, what: &[u8]) -> bool {
    head.get(from..from + what.len()) == Some(what)
}

fn needs_seeking(head: &[u8]) -> bool {
    let aiff = at(head, 0, b"FORM") && (at(head, 8, b"AIFF") || at(head, 8, b"AIFC"));
    aiff || at(head, 4, b"ftyp") || at(head, 0, b"caff")
}

/// Reads runs into `into` until it holds `wanted` bytes; `false` where the stream ended before.
fn fill(source: &mut ByteSource, into: &mut Vec<u8>, wanted: usize) -> io::Result<bool> {
    while into.len() < wanted {
        let Some(run) = source.next_run()? else { return Ok(false) };
        into.extend_from_slice(&run);
    }
    Ok(true)
}

fn broken(error: &io::Error) -> StageError {
    StageError::Corrupt { frame: 0, detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_that_need_seeking_are_known_by_their_head() {
        for head in [&b"\0\0\0\x20ftypM4A "[..], b"caff\0\x01\0\0....", b"FORM....AIFF", b"FORM....AIFC"] {
            assert!(needs_seeking(head));
        }
        assert_eq!(foreign(b"MAC \x96\x0f"), Some("Monkey's Audio"));
        assert_eq!(foreign(b"fLaC"), None);
        for head in [&b"RIFF....WAVE"[..], b"FORM....8SVX", b"fLaC", b""] {
            assert!(!needs_seeking(head));
        }
    }
}
