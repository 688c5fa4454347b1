//! A stream's place in its trace.

use super::Stream;
use crate::runtime::chain::Chain;
use crate::runtime::lineage::{Leaving, Lineage, Passage, Place};
use std::time::Duration;

impl Stream {
    /// Gives the stream its place in the trace that it came with; `resumed` where an earlier process began it. A stream
    /// without a trace gets one where it is new.
    pub fn enter(&mut self, lineage: &Lineage, partition: i32, resumed: bool) {
        let at = (partition, self.first_offset);
        if self.traceparent.is_empty() && !resumed {
            let begun = lineage.begin(at.0, at.1);
            self.traceparent = begun.map(|context| context.to_string()).unwrap_or_default();
        }
        let context = crate::kafka::headers::TraceContext::parse(&self.traceparent);
        self.place = context.and_then(|context| lineage.place(context, at, resumed));
    }

    /// The trace context of what the stream emits; empty where it has none.
    #[must_use]
    pub fn onward(&self) -> &str {
        self.place.as_ref().map_or(&self.traceparent, Place::onward)
    }

    /// Its place, where traces are kept.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Its place, where traces are kept.
    pub fn place_mut(&mut self) -> Option<&mut Place> {
        self.place.as_mut()
    }

    /// The name of operator `index` of its chain; empty where there is none any more.
    #[must_use]
    pub fn operator(&self, index: usize) -> &'static str {
        self.chain.as_ref().map_or("", |chain| chain.stage(index))
    }

    /// What is told of a stream that is over, because of `code` if it was given up.
    #[must_use]
    pub fn passage(
        &self,
        lineage: &Lineage,
        partition: i32,
        code: Option<&'static str>,
        now: (Duration, i64),
    ) -> Option<Passage> {
        let timings = self.chain.as_ref().map_or_else(|| self.timings.clone(), Chain::timings);
        Some(lineage.passage(Leaving {
            place: self.place.as_ref()?,
            partition,
            offsets: (self.first_offset, self.last_offset),
            timings,
            ending: self.ending(now.0),
            code,
            now,
        }))
    }
}
