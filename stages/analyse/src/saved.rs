//! Questions that are asked again and again, under a name: `treble sql --saved NAME`.
//!
//! The first three are those of the operators' page that Treble replaces.

/// A saved question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    /// Its name.
    pub name: &'static str,
    /// The question, for people.
    pub question: &'static str,
    /// The question, for the engine.
    pub sql: &'static str,
}

macro_rules! saved {
    ($($name:literal: $question:literal,)*) => {
        &[$(Saved { name: $name, question: $question, sql: include_str!(concat!("saved/", $name, ".sql")) },)*]
    };
}

/// All of them.
pub const ALL: &[Saved] = saved! {
    "errors-last-hour": "Which errors came in the last hour, by category?",
    "processing-time": "How long did processing take, per five minutes: average, 95th percentile, count?",
    "authentication-failures": "Whose logins were refused, by client?",
    "speed-by-model": "How much faster than real time is each model on each device?",
    "bandwidth-gained": "How much bandwidth did each codec gain?",
    "slowest-streams": "Which streams were slowest end to end, and what are their traces?",
    "full-band-share": "What share of the input was full-band already?",
    "cost-per-audio-hour": "How much processing does an hour of audio cost, by stage?",
    "latency-percentiles": "How long do streams take end to end, per hour?",
    "throughput-per-hour": "How much audio was finished, per hour?",
    "codecs": "Which codecs come in, and how do they fare?",
    "loudness": "How loud are the results, by codec?",
    "clipped-streams": "Which streams were clipped, and how much?",
    "failing-sources": "Which input partitions do failures come from?",
    "busiest-workers": "What did each worker do in the last hour?",
};

/// The question of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Saved> {
    ALL.iter().find(|saved| saved.name == name)
}
