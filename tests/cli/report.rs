//! What a report takes: `treble debug bundle` beside a pipeline that runs, and where nothing answers; and what doctor finds besides.

use crate::circle::Running;
use crate::treble::{Ended, Place, nobody};
use rdkafka::message::{Header, OwnedHeaders};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use treble_test_support::broker::LocalStack;
use treble_test_support::certificates::Authority;
use treble_test_support::collector::{Access, Collector};
use treble_test_support::configuration::PARTITIONS;
use treble_test_support::kafka::Publisher;
use treble_test_support::verdict;

/// A secret for each place in which one may lie.
const PASSWORD: &str = "Password-hunter2";
const ADDRESS: &str = "Address-hunter3";
const DOOR: &str = "Door-hunter4";
const COLLECTOR: &str = "Collector-hunter5";
const VARIABLE: &str = "Variable-hunter6";
const LINE: &str = "Line-hunter7";
const HEADER: &str = "Header-hunter8";
const PAYLOAD: &str = "Payload-hunter9";
const SECRETS: [&str; 8] = [PASSWORD, ADDRESS, DOOR, COLLECTOR, VARIABLE, LINE, HEADER, PAYLOAD];

/// A place with secrets wherever one may lie, and flags that name the files.
fn secretive(place: Place, registry: &str) -> Place {
    place.write("password", PASSWORD);
    place.write("tokens", format!("ada {DOOR}\nbob other-token-of-bob\n"));
    place.write("collector-token", COLLECTOR);
    place
        .with("TREBLE_SCHEMA_REGISTRY_URL", &registry.replace("http://", &format!("http://ada:{ADDRESS}@")))
        .with("TREBLE_KAFKA_SASL_PASSWORD_FILE", "password")
        .with("TREBLE_SQL_TOKENS_FILE", "tokens")
        .with("TREBLE_LOG_FILE", "treble.log")
        .with("TREBLE_UNKNOWN", VARIABLE)
        .with("DEPLOYMENT_API_KEY", VARIABLE)
}

/// Every file of an archive, unpacked by tar; asserts that none holds a secret.
fn unpacked(archive: &Path) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let tar = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder.path()).status().unwrap();
    assert!(tar.success());
    let top = folder.path().join("treble-debug");
    let (mut files, mut folders) = (BTreeMap::new(), vec![top.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&top).unwrap().display().to_string();
            let text = fs::read_to_string(&path).unwrap();
            for secret in SECRETS {
                assert!(!text.contains(secret) && !name.contains(secret), "{secret} is in {name}:\n{text}");
            }
            files.insert(name, text);
        }
    }
    files
}

fn json(files: &BTreeMap<String, String>, name: &str) -> Value {
    let text = files.get(name).unwrap_or_else(|| panic!("{name} is missing: {:?}", files.keys()));
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"))
}

/// A clip that is refused, with a trace, a secret in a header, one in its bytes, and one in the name of its stream.
fn publish_what_is_refused(stack: &LocalStack, prefix: &str) {
    let publisher = Publisher::new(stack, prefix).unwrap();
    let header = |key, value| Header { key, value: Some(value) };
    let headers = OwnedHeaders::new()
        .insert(header("content-type", "audio/flac"))
        .insert(header("x-api-key", HEADER))
        .insert(header("traceparent", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"));
    let payload = format!("{PAYLOAD} no audio ").repeat(40);
    let key = format!("clip-of-{DOOR}");
    publisher.record(Some(key.as_bytes()), Some(payload.as_bytes()), headers).unwrap();
    publisher.flush().unwrap();
    verdict::delivered(stack, prefix, 1).unwrap();
}

#[test]
fn a_bundle_holds_what_a_report_needs_and_no_secret() {
    let (stack, prefix, address) = (LocalStack::shared().unwrap(), "cli-report", nobody());
    let place = Place::new()
        .with("TREBLE_BOOTSTRAP_SERVERS", stack.bootstrap_servers())
        .with("TREBLE_PREFIX", prefix)
        .with("TREBLE_TOPICS_PARTITIONS", &PARTITIONS.to_string());
    let place = secretive(place, stack.schema_registry_url());
    place.treble(["topics", "create"]).code(0);
    let running = Running::start(&place, &address);
    publish_what_is_refused(stack, prefix);
    let mut log = fs::read_to_string(place.path("treble.log")).unwrap();
    log += &format!("a line of somebody else with {PASSWORD} and password={LINE}\n");
    place.write("treble.log", log);

    let traces = format!("traces.endpoint=http://{}", nobody());
    let more = ["--set", &traces, "--set", "traces.token_file=collector-token"];
    let bundle = ["debug", "bundle", "-o", "report.tar.gz", "--from", &address, "--output", "json"];
    let told = place.treble(bundle.iter().chain(&more)).code(0).documents().remove(0);
    assert_eq!((&told["kind"], &told["missing"]), (&"bundle".into(), &Value::Array(Vec::new())), "{told}");
    assert_eq!(running.drain(), Some(0));
    let archive = place.path("report.tar.gz");
    assert_eq!(fs::metadata(&archive).unwrap().permissions().mode() & 0o777, 0o600);

    let files = unpacked(&archive);
    let manifest = json(&files, "MANIFEST.json");
    let listed: Vec<&str> =
        manifest["files"].as_array().unwrap().iter().map(|file| file["file"].as_str().unwrap()).collect();
    assert_eq!(listed.len() + 1, files.len(), "{listed:?}");
    assert!(listed.iter().all(|name| files.contains_key(*name)), "{listed:?}");
    about_the_place(&files, prefix);
    about_the_pipeline(&files, prefix, &format!("processes/{}", address.replace(':', "_")));
}

/// What needs neither a cluster nor a process.
fn about_the_place(files: &BTreeMap<String, String>, prefix: &str) {
    assert_eq!(json(files, "version.json")["version"], env!("CARGO_PKG_VERSION"));
    assert!(json(files, "host.json")["memory"]["MemTotal"].is_string());
    let variables = json(files, "environment.json");
    assert_eq!(variables["TREBLE_PREFIX"]["key"], "prefix");
    assert_eq!(variables["TREBLE_UNKNOWN"]["value"], Value::Null);
    let configuration = &files["configuration.toml"];
    let line = configuration.lines().find(|line| line.starts_with(&format!("prefix = \"{prefix}\"")));
    assert!(line.is_some_and(|line| line.ends_with("# environment TREBLE_PREFIX")), "{configuration}");
    let model = json(files, "model.json");
    assert_eq!(model["mode"], "baseline", "{model}");
    let checks = json(files, "doctor.json")["checks"].as_array().unwrap().clone();
    let verdict = |subject: &str| {
        let found = checks.iter().find(|check| check["subject"] == subject);
        found.unwrap_or_else(|| panic!("{subject} was not looked at: {checks:?}"))["verdict"].clone()
    };
    assert_eq!(
        (verdict("kafka"), verdict("topics"), verdict("schemas")),
        ("ok".into(), "ok".into(), "ok".into())
    );
    assert_eq!((verdict("traces"), verdict("log")), ("fault".into(), "ok".into()));
    assert!(
        files["log.txt"].contains("a line of somebody else with *** and password=***"),
        "{}",
        files["log.txt"]
    );
}

/// What the cluster and the process say.
fn about_the_pipeline(files: &BTreeMap<String, String>, prefix: &str, process: &str) {
    let metrics = &files[&format!("{process}/metrics.txt")];
    assert!(metrics.contains("treble_dlq_records_total{"), "{metrics}");
    assert!(files[&format!("{process}/readyz.txt")].contains("ready"), "{files:?}");
    let topic = &json(files, "kafka/topics.json")["topics"][format!("{prefix}.audio.in")];
    assert_eq!((&topic["exists"], &topic["partitions"]), (&true.into(), &PARTITIONS.into()), "{topic}");
    assert!(topic["configuration"]["cleanup.policy"].is_string(), "{topic}");
    let groups = json(files, "kafka/groups.json")["report"]["groups"].clone();
    let ours = |group: &&Value| group["group"].as_str().is_some_and(|name| name.starts_with(prefix));
    assert!(groups.as_array().unwrap().iter().any(|group| ours(&group)), "{groups}");
    let letters = json(files, "kafka/dead-letters.json")["dead_letters"].clone();
    let letter = &letters[0];
    assert_eq!((&letter["stage"], &letter["code"]), (&"decode".into(), &"not_audio".into()), "{letters}");
    assert_eq!(letter["trace_id"], "0123456789abcdef0123456789abcdef");
    assert_eq!((&letter["key"], &letter["headers"]), (&"clip-of-***".into(), &Value::Null));
}

#[test]
fn where_nothing_answers_the_bundle_comes_and_says_what_is_missing() {
    let place = Place::new()
        .with("TREBLE_BOOTSTRAP_SERVERS", &nobody())
        .with("TREBLE_KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
        .with("TREBLE_KAFKA_SASL_USERNAME", "ada");
    let place = secretive(place, &format!("http://{}", nobody()));
    let address = nobody();
    let ended = place.treble(["debug", "bundle", "-o", "report.tar.gz", "--from", &address]).code(0);
    assert!(ended.out.contains("kafka/topics.json.absent.txt"), "{ended:?}");
    let files = unpacked(&place.path("report.tar.gz"));
    for name in ["kafka/topics.json", "kafka/groups.json", "kafka/dead-letters.json"] {
        assert!(files[&format!("{name}.absent.txt")].contains("cannot reach Kafka"), "{name}: {files:?}");
    }
    let process = format!("processes/{}/metrics.txt.absent.txt", address.replace(':', "_"));
    assert!(files[&process].contains("does not answer"), "{files:?}");
    assert!(files["log.txt.absent.txt"].contains("cannot read treble.log"), "{files:?}");
    let manifest = json(&files, "MANIFEST.json");
    let absent = manifest["files"].as_array().unwrap().iter().filter(|file| file["absent"].is_string());
    assert_eq!(absent.count(), 6, "{manifest}");
    assert!(files["configuration.toml"].contains("SASL_PLAINTEXT"));
    let checks = json(&files, "doctor.json")["checks"].clone();
    let fault = |check: &&Value| check["subject"] == "kafka" && check["verdict"] == "fault";
    assert!(checks.as_array().unwrap().iter().any(|check| fault(&check)), "{checks}");
}

#[test]
fn a_configuration_that_does_not_hold_is_what_the_bundle_tells_of() {
    let place = Place::new().with("TREBLE_TOPICS_PARTITIONS", "0").with("TREBLE_REGISTRY_PASSWORD", VARIABLE);
    place.treble(["debug", "bundle", "-o", "report.tar.gz"]).code(0);
    let files = unpacked(&place.path("report.tar.gz"));
    assert!(files["configuration.toml.absent.txt"].contains("topics.partitions"), "{files:?}");
    assert!(files.contains_key("host.json") && !files.contains_key("doctor.json"), "{:?}", files.keys());
    place.treble(["debug", "bundle", "-o", "absent/report.tar.gz"]).code(73).says(&["cannot create", "-o"]);
}

/// What doctor says under `settings`: subject, verdict, words.
fn checked(place: &Place, settings: &[String]) -> Vec<[String; 3]> {
    let kafka = nobody();
    let flags = settings.iter().flat_map(|setting| ["--set", setting]);
    let fixed = ["doctor", "--output", "json", "--bootstrap-servers", &kafka];
    let ended: Ended = place.treble(fixed.into_iter().chain(flags));
    let of = |check: &Value, field: &str| check[field].as_str().unwrap().to_owned();
    let told = |check: &Value| of(check, "detail") + " / " + &of(check, "fix");
    let checks = ended.documents().into_iter();
    checks.map(|check| [of(&check, "subject"), of(&check, "verdict"), told(&check)]).collect()
}

/// Asserts the verdicts on `subject`, and words of each.
fn judged(checks: &[[String; 3]], subject: &str, expect: &[(&str, &str)]) {
    let found: Vec<_> = checks.iter().filter(|[of, ..]| of == subject).collect();
    assert_eq!(found.len(), expect.len(), "{subject}: {checks:#?}");
    for ([_, verdict, told], (wanted, words)) in found.into_iter().zip(expect) {
        assert!(verdict == wanted && told.contains(words), "{subject}: {verdict}: {told}");
    }
}

#[test]
fn doctor_looks_at_secrets_certificates_the_log_and_the_collector() {
    let place = Place::new().with("TREBLE_SCHEMA_REGISTRY_URL", &format!("http://{}", nobody()));
    let authority = Authority::new(&place.path("")).unwrap();
    let identity = authority.issue("collector").unwrap();
    for (name, content, mode) in
        [("token", COLLECTOR.to_owned(), 0o600), ("tokens", format!("ada {DOOR}"), 0o644)]
    {
        place.write(name, content);
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let access = Access { identity: Some(identity), token_file: Some(place.path("token")) };
    let collector = Collector::start(access).unwrap();
    let mut settings = vec![
        format!("traces.endpoint={}", collector.endpoint()),
        format!("traces.ca_file={}", authority.certificate().display()),
        "traces.token_file=token".to_owned(),
        "sql.tokens_file=tokens".to_owned(),
        "log.file=logs/treble.log".to_owned(),
    ];
    let checks = checked(&place, &settings);
    let others = ("warning", "sql.tokens_file: tokens: everybody may read it (mode 644) / chmod 600 tokens");
    judged(&checks, "secrets", &[others, ("ok", "traces.token_file: token: for its owner alone")]);
    // The authorities of tests hold for two days, less what making one takes.
    judged(&checks, "certificates", &[("warning", "traces.ca_file: ")]);
    judged(&checks, "log", &[("ok", "logs/treble.log")]);
    judged(&checks, "traces", &[("ok", "takes spans")]);

    settings[2] = "traces.token_file=tokens".to_owned();
    settings[4] = "log.file=token/treble.log".to_owned();
    let checks = checked(&place, &settings);
    judged(&checks, "traces", &[("fault", "takes no spans")]);
    judged(&checks, "log", &[("fault", "token is no folder")]);
    drop(collector);
    judged(&checked(&place, &settings), "traces", &[("fault", "traces.endpoint")]);
}
