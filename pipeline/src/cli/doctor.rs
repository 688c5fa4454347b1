//! `treble doctor`.

mod access;
mod finding;
mod watching;

pub(super) use finding::Finding;

use super::{Context, Exit, Failure, registry, topics};
use crate::clock::SystemClock;
use crate::config::{Config, Fault, Loaded};
use crate::kafka::admin::Admin;
use crate::ports::Clock;
use crate::runtime::model;
use crate::schema_registry::Registration;
use clap::Args;
use finding::Verdict;
use std::net::TcpListener;
use std::sync::Arc;

/// Checks everything that Treble needs, and says how to mend what is missing
#[derive(Debug, Args)]
pub(super) struct Doctor {}

impl Doctor {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let loaded = crate::config::load(&context.options.request(), &context.surroundings)?;
        let findings = examine(&loaded);
        let worst = findings.iter().find(|finding| finding.verdict == Verdict::Bad);
        findings.iter().try_for_each(|finding| {
            context.output.document("check", &finding.document(), || finding.text())
        })?;
        Ok(worst.map_or(Exit::Success, |finding| finding.exit))
    }
}

/// Everything that can be found under a configuration that holds.
pub(super) fn examine(loaded: &Loaded) -> Vec<Finding> {
    let Loaded { config, warnings, .. } = loaded;
    let now_seconds = SystemClock::new().unix_us() / 1_000_000;
    let odd = |warning: &Fault| {
        Finding::odd("configuration", format!("{}: {}", warning.key, warning.problem), &warning.fix)
    };
    let mut findings = vec![Finding::good("configuration", "holds")];
    findings.extend(warnings.iter().map(odd));
    findings.extend(access::findings(config, now_seconds));
    findings.extend(cluster(config));
    findings.extend([schemas(config), engine(config), lake(config)]);
    findings.extend(watching::log(&config.log));
    findings.extend([watching::traces(config), port(config)]);
    findings
}

fn cluster(config: &Config) -> Vec<Finding> {
    let asked = Admin::connect(&config.kafka).and_then(|admin| Ok((admin.topics()?, admin)));
    let ((brokers, existing), admin) = match asked {
        Ok(answer) => answer,
        Err(fault) => return vec![Finding::bad("kafka", fault.into())],
    };
    let servers = &config.kafka.bootstrap_servers;
    let mut findings = vec![Finding::good("kafka", format!("{brokers} brokers at {servers}"))];
    let plans = topics::plans(config);
    let there: Vec<&str> =
        plans.iter().map(|plan| plan.name.as_str()).filter(|name| existing.contains_key(*name)).collect();
    let described = if there.is_empty() { Ok(Vec::new()) } else { admin.configs(&there) };
    let configs: std::collections::BTreeMap<_, _> =
        there.into_iter().zip(described.unwrap_or_default()).collect();
    let wrong: Vec<String> = plans
        .iter()
        .map(|plan| {
            let found = topics::differences(plan, existing.get(&plan.name), configs.get(plan.name.as_str()));
            (plan, found)
        })
        .filter(|(_, found)| !found.is_empty())
        .map(|(plan, found)| format!("{}: {}", plan.name, found.join(", ")))
        .collect();
    findings.push(if wrong.is_empty() {
        Finding::good("topics", format!("all {} are as configured", plans.len()))
    } else {
        let fix = "treble topics create, or change the section [topics]";
        Finding::bad("topics", Failure::new(Exit::Failure, wrong.join("; ")).mend(fix))
    });
    findings
}

fn schemas(config: &Config) -> Finding {
    match registry::ids(config, Registration::Require) {
        Ok(_) => Finding::good("schemas", "all are registered"),
        Err(failure) if failure.exit == Exit::Config && config.registry.auto_register => {
            Finding::odd("schemas", failure.what, "they are registered at the first start")
        }
        Err(failure) => Finding::bad("schemas", failure),
    }
}

fn lake(config: &Config) -> Finding {
    match super::lake::look(config) {
        Ok(None) => Finding::good("lake", "none wanted: lake.url is empty"),
        Ok(Some(rows)) => Finding::good("lake", rows),
        Err(failure) if failure.exit == Exit::NoInput && config.analyses() => {
            Finding::odd("lake", failure.what, "analyse creates it at its first start")
        }
        Err(failure) => Finding::bad("lake", failure),
    }
}

fn engine(config: &Config) -> Finding {
    match model::open(config, Arc::new(treble_upscale::Unwatched)) {
        Ok(None) => Finding::good("model", "none wanted: upscale.mode is baseline"),
        Ok(Some(engine)) => {
            let info = treble_core::Inference::model(&engine);
            let detail = format!("{} {} on {} ({})", info.name, info.version, info.device, info.sha256);
            match engine.fallback() {
                None => Finding::good("model", detail),
                Some(reason) => Finding::odd(
                    "model",
                    format!("{detail}: {reason}"),
                    "set engine.device = \"cpu\", or mend the driver",
                ),
            }
        }
        Err(error) => Finding::bad("model", error.into()),
    }
}

fn port(config: &Config) -> Finding {
    let listen = config.admin.listen;
    match TcpListener::bind(listen) {
        Ok(_) => Finding::good("port", format!("{listen} is free")),
        Err(error) => {
            let fix = "if that is not a running Treble: stop the other process, or set admin.listen";
            Finding::odd("port", format!("{listen}: {error}"), fix)
        }
    }
}

/// Refuses to start where the topics cannot work: each that is used must be there, and all aligned ones equally wide, since a
/// record goes to the same partition number of the next topic.
pub(super) fn check_topics(config: &Config) -> Result<(), Failure> {
    let (_, existing) = Admin::connect(&config.kafka)?.topics()?;
    let logs = registry::topics(config).logs();
    let mut plans = topics::plans(config);
    plans.retain(|plan| plan.name != logs || config.lake.logs);
    let missing: Vec<&str> =
        plans.iter().map(|plan| plan.name.as_str()).filter(|name| !existing.contains_key(*name)).collect();
    if !missing.is_empty() {
        let what = format!("topics are missing: {}", missing.join(", "));
        return Err(Failure::new(Exit::Unavailable, what).mend("create them: treble topics create"));
    }
    let dlq = registry::topics(config).dlq();
    let aligned = plans.iter().filter(|plan| plan.name != dlq);
    let mut widths = aligned.map(|plan| (existing[&plan.name].partitions, plan.name.as_str()));
    let first = widths.next().expect("a pipeline has topics");
    match widths.find(|(width, _)| *width != first.0) {
        None => Ok(()),
        Some((width, name)) => {
            let what = format!("{} has {} partitions, {name} has {width}", first.1, first.0);
            Err(Failure::new(Exit::Config, what)
                .because("a stream keeps its partition number through all topics")
                .mend("give all topics equally many partitions, or use a new --prefix"))
        }
    }
}
