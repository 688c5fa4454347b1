//! Heads of WAV files, mended where Symphonia takes them too literally.
//!
//! A writer to a pipe does not know the length of the data and leaves 0, `0xFFFFFFFF` or about `0x7FFFFFFF`.
//! Symphonia reads the second to the end of the stream, refuses the first, and takes the third at its word. It
//! does not know RF64 and BW64, which are RIFF but for the name and a 64-bit length.

use treble_core::ChannelCount;

/// Lengths from here on are a writer's "as much as possible", unless that much does come.
const ABOUT_MAX: u32 = 0x7FFF_0000;

/// Bytes before the data chunk at most; a header beyond that is left as it is.
pub(crate) const HEADER_BYTES_MAX: usize = 1 << 20;

/// The format tag of `WAVEFORMATEXTENSIBLE`.
const EXTENSIBLE: u16 = 0xFFFE;

/// A chunk header and a format chunk up to its channel mask, which only the extensible one has; what lies in its
/// place otherwise is left alone.
const FORMAT_BYTES: usize = 8 + 24;

/// What the header says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// It goes on: this many bytes in all are needed to see more.
    Needs(usize),
    /// The data chunk has the length that it says.
    Closed,
    /// The data ends where the stream ends.
    OpenEnded,
    /// There are more channels than any limit allows.
    TooManyChannels(u16),
    /// There is no data chunk within reach.
    Unclear,
}

/// Looks at the first bytes of a WAVE stream, and mends what Symphonia takes too literally.
pub(crate) fn mend(head: &mut [u8]) -> Header {
    let mut at = 12;
    let mut long_bytes = None;
    loop {
        let Some(chunk) = head.get_mut(at..) else { return needs(at + 8) };
        let (Some(kind), Some(size)) = (chunk.get(..4), u32_at(chunk, 4)) else { return needs(at + 8) };
        match kind {
            b"data" => return mend_data(head, at, size, long_bytes),
            b"ds64" if chunk.len() < 24 => return needs(at + 24),
            b"ds64" => long_bytes = Some((u32_at(chunk, 16), u32_at(chunk, 20))),
            b"fmt " if chunk.len() < FORMAT_BYTES => return needs(at + FORMAT_BYTES),
            b"fmt " => {
                if let Some(count) = mend_channels(&mut chunk[8..], size) {
                    return Header::TooManyChannels(count);
                }
            }
            _ => {}
        }
        at = match usize::try_from(size).ok().and_then(|size| at.checked_add(8 + size + size % 2)) {
            Some(next) if next <= HEADER_BYTES_MAX => next,
            _ => return Header::Unclear,
        };
    }
}

/// Where the data begins, in a head that is complete.
pub(crate) fn data_start(head: &[u8]) -> Option<usize> {
    let mut at = 12;
    while head.get(at..at + 4)? != b"data" {
        let size = usize::try_from(u32_at(head, at + 4)?).ok()?;
        at = at.checked_add(8 + size + size % 2)?;
    }
    Some(at + 8)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes([field[0], field[1], field[2], field[3]]))
}

/// Gives a format chunk a channel mask of as many bits as it has channels; some writers leave it 0, and
/// Symphonia may panic on one that is too wide. The number of channels, if no mask has room for them.
fn mend_channels(format: &mut [u8], size: u32) -> Option<u16> {
    let (tag, count) =
        (u16::from_le_bytes([format[0], format[1]]), u16::from_le_bytes([format[2], format[3]]));
    if u32::from(count) > ChannelCount::MAX {
        return Some(count);
    }
    let mask = u32_at(format, 20).filter(|_| tag == EXTENSIBLE && size >= 24)?;
    if mask.count_ones() != u32::from(count) && count > 0 {
        format[20..24].copy_from_slice(&(u32::MAX >> (32 - u32::from(count))).to_le_bytes());
    }
    None
}

fn needs(bytes: usize) -> Header {
    if bytes > HEADER_BYTES_MAX { Header::Unclear } else { Header::Needs(bytes) }
}

/// Decides on the length of the data chunk at `at`. `long` is what the 64-bit header says, low word first.
fn mend_data(head: &mut [u8], at: usize, size: u32, long: Option<(Option<u32>, Option<u32>)>) -> Header {
    let riff = u32_at(head, 4).unwrap_or(0);
    // A RIFF length that ends with this header, or that is itself unknown, claims nothing behind it.
    let nothing_behind = riff == 0 || riff == u32::MAX || riff as usize <= at;
    let size = match long {
        Some((Some(low), Some(0))) if size == u32::MAX => low,
        _ => size,
    };
    let size = if size == 0 && nothing_behind { u32::MAX } else { size };
    head[..4].copy_from_slice(b"RIFF");
    // Symphonia refuses a chunk that is longer than a RIFF length which many writers get wrong.
    head[4..8].fill(0xFF);
    head[at + 4..at + 8].copy_from_slice(&size.to_le_bytes());
    if size >= ABOUT_MAX { Header::OpenEnded } else { Header::Closed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: &[u8; 4], riff: u32, data: u32) -> Vec<u8> {
        let fmt = [&b"fmt \x18\0\0\0\xFE\xFF\x02\0"[..], &[0; 20]].concat();
        let list = b"LIST\x01\0\0\0x\0";
        [&kind[..], &riff.to_le_bytes(), b"WAVE", &fmt, list, b"data", &data.to_le_bytes()].concat()
    }

    #[test]
    fn lengths_that_are_unknown_are_told_from_those_that_are_known() {
        let check = |riff, data, expect, size| {
            let mut head = header(b"RIFF", riff, data);
            assert_eq!(mend(&mut head), expect, "{riff} {data}");
            assert_eq!(data_start(&head), Some(head.len()));
            assert_eq!(u32_at(&head, head.len() - 4), Some(size), "{riff} {data}");
        };
        check(1_036, 1_000, Header::Closed, 1_000);
        check(u32::MAX, u32::MAX, Header::OpenEnded, u32::MAX);
        check(0, 0, Header::OpenEnded, u32::MAX);
        check(54, 0, Header::OpenEnded, u32::MAX);
        check(132, 0, Header::Closed, 0);
        check(0x7FFF_FFFF, 0x7FFF_FFDB, Header::OpenEnded, 0x7FFF_FFDB);
    }

    #[test]
    fn the_64_bit_length_is_taken_where_it_fits() {
        for (high, expect) in [(0, Header::Closed), (1, Header::OpenEnded)] {
            let mut head = header(b"RF64", u32::MAX, u32::MAX);
            let ds64 =
                [&b"ds64\x1c\0\0\0"[..], &[0; 8], &7_u32.to_le_bytes(), &[high, 0, 0, 0], &[0; 12]].concat();
            head.splice(12..12, ds64);
            assert_eq!(mend(&mut head), expect);
            assert!(head.starts_with(b"RIFF"));
        }
    }

    #[test]
    fn a_channel_mask_of_the_wrong_width_is_replaced() {
        let mut head = header(b"RIFF", 0, 0);
        mend(&mut head);
        assert_eq!(u32_at(&head, 40), Some(3));
        head[22..24].copy_from_slice(&33_u16.to_le_bytes());
        assert_eq!(mend(&mut head), Header::TooManyChannels(33));
    }

    #[test]
    fn a_header_that_goes_on_says_how_far() {
        let mut head = header(b"RIFF", 0, 0);
        for end in 12..head.len() {
            assert!(matches!(mend(&mut head[..end]), Header::Needs(n) if n > end), "{end}");
        }
        let mut endless = header(b"RIFF", 0, 0);
        endless[16..20].fill(0xFF);
        assert_eq!(mend(&mut endless), Header::Unclear);
    }
}
