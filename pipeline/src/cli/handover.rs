//! Whether this topology may read what another one has read before it.

use super::{Exit, Failure};
use crate::config::{Config, OnNewTopology};
use crate::kafka::groups;
use crate::topology::{self, Segment};

/// Refuses to start where another topology's group has processed a topic that ours has not begun: ours would process
/// all that the log still holds once more.
pub(super) fn check(config: &Config) -> Result<(), Failure> {
    if config.flow.on_new_topology == OnNewTopology::Reprocess {
        return Ok(());
    }
    let segments = topology::segments(&config.stages, config.topology, &config.prefix)
        .map_err(|error| Failure::new(Exit::Config, error.to_string()))?;
    segments.iter().try_for_each(|segment| check_segment(config, segment))
}

fn check_segment(config: &Config, segment: &Segment) -> Result<(), Failure> {
    let has = |group: &str| {
        groups::has_committed(&config.kafka, group, &segment.input_topic, config.topics.partitions)
    };
    if has(&segment.group)? {
        return Ok(());
    }
    for rival in topology::rivals(segment, &config.prefix) {
        if has(&rival)? {
            let what = format!(
                "{} has been processed by consumer group {rival}, and never by {}",
                segment.input_topic, segment.group
            );
            return Err(Failure::new(Exit::Config, what)
                .because("the topology was changed: all that the topic still holds would be processed again")
                .mend(
                    "go back to the stages and the topology that ran before, give this one a --prefix of its own, or \
                     accept every stream once more: --set flow.on_new_topology=reprocess",
                ));
        }
    }
    Ok(())
}
