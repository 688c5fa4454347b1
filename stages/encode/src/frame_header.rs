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
