use super::*;
use proptest::prelude::*;

fn line(message: &str, fields: Vec<(&'static str, Value)>) -> Line {
    Line {
        unix_us: 1_700_000_000_000_001,
        level: Level::WARN,
        target: "treble_pipeline::kafka::consumer".to_owned(),
        message: message.to_owned(),
        fields,
        audit_only: false,
    }
}

fn identity() -> Identity {
    let text = str::to_owned;
    Identity { component: text("decode"), instance: text("treble-decode-0"), pipeline: text("treble") }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn what_is_known_is_a_column_and_all_else_an_attribute() {
    let fields = vec![
        ("segment", text("decode")),
        ("partition", Value::Integer(3)),
        ("code", text("gap")),
        ("client", text("[::1]:5000")),
        ("event", text("stream_given_up")),
        ("replay_records", Value::Integer(7)),
        ("offset", text("none")),
        ("duration_seconds", Value::Number(0.5)),
    ];
    let expect = r#"{"time":"2023-11-14T22:13:20.000001Z","level":"WARN","target":"treble_pipeline::kafka::consumer","message":"given up","component":"decode","instance":"treble-decode-0","pipeline":"treble","stage":"decode","event":"stream_given_up","error_code":"gap","error_type":"timeout","error_category":"input","duration_seconds":0.5,"record_partition":3,"client_ip":"::1","attributes":{"offset":"none","replay_records":"7"}}"#;
    assert_eq!(line("given up", fields).redacted().json(&identity()), expect);
}

#[test]
fn a_span_says_what_its_events_do_not() {
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let fields = vec![("trace_id", text(trace)), ("stage", text("decode")), ("stage", text("upscale"))];
    let written: Json = serde_json::from_str(&line("x", fields).json(&identity())).unwrap();
    assert_eq!(written["trace_id"], trace);
    assert_eq!(written["stage"], "upscale", "the innermost counts");
    let odd: Json =
        serde_json::from_str(&line("x", vec![("trace_id", text("x"))]).json(&identity())).unwrap();
    assert_eq!(odd["attributes"]["trace_id"], "x", "what is no trace id is kept elsewhere");
}

#[test]
fn every_warning_says_what_is_at_fault_and_nothing_else_does() {
    let category = |level, target: &str, fields| {
        let line = Line { level, target: target.to_owned(), ..line("x", fields) };
        let written: Json = serde_json::from_str(&line.json(&identity())).unwrap();
        written["error_category"].as_str().map(str::to_owned)
    };
    assert_eq!(category(Level::WARN, "treble_pipeline::lake::upkeep", vec![]).as_deref(), Some("lake"));
    assert_eq!(category(Level::ERROR, "hyper", vec![]).as_deref(), Some("other"));
    assert_eq!(category(Level::INFO, "treble_pipeline::lake::upkeep", vec![]), None);
    assert_eq!(category(Level::INFO, "a", vec![("code", text("corrupt"))]).as_deref(), Some("input"));
    let login = vec![("event", text("authentication_failed"))];
    assert_eq!(category(Level::WARN, "a", login).as_deref(), Some("authentication"));
}

#[test]
fn people_get_one_line_that_no_value_can_break() {
    let fields =
        vec![("reason", text("a b\nERROR forged")), ("partition", Value::Integer(3)), ("none", text(""))];
    let shown = line("lost\u{1b}[2J", fields).text(false);
    let expect = "2023-11-14T22:13:20.000001Z  WARN treble_pipeline::kafka::consumer: lost\\u{1b}[2J reason=\"a b\\nERROR forged\" partition=3 none=\"\"";
    assert_eq!(shown, expect);
}

#[test]
fn a_long_text_is_cut_after_its_secrets_are_hidden() {
    let long = format!("{}password=hunter2 {}", "x ".repeat(TEXT_BYTES / 2 - 5), "é".repeat(TEXT_BYTES));
    let line = line(&long, vec![("body", text(&long))]).redacted();
    assert!(
        line.message.len() < TEXT_BYTES + 40 && line.message.ends_with("bytes more)"),
        "{}",
        line.message.len()
    );
    assert!(!line.message.contains("hunter") && !line.json(&identity()).contains("hunter"));
}

proptest! {
    #[test]
    fn a_secret_in_any_part_of_a_line_is_never_written(
        secret in "[A-Za-z0-9]{12,30}",
        part in 0_usize..4,
        name in prop::sample::select(vec!["token", "sasl.password", "client_secret", "api_key"]),
    ) {
        let planted = format!("cannot log in with {name}={secret} at broker");
        let quiet = || text("quiet");
        let line = match part {
            0 => line(&planted, vec![("error", quiet())]),
            1 => line("quiet", vec![("error", text(&planted))]),
            2 => line("quiet", vec![(name, text(&secret))]),
            _ => Line { target: format!("Bearer {secret}"), ..line("quiet", vec![]) },
        };
        let line = line.redacted();
        for written in [line.json(&identity()), line.text(false)] {
            prop_assert!(!written.contains(&secret), "{written}");
        }
    }

    #[test]
    fn every_line_is_one_json_object_of_known_fields(
        message in any::<String>(),
        value in any::<String>(),
        number in any::<f64>(),
        name in prop::sample::select(vec!["partition", "event", "stage", "level", "time", "attributes", "x", "client", "span_id"]),
    ) {
        let line = line(&message, vec![(name, text(&value)), ("duration_seconds", Value::Number(number))]).redacted();
        let written = line.json(&identity());
        prop_assert!(!written.contains('\n'));
        let parsed: Map<String, Json> = serde_json::from_str(&written).expect("an object");
        prop_assert!(parsed.keys().all(|key| FIELDS.iter().any(|field| field.name == key)));
    }
}
