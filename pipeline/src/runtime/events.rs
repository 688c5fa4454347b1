//! Which events a segment writes, and what is attached to its stages for their sake.

use super::account::Reporter;
use super::blueprint::Decorate;
use super::meter::Metering;
use super::records::EventWriter;
use crate::config::{Config, Loudness};
use crate::schema_registry::{ContractIds, RegistryError};
use crate::stages::STAGES;
use crate::topology::Segment;
use std::sync::Arc;
use treble_core::{Assets, Stage};
use treble_schemas::event::Mode;
use treble_schemas::{Contract, Topics};
use treble_upscale::UpscaleStage;

/// How the events of `segment` are written; `None` where they are turned off.
pub fn writer(
    config: &Config,
    segment: &Segment,
    ids: &ContractIds,
    assets: &Assets,
    topics: &Topics,
) -> Result<Option<EventWriter>, RegistryError> {
    if !config.events.enabled {
        return Ok(None);
    }
    let topic = topics.events();
    let raises = segment.stages.iter().any(|stage| stage.name == UpscaleStage::NAME);
    let model = assets.inference.as_ref().filter(|_| raises).map(|engine| engine.model().clone());
    let mode = match (raises, &model) {
        (false, _) => Mode::None,
        (true, None) => Mode::Baseline,
        (true, Some(_)) => Mode::Ai,
    };
    Ok(Some(EventWriter {
        stage_event_schema: ids.of(Contract::StageEvent, &topic)?,
        stream_report_schema: ids.of(Contract::StreamReport, &topic)?,
        topic,
        reporter: Reporter {
            stage: segment.name(),
            instance: config.instance_id.clone(),
            mode,
            model,
            source_topic: segment.input_topic.clone(),
        },
        ends_pipeline: ends_pipeline(segment),
    }))
}

/// `inner`, and a meter around the segment's last stage where somebody's sound is to be measured.
#[must_use]
pub fn metered(segment: &Segment, whose: Loudness, inner: Arc<dyn Decorate>) -> Arc<dyn Decorate> {
    match whose {
        Loudness::Off => inner,
        Loudness::Bulk | Loudness::All => {
            let stage = last(segment).unwrap_or_default();
            Arc::new(Metering { stage, live: whose == Loudness::All, inner })
        }
    }
}

/// Whether what the segment writes leaves the pipeline.
#[must_use]
pub fn ends_pipeline(segment: &Segment) -> bool {
    last(segment).is_some_and(|stage| STAGES.last().is_some_and(|last| last.name == stage))
}

fn last(segment: &Segment) -> Option<&'static str> {
    segment.stages.last().map(|stage| stage.name)
}
