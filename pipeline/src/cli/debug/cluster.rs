//! What the cluster says: topics, groups, dead letters.

use super::archive::Content;
use crate::cli::{Failure, dlq, lag, topics};
use crate::config::Config;
use crate::kafka::admin::Admin;
use serde_json::{Value, json};

/// Dead letters of a partition that are told of, at most.
const LETTERS: i64 = 200;

/// Files about the cluster: name, what it is, and what it holds. A cluster that does not answer is asked once.
pub(super) fn files(config: &Config) -> Vec<(&'static str, &'static str, Result<Content, Failure>)> {
    let described = described(config);
    let silent = described.as_ref().err().cloned();
    let unless_silent = |ask: &dyn Fn() -> Result<Value, Failure>| match &silent {
        Some(failure) => Err(failure.clone()),
        None => ask(),
    };
    let groups = unless_silent(&|| lag::look(config));
    let letters = unless_silent(&|| Ok(json!({ "dead_letters": dlq::heads(config, LETTERS)? })));
    [
        ("kafka/topics.json", "the pipeline's topics: partitions, copies, configuration", described),
        (
            "kafka/groups.json",
            "all groups of the cluster and their lag, as `treble lag --output json`",
            groups,
        ),
        ("kafka/dead-letters.json", "the latest dead letters: why, which stream, which trace", letters),
    ]
    .map(|(name, what, document)| (name, what, document.map(Content::Json)))
    .into()
}

/// The pipeline's topics as they are; one that is missing says so.
fn described(config: &Config) -> Result<Value, Failure> {
    let admin = Admin::connect(&config.kafka)?;
    let (brokers, existing) = admin.topics()?;
    let plans = topics::plans(config);
    let names: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
    let there: Vec<&str> = names.iter().copied().filter(|name| existing.contains_key(*name)).collect();
    let configs = if there.is_empty() { Vec::new() } else { admin.configs(&there)? };
    let mut told: serde_json::Map<_, _> =
        names.iter().map(|name| ((*name).to_owned(), json!({ "exists": false }))).collect();
    for (name, configs) in there.into_iter().zip(configs) {
        let state = &existing[name];
        told[name] = json!({
            "exists": true, "partitions": state.partitions, "copies": state.replication, "configuration": configs,
        });
    }
    Ok(json!({ "brokers": brokers, "topics": told }))
}
