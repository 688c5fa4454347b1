//! Containers that need seeking are held back whole, within a limit; all others are read as they come.
//!
//! The same rule holds on every path, because some readers give other results where they may seek.

use crate::limits::check;
use crate::source::ByteSource;
use bytes::Bytes;
use std::io;
use treble_core::{LimitKind, StageError};

/// Bytes that tell the containers apart.
const HEAD_BYTES: usize = 12;

/// A stream, ready to be probed.
#[derive(Debug)]
pub(crate) enum Input {
    /// To be read as it comes.
    Live(ByteSource),
    /// A container that needs seeking, complete.
    Whole(Bytes),
}

/// Looks at the first bytes and spools the stream if its container needs seeking.
///
/// # Errors
/// If the spool passes `limit` bytes, or the stream holds no bytes at all.
pub(crate) fn open(mut source: ByteSource, limit: u64) -> Result<Input, StageError> {
    let mut head = Vec::new();
    fill(&mut source, &mut head, HEAD_BYTES).map_err(|error| broken(&error))?;
    if head.is_empty() {
        return Err(StageError::NotAudio { detail: "the stream holds no bytes".to_owned() });
    }
    if !needs_seeking(&head) {
        source.put_back(Bytes::from(head));
        return Ok(Input::Live(source));
    }
    check(LimitKind::SpoolBytes, head.len() as u64, limit)?;
    while let Some(run) = source.next_run().map_err(|error| broken(&error))? {
        check(LimitKind::SpoolBytes, (head.len() + run.len()) as u64, limit)?;
        head.extend_from_slice(&run);
    }
    Ok(Input::Whole(Bytes::from(head)))
}

fn needs_seeking(head: &[u8]) -> bool {
    let at = |from: usize, what: &[u8]| head.get(from..from + what.len()) == Some(what);
    at(4, b"ftyp") || at(0, b"caff") || (at(0, b"FORM") && (at(8, b"AIFF") || at(8, b"AIFC")))
}

/// Reads runs into `into` until it holds `wanted` bytes or the stream ends.
fn fill(source: &mut ByteSource, into: &mut Vec<u8>, wanted: usize) -> io::Result<()> {
    while into.len() < wanted {
        let Some(run) = source.next_run()? else { break };
        into.extend_from_slice(&run);
    }
    Ok(())
}

fn broken(error: &io::Error) -> StageError {
    StageError::Corrupt { frame: 0, detail: error.to_string() }
}
