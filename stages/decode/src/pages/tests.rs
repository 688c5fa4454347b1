use super::*;

/// A page of one stream: its flags, its number and its packets, of which the last goes on if `open`.
fn made(flags: u8, sequence: u32, packets: &[&[u8]], open: bool) -> Vec<u8> {
    let mut bytes = page(7, flags, sequence, packets).unwrap();
    if open {
        // The last packet fills its segments: without the one that ends it, it goes on.
        assert_eq!(packets.last().unwrap().len() % 255, 0);
        let end = HEAD_BYTES + usize::from(bytes[26]) - 1;
        bytes.remove(end);
        bytes[26] -= 1;
        let checksum = checksum(&bytes);
        bytes[22..26].copy_from_slice(&checksum);
    }
    bytes
}

fn watch(pages: &[Vec<u8>]) -> (Pages, Tap) {
    let tap = Tap::remembering(0);
    let head = vorbis_head(7, &[1; IDENTIFICATION_BYTES]).unwrap();
    tap.pass(&head).unwrap();
    for page in pages {
        tap.pass(page).unwrap();
    }
    (Pages::new(7), tap)
}

/// Offsets of the places to begin, from the end of the head on, and their frames.
fn places(pages: &Pages) -> Vec<(u64, u64)> {
    let head = vorbis_head(7, &[1; IDENTIFICATION_BYTES]).unwrap().len() as u64;
    pages.anchors.iter().map(|anchor| (anchor.offset - head, anchor.frame)).collect()
}

#[test]
fn a_page_is_begun_with_behind_its_first_packet() {
    let stream =
        [made(0, 2, &[b"\0a", b"\0b"], false), made(0, 3, &[b"\0c"], false), made(0, 4, &[b"\0d"], false)];
    let (mut pages, tap) = watch(&stream);
    for (i, packet) in [b"\0a", b"\0b", b"\0c", b"\0d"].into_iter().enumerate() {
        pages.packet(&tap, packet, 10 * i as u64, true);
    }
    assert_eq!(places(&pages), [(0, 10), (stream[0].len() as u64, 30)]);
}

#[test]
fn packets_that_span_pages_are_counted_where_they_end() {
    let long = [0; 255];
    let stream = [
        made(0, 2, &[b"\0a", &long], true),
        made(CONTINUED, 3, &[b"rest", b"\0b"], false),
        made(0, 4, &[b"\0c"], false),
        made(0, 5, &[b"\0d"], false),
    ];
    let (mut pages, tap) = watch(&stream);
    let spanning = [&long[..], b"rest"].concat();
    for (i, packet) in [&b"\0a"[..], &spanning, b"\0b", b"\0c", b"\0d"].into_iter().enumerate() {
        pages.packet(&tap, packet, i as u64, true);
    }
    let third = (stream[0].len() + stream[1].len()) as u64;
    assert_eq!(places(&pages), [(0, 1), (third, 4)], "not with a page that goes on with a packet");
}

#[test]
fn damaged_and_foreign_pages_are_passed_over_as_the_demuxer_does() {
    let mut damaged = made(0, 3, &[b"\0x"], false);
    *damaged.last_mut().unwrap() ^= 1;
    let mut foreign = page(8, 0, 9, &[b"\0y"]).unwrap();
    foreign.splice(0..0, *b"OggS junk");
    let stream = [made(0, 2, &[b"\0a"], false), damaged, foreign, made(0, 4, &[b"\0b"], false)];
    let (mut pages, tap) = watch(&stream);
    pages.packet(&tap, b"\0a", 0, true);
    pages.packet(&tap, b"\0b", 0, true);
    assert!(!pages.lost);
    assert_eq!(places(&pages), [(0, 0)]);
}

#[test]
fn no_place_is_told_that_would_not_serve() {
    let two = [made(0, 2, &[b"\0a"], false), made(0, 3, &[b"\0b"], false)];
    let (mut pages, tap) = watch(&two);
    pages.packet(&tap, b"\0a", 0, true);
    pages.failed();
    pages.packet(&tap, b"\0b", 5, true);
    assert_eq!(places(&pages), [], "its first packet says nothing");

    let (mut pages, tap) = watch(&two);
    pages.packet(&tap, b"\0a", 0, false);
    pages.packet(&tap, b"\0b", 5, true);
    assert_eq!(places(&pages), [], "it is cut at its end");

    let (mut pages, tap) = watch(&two);
    pages.packet(&tap, b"\0other", 0, true);
    pages.packet(&tap, b"\0b", 5, true);
    assert!(pages.lost && pages.anchors.is_empty());
}

#[test]
fn the_first_page_of_another_link_is_left_to_its_reader() {
    let next = made(FIRST, 0, &[&[1; IDENTIFICATION_BYTES]], false);
    let stream = [made(0, 2, &[b"\0a"], false), made(0, 3, &[b"\0b"], false), next.clone()];
    let (mut pages, tap) = watch(&stream);
    pages.packet(&tap, b"\0a", 0, true);
    pages.packet(&tap, b"\0b", 1, true);
    let mut left = None;
    tap.take(|bytes| {
        left = Some(bytes.to_vec());
        None
    });
    assert_eq!(left, Some(next));
}
