//! Gives a FLAC frame another number, so that a frame is a pure function of its samples and its place.
//!
//! The frame writer of flac-codec numbers frames itself, from 0, and its counter cannot be set. A stage that
//! restarts in the middle of a stream must go on with the next number, so every frame is renumbered here.
//! Layout and checksums: RFC 9639 sections 9.1 and 9.3.

/// Bytes before the coded number: sync code, block size and rate codes, channel and depth codes.
const FIXED_BYTES: usize = 4;
/// The CRC-16 that ends a frame.
const FOOTER_BYTES: usize = 2;

/// Appends `frame`, which must be one whole frame, to `out` as number `number`. With `rate_unlisted` its rate
/// is declared to be found in the stream's head.
///
/// `None` if `frame` is too short to be one, or `number` has more than the 36 bits that fit.
pub(crate) fn renumber(frame: &[u8], number: u64, rate_unlisted: bool, out: &mut Vec<u8>) -> Option<()> {
    let (&[sync_high, sync_low, codes, depth], rest) = frame.split_first_chunk::<FIXED_BYTES>()?;
    let old_number = coded_len(*rest.first()?)?;
    let extra = extra_len(codes);
    let (extra, body) = rest.get(old_number..)?.split_at_checked(extra)?;
    let subframes = body.get(1..body.len().checked_sub(FOOTER_BYTES)?)?;

    let start = out.len();
    let codes = if rate_unlisted { codes & 0xf0 } else { codes };
    out.extend([sync_high, sync_low, codes, depth]);
    push_number(number, out)?;
    out.extend(extra);
    out.push(crc8(&out[start..]));
    out.extend(subframes);
    let crc = crc16(&out[start..]);
    out.extend(crc.to_be_bytes());
    Some(())
}

/// Bytes of the coded number that begins with `first`.
fn coded_len(first: u8) -> Option<usize> {
    match first.leading_ones() {
        0 => Some(1),
        n @ 2..=7 => Some(n as usize),
        _ => None,
    }
}

/// Bytes of the uncommon block size and rate that follow the number.
fn extra_len(codes: u8) -> usize {
    let block_size = match codes >> 4 {
        6 => 1,
        7 => 2,
        _ => 0,
    };
    let rate = match codes & 0x0f {
        12 => 1,
        13 | 14 => 2,
        _ => 0,
    };
    block_size + rate
}

/// The number in the manner of UTF-8, extended to 36 bits.
#[expect(clippy::cast_possible_truncation, reason = "each byte takes the bits that are masked for it")]
fn push_number(number: u64, out: &mut Vec<u8>) -> Option<()> {
    let tail = match number {
        0..0x80 => {
            out.push(number as u8);
            return Some(());
        }
        0x80..0x800 => 1,
        0x800..0x1_0000 => 2,
        0x1_0000..0x20_0000 => 3,
        0x20_0000..0x400_0000 => 4,
        0x400_0000..0x8000_0000 => 5,
        0x8000_0000..0x10_0000_0000 => 6,
        _ => return None,
    };
    let marker = !(0x7f_u8 >> tail);
    out.push(marker | (number >> (6 * tail)) as u8);
    out.extend((0..tail).rev().map(|byte| 0x80 | (number >> (6 * byte)) as u8 & 0x3f));
    Some(())
}

const CRC8: [u8; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let (mut crc, mut bit) = (at as u8, 0);
        while bit < 8 {
            crc = if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 0x07 };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
    }
    table
};

const CRC16: [u16; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let (mut crc, mut bit) = ((at as u16) << 8, 0);
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x8005 };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
    }
    table
};

fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| CRC8[usize::from(crc ^ byte)])
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| CRC16[usize::from((crc >> 8) as u8 ^ byte)] ^ (crc << 8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flac_codec::encode::{FlacStreamWriter, Options};

    /// The frames that flac-codec numbers 0, 1, 2, … itself.
    fn numbered_by_the_library(count: usize, rate: u32, block: &[i32]) -> Vec<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut frames = Vec::new();
        let mut ends = vec![0];
        for frame in 1..=count {
            // The writer owns its output: a fresh one writes the first `frame` frames anew.
            bytes.clear();
            let mut writer = FlacStreamWriter::new(&mut bytes, Options::fast());
            for _ in 0..frame {
                writer.write(rate, 1, 16, block).unwrap();
            }
            frames.push(bytes[ends[frame - 1]..].to_vec());
            ends.push(bytes.len());
        }
        frames
    }

    #[test]
    fn a_renumbered_frame_is_the_frame_that_the_library_would_have_numbered_so() {
        for (rate, block) in [(48_000, 16), (44_100, 4096), (11_025, 300), (96_010, 17), (29_000, 20)] {
            let block: Vec<i32> = (0..block).map(|n| n * 7 % 50).collect();
            let frames = numbered_by_the_library(131, rate, &block);
            for (number, frame) in frames.iter().enumerate() {
                for other in [0, 127, 128, 130] {
                    let mut out = Vec::new();
                    renumber(&frames[other], number as u64, false, &mut out).unwrap();
                    assert_eq!(&out, frame, "{other} as {number} at {rate} Hz");
                }
            }
        }
    }

    fn check_number(number: u64, expect: Option<&[u8]>) {
        let mut out = Vec::new();
        assert_eq!(push_number(number, &mut out).map(|()| &out[..]), expect, "{number:#x}");
    }

    #[test]
    fn numbers_are_coded_as_utf8_extended_to_36_bits() {
        check_number(0x7f, Some(&[0x7f]));
        check_number(0x80, Some("\u{80}".as_bytes()));
        check_number(0x7ff, Some("\u{7ff}".as_bytes()));
        check_number(0x800, Some("\u{800}".as_bytes()));
        check_number(0xffff, Some("\u{ffff}".as_bytes()));
        check_number(0x1_0000, Some("\u{10000}".as_bytes()));
        check_number(0x3ff_ffff, Some(&[0xfb, 0xbf, 0xbf, 0xbf, 0xbf]));
        check_number(0x400_0000, Some(&[0xfc, 0x84, 0x80, 0x80, 0x80, 0x80]));
        check_number(0x7fff_ffff, Some(&[0xfd, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf]));
        check_number(0xf_ffff_ffff, Some(&[0xfe, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf]));
        check_number(0x10_0000_0000, None);
    }

    #[test]
    fn the_checksums_are_those_of_the_catalogue() {
        assert_eq!(crc8(b"123456789"), 0xf4, "CRC-8/SMBUS");
        assert_eq!(crc16(b"123456789"), 0xfee8, "CRC-16/UMTS");
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for bytes in
            [&[][..], &[0xff], &[0xff, 0xf8, 0xc9, 0x08], &[0xff, 0xf8, 0xc9, 0x08, 0x80, 0, 0, 0, 0]]
        {
            assert_eq!(renumber(bytes, 0, false, &mut Vec::new()), None, "{bytes:x?}");
        }
    }
}
