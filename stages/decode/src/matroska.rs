//! How long a Matroska or WebM stream says it is (RFC 8794, RFC 9559). Symphonia's reader takes any end for one
//! that came too early.

/// The first bytes of Matroska and WebM.
pub(crate) const EBML: [u8; 4] = [0x1A, 0x45, 0xDF, 0xA3];
/// The element that holds everything else.
const SEGMENT: [u8; 4] = [0x18, 0x53, 0x80, 0x67];
/// An EBML header beyond this is not believed.
const EBML_HEADER_MAX: u64 = 64 * 1024;

/// What the head says about the length of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// So many bytes in all are needed to see more.
    Needs(usize),
    /// The segment ends there.
    Bytes(u64),
    /// The segment is of unknown size, as in live WebM.
    Unknown,
}

/// Looks at a head that begins with [`EBML`].
pub(crate) fn length(head: &[u8]) -> Length {
    let Some((size, length)) = vint(&head[4..]) else { return Length::Needs(head.len() + 8) };
    let Some(size) = size.filter(|size| *size <= EBML_HEADER_MAX) else { return Length::Unknown };
    let segment = 4 + length + usize::try_from(size).unwrap_or(usize::MAX);
    let Some(found) = head.get(segment..segment + 12) else { return Length::Needs(segment + 12) };
    match vint(&found[4..]) {
        Some((Some(size), length)) if found.starts_with(&SEGMENT) => {
            Length::Bytes((segment + 4 + length) as u64 + size)
        }
        _ => Length::Unknown,
    }
}

/// A size of EBML and its length: 1 to 8 bytes, as many as the first has leading zeros, and one. All ones means
/// unknown. `None` where bytes are missing.
fn vint(bytes: &[u8]) -> Option<(Option<u64>, usize)> {
    let length = bytes.first()?.leading_zeros() as usize + 1;
    if length > 8 {
        return Some((None, length));
    }
    let raw = bytes.get(..length)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    let ones = (1_u64 << (7 * length)) - 1;
    Some((Some(raw & ones).filter(|size| *size != ones), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_ebml_are_read() {
        assert_eq!(vint(&[0x81]), Some((Some(1), 1)));
        assert_eq!(vint(&[0x40, 0x02, 9]), Some((Some(2), 2)));
        assert_eq!(vint(&[0xFF]), Some((None, 1)));
        assert_eq!(vint(&[0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), Some((None, 8)));
        assert_eq!(vint(&[0x00]), Some((None, 9)));
        assert_eq!(vint(&[0x40]), None);
    }

    #[test]
    fn the_end_of_the_segment_is_found() {
        let head = |size: &[u8]| [&EBML[..], &[0x82, 1, 2], &SEGMENT, size, &[0; 12]].concat();
        assert_eq!(length(&head(&[0x81])), Length::Bytes(13));
        assert_eq!(length(&head(&[0x40, 0xFF])), Length::Bytes(14 + 255 - 1));
        assert_eq!(length(&head(&[0x01, 255, 255, 255, 255, 255, 255, 255])), Length::Unknown);
        for end in 4..18 {
            assert!(matches!(length(&head(&[0x81])[..end]), Length::Needs(n) if n > end), "{end}");
        }
        assert_eq!(length(&[&EBML[..], &[0x01, 0, 0, 0, 0xFF, 0, 0, 0]].concat()), Length::Unknown);
    }
}
