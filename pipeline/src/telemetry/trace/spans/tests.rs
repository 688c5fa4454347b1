use super::*;
use crate::runtime::lineage::{Leaving, Lineage, Place, Timing};
use crate::runtime::partition::Ending;
use std::collections::BTreeSet;

const SLOW: Duration = Duration::from_secs(10);
const NOW: (Duration, i64) = (Duration::from_secs(100), 1_700_000_000_000_000);

fn segment() -> Segment {
    Segment {
        name: "decode-upscale".to_owned(),
        group: "treble-decode".to_owned(),
        topic: "t.audio.in".to_owned(),
    }
}

fn lineage() -> Lineage {
    Lineage::new("t.audio.in", 1.0)
}

fn context(flags: u8) -> TraceContext {
    TraceContext::new(7, 9, flags).unwrap()
}

fn passage(flags: u8, code: Option<&'static str>, captured_ago: Duration) -> (Place, Passage) {
    let lineage = lineage();
    let mut place = lineage.place(context(flags), (2, 40), false).unwrap();
    place.join("upscale", TraceContext::new(1, 2, 1).unwrap());
    let mut timing = Timing::default();
    timing.add(Duration::from_secs(98), Duration::from_secs(99));
    let captured_us = NOW.1 - i64::try_from(captured_ago.as_micros()).unwrap();
    let passage = lineage.passage(Leaving {
        place: &place,
        partition: 2,
        offsets: (40, 49),
        timings: vec![("decode", timing), ("upscale", timing)],
        ending: Ending { last_capture_us: captured_us, open: Duration::from_secs(3), ..Ending::default() },
        code,
        now: NOW,
    });
    (place, passage)
}

fn told(flags: u8, code: Option<&'static str>, captured_ago: Duration) -> Vec<SpanData> {
    let (place, passage) = passage(flags, code, captured_ago);
    let mut links = Links::default();
    lineage().batched(&place, "upscale").into_iter().for_each(|stage| links.add(stage));
    let context = lineage().batch(2, NOW.1).unwrap();
    let batch = Batch { context, window_us: (NOW.1 - 5, NOW.1), windows: 16, streams: 3, links };
    let told = Told { passages: vec![passage], batches: vec![batch] };
    of_epoch(&segment(), &Commit { window_us: (NOW.1, NOW.1 + 9), records: 12 }, &told, SLOW)
}

fn named<'a>(spans: &'a [SpanData], name: &str) -> &'a SpanData {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn a_stream_has_one_span_its_stages_lie_inside_and_batches_are_linked_both_ways() {
    let spans = told(1, None, Duration::from_secs(1));
    let own = named(&spans, "process t.audio.in");
    assert_eq!(own.parent_span_id, SpanId::from(9));
    assert_eq!(own.span_context.trace_id(), TraceId::from(7));
    assert_eq!(own.span_kind, SpanKind::Consumer);
    for stage in ["decode", "upscale"] {
        let inner = named(&spans, stage);
        assert_eq!(inner.parent_span_id, own.span_context.span_id());
        assert!(inner.start_time >= own.start_time && inner.end_time <= own.end_time);
    }
    let (upscale, infer) = (named(&spans, "upscale"), named(&spans, "infer"));
    assert_eq!(infer.links[0].span_context.span_id(), upscale.span_context.span_id());
    assert_eq!(upscale.links[0].span_context.trace_id(), TraceId::from(1));
    assert!(named(&spans, "decode").links.is_empty());
    let commit = named(&spans, "commit t.audio.in");
    assert_eq!(commit.links[0].span_context, own.span_context);
    assert_eq!(own.links[0].span_context, commit.span_context);
}

#[test]
fn what_failed_or_was_slow_is_told_of_although_it_is_not_sampled() {
    let names = |spans: Vec<SpanData>| spans.iter().any(|span| span.name.starts_with("process "));
    assert!(!names(told(0, None, Duration::from_secs(1))));
    assert!(names(told(0, Some("gap"), Duration::from_secs(1))));
    assert!(names(told(0, None, Duration::from_secs(11))));
    let failed = told(0, Some("gap"), Duration::from_secs(1));
    assert_eq!(named(&failed, "process t.audio.in").status, Status::error("gap"));
}

#[test]
fn every_attribute_is_listed_and_none_is_a_key() {
    let call = ClientCall {
        operation: "process",
        topic: "t.audio.out",
        place: (0, Some(3)),
        parent: Some(context(1)),
        context: context(1),
        window_us: (1, 2),
        records: 4,
        error: Some("incomplete"),
    };
    let spans = told(1, Some("gap"), Duration::from_secs(1)).into_iter().chain([of_client(&call)]);
    let used: BTreeSet<String> =
        spans.flat_map(|span| span.attributes).map(|attribute| attribute.key.to_string()).collect();
    assert_eq!(used.iter().map(String::as_str).collect::<Vec<_>>(), ATTRIBUTES);
    assert!(!ATTRIBUTES.iter().any(|name| name.contains("key") || name.contains("stream_id")));
}
