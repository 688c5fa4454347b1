//! What must hold of a configuration whose types are right.

use super::properties;
use crate::config::fault::Fault;
use crate::config::origin::Origin;
use crate::config::settings::Settings;
use crate::config::types::{AdminConfig, Config, KafkaConfig, RegistryConfig, SqlConfig, TracesConfig};
use crate::topology::{self, Topology};
use std::ops::RangeInclusive;
use treble_analyse::lake::Location;
use treble_schemas::Topics;

/// What was found so far.
#[derive(Debug)]
pub(super) struct Findings<'a> {
    settings: &'a Settings,
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(settings: &'a Settings) -> Self {
        Self { settings, faults: Vec::new(), warnings: Vec::new() }
    }

    fn fault(&mut self, key: &str, problem: impl Into<String>, fix: impl Into<String>) {
        self.faults.push(self.settings.fault(key, problem, fix));
    }

    fn warn(&mut self, key: &str, problem: impl Into<String>, fix: impl Into<String>) {
        self.warnings.push(self.settings.fault(key, problem, fix));
    }

    fn within(&mut self, key: &str, value: u64, range: RangeInclusive<u64>) {
        if !range.contains(&value) {
            let (low, high) = range.into_inner();
            self.fault(key, "out of range", format!("choose {low} to {high}"));
        }
    }

    /// A value that must not lie about in a file, nor be seen in the list of processes.
    fn secret(&mut self, key: &str, fix: &str) {
        // Empty is no secret: it says that there is none, as `config show` writes it.
        let given = self.settings.get(key).filter(|setting| setting.value.as_str() != Some(""));
        if matches!(given.map(|setting| &setting.origin), Some(Origin::File(_) | Origin::Flag(_))) {
            self.fault(key, "a secret must not be written in a configuration file or a flag", fix);
        }
    }

    /// `smaller` must be less than `larger`; the second key is named in the fault of the first.
    fn ordered(&mut self, smaller: (&str, u64), larger: (&str, u64), reason: &str) {
        if smaller.1 >= larger.1 {
            let problem = format!("not less than {} = {}: {reason}", larger.0, larger.1);
            self.fault(smaller.0, problem, format!("lower it, or raise {}", larger.0));
        }
    }
}

/// Applies every rule.
pub(super) fn check(config: &Config, findings: &mut Findings<'_>) {
    identity(config, findings);
    stages(config, findings);
    kafka(&config.kafka, findings);
    registry(config, findings);
    ranges(config, findings);
    time_outs(config, findings);
    flow(config, findings);
    lake(config, findings);
    doors(&config.sql, findings);
    operators(config, findings);
    traces(&config.traces, findings);
}

fn identity(config: &Config, findings: &mut Findings<'_>) {
    if let Err(error) = Topics::new(&config.prefix) {
        findings.fault("prefix", error.to_string(), "");
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let id = &config.instance_id;
    if id.is_empty() {
        findings.fault("instance_id", "empty, and this machine has no host name", "give the process a name");
    } else if id.len() > 100 || !id.chars().all(legal) {
        let fix = "use up to 100 of a-z A-Z 0-9 . _ -";
        findings.fault("instance_id", "Kafka would refuse it as a static member's id", fix);
    }
}

fn stages(config: &Config, findings: &mut Findings<'_>) {
    match topology::segments(&config.stages, config.topology, &config.prefix) {
        Err(error) => {
            let meant = config.stages.iter().find_map(|name| nearest_stage(name));
            let fix = meant.map(|stage| format!("did you mean {stage}?")).unwrap_or_default();
            findings.fault("stages", error.to_string(), fix);
        }
        Ok(segments) if config.topology == Topology::Fused && segments.len() > 1 => {
            let fix = "add the missing stage, or choose topology = \"distributed\"";
            findings.warn("stages", "not contiguous, so they cannot be fused into one transaction", fix);
        }
        Ok(_) => {}
    }
    // Whether a model fits is found when its file is opened, at start.
    for stage in findings.settings.catalogue().stages() {
        if let Err(error) = (stage.check)(&config.stage_configs) {
            findings.fault(error.key, error.problem, error.fix);
        }
    }
}

fn nearest_stage(name: &str) -> Option<&'static str> {
    let mut known = topology::names();
    if known.clone().any(|stage| stage == name) {
        return None;
    }
    known.find(|stage| strsim::damerau_levenshtein(stage, name) <= 2)
}

fn kafka(kafka: &KafkaConfig, findings: &mut Findings<'_>) {
    if !kafka.bootstrap_servers.split(',').map(str::trim).all(is_address) {
        let fix = "write host:port, separated by commas";
        findings.fault("kafka.bootstrap_servers", "not a list of addresses", fix);
    }
    for name in kafka.properties.keys() {
        if let Some((problem, fix)) = properties::refusal(name) {
            findings.fault(&format!("kafka.properties.{name}"), problem, fix);
        }
    }
    security(kafka, findings);
}

fn security(kafka: &KafkaConfig, findings: &mut Findings<'_>) {
    let protocol = kafka.security_protocol;
    let wanted = [
        ("kafka.sasl_username", kafka.sasl_username.is_some()),
        ("kafka.sasl_password_file", kafka.sasl_password_file.is_some()),
    ];
    for (key, present) in wanted {
        if protocol.is_sasl() && !present {
            findings.fault(key, format!("needed with {}", protocol.name()), "set it");
        } else if !protocol.is_sasl() && present {
            findings.warn(key, format!("not used with {}", protocol.name()), "choose a SASL protocol");
        }
    }
    let pair = [
        ("kafka.ssl_certificate_file", kafka.ssl_certificate_file.is_some(), "kafka.ssl_key_file"),
        ("kafka.ssl_key_file", kafka.ssl_key_file.is_some(), "kafka.ssl_certificate_file"),
    ];
    if pair[0].1 != pair[1].1 {
        let (missing, _, other) = pair.into_iter().find(|(_, present, _)| !present).expect("one of the two");
        findings.fault(missing, format!("needed with {other}"), "a certificate and its key go together");
    }
    if protocol.is_sasl() && !protocol.is_tls() {
        let fix = "choose SASL_SSL";
        findings.warn("kafka.security_protocol", "the password and the audio travel unencrypted", fix);
    }
}

fn registry(config: &Config, findings: &mut Findings<'_>) {
    let registry = &config.registry;
    let url = &registry.url;
    if !is_http_url(url) {
        findings.fault("registry.url", "not an address", "write http://host:port/path, or https");
    } else if registry.auto_register && !is_loopback_url(url) {
        let fix = "turn it off, and register at deployment";
        findings.warn("registry.auto_register", "every process may register schemas", fix);
    }
    credentials(registry, findings);
}

fn credentials(registry: &RegistryConfig, findings: &mut Findings<'_>) {
    findings.secret("registry.password", "set TREBLE_REGISTRY_PASSWORD, or registry.password_file");
    findings.secret("registry.token", "set TREBLE_REGISTRY_TOKEN, or registry.token_file");
    let password = registry.password.is_some() || registry.password_file.is_some();
    let token = registry.token.is_some() || registry.token_file.is_some();
    if registry.username.is_some() && !password {
        let fix = "set registry.password_file, or TREBLE_REGISTRY_PASSWORD";
        findings.fault("registry.username", "needs a password", fix);
    }
    if password && registry.username.is_none() {
        let key = if registry.password.is_some() { "registry.password" } else { "registry.password_file" };
        findings.fault(key, "needs a user", "set registry.username");
    }
    for (key, both) in [
        ("registry.password_file", registry.password.is_some() && registry.password_file.is_some()),
        ("registry.token_file", registry.token.is_some() && registry.token_file.is_some()),
        ("registry.username", registry.username.is_some() && token),
    ] {
        if both {
            findings.fault(key, "more than one way to log in", "leave one of them out");
        }
    }
    let encrypted = registry.url.starts_with("https://");
    if (password || token) && !encrypted && !is_loopback_url(&registry.url) {
        findings.warn("registry.url", "the credentials travel unencrypted", "use https");
    }
    if registry.ca_file.is_some() && !encrypted {
        findings.warn("registry.ca_file", "not used without https", "use https");
    }
}

fn ranges(config: &Config, findings: &mut Findings<'_>) {
    let Config { kafka, topics, commit, flow, .. } = config;
    findings.within("topics.partitions", topics.partitions.into(), 1..=10_000);
    findings.within("topics.replication", topics.replication.into(), 1..=9);
    // Ten minutes: the shortest replay window that the design promises.
    findings.within("topics.pcm_retention_ms", topics.pcm_retention_ms, 600_000..=i64::MAX as u64);
    findings.within("commit.interval_ms", commit.interval_ms, 10..=60_000);
    findings.within("commit.max_bytes", commit.max_bytes, 1 << 20..=1 << 30);
    findings.within("commit.deadline_ms", commit.deadline_ms, 100..=600_000);
    findings.within("commit.transaction_timeout_ms", commit.transaction_timeout_ms, 1_000..=900_000);
    findings.within("kafka.message_timeout_ms", kafka.message_timeout_ms, 100..=900_000);
    findings.within("kafka.session_timeout_ms", kafka.session_timeout_ms, 1_000..=1_800_000);
    findings.within("kafka.max_poll_interval_ms", kafka.max_poll_interval_ms, 1_000..=86_400_000);
    findings.within("flow.high_water_bytes", flow.high_water_bytes, 1 << 20..=1 << 40);
    findings.within("flow.threads", flow.threads as u64, 0..=1_024);
    findings.within("flow.gap_timeout_ms", flow.gap_timeout_ms, 100..=86_400_000);
    findings.within("flow.idle_timeout_ms", flow.idle_timeout_ms, 1_000..=30 * 86_400_000);
    findings.within("flow.dead_letters_per_minute", flow.dead_letters_per_minute.into(), 1..=1_000_000);
}

fn time_outs(config: &Config, findings: &mut Findings<'_>) {
    let message = ("kafka.message_timeout_ms", config.kafka.message_timeout_ms);
    let transaction = ("commit.transaction_timeout_ms", config.commit.transaction_timeout_ms);
    let session = ("kafka.session_timeout_ms", config.kafka.session_timeout_ms);
    let poll = ("kafka.max_poll_interval_ms", config.kafka.max_poll_interval_ms);
    let deadline = ("commit.deadline_ms", config.commit.deadline_ms);
    let interval = ("commit.interval_ms", config.commit.interval_ms);
    findings.ordered(message, transaction, "a record must not outlive its transaction");
    findings.ordered(transaction, session, "a transaction must end before its member is expelled");
    findings.ordered(deadline, poll, "a commit on a rebalance must end before the member is expelled");
    findings.ordered(interval, deadline, "a commit needs time");
}

fn flow(config: &Config, findings: &mut Findings<'_>) {
    let low = ("flow.low_water_bytes", config.flow.low_water_bytes);
    let high = ("flow.high_water_bytes", config.flow.high_water_bytes);
    findings.ordered(low, high, "reading would stop and start with every record");
}

fn lake(config: &Config, findings: &mut Findings<'_>) {
    let lake = &config.lake;
    match &lake.url {
        None if config.analyses() => {
            let fix = "set lake.url to a folder or a bucket, or leave analyse out";
            findings.fault("stages", "analyse stores events in a lake, and lake.url is empty", fix);
        }
        None => {}
        Some(url) => {
            if let Err(error) = Location::parse(url) {
                findings.fault("lake.url", error.problem(), "");
            }
            if !config.events.enabled {
                let fix = "set events.enabled = true";
                findings.warn(
                    "lake.url",
                    "nothing is told that could be stored: events.enabled is false",
                    fix,
                );
            }
        }
    }
    findings.within("lake.flush_interval_ms", lake.flush_interval_ms, 100..=3_600_000);
    findings.within("lake.flush_mb", lake.flush_mb, 1..=1024);
    findings.within("lake.retention_days", lake.retention_days.into(), 0..=36_500);
    findings.within("lake.logs_retention_days", lake.logs_retention_days.into(), 0..=36_500);
    if lake.upkeep_interval_ms != 0 {
        findings.within("lake.upkeep_interval_ms", lake.upkeep_interval_ms, 1_000..=7 * 86_400_000);
    }
}

fn operators(config: &Config, findings: &mut Findings<'_>) {
    if let Err(error) = config.log.level.parse::<tracing_subscriber::filter::Targets>() {
        let fix = "write error, warn, info, debug or trace, or module=level, separated by commas";
        findings.fault("log.level", error.to_string(), fix);
    }
    findings.within("log.file_mb", config.log.file_mb, 1..=100_000);
    findings.within("log.file_hours", config.log.file_hours, 1..=24 * 366);
    findings.within("log.files", config.log.files.into(), 1..=1_000);
    findings.within("log.audit_mb", config.log.audit_mb, 1..=100_000);
    findings.within("log.audit_files", config.log.audit_files.into(), 1..=10_000);
    admin(&config.admin, findings);
}

fn admin(admin: &AdminConfig, findings: &mut Findings<'_>) {
    if admin.tls_certificate_file.is_some() != admin.tls_key_file.is_some() {
        let fix = "a certificate and its key go together";
        let problem = "admin.tls_certificate_file and admin.tls_key_file need each other";
        findings.fault("admin.tls_key_file", problem, fix);
    }
    if admin.listen.ip().is_loopback() {
        return;
    }
    match (&admin.token_file, &admin.tls_certificate_file) {
        (None, _) => {
            let fix = "listen on 127.0.0.1, set admin.token_file, or let a network policy say who may";
            findings.warn("admin.listen", "anyone who reaches this address may read the metrics", fix);
        }
        (Some(_), None) => {
            let fix = "set admin.tls_certificate_file and admin.tls_key_file";
            findings.warn("admin.token_file", "the token travels unencrypted", fix);
        }
        (Some(_), Some(_)) => {}
    }
}

fn traces(traces: &TracesConfig, findings: &mut Findings<'_>) {
    if !(0.0..=1.0).contains(&traces.sample_ratio) {
        findings.fault("traces.sample_ratio", "not a share", "choose 0 to 1");
    }
    let Some(endpoint) = &traces.endpoint else { return };
    let encrypted = endpoint.starts_with("https://");
    if !is_http_url(endpoint) {
        findings.fault("traces.endpoint", "not an address", "write http://host:4317, or https");
    } else if encrypted && traces.ca_file.is_none() {
        findings.fault(
            "traces.ca_file",
            "https needs certificates to trust",
            "name the file of their authority",
        );
    } else if !encrypted && traces.token_file.is_some() && !is_loopback_url(endpoint) {
        findings.warn("traces.endpoint", "the token travels unencrypted", "use https");
    }
}

fn doors(sql: &SqlConfig, findings: &mut Findings<'_>) {
    let doors = [
        ("sql.http_listen", sql.http_listen),
        ("sql.flight_listen", sql.flight_listen),
        ("sql.postgres_listen", sql.postgres_listen),
    ];
    for (key, door) in doors {
        if door.is_none_or(|address| address.ip().is_loopback()) {
            continue;
        }
        if sql.anonymous {
            let fix = "listen on 127.0.0.1, or name who may ask in sql.tokens_file";
            findings.fault(key, "anyone who reaches this address could ask: sql.anonymous is on", fix);
        } else if sql.tls_certificate_file.is_none() {
            findings.warn(
                key,
                "tokens and answers travel unencrypted",
                "set sql.tls_certificate_file and sql.tls_key_file",
            );
        }
    }
    if sql.anonymous && sql.tokens_file.is_some() {
        let fix = "leave one of them out";
        findings.fault("sql.anonymous", "everyone may ask, and sql.tokens_file says who may", fix);
    }
    if sql.tls_certificate_file.is_some() != sql.tls_key_file.is_some() {
        let fix = "a certificate and its key go together";
        findings.fault(
            "sql.tls_key_file",
            "sql.tls_certificate_file and sql.tls_key_file need each other",
            fix,
        );
    }
    findings.within("sql.timeout_ms", sql.timeout_ms, 100..=86_400_000);
    findings.within("sql.max_rows", sql.max_rows, 1..=1 << 40);
    findings.within("sql.max_statement_kb", sql.max_statement_kb as u64, 1..=16_384);
    findings.within("sql.max_queries", sql.max_queries as u64, 1..=10_000);
    findings.within("sql.max_sessions", sql.max_sessions as u64, 1..=100_000);
    findings.within("sql.memory_mb", sql.memory_mb as u64, 16..=1 << 20);
    findings.within("sql.spill_mb", sql.spill_mb, 0..=1 << 24);
    findings.within("sql.threads", sql.threads as u64, 0..=1_024);
    findings.within("sql.recent_mb", sql.recent_mb as u64, 1..=1 << 20);
    findings.within("sql.refresh_ms", sql.refresh_ms, 50..=3_600_000);
}

/// `host:port`; the host may be in brackets (IPv6).
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let sound = bare.map_or_else(
        || {
            !host.is_empty()
                && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        },
        |address| address.parse::<std::net::Ipv6Addr>().is_ok(),
    );
    sound && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn authority(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    Some(authority.rsplit_once('@').map_or(authority, |(_, host)| host))
}

fn is_http_url(url: &str) -> bool {
    let sound = |host: &str| is_address(host) || is_address(&format!("{host}:80"));
    !url.contains(char::is_whitespace) && authority(url).is_some_and(sound)
}

fn is_loopback_url(url: &str) -> bool {
    let host = authority(url).unwrap_or_default();
    ["127.", "localhost", "[::1]"].iter().any(|loopback| host.starts_with(loopback))
}
