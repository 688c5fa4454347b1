//! Topics, keys and the partition rule.
//!
//! The key of a record is its stream id. On `audio.in` the producer's client hashes it as the Java clients
//! do ([`partition_of`]); every later topic of the pipeline uses the *same partition number*, so all aligned
//! topics have the same number of partitions.

mod murmur2;
mod spec;
mod stream_id;

pub use murmur2::{murmur2, partition_of, to_positive};
pub use spec::{MAX_DEAD_LETTER_BYTES, MAX_MESSAGE_BYTES, Partitions, TopicSpec};
pub use stream_id::{StreamId, StreamIdError};

use thiserror::Error;

/// The prefix of all topics, unless another is configured.
pub const DEFAULT_PREFIX: &str = "treble";
/// Kafka's limit on the length of a topic's name.
const MAX_NAME_BYTES: usize = 249;
/// Room for what follows the prefix: the longest is `.state.` and a stage's name.
const MAX_PREFIX_BYTES: usize = MAX_NAME_BYTES - 49;

/// A prefix that makes no valid topic names.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "topic prefix {prefix:?}: use 1 to {MAX_PREFIX_BYTES} of a-z A-Z 0-9 . _ - and not a dot at either end"
)]
pub struct PrefixError {
    /// The prefix that was refused.
    pub prefix: String,
}

/// The names of one pipeline's topics.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Topics {
    prefix: String,
}

impl Default for Topics {
    fn default() -> Self {
        Self { prefix: DEFAULT_PREFIX.to_owned() }
    }
}

impl Topics {
    /// The topics under `prefix`.
    pub fn new(prefix: &str) -> Result<Self, PrefixError> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let sound = (1..=MAX_PREFIX_BYTES).contains(&prefix.len())
            && prefix.chars().all(legal)
            && !prefix.starts_with('.')
            && !prefix.ends_with('.');
        if sound {
            Ok(Self { prefix: prefix.to_owned() })
        } else {
            Err(PrefixError { prefix: prefix.to_owned() })
        }
    }

    /// The prefix.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What producers publish: chunks of encoded audio, or raw clips.
    #[must_use]
    pub fn audio_in(&self) -> String {
        self.name("audio.in")
    }

    /// Decoded PCM.
    #[must_use]
    pub fn audio_pcm(&self) -> String {
        self.name("audio.pcm")
    }

    /// Upscaled PCM.
    #[must_use]
    pub fn audio_hires(&self) -> String {
        self.name("audio.hires")
    }

    /// The result: payloads that, concatenated, are a playable file.
    #[must_use]
    pub fn audio_out(&self) -> String {
        self.name("audio.out")
    }

    /// The changelog of `stage`.
    #[must_use]
    pub fn state(&self, stage: &str) -> String {
        self.name(&format!("state.{stage}"))
    }

    /// What the stages tell the analysts.
    #[must_use]
    pub fn events(&self) -> String {
        self.name("events")
    }

    /// Lines of the log of every process, as collectors publish them ([`line`](crate::line)).
    #[must_use]
    pub fn logs(&self) -> String {
        self.name("logs")
    }

    /// Dead letters of every stage.
    #[must_use]
    pub fn dlq(&self) -> String {
        self.name("dlq")
    }

    /// Every topic of a pipeline with `stages`, in data-flow order, with its partitions and retention.
    #[must_use]
    pub fn specs(&self, stages: &[&str]) -> Vec<TopicSpec> {
        let mut specs = vec![
            TopicSpec::audio_edge(self.audio_in()),
            TopicSpec::audio_between(self.audio_pcm()),
            TopicSpec::audio_between(self.audio_hires()),
            TopicSpec::audio_edge(self.audio_out()),
        ];
        specs.extend(stages.iter().map(|stage| TopicSpec::state(self.state(stage))));
        specs.push(TopicSpec::events(self.events()));
        specs.push(TopicSpec::logs(self.logs()));
        specs.push(TopicSpec::dlq(self.dlq()));
        specs
    }

    fn name(&self, rest: &str) -> String {
        format!("{}.{rest}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_prefix() {
        let topics = Topics::new("acme.audio-1").unwrap();
        assert_eq!(topics.audio_in(), "acme.audio-1.audio.in");
        assert_eq!(topics.state("decode"), "acme.audio-1.state.decode");
        assert_eq!(Topics::default().dlq(), "treble.dlq");
    }

    #[test]
    fn a_prefix_that_kafka_would_refuse_is_refused() {
        for prefix in ["", "a b", "a/b", "ä", ".a", "a.", &"x".repeat(201)] {
            assert!(Topics::new(prefix).is_err(), "{prefix:?}");
        }
    }

    #[test]
    fn every_topic_is_specified_once() {
        let specs = Topics::default().specs(&["decode", "upscale", "encode"]);
        let names: Vec<_> = specs.iter().map(|spec| spec.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "treble.audio.in",
                "treble.audio.pcm",
                "treble.audio.hires",
                "treble.audio.out",
                "treble.state.decode",
                "treble.state.upscale",
                "treble.state.encode",
                "treble.events",
                "treble.logs",
                "treble.dlq",
            ]
        );
    }
}
