//! What an MP4 file says about its encoder's delay. Symphonia reads neither edit lists nor Apple's comment, so
//! both are read here, out of the spooled file (ISO/IEC 14496-12; `iTunSMPB` as iTunes writes it).

/// A child of a box: its type and what it holds.
type Child<'a> = ([u8; 4], &'a [u8]);

/// What a file says about one track.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Gapless {
    /// The first edit that plays something.
    pub(crate) edit: Option<Edit>,
    /// Apple's word on the whole file, which is exact.
    pub(crate) comment: Option<Comment>,
}

/// One edit: a run of the track that is to be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edit {
    /// Where it starts, in ticks of the track.
    pub(crate) media_time: u64,
    /// Ticks of the track a second.
    pub(crate) media_timescale: u32,
    /// How long it is, in ticks of the movie; 0 where it is unknown.
    pub(crate) duration: u64,
    /// Ticks of the movie a second.
    pub(crate) movie_timescale: u32,
}

/// The numbers of an `iTunSMPB` comment, in frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Comment {
    /// Frames of encoder delay.
    pub(crate) priming: u64,
    /// Frames of audio between delay and padding.
    pub(crate) valid: u64,
}

/// What `file` says about the track of `track_id`; nothing where it is not understood.
pub(crate) fn gapless(file: &[u8], track_id: u32) -> Gapless {
    let Some(moov) = find(file, &[b"moov"]) else { return Gapless::default() };
    let edit = children(moov)
        .filter(|(kind, _)| kind == b"trak")
        .find(|(_, trak)| find(trak, &[b"tkhd"]).and_then(track_id_of) == Some(track_id))
        .and_then(|(_, trak)| edit_of(moov, trak));
    Gapless { edit, comment: comment_of(moov) }
}

/// Bytes that the outermost boxes of an MP4 file say they have; `None` for other files.
pub(crate) fn declared_bytes(file: &[u8]) -> Option<u64> {
    if file.get(4..8) != Some(b"ftyp") {
        return None;
    }
    let mut at = 0;
    while let Some(size) = usize::try_from(at).ok().and_then(|at| box_size(file.get(at..)?)) {
        at = u64::checked_add(at, size)?;
    }
    Some(at)
}

/// The size of the box that `rest` begins with; `None` where there is none, or it reaches to the end of the file.
fn box_size(rest: &[u8]) -> Option<u64> {
    let size = match be(rest, 0, 4)? {
        1 => be(rest, 8, 8)?,
        size => size,
    };
    (size >= 8 && rest.len() >= 8).then_some(size)
}

fn children(mut rest: &[u8]) -> impl Iterator<Item = Child<'_>> {
    std::iter::from_fn(move || {
        let (size, kind) = (be(rest, 0, 4)?, <[u8; 4]>::try_from(rest.get(4..8)?).ok()?);
        let (head, size) = match size {
            0 => (8, rest.len() as u64),
            1 => (16, be(rest, 8, 8)?),
            _ => (8, size),
        };
        let size = usize::try_from(size).ok().filter(|size| *size >= head)?.min(rest.len());
        let body = rest.get(head..size)?;
        rest = &rest[size..];
        Some((kind, body))
    })
}

fn find<'a>(outer: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(outer, |outer, kind| {
        children(outer).find(|(found, _)| found == *kind).map(|(_, body)| body)
    })
}

/// `bytes` big-endian bytes at `at`.
fn be(data: &[u8], at: usize, bytes: usize) -> Option<u64> {
    let field = data.get(at..at.checked_add(bytes)?)?;
    Some(field.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// The field of a full box that lies at `short` in version 0 and at `long` in version 1.
fn versioned(body: &[u8], short: usize, long: usize) -> Option<usize> {
    Some(if *body.first()? == 0 { short } else { long })
}

fn track_id_of(tkhd: &[u8]) -> Option<u32> {
    u32::try_from(be(tkhd, versioned(tkhd, 12, 20)?, 4)?).ok()
}

fn timescale(header: &[u8]) -> Option<u32> {
    let scale = u32::try_from(be(header, versioned(header, 12, 20)?, 4)?).ok()?;
    (scale > 0).then_some(scale)
}

fn edit_of(moov: &[u8], trak: &[u8]) -> Option<Edit> {
    let elst = find(trak, &[b"edts", b"elst"])?;
    let (width, entry) = if *elst.first()? == 0 { (4, 12) } else { (8, 20) };
    let count = usize::try_from(be(elst, 4, 4)?).ok()?;
    let entries = elst.get(8..)?.chunks_exact(entry).take(count);
    // An empty edit (−1) delays the start of the track; what plays is the first one that is not.
    let empty = if width == 4 { u64::from(u32::MAX) } else { u64::MAX };
    let (duration, media_time) = entries
        .filter_map(|entry| Some((be(entry, 0, width)?, be(entry, width, width)?)))
        .find(|(_, media_time)| *media_time != empty)?;
    Some(Edit {
        media_time,
        media_timescale: timescale(find(trak, &[b"mdia", b"mdhd"])?)?,
        duration,
        movie_timescale: timescale(find(moov, &[b"mvhd"])?)?,
    })
}

fn comment_of(moov: &[u8]) -> Option<Comment> {
    let meta = find(moov, &[b"udta", b"meta"])?;
    // `meta` is a full box in MP4 and a plain one in QuickTime files.
    let list = find(meta.get(4..)?, &[b"ilst"]).or_else(|| find(meta, &[b"ilst"]))?;
    let (_, item) = children(list)
        .filter(|(kind, _)| kind == b"----")
        .find(|(_, item)| find(item, &[b"name"]).is_some_and(|name| name.ends_with(b"iTunSMPB")))?;
    let text = std::str::from_utf8(find(item, &[b"data"])?.get(8..)?).ok()?;
    let mut fields = text.split_ascii_whitespace().skip(1).map(|field| u64::from_str_radix(field, 16).ok());
    let (priming, _padding, valid) = (fields.next()??, fields.next()??, fields.next()??);
    (valid > 0).then_some(Comment { priming, valid })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrap(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap().to_be_bytes();
        [&size[..], kind, body].concat()
    }

    fn words(values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_be_bytes()).collect()
    }

    fn file(elst: &[u32], meta: &[u8]) -> Vec<u8> {
        let trak = [
            wrap(b"tkhd", &words(&[0, 0, 0, 7])),
            wrap(b"edts", &wrap(b"elst", &words(elst))),
            wrap(b"mdia", &wrap(b"mdhd", &words(&[0, 0, 0, 44_100]))),
        ];
        let moov = [wrap(b"mvhd", &words(&[0, 0, 0, 1_000])), wrap(b"trak", &trak.concat()), meta.to_vec()];
        [wrap(b"ftyp", b"M4A "), wrap(b"mdat", &[0; 9]), wrap(b"moov", &moov.concat())].concat()
    }

    #[test]
    fn the_first_edit_that_plays_is_found() {
        let file = file(&[0, 2, 500, u32::MAX, 0x1_0000, 600, 1_024, 0x1_0000], &[]);
        let edit = Edit { media_time: 1_024, media_timescale: 44_100, duration: 600, movie_timescale: 1_000 };
        assert_eq!(gapless(&file, 7), Gapless { edit: Some(edit), comment: None });
        assert_eq!(gapless(&file, 8), Gapless::default());
    }

    #[test]
    fn apples_comment_is_read() {
        let text = [&words(&[1, 0])[..], b" 00000000 00000840 0000037C 00000000001E6EC4 00000000"].concat();
        let item = [wrap(b"name", b"\0\0\0\0iTunSMPB"), wrap(b"data", &text)].concat();
        let meta = [&[0; 4][..], &wrap(b"ilst", &wrap(b"----", &item))].concat();
        let file = file(&[0, 0], &wrap(b"udta", &wrap(b"meta", &meta)));
        let comment = Comment { priming: 0x840, valid: 0x1E_6EC4 };
        assert_eq!(gapless(&file, 7), Gapless { edit: None, comment: Some(comment) });
    }

    #[test]
    fn boxes_that_reach_beyond_the_file_are_noticed() {
        let whole = file(&[0, 0], &[]);
        assert_eq!(declared_bytes(&whole), Some(whole.len() as u64));
        assert_eq!(declared_bytes(&whole[..whole.len() - 1]), Some(whole.len() as u64));
        assert_eq!(declared_bytes(&[&whole[..], b"junk"].concat()), Some(whole.len() as u64));
        assert_eq!(declared_bytes(b"caff........"), None);
    }

    #[test]
    fn any_prefix_and_any_size_field_is_survived() {
        let whole = file(&[0, 1, 600, 1_024, 0x1_0000], &[]);
        for end in 0..whole.len() {
            gapless(&whole[..end], 7);
            declared_bytes(&whole[..end]);
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut hostile = whole.clone();
                hostile[at] = value;
                gapless(&hostile, 7);
                declared_bytes(&hostile);
            }
        }
    }
}
