//! One `check` per promise: what sources say in, faults or values out.

use super::*;
use crate::stages::StageConfigs;
use std::fs;

mod added_stage;

fn surroundings(folder: &std::path::Path, variables: &[(&str, &str)]) -> Surroundings {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Surroundings {
        variables: variables.iter().map(owned).collect(),
        directory: folder.to_owned(),
        host_name: "box".to_owned(),
    }
}

fn load_file(file: &str) -> Result<Loaded, ConfigFaults> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(FILE_NAME), file).unwrap();
    load(&Request::default(), &surroundings(folder.path(), &[]))
}

/// The faults of `file`, each as `key: problem; fix`.
fn faults(file: &str) -> Vec<String> {
    let shown = |fault: &Fault| format!("{}: {}; {}", fault.key, fault.problem, fault.fix);
    load_file(file).map_or_else(|faults| faults.0.iter().map(shown).collect(), |_| Vec::new())
}

fn check_fault(file: &str, words: &[&str]) {
    let found = faults(file);
    assert_eq!(found.len(), 1, "{file}: {found:?}");
    for word in words {
        assert!(found[0].contains(word), "{file}: {} lacks {word:?}", found[0]);
    }
}

#[test]
fn the_defaults_hold_and_agree_with_the_stages() {
    let Loaded { config, warnings, .. } = load_file("").unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(config.instance_id, "box");
    assert_eq!(format!("{:?}", config.stage_configs), format!("{:?}", StageConfigs::default()));
    assert_eq!(config.engine, treble_upscale::EngineConfig::default());
}

#[test]
fn later_sources_win_and_each_value_knows_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("user/treble")).unwrap();
    fs::create_dir_all(path("here")).unwrap();
    let all = "[commit]\nmax_bytes = 2000000\ninterval_ms = 20\ndeadline_ms = 7000\n[topics]\npartitions = 8";
    fs::write(path("user/treble/treble.toml"), format!("prefix = \"a\"\n{all}")).unwrap();
    fs::write(path("here/treble.toml"), "[commit]\ninterval_ms = 30\ndeadline_ms = 8000").unwrap();
    fs::write(path("named.toml"), "[commit]\ninterval_ms = 40\n[topics]\npartitions = 16").unwrap();
    let user = path("user").display().to_string();
    let variables = [("XDG_CONFIG_HOME", user.as_str()), ("TREBLE_COMMIT_INTERVAL_MS", "50")];
    let mut request = Request { file: Some(path("named.toml")), ..Request::default() };
    request.set("topics.partitions", "32", "--set");
    let loaded = load(&request, &surroundings(&path("here"), &variables)).unwrap();
    let check = |key: &str, value: &str, origin: &str| {
        let setting = loaded.settings.get(key).unwrap();
        assert_eq!((setting.value.to_string().as_str(), setting.origin.kind()), (value, origin), "{key}");
    };
    check("topics.partitions", "32", "flag");
    check("commit.interval_ms", "50", "environment");
    check("commit.deadline_ms", "8000", "file");
    check("commit.max_bytes", "2000000", "file");
    check("prefix", "\"a\"", "file");
    check("topics.replication", "1", "default");
    check("instance_id", "\"box\"", "host");
    assert_eq!(loaded.config.topics.partitions, 32);
}

#[test]
fn all_faults_come_at_once_with_key_value_and_origin() {
    let file =
        "prefx = \"a\"\n[commit]\ninterval_ms = \"soon\"\n[topics]\npartitions = 0\n[log]\nlevel = \"a=b=c\"";
    let faults = load_file(file).unwrap_err();
    let text = faults.to_string();
    for words in [
        "4 faults",
        "prefx = \"a\" (file ",
        "did you mean prefix?",
        "commit.interval_ms = \"soon\"",
        "topics.partitions = 0",
        "choose 1 to 10000",
        "log.level = \"a=b=c\"",
    ] {
        assert!(text.contains(words), "{words:?} in {text}");
    }
}

#[test]
fn a_wrong_value_is_named_with_what_would_be_right() {
    check_fault("topology = \"fusd\"", &["topology", "distributed", "fused"]);
    check_fault("stages = [\"decode\", \"upscael\"]", &["stages", "did you mean upscale?"]);
    check_fault("stages = []", &["stages", "decode, upscale, encode"]);
    check_fault("[encode]\ncodec = \"mp3\"", &["encode.codec", "flac"]);
    check_fault("[encode.opus]\nbitrate_bps = 1", &["encode.opus.bitrate_bps", "6000"]);
    check_fault("[decode.limits]\nspool_bytes = 0", &["decode.limits.spool_bytes"]);
    check_fault("[admin]\nlisten = \"9464\"", &["admin.listen"]);
    check_fault("[registry]\nurl = \"localhost:8081\"", &["registry.url", "http://"]);
    check_fault("[kafka]\nbootstrap_servers = \"localhost\"", &["kafka.bootstrap_servers", "host:port"]);
    check_fault("prefix = \"a b\"", &["prefix"]);
    check_fault("instance_id = \"a b\"", &["instance_id"]);
    check_fault("this is not toml", &["treble.toml", "no TOML", "line 1"]);
}

#[test]
fn what_must_be_ordered_is() {
    check_fault("[flow]\nlow_water_bytes = 67108864", &["flow.low_water_bytes", "flow.high_water_bytes"]);
    let order = ["kafka.message_timeout_ms", "commit.transaction_timeout_ms", "kafka.session_timeout_ms"];
    check_fault("[kafka]\nmessage_timeout_ms = 15000", &order[..2]);
    check_fault("[kafka]\nsession_timeout_ms = 15000", &order[1..]);
    check_fault("[commit]\ndeadline_ms = 60000", &["commit.deadline_ms", "kafka.max_poll_interval_ms"]);
}

#[test]
fn what_exactly_once_rests_on_is_refused() {
    let property = |name: &str| format!("[kafka.properties]\n\"{name}\" = \"x\"");
    check_fault(&property("isolation.level"), &["kafka.properties.isolation.level", "exactly-once"]);
    check_fault(&property("transactional.id"), &["leave it out"]);
    check_fault(&property("session.timeout.ms"), &["set kafka.session_timeout_ms"]);
    let loaded = load_file("[kafka.properties]\nsocket.keepalive.enable = true").unwrap();
    assert_eq!(loaded.config.kafka.properties["socket.keepalive.enable"], "true");
}

#[test]
fn an_empty_address_closes_a_door() {
    let loaded = load_file("[sql]\nflight_listen = \"\"\nanonymous = true").unwrap();
    assert_eq!(loaded.config.sql.flight_listen, None);
    assert!(loaded.config.sql.http_listen.is_some(), "the others stay open");
}

#[test]
fn sasl_and_client_certificates_need_both_halves() {
    check_fault(
        "[kafka]\nsecurity_protocol = \"SASL_SSL\"\nsasl_username = \"me\"",
        &["kafka.sasl_password_file", "SASL_SSL"],
    );
    check_fault(
        "[kafka]\nsecurity_protocol = \"SSL\"\nssl_key_file = \"k\"",
        &["kafka.ssl_certificate_file"],
    );
}

#[test]
fn the_registry_is_logged_into_in_one_way_and_secrets_stay_out_of_files() {
    check_fault("[registry]\nusername = \"me\"", &["registry.username", "TREBLE_REGISTRY_PASSWORD"]);
    check_fault("[registry]\npassword_file = \"p\"", &["registry.password_file", "set registry.username"]);
    check_fault("[registry]\ntoken = \"hunter2\"", &["registry.token", "TREBLE_REGISTRY_TOKEN"]);
    let twice = "[registry]\nusername = \"me\"\npassword_file = \"p\"\ntoken_file = \"t\"";
    check_fault(twice, &["registry.username", "more than one way"]);
    let folder = tempfile::tempdir().unwrap();
    let variables = [("TREBLE_REGISTRY_USERNAME", "me"), ("TREBLE_REGISTRY_PASSWORD", "hunter2")];
    let loaded = load(&Request::default(), &surroundings(folder.path(), &variables)).unwrap();
    let registry = &loaded.config.registry;
    assert_eq!(registry.password.as_ref().map(|secret| secret.reveal()), Some("hunter2"));
    assert!(!format!("{registry:?} {:?}", loaded.warnings).contains("hunter2"));
    let faulty = [variables[1]];
    let faults = load(&Request::default(), &surroundings(folder.path(), &faulty)).unwrap_err().to_string();
    assert!(faults.contains("registry.password = \"***\"") && !faults.contains("hunter2"), "{faults}");
}

#[test]
fn what_is_allowed_but_odd_is_a_warning() {
    let file = "stages = [\"decode\", \"encode\"]\ntopology = \"fused\"\n[admin]\nlisten = \"0.0.0.0:9464\"";
    let keys: Vec<_> = load_file(file).unwrap().warnings.into_iter().map(|warning| warning.key).collect();
    assert_eq!(keys, ["stages", "admin.listen"]);
    let variables = [("TREBLE_COMMIT_INTERVALL_MS", "5"), ("TREBLE_SERVICE_HOST", "10.0.0.1")];
    let folder = tempfile::tempdir().unwrap();
    let loaded = load(&Request::default(), &surroundings(folder.path(), &variables)).unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    assert!(loaded.warnings[0].to_string().contains("did you mean TREBLE_COMMIT_INTERVAL_MS?"));
}

#[test]
fn a_named_file_must_exist_and_a_usual_one_need_not() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = surroundings(folder.path(), &[]);
    assert!(load(&Request::default(), &nowhere).is_ok());
    let request = Request { file: Some(folder.path().join("absent.toml")), ..Request::default() };
    let faults = load(&request, &nowhere).unwrap_err();
    assert!(faults.to_string().contains("absent.toml: cannot be read"), "{faults}");
}

#[test]
fn the_reference_names_every_key() {
    let reference = reference::markdown(Catalogue::standard());
    assert!(Catalogue::standard().known().all(|key| reference.contains(&format!("| `{}` |", key.path))));
}
