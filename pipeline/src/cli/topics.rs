//! `treble topics`.

use super::{Context, Exit, Failure, registry};
use crate::config::Config;
use crate::kafka::admin::{Admin, Creation, TopicPlan, TopicState};
use crate::stages::STAGES;
use clap::{Args, Subcommand};
use serde_json::json;
use std::collections::BTreeMap;
use treble_schemas::topic::Partitions;

/// Creates and checks the topics
#[derive(Debug, Subcommand)]
pub(super) enum TopicsVerb {
    /// Creates the topics that are missing, and registers the schemas
    Create(Create),
    /// Compares the topics with what the configuration wants
    Check,
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Says what would be created, and creates nothing
    #[arg(long)]
    dry_run: bool,
    /// Leaves the schema registry alone
    #[arg(long)]
    no_schemas: bool,
}

impl TopicsVerb {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let config = context.load(&context.options.request())?.config;
        match self {
            Self::Create(create) => create.run(context, &config),
            Self::Check => check(context, &config),
        }
    }
}

impl Create {
    fn run(self, context: &Context, config: &Config) -> Result<Exit, Failure> {
        let plans = plans(config);
        if self.dry_run {
            plans.iter().try_for_each(|plan| report(context, plan, "planned", ""))?;
            return Ok(Exit::Success);
        }
        let outcomes = Admin::connect(&config.kafka)?.create(&plans)?;
        let (mut refused, mut forbidden) = (0, 0);
        for (plan, outcome) in plans.iter().zip(outcomes) {
            match outcome {
                Creation::Created => report(context, plan, "created", "")?,
                Creation::Existed => report(context, plan, "existed", "")?,
                Creation::Refused(reason) => {
                    refused += 1;
                    report(context, plan, "refused", &reason)?;
                }
                Creation::Forbidden(reason) => {
                    forbidden += 1;
                    report(context, plan, "refused", &reason)?;
                }
            }
        }
        if forbidden > 0 {
            let what = format!("this user may not create {forbidden} topics");
            let fix = "check kafka.sasl_username, and that the user may do this (ACLs)";
            return Err(Failure::new(Exit::Permission, what).mend(fix));
        }
        if refused > 0 {
            return Err(Failure::new(Exit::Failure, format!("{refused} topics could not be created"))
                .mend("topics.replication must not exceed the number of brokers"));
        }
        if !self.no_schemas && config.registry.auto_register {
            registry::contract_ids(config)?;
            context.output.say("The schemas are registered.");
        }
        Ok(Exit::Success)
    }
}

fn report(context: &Context, plan: &TopicPlan, outcome: &str, detail: &str) -> Result<(), Failure> {
    let document = json!({
        "topic": plan.name,
        "outcome": outcome,
        "detail": detail,
        "partitions": plan.partitions,
        "replication": plan.replication,
        "configs": plan.configs.iter().cloned().collect::<BTreeMap<_, _>>(),
    });
    context.output.document("topic", &document, || {
        let TopicPlan { name, partitions, replication, .. } = plan;
        format!("{outcome:<8} {name:<28} {partitions} partitions, {replication} copies  {detail}")
            .trim_end()
            .to_owned()
    })
}

/// Copies at which one may be lost without losing what was acknowledged.
const SAFE_REPLICATION: u16 = 3;

/// Every topic of the pipeline, as the configuration wants it.
pub(super) fn plans(config: &Config) -> Vec<TopicPlan> {
    let topics = registry::topics(config);
    let stages: Vec<&str> = STAGES.iter().map(|entry| entry.name).collect();
    let between = [topics.audio_pcm(), topics.audio_hires()];
    let plan = |spec: treble_schemas::topic::TopicSpec| {
        let partitions = match spec.partitions {
            Partitions::Aligned => config.topics.partitions,
            Partitions::Fixed(count) => u32::try_from(count).unwrap_or(1),
        };
        let owned = |(key, value): (&str, String)| (key.to_owned(), value);
        let mut configs: BTreeMap<String, String> = spec.configs.into_iter().map(owned).collect();
        if between.contains(&spec.name) {
            configs.insert("retention.ms".to_owned(), config.topics.pcm_retention_ms.to_string());
        }
        if config.topics.replication >= SAFE_REPLICATION {
            configs.insert("min.insync.replicas".to_owned(), "2".to_owned());
        }
        TopicPlan {
            name: spec.name,
            partitions,
            replication: config.topics.replication,
            configs: configs.into_iter().collect(),
        }
    };
    topics.specs(&stages).into_iter().map(plan).collect()
}

/// What is wrong with a topic; empty where nothing is.
pub(super) fn differences(
    plan: &TopicPlan,
    state: Option<&TopicState>,
    configs: Option<&BTreeMap<String, String>>,
) -> Vec<String> {
    let Some(state) = state else { return vec!["missing".to_owned()] };
    let mut found = Vec::new();
    if state.partitions != plan.partitions {
        found.push(format!("{} partitions instead of {}", state.partitions, plan.partitions));
    }
    if state.replication < plan.replication {
        found.push(format!("{} copies instead of {}", state.replication, plan.replication));
    }
    for (key, wanted) in plan.configs.iter().filter(|(key, _)| is_essential(key)) {
        let actual = configs.and_then(|configs| configs.get(key)).map_or("unset", String::as_str);
        if configs.is_some() && actual != wanted {
            found.push(format!("{key} is {actual} instead of {wanted}"));
        }
    }
    found
}

/// Whether Treble cannot work with another value; retention and the like are the operator's to choose.
fn is_essential(key: &str) -> bool {
    matches!(key, "cleanup.policy" | "max.message.bytes" | "min.insync.replicas")
}

fn check(context: &Context, config: &Config) -> Result<Exit, Failure> {
    let admin = Admin::connect(&config.kafka)?;
    let (_, existing) = admin.topics()?;
    let plans = plans(config);
    let there: Vec<&str> =
        plans.iter().map(|plan| plan.name.as_str()).filter(|name| existing.contains_key(*name)).collect();
    let described = if there.is_empty() { Vec::new() } else { admin.configs(&there)? };
    let configs: BTreeMap<&str, BTreeMap<String, String>> = there.iter().copied().zip(described).collect();
    let mut wrong = 0;
    for plan in &plans {
        let found = differences(plan, existing.get(&plan.name), configs.get(plan.name.as_str()));
        wrong += usize::from(!found.is_empty());
        let outcome = if found.is_empty() { "ok" } else { "wrong" };
        report(context, plan, outcome, &found.join(", "))?;
    }
    if wrong == 0 {
        return Ok(Exit::Success);
    }
    Err(Failure::new(Exit::Failure, format!("{wrong} of {} topics are not as configured", plans.len())).mend(
        "`treble topics create` creates missing ones; set topics.partitions to what is there, or recreate the topics",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> TopicPlan {
        let configs = vec![
            ("cleanup.policy".to_owned(), "compact".to_owned()),
            ("retention.ms".to_owned(), "5".to_owned()),
        ];
        TopicPlan { name: "t".to_owned(), partitions: 4, replication: 3, configs }
    }

    #[test]
    fn only_what_treble_cannot_work_with_is_a_difference() {
        let state = |partitions, replication| TopicState { partitions, replication };
        let configs = |policy: &str| BTreeMap::from([("cleanup.policy".to_owned(), policy.to_owned())]);
        let check = |state: Option<&TopicState>, policy: &str, expect: usize| {
            let found = differences(&plan(), state, Some(&configs(policy)));
            assert_eq!(found.len(), expect, "{found:?}");
        };
        check(None, "compact", 1);
        check(Some(&state(4, 3)), "compact", 0);
        check(Some(&state(4, 5)), "compact", 0);
        check(Some(&state(8, 1)), "delete", 3);
    }
}
