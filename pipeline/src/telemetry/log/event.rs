//! What log lines tell of, as a closed set: queries and alerts ask for these names, never for words of a message.

use crate::telemetry::labels::ErrorType;

/// Declares the set: name, at fault, meaning.
macro_rules! events {
    ($(#[doc = $doc:literal] $variant:ident = $text:literal, $category:ident;)+) => {
        /// What a line tells of. A line of a library tells of none of these.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Event { $(#[doc = $doc] $variant,)+ }

        impl Event {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name: the value of the field `event`, in calls of `tracing` too.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// What is at fault where it is told as a warning or an error.
            #[must_use]
            pub const fn category(self) -> Category {
                match self { $(Self::$variant => Category::$category,)+ }
            }

            /// What it means, for the documentation.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $doc,)+ }
            }
        }
    };
}

events! {
    /// The process has begun to log.
    Started = "started", Internal;
    /// A thread panicked; a panic inside a codec costs its own stream only.
    Panicked = "panicked", Internal;
    /// Lines of one place were suppressed, `suppressed` of them.
    LinesSuppressed = "lines_suppressed", Internal;
    /// A stage has finished a stream, after `duration_seconds`.
    StreamEnded = "stream_ended", Internal;
    /// A stage has given a stream up, or its producer has; the dead letter says why.
    StreamGivenUp = "stream_given_up", Input;
    /// A record went to the topic of dead letters, for `error_code`.
    DeadLetter = "dead_letter", Input;
    /// A corrupt packet inside a playable stream was skipped.
    PacketSkipped = "packet_skipped", Input;
    /// Partitions became ours, went to another, or were lost.
    Rebalanced = "rebalanced", Kafka;
    /// A partition is restored and read again.
    PartitionRestored = "partition_restored", Kafka;
    /// No broker answers.
    KafkaUnreachable = "kafka_unreachable", Kafka;
    /// Brokers answer again.
    KafkaReachable = "kafka_reachable", Kafka;
    /// A consumer group of the cluster is in another state than before.
    GroupStateChanged = "group_state_changed", Kafka;
    /// The schema registry cannot be asked.
    RegistryUnreachable = "registry_unreachable", Registry;
    /// It answers again.
    RegistryReachable = "registry_reachable", Registry;
    /// Nothing is stored in the lake for now.
    LakeUnavailable = "lake_unavailable", Lake;
    /// A card reported a fault.
    GpuFault = "gpu_fault", Device;
    /// A card's memory is exhausted.
    GpuOutOfMemory = "gpu_out_of_memory", Device;
    /// A login at a door of analysts, or who came for metrics, was refused.
    AuthenticationFailed = "authentication_failed", Authentication;
    /// A statement was refused because it does more than read, or reads what its asker has no role for.
    QueryRefused = "query_refused", Authentication;
    /// A statement was turned away because too many are being answered.
    RateLimited = "rate_limited", Authentication;
    /// A password or a certificate was changed in its file, and is used from now on.
    SecretChanged = "secret_changed", Authentication;
    /// A canary did not come back in time.
    CanaryLost = "canary_lost", Internal;
    /// A canary came back spoilt.
    CanaryCorrupt = "canary_corrupt", Internal;
    /// A line to be found where logs are kept: it proves that they arrive.
    LogCanary = "log_canary", Internal;
}

impl Event {
    /// Whether it belongs into the audit log: who came and was not let in, what was refused, which secrets changed, and when the process
    /// began to say so.
    #[must_use]
    pub const fn is_audited(self) -> bool {
        matches!(
            self,
            Self::Started
                | Self::AuthenticationFailed
                | Self::QueryRefused
                | Self::RateLimited
                | Self::SecretChanged
        )
    }

    /// The event of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.text() == name)
    }
}

/// What is at fault, in few words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// Who asked was not let in.
    Authentication,
    /// What was sent to us.
    Input,
    /// The brokers, or what they hold.
    Kafka,
    /// The schema registry.
    Registry,
    /// The lake or its store.
    Lake,
    /// A GPU, or the model on it.
    Device,
    /// Treble.
    Internal,
    /// Unknown.
    Other,
}

impl Category {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Authentication,
        Self::Input,
        Self::Kafka,
        Self::Registry,
        Self::Lake,
        Self::Device,
        Self::Internal,
        Self::Other,
    ];

    /// The value of the field `error_category`.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::Input => "input",
            Self::Kafka => "kafka",
            Self::Registry => "registry",
            Self::Lake => "lake",
            Self::Device => "device",
            Self::Internal => "internal",
            Self::Other => "other",
        }
    }

    /// That of an error of this type.
    #[must_use]
    pub const fn of(error: ErrorType) -> Self {
        match error {
            ErrorType::DecodeError
            | ErrorType::UnsupportedFormat
            | ErrorType::Validation
            | ErrorType::Timeout => Self::Input,
            ErrorType::GpuOom | ErrorType::GpuError | ErrorType::InferenceTimeout => Self::Device,
            ErrorType::KafkaError | ErrorType::TransactionFenced => Self::Kafka,
            ErrorType::LakeError => Self::Lake,
            ErrorType::EncodeError | ErrorType::Internal => Self::Internal,
            ErrorType::Other => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_single_and_found_again() {
        for event in Event::ALL {
            assert_eq!(Event::of(event.text()), Some(*event), "{}", event.text());
            assert!(event.meaning().trim_end().ends_with('.'));
        }
        assert_eq!(Event::of("nothing"), None);
    }
}
