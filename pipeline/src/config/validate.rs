//! Settings → [`Config`], or all faults: one pure function, the one that `treble validate` runs. No I/O.

mod properties;
mod rules;

use super::fault::{ConfigFaults, Fault};
use super::origin::Origin;
use super::raw::{Property, Raw};
use super::settings::Settings;
use super::types::{Config, KafkaConfig};
use crate::stages::{StageConfig, StageConfigs, StageEntry};
use crate::topology::ANALYSE;
use rules::Findings;
use toml::Value;

/// A configuration that holds, with its settings and what is odd about them.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) config: Config,
    pub(super) settings: Settings,
    pub(super) warnings: Vec<Fault>,
}

/// Checks everything; `faults` were found while reading the sources.
pub(super) fn check(mut settings: Settings, mut faults: Vec<Fault>) -> Result<Checked, ConfigFaults> {
    faults.extend(settle_types(&mut settings));
    let (raw, stage_configs) = match deserialize(&settings) {
        Ok(whole) => whole,
        // Each key fits alone and all of them together do not: only a stage's own section can say so.
        Err(problem) => {
            faults.push(settings.fault("configuration", problem, ""));
            return Err(ConfigFaults(faults));
        }
    };
    let mut config = into_config(raw, stage_configs);
    let stages_are_default = settings.get("stages").is_none_or(|setting| setting.origin == Origin::Default);
    if stages_are_default && config.lake.url.is_some() {
        config.stages.push(ANALYSE.to_owned());
    }
    let mut findings = Findings::new(&settings);
    rules::check(&config, &mut findings);
    let Findings { faults: broken, warnings, .. } = findings;
    faults.extend(broken);
    if faults.is_empty() { Ok(Checked { config, settings, warnings }) } else { Err(ConfigFaults(faults)) }
}

/// Tries each value alone, so that one of the wrong type does not hide the others; puts the default in its
/// place, so that the rest can be checked.
fn settle_types(settings: &mut Settings) -> Vec<Fault> {
    let given = settings.iter().filter(|(_, setting)| setting.origin != Origin::Default);
    let given: Vec<String> = given.map(|(key, _)| key.to_owned()).collect();
    let mut faults = Vec::new();
    for key in given {
        if let Err(problem) = deserialize(&settings.alone(&key)) {
            let fix =
                settings.catalogue().find(&key).map(|known| format!("the default is {}", known.default));
            faults.push(settings.fault(&key, problem, fix.unwrap_or_default()));
            settings.reset(&key);
        }
    }
    faults
}

fn deserialize(settings: &Settings) -> Result<(Raw, StageConfigs), String> {
    // The first line says what is wrong; the others repeat the key, which the fault names already.
    let problem = |error: toml::de::Error| error.message().lines().next().unwrap_or("").to_owned();
    let mut table = settings.to_table();
    let mut configure = |stage: &StageEntry| -> Result<(&'static str, StageConfig), String> {
        let section =
            table.remove(stage.name).and_then(|section| section.try_into().ok()).unwrap_or_default();
        Ok((stage.name, (stage.configure)(section).map_err(problem)?))
    };
    let stages = settings.catalogue().stages().iter().map(&mut configure);
    let stages = stages.collect::<Result<StageConfigs, String>>()?;
    Ok((Value::Table(table).try_into().map_err(problem)?, stages))
}

fn into_config(raw: Raw, stage_configs: StageConfigs) -> Config {
    let Raw { kafka, .. } = raw;
    let properties = kafka.properties.into_iter().map(|(name, value)| (name, Property::into_text(value)));
    Config {
        prefix: raw.prefix,
        instance_id: raw.instance_id,
        stages: raw.stages,
        topology: raw.topology,
        kafka: KafkaConfig {
            bootstrap_servers: kafka.bootstrap_servers,
            security_protocol: kafka.security_protocol,
            sasl_mechanism: kafka.sasl_mechanism,
            sasl_username: kafka.sasl_username,
            sasl_password_file: kafka.sasl_password_file,
            ssl_ca_file: kafka.ssl_ca_file,
            ssl_certificate_file: kafka.ssl_certificate_file,
            ssl_key_file: kafka.ssl_key_file,
            message_timeout_ms: kafka.message_timeout_ms,
            session_timeout_ms: kafka.session_timeout_ms,
            max_poll_interval_ms: kafka.max_poll_interval_ms,
            properties: properties.collect(),
        },
        registry: raw.registry,
        topics: raw.topics,
        commit: raw.commit,
        flow: raw.flow,
        events: raw.events,
        lake: raw.lake,
        sql: raw.sql,
        admin: raw.admin,
        log: raw.log,
        engine: raw.engine,
        gpu: raw.gpu,
        traces: raw.traces,
        stage_configs,
    }
}
