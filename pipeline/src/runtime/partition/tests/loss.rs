//! Retention deleted what a stream must be fed next, and the operator chose to go on.

use super::*;

fn chunks(bodies: Vec<ChunkBody>) -> Vec<AudioChunk> {
    (0..).zip(bodies).map(|(seq, body)| chunk("a", seq, 7, body)).collect()
}

fn song() -> Vec<AudioChunk> {
    chunks(vec![start(), data("abcd"), data("efgh"), data("ijkl"), data("mnop"), data("qrst"), end()])
}

/// What is durable after the first `count` chunks of `all` were processed.
fn durable(all: &[AudioChunk], count: usize) -> (Bench, i64, StreamState) {
    let mut first = open(0, Vec::new());
    first.feed_all(&all[..count]);
    first.work(Duration::ZERO);
    let committed = first.commit().unwrap();
    let state = first.state("a").unwrap();
    (first, committed, state)
}

/// A successor on a log that begins at `from`, fed everything from there on.
fn succeed(first: Bench, committed: i64, state: StreamState, from: usize, all: &[AudioChunk]) -> Bench {
    let start = i64::try_from(from).unwrap();
    let mut second = open_from(start, committed.max(start), vec![(id("a"), state)]);
    second.next_offset = start;
    second.committed = first.committed;
    second.feed_all(&all[from..]);
    second.work(Duration::ZERO);
    second.commit();
    second
}

fn marks(bench: &Bench) -> Vec<bool> {
    let marked = |record: &&OutRecord| match read(record).body {
        ChunkBody::Start { segment, .. } | ChunkBody::Data { segment, .. } => Some(segment.discontinuity),
        ChunkBody::End(_) | ChunkBody::Abort(_) => None,
    };
    bench.to("out").iter().filter_map(marked).collect()
}

#[test]
fn behind_a_hole_a_stream_goes_on_by_number_and_is_marked_once() {
    let all = song();
    let (first, committed, state) = durable(&all, 3);
    assert_eq!((committed, state.restart_in_seq), (3, 3));
    // Offsets 3 and 4, never processed, are gone.
    let second = succeed(first, committed, state, 5, &all);
    assert_eq!(second.output("a"), ["START", "bcde", "fghi", "rstu", "END"]);
    assert_eq!(marks(&second), [false, false, false, true]);
    assert!(second.to("dlq").is_empty());
}

#[test]
fn what_is_committed_stays_suppressed_by_number_behind_a_hole() {
    let all = song();
    let (first, committed, state) = durable(&all, 4);
    let checkpoint = durable(&all, 2).2.operators;
    // A restart point that lags: chunks 2 and 3 must be fed again, and chunk 2 is gone.
    let state = StreamState { restart_in_seq: 2, restart_offset: 2, operators: checkpoint, ..state };
    let second = succeed(first, committed, state, 3, &all);
    // Items 2 and 3 of the successor are of chunks 3 and 4; with those numbers, others are committed.
    assert_eq!(second.output("a"), ["START", "bcde", "fghi", "jklm", "rstu", "END"]);
    assert_eq!(marks(&second), [false, false, false, false, true]);
}

#[test]
fn nothing_is_marked_where_nothing_of_the_stream_was_deleted() {
    let all = song();
    let (first, committed, state) = durable(&all, 3);
    let mut second = open_from(9, 9, vec![(id("a"), state)]);
    assert!(committed < 9, "records of other streams were deleted");
    second.committed = first.committed;
    second.feed_all(&all[3..]);
    second.work(Duration::ZERO);
    second.commit();
    assert_eq!(second.output("a"), ["START", "bcde", "fghi", "jklm", "nopq", "rstu", "END"]);
    assert!(marks(&second).iter().all(|mark| !mark));
}

#[test]
fn a_stream_that_restarts_at_its_beginning_only_is_given_up_at_once_with_one_dead_letter() {
    let all = song();
    let (first, committed, state) = durable(&all, 4);
    let state = StreamState { restart_in_seq: 0, restart_offset: 0, operators: Vec::new(), ..state };
    let second = succeed(first, committed, state, 4, &all);
    let output = second.output("a");
    assert_eq!(output.len(), 5, "{output:?}");
    assert!(output[4].starts_with("ABORT lost_restart: "), "{output:?}");
    let letters = second.to("dlq");
    assert_eq!(letters.len(), 1);
    let header =
        |name: &str| letters[0].headers.iter().any(|header| header.value.as_deref() == Some(name.as_bytes()));
    assert!(header("lost_restart") && letters[0].key == "a" && letters[0].value.is_none(), "{letters:?}");
    assert!(second.state("a").is_none(), "END ends what is kept of it");
}

#[test]
fn a_stream_whose_next_chunk_only_is_gone_is_given_up_with_the_record_that_came_instead() {
    let all = song();
    let (first, committed, state) = durable(&all, 1);
    let state = StreamState { operators: Vec::new(), restart_in_seq: 1, ..state };
    let second = succeed(first, committed, state, 3, &all);
    let output = second.output("a");
    assert!(output.last().unwrap().starts_with("ABORT lost_restart: "), "{output:?}");
    let letters = second.to("dlq");
    assert_eq!(letters.len(), 1);
    assert!(letters[0].value.is_some());
}

#[test]
fn a_new_stream_of_the_same_id_is_not_taken_for_the_rest_of_a_lost_one() {
    let all = song();
    let (first, _, state) = durable(&all, 4);
    let state = StreamState { restart_in_seq: 0, restart_offset: 0, operators: Vec::new(), ..state };
    let mut second = open_from(7, 7, vec![(id("a"), state)]);
    second.committed = first.committed;
    second.feed(&chunk("a", 0, 8, start()));
    second.feed(&chunk("a", 1, 8, data("wxyz")));
    second.feed(&chunk("a", 2, 8, end()));
    second.work(Duration::ZERO);
    second.commit();
    let told: Vec<String> = second.to("out").into_iter().map(|record| told(read(record).body)).collect();
    assert_eq!(told[5..], ["START", "xyz{", "END"], "{told:?}");
}
