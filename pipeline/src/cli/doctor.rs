//! `treble doctor`.

use super::{Context, Exit, Failure, registry, topics};
use crate::config::Config;
use crate::kafka::admin::Admin;
use crate::runtime::model;
use crate::schema_registry::Registration;
use clap::Args;
use serde_json::json;
use std::net::TcpListener;
use std::sync::Arc;

/// Checks everything that Treble needs, and says how to mend what is missing
#[derive(Debug, Args)]
pub(super) struct Doctor {}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    /// Works, but perhaps not as meant.
    Odd,
    Bad,
}

impl Verdict {
    const fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Odd => "warning",
            Self::Bad => "fault",
        }
    }
}

/// One check, done.
#[derive(Debug)]
struct Finding {
    subject: &'static str,
    verdict: Verdict,
    detail: String,
    fix: String,
    exit: Exit,
}

impl Finding {
    fn good(subject: &'static str, detail: impl Into<String>) -> Self {
        let (detail, fix) = (detail.into(), String::new());
        Self { subject, verdict: Verdict::Good, detail, fix, exit: Exit::Success }
    }

    fn odd(subject: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { verdict: Verdict::Odd, fix: fix.into(), ..Self::good(subject, detail) }
    }

    fn bad(subject: &'static str, failure: Failure) -> Self {
        let detail = match failure.why.as_str() {
            "" => failure.what,
            why => format!("{}: {why}", failure.what),
        };
        Self { subject, verdict: Verdict::Bad, detail, fix: failure.fix, exit: failure.exit }
    }
}

impl Doctor {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let mut findings = Vec::new();
        let loaded = crate::config::load(&context.options.request(), &context.surroundings)?;
        findings.push(Finding::good("configuration", "holds"));
        let odd = |warning: crate::config::Fault| {
            Finding::odd("configuration", format!("{}: {}", warning.key, warning.problem), warning.fix)
        };
        findings.extend(loaded.warnings.into_iter().map(odd));
        findings.extend(cluster(&loaded.config));
        findings.push(schemas(&loaded.config));
        findings.push(engine(&loaded.config));
        findings.push(lake(&loaded.config));
        findings.push(port(&loaded.config));
        let worst =
            findings.iter().find(|finding| finding.verdict == Verdict::Bad).map(|finding| finding.exit);
        for finding in &findings {
            print(context, finding)?;
        }
        Ok(worst.unwrap_or(Exit::Success))
    }
}

fn print(context: &Context, finding: &Finding) -> Result<(), Failure> {
    let Finding { subject, verdict, detail, fix, .. } = finding;
    let document = json!({ "subject": subject, "verdict": verdict.name(), "detail": detail, "fix": fix });
    context.output.document("check", &document, || {
        let remedy = if fix.is_empty() { String::new() } else { format!("\n{:25}fix: {fix}", "") };
        format!("{:<8} {subject:<15} {detail}{remedy}", verdict.name())
    })
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

/// Refuses to start where the topics cannot work: each must be there, and all aligned ones equally wide, since a
/// record goes to the same partition number of the next topic.
pub(super) fn check_topics(config: &Config) -> Result<(), Failure> {
    let (_, existing) = Admin::connect(&config.kafka)?.topics()?;
    let plans = topics::plans(config);
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
