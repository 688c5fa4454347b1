//! What each topic is for, as data: partitions and retention.

/// How many partitions a topic has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Partitions {
    /// As many as every other aligned topic of the pipeline; checked at start.
    Aligned,
    /// This many.
    Fixed(i32),
}

/// A topic as it is to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// The full name.
    pub name: String,
    /// How many partitions.
    pub partitions: Partitions,
    /// Topic configuration by Kafka's keys; the cluster's defaults rule the rest.
    pub configs: Vec<(&'static str, String)>,
}

/// The longest record of a topic that carries chunks or raw clips, 4 MiB; producers have the same limit.
pub const MAX_MESSAGE_BYTES: u32 = 4 << 20;
/// A dead letter keeps its original and adds headers: 64 KiB more.
pub const MAX_DEAD_LETTER_BYTES: u32 = MAX_MESSAGE_BYTES + (64 << 10);

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

impl TopicSpec {
    /// Where producers and consumers meet the pipeline: a week, so that a long weekend's outage loses nothing.
    pub(super) fn audio_edge(name: String) -> Self {
        let limit = ("max.message.bytes", MAX_MESSAGE_BYTES.to_string());
        Self::aligned(name, vec![delete(), retention(7 * DAY_MS), limit])
    }

    /// PCM between stages is large and can be made again: a day, and no more than 16 GiB a partition
    /// (twelve hours of one 48 kHz stereo stream as f32). It must outlast the longest replay: a stream
    /// whose codec restarts only at its beginning must fit.
    pub(super) fn audio_between(name: String) -> Self {
        let cap = ("retention.bytes", (16_u64 << 30).to_string());
        Self::aligned(name, vec![delete(), retention(DAY_MS), cap])
    }

    /// The latest record of each key is kept. Small segments and an eager cleaner keep the restore short;
    /// tombstones stay a day, so that a process that was away sees them.
    pub(super) fn state(name: String) -> Self {
        let configs = vec![
            ("cleanup.policy", "compact".to_owned()),
            ("min.cleanable.dirty.ratio", "0.1".to_owned()),
            ("segment.bytes", (16_u64 << 20).to_string()),
            ("segment.ms", (HOUR_MS / 6).to_string()),
            ("delete.retention.ms", DAY_MS.to_string()),
        ];
        Self::aligned(name, configs)
    }

    /// Events live in the lake; the topic is their buffer.
    pub(super) fn events(name: String) -> Self {
        Self::aligned(name, vec![delete(), retention(7 * DAY_MS)])
    }

    /// Lines live where logs are kept; the topic is their buffer for as long as a weekend.
    pub(super) fn logs(name: String) -> Self {
        Self::aligned(name, vec![delete(), retention(3 * DAY_MS)])
    }

    /// Few records that people read one by one: a single partition keeps them in order, a month of them.
    pub(super) fn dlq(name: String) -> Self {
        let limit = ("max.message.bytes", MAX_DEAD_LETTER_BYTES.to_string());
        let configs = vec![delete(), retention(30 * DAY_MS), limit];
        Self { name, partitions: Partitions::Fixed(1), configs }
    }

    fn aligned(name: String, configs: Vec<(&'static str, String)>) -> Self {
        Self { name, partitions: Partitions::Aligned, configs }
    }
}

fn delete() -> (&'static str, String) {
    ("cleanup.policy", "delete".to_owned())
}

fn retention(ms: u64) -> (&'static str, String) {
    ("retention.ms", ms.to_string())
}
