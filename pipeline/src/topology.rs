//! Which stages share a process and a transaction: a pure function of the configured list.

use crate::stages::{INPUT_TOPIC, STAGES, StageEntry};
use std::fmt;
use thiserror::Error;

/// The stage that stores events. It reads what the others tell, no audio: it is no part of a segment, and has a topic and
/// a group of its own ([`crate::lake`]).
pub const ANALYSE: &str = "analyse";

/// How the chosen stages are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topology {
    /// A topic between all stages: each scales on its own.
    #[default]
    Distributed,
    /// Contiguous stages handed over in memory, in one transaction.
    Fused,
}

/// Stages that run as one consumer group: a topic in, a topic out, one state topic.
#[derive(Debug, Clone)]
pub struct Segment {
    /// The stages, in data-flow order; one in the distributed topology.
    pub stages: Vec<&'static StageEntry>,
    /// The topic read.
    pub input_topic: String,
    /// The topic written.
    pub output_topic: String,
    /// The compacted topic that holds the state of streams in flight.
    pub state_topic: String,
    /// The consumer group, and the stem of transactional ids.
    pub group: String,
}

impl Segment {
    /// The segment's name in metrics and logs: its stages joined by `-`.
    #[must_use]
    pub fn name(&self) -> String {
        self.stages.iter().map(|stage| stage.name).collect::<Vec<_>>().join("-")
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ─► {} ─► {}", self.input_topic, self.name(), self.output_topic)
    }
}

/// Why a list of stages is no topology.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TopologyError {
    /// A name that is no stage.
    #[error("`{name}` is no stage; the stages are {}", known())]
    UnknownStage {
        /// The name.
        name: String,
    },
    /// A stage listed twice.
    #[error("stage `{name}` is listed twice")]
    Repeated {
        /// The name.
        name: &'static str,
    },
    /// Nothing to run.
    #[error("no stage to run; the stages are {}", known())]
    Empty,
}

fn known() -> String {
    names().collect::<Vec<_>>().join(", ")
}

/// Every name that a list of stages may hold, in the order of the data flow.
pub fn names() -> impl Iterator<Item = &'static str> + Clone {
    STAGES.iter().map(|stage| stage.name).chain([ANALYSE])
}

/// The segments of `names` under `prefix`, of which [`ANALYSE`] is none. Order in `names` does not matter: data flows in
/// the order of [`STAGES`]. Fused, a gap in the list starts a new segment.
pub fn segments(names: &[String], topology: Topology, prefix: &str) -> Result<Vec<Segment>, TopologyError> {
    let mut chosen = Vec::new();
    for name in names.iter().filter(|name| *name != ANALYSE) {
        let position = STAGES.iter().position(|stage| stage.name == name);
        let index = position.ok_or_else(|| TopologyError::UnknownStage { name: name.clone() })?;
        if chosen.contains(&index) {
            return Err(TopologyError::Repeated { name: STAGES[index].name });
        }
        chosen.push(index);
    }
    if names.iter().filter(|name| *name == ANALYSE).count() > 1 {
        return Err(TopologyError::Repeated { name: ANALYSE });
    }
    chosen.sort_unstable();
    let runs = match topology {
        Topology::Distributed => chosen.iter().map(|index| *index..=*index).collect(),
        Topology::Fused => contiguous(&chosen),
    };
    if names.is_empty() {
        return Err(TopologyError::Empty);
    }
    Ok(runs.into_iter().map(|run| segment(*run.start(), *run.end(), prefix)).collect())
}

/// The groups of other topologies that would read what `segment` reads: those of every run of stages that begins with
/// the same stage.
#[must_use]
pub fn rivals(own: &Segment, prefix: &str) -> Vec<String> {
    let is_first = |entry: &StageEntry| own.stages.first().is_some_and(|stage| stage.name == entry.name);
    let Some(first) = STAGES.iter().position(is_first) else { return Vec::new() };
    let groups = (first..STAGES.len()).map(|last| segment(first, last, prefix).group);
    groups.filter(|group| *group != own.group).collect()
}

fn contiguous(sorted: &[usize]) -> Vec<std::ops::RangeInclusive<usize>> {
    let mut runs: Vec<std::ops::RangeInclusive<usize>> = Vec::new();
    for &index in sorted {
        match runs.last_mut() {
            Some(run) if *run.end() + 1 == index => *run = *run.start()..=index,
            _ => runs.push(index..=index),
        }
    }
    runs
}

fn segment(first: usize, last: usize, prefix: &str) -> Segment {
    let stages: Vec<_> = STAGES[first..=last].iter().collect();
    let input = if first == 0 { INPUT_TOPIC } else { STAGES[first - 1].output_topic };
    let name = stages.iter().map(|stage| stage.name).collect::<Vec<_>>().join("-");
    Segment {
        input_topic: format!("{prefix}.{input}"),
        output_topic: format!("{prefix}.{}", STAGES[last].output_topic),
        state_topic: format!("{prefix}.state.{}", STAGES[first].name),
        group: format!("{prefix}.{name}"),
        stages,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], topology: Topology, expect: &[&str]) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let shown: Vec<String> =
            segments(&names, topology, "t").unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(shown, expect);
    }

    #[test]
    fn neighbours_in_the_list_agree_on_what_travels_between_them() {
        assert!(STAGES.windows(2).all(|pair| pair[0].output == pair[1].input));
    }

    #[test]
    fn distributed_is_a_segment_a_stage() {
        let expect = ["t.audio.in ─► decode ─► t.audio.pcm", "t.audio.hires ─► encode ─► t.audio.out"];
        check(&["encode", "decode"], Topology::Distributed, &expect);
    }

    #[test]
    fn fused_joins_neighbours_and_leaves_gaps() {
        let all = ["t.audio.in ─► decode-upscale-encode ─► t.audio.out"];
        check(&["decode", "upscale", "encode"], Topology::Fused, &all);
        let gap = ["t.audio.in ─► decode ─► t.audio.pcm", "t.audio.hires ─► encode ─► t.audio.out"];
        check(&["decode", "encode"], Topology::Fused, &gap);
    }

    #[test]
    fn analyse_is_no_segment() {
        check(&["analyse"], Topology::Distributed, &[]);
        check(&["analyse", "decode"], Topology::Fused, &["t.audio.in ─► decode ─► t.audio.pcm"]);
    }

    #[test]
    fn rivals_read_the_same_topic_with_another_group() {
        let check = |names: &[&str], topology, expect: &[&str]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            let segments = segments(&names, topology, "t").unwrap();
            assert_eq!(rivals(segments.last().unwrap(), "t"), expect);
        };
        check(&["decode"], Topology::Distributed, &["t.decode-upscale", "t.decode-upscale-encode"]);
        let all = ["decode", "upscale", "encode"];
        check(&all, Topology::Fused, &["t.decode", "t.decode-upscale"]);
        check(&all, Topology::Distributed, &[]);
    }

    #[test]
    fn faults_are_named() {
        let unknown = segments(&["upscael".into()], Topology::Fused, "t").unwrap_err();
        assert!(unknown.to_string().contains("decode, upscale, encode"));
        assert_eq!(segments(&[], Topology::Fused, "t").unwrap_err(), TopologyError::Empty);
        let twice = segments(&[ANALYSE.into(), ANALYSE.into()], Topology::Fused, "t").unwrap_err();
        assert_eq!(twice, TopologyError::Repeated { name: ANALYSE });
    }
}
