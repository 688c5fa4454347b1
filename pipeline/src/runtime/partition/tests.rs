use super::*;
use crate::ports::Header;
use crate::runtime::fakes::{AllChunks, GRID4, Still, blueprint};
use crate::topology::Segment;
use bytes::Bytes;
use treble_schemas::frame::{self, Format};
use treble_schemas::{AudioFormat, ChunkBody, Segment as Data, Totals};

mod loss;

const SECOND: Duration = Duration::from_secs(1);

/// One partition, and the offsets of what it is fed.
struct Bench {
    partition: Partition,
    next_offset: i64,
    committed: Vec<OutRecord>,
}

fn open(live_from: i64, streams: Vec<(StreamId, StreamState)>) -> Bench {
    open_from(0, live_from, streams)
}

/// As [`open`], on a log that begins at `from`.
fn open_from(from: i64, live_from: i64, streams: Vec<(StreamId, StreamState)>) -> Bench {
    let segment = Segment {
        stages: vec![&GRID4],
        input_topic: "in".to_owned(),
        output_topic: "out".to_owned(),
        state_topic: "state".to_owned(),
        group: "group".to_owned(),
    };
    let writer = RecordWriter::new(segment, "dlq".to_owned(), 1, 2, Arc::new(Still));
    let limits = PartitionLimits {
        max_epoch_bytes: 1 << 20,
        max_windows: 8,
        gap_timeout: 10 * SECOND,
        idle_timeout: 60 * SECOND,
    };
    let tenure = Tenure { partition: 0, number: 1, live_from, from };
    let blueprint = Rc::new(blueprint(&[&GRID4]));
    let mut partition = Partition::new(tenure, blueprint, Rc::new(writer), limits, streams, Duration::ZERO);
    partition.give_up_lost().unwrap();
    Bench { partition, next_offset: live_from, committed: Vec::new() }
}

fn id(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

fn start() -> ChunkBody {
    let format = AudioFormat { codec: "x/y".to_owned(), ..AudioFormat::default() };
    ChunkBody::Start { format, segment: Data::default() }
}

fn data(text: &str) -> ChunkBody {
    let data = Bytes::copy_from_slice(text.as_bytes());
    ChunkBody::Data { format: None, segment: Data { data, ..Data::default() } }
}

fn end() -> ChunkBody {
    ChunkBody::End(Totals::default())
}

fn chunk(stream: &str, seq: u64, capture_time_us: i64, body: ChunkBody) -> AudioChunk {
    AudioChunk { stream_id: id(stream), seq, capture_time_us, source: None, body }
}

impl Bench {
    fn feed_value(&mut self, key: &str, value: Option<Bytes>) -> i64 {
        self.feed_with(key, value, Header::text("trace", "kept"))
    }

    fn feed_with(&mut self, key: &str, value: Option<Bytes>, header: Header) -> i64 {
        let offset = self.next_offset;
        self.next_offset += 1;
        let record = InRecord {
            topic: "in".into(),
            partition: 0,
            offset,
            timestamp_ms: 0,
            key: Some(Bytes::copy_from_slice(key.as_bytes())),
            value,
            headers: vec![header],
        };
        self.partition.receive(record, Duration::ZERO);
        offset
    }

    fn feed(&mut self, chunk: &AudioChunk) -> i64 {
        let mut value = Vec::new();
        frame::write_header(&mut value, 1, Format::Protobuf);
        chunk.encode(&mut value);
        self.feed_value(chunk.stream_id.as_str(), Some(value.into()))
    }

    fn feed_all(&mut self, chunks: &[AudioChunk]) {
        for chunk in chunks {
            self.feed(chunk);
        }
    }

    fn stream(&mut self, name: &str, bodies: Vec<ChunkBody>) {
        for (seq, body) in (0..).zip(bodies) {
            self.feed(&chunk(name, seq, 7, body));
        }
    }

    fn work(&mut self, now: Duration) {
        self.partition.reach_end(now);
        while self.partition.has_work() {
            self.partition.work(&AllChunks, now).unwrap().unwrap();
        }
        self.partition.tick(now).unwrap();
    }

    fn commit(&mut self) -> Option<i64> {
        let part = self.partition.freeze().unwrap();
        self.committed.extend(part.records);
        part.position
    }

    fn to(&self, topic: &str) -> Vec<&OutRecord> {
        self.committed.iter().filter(|record| record.topic == topic).collect()
    }

    /// What was emitted for a stream: `START`, data, `END`, or `ABORT` with its code and message.
    fn output(&self, name: &str) -> Vec<String> {
        let of = |record: &&&OutRecord| record.key == name.as_bytes();
        let chunks = self.to("out").iter().filter(of).map(|record| read(record)).collect::<Vec<_>>();
        assert!(chunks.iter().map(|chunk| chunk.seq).eq(0..chunks.len() as u64), "gapless from 0");
        chunks.into_iter().map(|chunk| told(chunk.body)).collect()
    }

    /// The latest state of a stream: `None` where there is none or a tombstone.
    fn state(&self, name: &str) -> Option<StreamState> {
        let record = *self.to("state").iter().rfind(|record| record.key == name.as_bytes())?;
        let framed = frame::split(record.value.as_ref()?, Format::Protobuf).unwrap();
        Some(StreamState::from_wire(framed.body).unwrap())
    }
}

fn read(record: &OutRecord) -> AudioChunk {
    AudioChunk::decode(frame::split(record.value.as_ref().unwrap(), Format::Protobuf).unwrap().body).unwrap()
}

fn told(body: ChunkBody) -> String {
    match body {
        ChunkBody::Start { .. } => "START".to_owned(),
        ChunkBody::Data { segment, .. } => String::from_utf8_lossy(&segment.data).into_owned(),
        ChunkBody::End(_) => "END".to_owned(),
        ChunkBody::Abort(reason) => format!("ABORT {}: {}", reason.code, reason.message),
    }
}

#[test]
fn a_stream_comes_out_whole_and_its_state_ends_in_a_tombstone() {
    let mut bench = open(0, Vec::new());
    bench.stream("a", vec![start(), data("abc"), data("defgh")]);
    bench.work(Duration::ZERO);
    assert_eq!(bench.commit(), Some(3));
    assert_eq!(bench.state("a").unwrap().next_in_seq, 3);
    bench.feed(&chunk("a", 3, 7, end()));
    bench.work(Duration::ZERO);
    assert_eq!(bench.commit(), Some(4));
    assert_eq!(bench.output("a"), ["START", "bcde", "fghi", "END"]);
    let last = bench.to("state").last().copied().unwrap();
    assert!(last.key == "a" && last.value.is_none());
    assert_eq!(bench.partition.load().streams, 0);
}

#[test]
fn a_record_that_is_no_chunk_costs_one_dead_letter_and_nobody_else_notices() {
    let mut bench = open(0, Vec::new());
    bench.feed(&chunk("a", 0, 7, start()));
    let offset = bench.feed_value("a", Some(Bytes::from_static(b"not framed at all")));
    bench.feed(&chunk("a", 1, 7, data("abcd")));
    bench.feed(&chunk("a", 2, 7, end()));
    bench.work(Duration::ZERO);
    assert_eq!(bench.commit(), Some(4));
    assert_eq!(bench.output("a"), ["START", "bcde", "END"]);
    let letters = bench.to("dlq");
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (&letters[0].key[..], letters[0].value.as_deref()),
        (&b"a"[..], Some(&b"not framed at all"[..]))
    );
    let header = |name: &str| {
        letters[0].headers.iter().find(|header| header.name.ends_with(name)).unwrap().value.clone()
    };
    assert_eq!(header("trace").as_deref(), Some(&b"kept"[..]), "original headers stay");
    assert_eq!(header("offset").as_deref(), Some(offset.to_string().as_bytes()));
}

#[test]
fn a_panic_in_a_stage_gives_up_its_stream_with_one_dead_letter() {
    let mut bench = open(0, Vec::new());
    bench.stream("bad", vec![start(), data("abcd"), data("!"), data("more"), end()]);
    bench.stream("good", vec![start(), data("abcd"), end()]);
    bench.work(Duration::ZERO);
    bench.commit();
    assert_eq!(bench.output("bad")[..2], ["START", "bcde"]);
    assert!(bench.output("bad")[2].starts_with("ABORT panicked"), "{:?}", bench.output("bad"));
    assert_eq!(bench.output("bad").len(), 3);
    assert_eq!(bench.output("good"), ["START", "bcde", "END"]);
    assert_eq!(bench.to("dlq").len(), 1);
    assert_eq!(bench.state("bad"), None, "its END was skipped, and nothing of it remains");
}

#[test]
fn a_gap_ends_in_abort_with_the_missing_range_after_the_limit() {
    let mut bench = open(0, Vec::new());
    bench.feed(&chunk("a", 0, 7, start()));
    bench.feed(&chunk("a", 1, 7, data("abcd")));
    bench.feed(&chunk("a", 4, 7, data("efgh")));
    bench.work(Duration::ZERO);
    bench.work(9 * SECOND);
    bench.commit();
    assert_eq!(bench.output("a"), ["START", "bcde"], "it may still come");
    bench.work(10 * SECOND);
    bench.commit();
    let abort = bench.output("a").pop().unwrap();
    assert!(abort.starts_with("ABORT gap: chunks 2..=3 are missing"), "{abort}");
    assert_eq!(bench.to("dlq").len(), 1);
    assert!(
        bench.state("a").unwrap().aborted.is_some(),
        "what comes late must be skipped, by a successor too"
    );
}

#[test]
fn what_comes_late_but_within_the_limit_closes_the_gap() {
    let mut bench = open(0, Vec::new());
    for (seq, body) in [(0, start()), (2, data("efgh")), (3, end())] {
        bench.feed(&chunk("a", seq, 7, body));
    }
    bench.work(Duration::ZERO);
    bench.feed(&chunk("a", 1, 7, data("abcd")));
    bench.work(9 * SECOND);
    bench.commit();
    assert_eq!(bench.output("a"), ["START", "bcde", "fghi", "END"]);
    assert!(bench.to("dlq").is_empty());
}

#[test]
fn a_stream_whose_rest_lies_in_the_backlog_is_neither_silent_nor_torn() {
    let mut bench = open(0, Vec::new());
    bench.feed(&chunk("a", 0, 7, start()));
    bench.feed(&chunk("a", 2, 7, data("ghij")));
    let backlog = |bench: &mut Bench, now: Duration| {
        bench.partition.work(&AllChunks, now).unwrap().unwrap();
        bench.partition.tick(now).unwrap();
    };
    backlog(&mut bench, Duration::ZERO);
    backlog(&mut bench, 100 * SECOND);
    bench.feed(&chunk("a", 1, 7, data("abcd")));
    bench.feed(&chunk("a", 3, 7, end()));
    backlog(&mut bench, 200 * SECOND);
    bench.commit();
    assert_eq!(bench.output("a"), ["START", "bcde", "hijk", "END"]);
}

#[test]
fn a_silent_stream_is_given_up_and_its_state_goes_later() {
    let mut bench = open(0, Vec::new());
    bench.stream("a", vec![start(), data("abcd")]);
    bench.work(Duration::ZERO);
    bench.work(59 * SECOND);
    assert_eq!(bench.partition.load().streams, 1);
    bench.work(60 * SECOND);
    bench.commit();
    assert!(bench.output("a")[2].starts_with("ABORT idle"), "{:?}", bench.output("a"));
    bench.work(120 * SECOND);
    bench.commit();
    assert_eq!((bench.partition.load().streams, bench.state("a")), (0, None));
    assert_eq!(bench.output("a").len(), 3, "given up once");
}

/// Positions are sent with the proof of membership: a transaction without them could be a zombie's.
#[test]
fn what_is_written_for_no_record_carries_the_position_too() {
    let mut bench = open(0, Vec::new());
    bench.stream("a", vec![start(), data("abcd")]);
    bench.work(Duration::ZERO);
    let position = bench.commit();
    assert_eq!(position, Some(2));
    bench.work(60 * SECOND);
    assert_eq!(bench.commit(), position, "ABORT for silence");
    assert_eq!(bench.commit(), None, "nothing is written");
}

#[test]
fn a_repeat_is_dropped_and_counted() {
    let mut bench = open(0, Vec::new());
    for (seq, body) in [
        (0, start()),
        (1, data("abcd")),
        (1, data("abcd")),
        (0, start()),
        (2, end()),
        (1, data("abcd")),
        (0, start()),
    ] {
        bench.feed(&chunk("a", seq, 7, body));
    }
    bench.work(Duration::ZERO);
    bench.commit();
    assert_eq!(bench.output("a"), ["START", "bcde", "END"]);
    let repeats = bench.partition.take_notices();
    assert_eq!(repeats.iter().filter(|notice| **notice == Notice::Repeat).count(), 2);
    assert_eq!(repeats.iter().filter(|notice| **notice == Notice::Skipped).count(), 2, "after END");
    assert_eq!(bench.partition.load().streams, 0);
}

#[test]
fn a_new_stream_of_the_same_id_supersedes_one_that_did_not_end() {
    let mut bench = open(0, Vec::new());
    bench.stream("a", vec![start(), data("abcd")]);
    for (seq, body) in [(0, start()), (1, data("wxyz")), (2, end())] {
        bench.feed(&chunk("a", seq, 8, body));
    }
    bench.work(Duration::ZERO);
    bench.commit();
    let all: Vec<String> = bench.to("out").into_iter().map(|record| told(read(record).body)).collect();
    assert!(all[2].starts_with("ABORT superseded"), "{all:?}");
    assert_eq!(
        (&all[..2], &all[3..]),
        (&["START", "bcde"].map(str::to_owned)[..], &["START", "xyz{", "END"].map(str::to_owned)[..])
    );
}

/// `treble dlq replay` publishes all of a stream again, with the count of attempts.
#[test]
fn a_stream_that_was_given_up_comes_out_whole_when_it_is_replayed() {
    let whole = [(0, start()), (1, data("abcd")), (2, data("efgh")), (3, end())];
    for ended in [false, true] {
        let mut bench = open(0, Vec::new());
        let without_a_chunk = whole.iter().filter(|(seq, _)| *seq != 1 && (ended || *seq != 3));
        for (seq, body) in without_a_chunk {
            bench.feed(&chunk("a", *seq, 7, body.clone()));
        }
        bench.work(Duration::ZERO);
        bench.work(11 * SECOND);
        bench.commit();
        for (seq, body) in whole.clone() {
            let mut value = Vec::new();
            frame::write_header(&mut value, 1, Format::Protobuf);
            chunk("a", seq, 7, body).encode(&mut value);
            bench.feed_with("a", Some(value.into()), Header::text("x-attempt", "1"));
        }
        bench.work(12 * SECOND);
        bench.commit();
        let all: Vec<String> = bench.to("out").into_iter().map(|record| told(read(record).body)).collect();
        assert!(all[1].starts_with("ABORT gap"), "{all:?}");
        assert_eq!(all[2..], ["START", "bcde", "fghi", "END"].map(str::to_owned), "END before: {ended}");
        assert_eq!(bench.state("a"), None);
    }
}

#[test]
fn a_successor_replays_and_emits_only_what_is_not_committed() {
    let bodies = [start(), data("abcd"), data("ef"), data("ghij"), end()];
    let records = |bench: &mut Bench, from: usize, to: usize| {
        for (seq, body) in (0..).zip(&bodies).skip(from).take(to - from) {
            bench.feed(&chunk("a", seq, 7, body.clone()));
        }
    };
    for lost_after in 1..=4 {
        let mut first = open(0, Vec::new());
        records(&mut first, 0, lost_after);
        first.work(Duration::ZERO);
        let committed = first.commit().unwrap();
        let state = first.state("a").unwrap();
        let from = state.restart_offset;
        assert!(from <= committed);
        let mut second = open(committed, vec![(id("a"), state)]);
        second.next_offset = from;
        second.committed = first.committed;
        records(&mut second, from as usize, bodies.len());
        second.work(Duration::ZERO);
        second.commit();
        assert_eq!(second.output("a"), ["START", "bcde", "fghi", "jk", "END"], "lost after {lost_after}");
    }
}

#[test]
fn a_successor_that_needs_nothing_again_but_end_ends_the_stream() {
    let mut first = open(0, Vec::new());
    first.stream("a", vec![start(), data("abcd")]);
    first.work(Duration::ZERO);
    let committed = first.commit().unwrap();
    let state = first.state("a").unwrap();
    assert_eq!(state.restart_in_seq, 2, "all that came is settled");
    let mut second = open(committed, vec![(id("a"), state)]);
    second.committed = first.committed;
    second.feed(&chunk("a", 2, 7, end()));
    second.work(Duration::ZERO);
    second.commit();
    assert_eq!(second.output("a"), ["START", "bcde", "END"]);
    assert!(second.to("dlq").is_empty());
}

#[test]
fn an_earlier_stream_of_the_same_id_that_is_read_again_supersedes_nothing() {
    let mut first = open(0, Vec::new());
    first.feed(&chunk("a", 0, 7, start()));
    first.feed(&chunk("a", 1, 7, end()));
    first.feed(&chunk("a", 0, 8, start()));
    first.feed(&chunk("a", 1, 8, data("abcd")));
    first.work(Duration::ZERO);
    let committed = first.commit().unwrap();
    let state = first.state("a").unwrap();
    // Another stream's restart offset makes the successor read from the very beginning.
    let mut second = open(committed, vec![(id("a"), state)]);
    second.next_offset = 0;
    second.feed(&chunk("a", 0, 7, start()));
    second.feed(&chunk("a", 1, 7, end()));
    second.feed(&chunk("a", 0, 8, start()));
    second.feed(&chunk("a", 1, 8, data("abcd")));
    second.feed(&chunk("a", 2, 8, end()));
    second.work(Duration::ZERO);
    second.commit();
    let all: Vec<String> = second.to("out").into_iter().map(|record| told(read(record).body)).collect();
    assert_eq!(all, ["END"], "what came before is committed already");
}

#[test]
fn a_successor_that_dies_while_it_reads_again_loses_nothing() {
    let bodies = [start(), data("abcd"), data("efgh"), data("ijkl"), end()];
    let chunks: Vec<AudioChunk> = (0..).zip(bodies).map(|(seq, body)| chunk("a", seq, 7, body)).collect();
    let mut first = open(0, Vec::new());
    first.feed_all(&chunks[..4]);
    first.work(Duration::ZERO);
    let committed = first.commit().unwrap();
    // A state that lags behind the commit, as that of a stage which can restart at the stream's beginning only.
    let state = StreamState {
        restart_in_seq: 0,
        restart_offset: 0,
        operators: Vec::new(),
        ..first.state("a").unwrap()
    };
    let mut second = open(committed, vec![(id("a"), state)]);
    second.next_offset = 0;
    second.feed_all(&chunks[..2]);
    second.work(Duration::ZERO);
    second.commit();
    let state = second.state("a").unwrap();
    assert!(state.restart_offset <= 2, "offsets 2 and 3 are still to be read again: {state:?}");
    let mut third = open(committed, vec![(id("a"), state.clone())]);
    third.next_offset = state.restart_offset;
    third.committed = first.committed;
    let from = usize::try_from(state.restart_offset).unwrap();
    third.feed_all(&chunks[from..]);
    third.work(Duration::ZERO);
    third.commit();
    assert_eq!(third.output("a"), ["START", "bcde", "fghi", "jklm", "END"]);
}

#[test]
fn what_is_fed_in_a_later_epoch_than_it_came_in_has_its_state_in_that_epoch() {
    let mut bench = open(0, Vec::new());
    bench.partition.limits.max_epoch_bytes = 1;
    bench.stream("a", vec![start(), data("abcd"), data("efgh"), end()]);
    for _ in 0..6 {
        bench.work(Duration::ZERO);
        bench.commit();
        let emitted = bench.output("a").len() as u64;
        let durable = bench.state("a").map_or(emitted, |state| state.next_out_seq);
        assert_eq!(durable, emitted, "the state is that of what was emitted");
    }
    assert_eq!(bench.output("a"), ["START", "bcde", "fghi", "END"]);
}
