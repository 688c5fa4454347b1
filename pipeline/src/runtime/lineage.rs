//! Where a stream stands in its trace, and what is told of its way through a segment.
//!
//! Pure: ids and facts in, facts out; [`telemetry::trace`](crate::telemetry::trace) makes spans of them once their
//! transaction is committed. Span ids are computed, not drawn: a successor goes on with the span that its predecessor
//! began, and what the stages after it were told of its parent stays true.

use super::partition::Ending;
use crate::kafka::headers::TraceContext;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;

/// Links of one span; further ones are counted. The limit that the OpenTelemetry specification gives is 128, of which
/// a stream in flight would have to keep 4 KiB.
const MAX_LINKS: usize = 32;

/// Gives the spans of a segment their ids.
#[derive(Debug, Clone)]
pub struct Lineage {
    topic: String,
    sample_ratio: f64,
}

impl Lineage {
    /// Spans of the segment that reads `topic`. Of traces that begin here, `sample_ratio` (0 to 1) are kept.
    #[must_use]
    pub fn new(topic: &str, sample_ratio: f64) -> Self {
        Self { topic: topic.to_owned(), sample_ratio }
    }

    /// The context of a stream that came without one: its trace begins with the segment's own span.
    #[must_use]
    pub fn begin(&self, partition: i32, first_offset: i64) -> Option<TraceContext> {
        let digest = self.digest(0, partition, first_offset, "trace");
        let trace_id = u128::from_be_bytes(*digest.first_chunk()?);
        let flags = if is_sampled(trace_id, self.sample_ratio) { TraceContext::SAMPLED } else { 0 };
        let root = TraceContext::new(trace_id, 1, flags)?;
        self.span(root, partition, first_offset, "")
    }

    /// The place of a stream that came with `context`; `resumed` where an earlier process began it.
    #[must_use]
    pub fn place(
        &self,
        context: TraceContext,
        (partition, first_offset): (i32, i64),
        resumed: bool,
    ) -> Option<Place> {
        let own = self.span(context, partition, first_offset, "")?;
        let parent = (own.parent_id() != context.parent_id()).then_some(context);
        Some(Place { parent, own, onward: own.to_string(), resumed, batches: BTreeMap::new() })
    }

    /// The context of stage `name` inside the segment's span `own`.
    fn stage(&self, own: TraceContext, name: &str) -> Option<TraceContext> {
        self.span(own, 0, 0, name)
    }

    /// The context of a batch: a trace of its own, since it belongs to many.
    #[must_use]
    pub fn batch(&self, partition: i32, began_us: i64) -> Option<TraceContext> {
        let digest = self.digest(0, partition, began_us, "batch");
        let trace_id = u128::from_be_bytes(*digest.first_chunk()?);
        self.span(TraceContext::new(trace_id, 1, TraceContext::SAMPLED)?, partition, began_us, "batch")
    }

    fn span(&self, of: TraceContext, partition: i32, number: i64, name: &str) -> Option<TraceContext> {
        // A root's own id must come out the same when it is computed from the root.
        let digest = self.digest(of.trace_id(), partition, number, name);
        of.child(u64::from_be_bytes(*digest.first_chunk()?))
    }

    fn digest(&self, trace_id: u128, partition: i32, number: i64, name: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(trace_id.to_be_bytes());
        hash.update(partition.to_be_bytes());
        hash.update(number.to_be_bytes());
        hash.update(self.topic.as_bytes());
        hash.update([0]);
        hash.update(name.as_bytes());
        hash.finalize().into()
    }
}

/// Whether a trace is among the `ratio` that are kept: by its id alone, so that all who see it decide alike.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a share of traces need not be exact")]
pub fn is_sampled(trace_id: u128, ratio: f64) -> bool {
    const SCALE: f64 = (1_u64 << 63) as f64;
    let low = (trace_id & u128::from(u64::MAX >> 1)) as f64;
    low < ratio * SCALE
}

/// Contexts that a span is linked to, the first of them kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links {
    /// Those kept.
    pub kept: Vec<TraceContext>,
    /// How many there are besides.
    pub left_out: u32,
}

impl Links {
    /// One more.
    pub fn add(&mut self, context: TraceContext) {
        if self.kept.len() < MAX_LINKS {
            self.kept.push(context);
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }
}

/// Where a stream stands in its trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where it came from; `None` where its trace begins here.
    parent: Option<TraceContext>,
    /// The segment's span.
    own: TraceContext,
    /// The same as a header, for what follows.
    onward: String,
    resumed: bool,
    /// The batches that it was in, by the stage that wanted them.
    batches: BTreeMap<&'static str, Links>,
}

impl Place {
    /// The `traceparent` of what the segment emits.
    #[must_use]
    pub fn onward(&self) -> &str {
        &self.onward
    }

    /// The segment's span.
    #[must_use]
    pub const fn context(&self) -> TraceContext {
        self.own
    }

    /// The stream was in a batch, for `stage`.
    pub fn join(&mut self, stage: &'static str, batch: TraceContext) {
        if self.own.sampled() {
            self.batches.entry(stage).or_default().add(batch);
        }
    }
}

/// When a stage worked for one stream in this process, by the clock of its partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// When it was first called, and when its last call returned; `None` where it never was, or nobody times it.
    pub window: Option<(Duration, Duration)>,
    /// Time in its calls.
    pub busy: Duration,
}

impl Timing {
    /// One more call.
    pub fn add(&mut self, began: Duration, ended: Duration) {
        let first = self.window.map_or(began, |(first, _)| first);
        self.window = Some((first, ended));
        self.busy += ended.saturating_sub(began);
    }
}

/// A stage's part in a [`Passage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagePassage {
    /// The stage.
    pub stage: &'static str,
    /// Its span.
    pub context: TraceContext,
    /// Begin and end, Unix time in microseconds.
    pub window_us: (i64, i64),
    /// Time in its calls.
    pub busy: Duration,
    /// The batches that it wanted.
    pub batches: Links,
}

/// What is told of a stream that has left the segment.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// Where it came from; `None` where its trace begins here.
    pub parent: Option<TraceContext>,
    /// The segment's span.
    pub context: TraceContext,
    /// The partition that it was read from.
    pub partition: i32,
    /// Offsets of its first and its last record there.
    pub offsets: (i64, i64),
    /// Begin and end in this process, Unix time in microseconds.
    pub window_us: (i64, i64),
    /// Whether an earlier process began it.
    pub resumed: bool,
    /// What its stages did, in data-flow order.
    pub stages: Vec<StagePassage>,
    /// How it ended.
    pub ending: Ending,
    /// Why it was given up, if it was: the error's code.
    pub code: Option<&'static str>,
}

/// What a stream knows of itself when it is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaving<'a> {
    /// Its place.
    pub place: &'a Place,
    /// The partition.
    pub partition: i32,
    /// Offsets of its first and its last record.
    pub offsets: (i64, i64),
    /// When each stage worked.
    pub timings: Vec<(&'static str, Timing)>,
    /// How it ended.
    pub ending: Ending,
    /// Why it was given up.
    pub code: Option<&'static str>,
    /// The time by the partition's clock, and Unix time in microseconds.
    pub now: (Duration, i64),
}

impl Lineage {
    /// What is told of a stream that is over.
    #[must_use]
    pub fn passage(&self, leaving: Leaving<'_>) -> Passage {
        let Leaving { place, partition, offsets, timings, ending, code, now } = leaving;
        let stage = |(stage, timing): (&'static str, Timing)| {
            let (began, ended) = timing.window?;
            let context = self.stage(place.own, stage)?;
            let window_us = (unix_us(now, began), unix_us(now, ended));
            let batches = place.batches.get(stage).cloned().unwrap_or_default();
            Some(StagePassage { stage, context, window_us, busy: timing.busy, batches })
        };
        Passage {
            parent: place.parent,
            context: place.own,
            partition,
            offsets,
            window_us: (unix_us(now, now.0.saturating_sub(ending.open)), now.1),
            resumed: place.resumed,
            stages: timings.into_iter().filter_map(stage).collect(),
            ending,
            code,
        }
    }

    /// The span of `stage` that a batch of `place`'s stream is linked to; `None` where it is not sampled.
    #[must_use]
    pub fn batched(&self, place: &Place, stage: &str) -> Option<TraceContext> {
        self.stage(place.own, stage).filter(|context| context.sampled())
    }
}

/// `then` as Unix time, going by what the two clocks say now.
fn unix_us((now, now_us): (Duration, i64), then: Duration) -> i64 {
    let ago = i64::try_from(now.saturating_sub(then).as_micros()).unwrap_or(i64::MAX);
    now_us.saturating_sub(ago)
}

/// One run of the model for many streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its span, in a trace of its own.
    pub context: TraceContext,
    /// Begin and end, Unix time in microseconds.
    pub window_us: (i64, i64),
    /// Windows in it.
    pub windows: u64,
    /// Streams in it, sampled or not.
    pub streams: u64,
    /// The stages that wanted them, of sampled streams.
    pub links: Links,
}

/// What is told once a transaction is committed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// Streams that left.
    pub passages: Vec<Passage>,
    /// Runs of the model.
    pub batches: Vec<Batch>,
}

impl Told {
    /// Adds what another partition tells.
    pub fn extend(&mut self, other: Self) {
        self.passages.extend(other.passages);
        self.batches.extend(other.batches);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> TraceContext {
        TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap()
    }

    #[test]
    fn a_successor_computes_the_span_that_its_predecessor_told_of() {
        let (one, other) = (Lineage::new("t.audio.in", 1.0), Lineage::new("t.audio.in", 0.0));
        let begun = one.place(context(), (3, 41), false).unwrap();
        let resumed = other.place(context(), (3, 41), true).unwrap();
        assert_eq!(begun.onward(), resumed.onward());
        assert_eq!(begun.context().trace_id(), context().trace_id());
        assert_eq!(begun.parent, Some(context()));
        for different in [(3, 42), (4, 41)] {
            assert_ne!(one.place(context(), different, false).unwrap().onward(), begun.onward());
        }
        let elsewhere = Lineage::new("t.audio.pcm", 1.0).place(context(), (3, 41), false).unwrap();
        assert_ne!(elsewhere.onward(), begun.onward());
    }

    #[test]
    fn a_trace_that_begins_here_has_no_parent_and_keeps_its_id_over_restarts() {
        let lineage = Lineage::new("t.audio.in", 1.0);
        let begun = lineage.begin(3, 41).unwrap();
        let place = lineage.place(begun, (3, 41), false).unwrap();
        assert_eq!((place.parent, place.own), (None, begun));
        let read_again = TraceContext::parse(&begun.to_string()).unwrap();
        assert_eq!(lineage.place(read_again, (3, 41), true).unwrap().parent, None);
        assert!(begun.sampled());
        assert!(!Lineage::new("t.audio.in", 0.0).begin(3, 41).unwrap().sampled());
    }

    #[test]
    fn the_share_of_traces_that_is_kept_is_the_ratio_asked_for() {
        let lineage = Lineage::new("t.audio.in", 0.25);
        let kept = (0..4_000).filter(|offset| lineage.begin(0, *offset).unwrap().sampled()).count();
        assert!((900..1_100).contains(&kept), "{kept} of 4000");
    }

    #[test]
    fn links_are_bounded_and_the_rest_is_counted() {
        let mut links = Links::default();
        (0..40).for_each(|_| links.add(context()));
        assert_eq!((links.kept.len(), links.left_out), (32, 8));
    }

    #[test]
    fn times_of_a_passage_are_wall_time() {
        let lineage = Lineage::new("t.audio.in", 1.0);
        let place = lineage.place(context(), (0, 0), false).unwrap();
        let mut timing = Timing::default();
        timing.add(Duration::from_secs(7), Duration::from_secs(8));
        timing.add(Duration::from_secs(9), Duration::from_millis(9_500));
        let ending = Ending { open: Duration::from_secs(4), ..Ending::default() };
        let passage = lineage.passage(Leaving {
            place: &place,
            partition: 0,
            offsets: (5, 9),
            timings: vec![("decode", timing), ("upscale", Timing::default())],
            ending,
            code: None,
            now: (Duration::from_secs(10), 1_000_000_000),
        });
        assert_eq!(passage.window_us, (996_000_000, 1_000_000_000));
        let [decode] = passage.stages.as_slice() else { panic!("{:?}", passage.stages) };
        assert_eq!(decode.window_us, (997_000_000, 999_500_000));
        assert_eq!(decode.busy, Duration::from_millis(1_500));
    }
}
