//! The client against a small double of the registry's HTTP interface on loopback. What a real registry
//! answers is checked on the real one by the integration tests.

use super::*;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The registry's memory: texts by id, ids by subject.
#[derive(Default)]
struct Memory {
    texts: Vec<(Value, Value)>,
    subjects: BTreeMap<String, Vec<usize>>,
    calls: usize,
    /// Whether each registration gets an id of its own, as in Apicurio with global ids.
    an_id_each: bool,
}

type Shared = Arc<Mutex<Memory>>;
type Answer = (StatusCode, String);

fn accept(value: &Value) -> Answer {
    (StatusCode::OK, value.to_string())
}

fn refuse(status: u16, code: u32, message: &str) -> Answer {
    let body = json!({ "error_code": code, "message": message });
    (StatusCode::from_u16(status).unwrap(), body.to_string())
}

async fn register(State(memory): State<Shared>, Path(subject): Path<String>, body: String) -> Answer {
    let body: Value = serde_json::from_str(&body).unwrap();
    let mut memory = memory.lock().unwrap();
    memory.calls += 1;
    if subject.starts_with("frozen") {
        return refuse(409, 409, "Schema being registered is incompatible with an earlier schema");
    }
    let schema = (body["schema"].clone(), body["schemaType"].clone());
    let mut ours = memory.subjects.get(&subject).into_iter().flatten().copied();
    let known = match memory.an_id_each {
        true => ours.find(|id| memory.texts[*id] == schema),
        false => memory.texts.iter().position(|known| *known == schema),
    };
    let id = known.unwrap_or(memory.texts.len());
    if id == memory.texts.len() {
        memory.texts.push(schema);
    }
    let versions = memory.subjects.entry(subject).or_default();
    if !versions.contains(&id) {
        versions.push(id);
    }
    accept(&json!({ "id": id + 1 }))
}

async fn find(State(memory): State<Shared>, Path(subject): Path<String>, body: String) -> Answer {
    let body: Value = serde_json::from_str(&body).unwrap();
    let memory = memory.lock().unwrap();
    let Some(versions) = memory.subjects.get(&subject) else {
        return refuse(404, 40401, "Subject not found.");
    };
    match versions.iter().position(|id| memory.texts[*id].0 == body["schema"]) {
        Some(at) => accept(&json!({ "subject": subject, "id": versions[at] + 1, "version": at + 1 })),
        None => refuse(404, 40403, "Schema not found"),
    }
}

async fn by_id(State(memory): State<Shared>, Path(id): Path<usize>) -> Answer {
    let mut memory = memory.lock().unwrap();
    memory.calls += 1;
    match memory.texts.get(id.wrapping_sub(1)) {
        Some((schema, kind)) => accept(&json!({ "schema": schema, "schemaType": kind })),
        None => refuse(404, 40403, "Schema not found"),
    }
}

async fn compatible(State(memory): State<Shared>, Path(subject): Path<String>) -> Answer {
    match memory.lock().unwrap().subjects.contains_key(&subject) {
        true => accept(&json!({ "is_compatible": !subject.starts_with("odd") })),
        false => refuse(404, 40401, "Subject not found."),
    }
}

/// A double that serves until it is dropped.
struct Double {
    url: String,
    memory: Shared,
    _serving: Runtime,
}

fn serve(router: impl FnOnce(Shared) -> Router) -> Double {
    let serving = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let memory = Shared::default();
    let router = router(memory.clone());
    serving.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        axum::serve(listener, router).await.unwrap();
    });
    Double { url, memory, _serving: serving }
}

fn registry_double() -> Double {
    serve(|memory| {
        Router::new()
            .route("/subjects/{subject}/versions", post(register))
            .route("/subjects/{subject}", post(find))
            .route("/schemas/ids/{id}", get(by_id))
            .route("/compatibility/subjects/{subject}/versions", post(compatible))
            .with_state(memory)
    })
}

fn answering(status: u16, body: &'static str) -> Double {
    serve(move |_| {
        Router::new().fallback(move || async move { (StatusCode::from_u16(status).unwrap(), body) })
    })
}

fn client(double: &Double) -> SchemaRegistry {
    SchemaRegistry::new(&RegistryAccess::anonymous(&double.url), Duration::from_secs(10)).unwrap()
}

const STAGES: [&str; 2] = ["decode", "encode"];

#[test]
fn contracts_are_registered_once_and_known_from_then_on() {
    let double = registry_double();
    let registry = client(&double);
    let topics = Topics::default();
    let missing = registry.contract_ids(&topics, &STAGES, Registration::Require).unwrap_err();
    assert_eq!(missing, RegistryError::NotRegistered { subject: "treble.audio.in-value".into() });
    let ids = registry.contract_ids(&topics, &STAGES, Registration::Register).unwrap();
    assert_eq!(registry.contract_ids(&topics, &STAGES, Registration::Register).unwrap(), ids);
    assert_eq!(registry.contract_ids(&topics, &STAGES, Registration::Require).unwrap(), ids);
    let subjects: Vec<_> = double.memory.lock().unwrap().subjects.keys().cloned().collect();
    assert_eq!(
        subjects,
        [
            "treble.audio.hires-value",
            "treble.audio.in-value",
            "treble.audio.out-value",
            "treble.audio.pcm-value",
            "treble.events-treble.v1.StageEvent",
            "treble.events-treble.v1.StreamReport",
            "treble.state.decode-value",
            "treble.state.encode-value",
        ]
    );
}

#[test]
fn ids_are_looked_up_once_but_unknown_ones_each_time() {
    let double = registry_double();
    let ids = client(&double).contract_ids(&Topics::default(), &STAGES, Registration::Register).unwrap();
    let registry = client(&double);
    let calls = || double.memory.lock().unwrap().calls;
    let before = calls();
    let topics = Topics::default();
    let of = |contract, topic: &str| ids.of(contract, topic).unwrap();
    for _ in 0..3 {
        let chunk = of(Contract::AudioChunk, &topics.audio_in());
        assert_eq!(registry.kind_of(chunk), Ok(SchemaKind::AudioChunk));
        let state = of(Contract::StreamState, &topics.state("decode"));
        assert_eq!(registry.kind_of(state), Ok(SchemaKind::Foreign));
        let event = of(Contract::StageEvent, &topics.events());
        assert_eq!(registry.kind_of(event), Ok(SchemaKind::Foreign));
    }
    assert_eq!(calls(), before + 3);
    for _ in 0..2 {
        assert_eq!(registry.kind_of(999).unwrap_err().code(), "registry_unknown_id");
    }
    assert_eq!(calls(), before + 5);
    assert_eq!(Schemas::kind_of(&registry, 999).unwrap(), SchemaKind::Foreign);
}

#[test]
fn each_subject_keeps_the_id_that_it_was_given() {
    let double = registry_double();
    double.memory.lock().unwrap().an_id_each = true;
    let registry = client(&double);
    let topics = Topics::default();
    let ids = registry.contract_ids(&topics, &STAGES, Registration::Register).unwrap();
    assert_eq!(registry.contract_ids(&topics, &STAGES, Registration::Require).unwrap(), ids);
    let chunks = [topics.audio_in(), topics.audio_pcm(), topics.audio_hires(), topics.audio_out()];
    let chunks = chunks.map(|topic| ids.of(Contract::AudioChunk, &topic).unwrap());
    let states = STAGES.map(|stage| ids.of(Contract::StreamState, &topics.state(stage)).unwrap());
    let all: std::collections::BTreeSet<u32> = chunks.into_iter().chain(states).collect();
    assert_eq!(all.len(), 6, "{ids:?}");
    for id in chunks {
        assert_eq!(registry.kind_of(id), Ok(SchemaKind::AudioChunk));
    }
    let elsewhere = ids.of(Contract::AudioChunk, "other.audio.in").unwrap_err();
    assert_eq!(elsewhere, RegistryError::NotRegistered { subject: "other.audio.in-value".into() });
}

#[test]
fn a_refused_schema_is_no_matter_of_waiting() {
    let double = registry_double();
    let registry = client(&double);
    let frozen = Topics::new("frozen").unwrap();
    let fault = registry.contract_ids(&frozen, &STAGES, Registration::Register).unwrap_err();
    assert_eq!((fault.code(), fault.is_retriable()), ("registry_incompatible", false));
    assert!(fault.to_string().contains("incompatible with an earlier schema"), "{fault}");
    let odd = Topics::new("odd").unwrap();
    assert_eq!(registry.is_compatible(Contract::AudioChunk, &odd.audio_in(), &odd), Ok(true));
    registry.contract_ids(&odd, &STAGES, Registration::Register).unwrap();
    assert_eq!(registry.is_compatible(Contract::AudioChunk, &odd.audio_in(), &odd), Ok(false));
}

#[test]
fn each_kind_of_failure_is_told_apart() {
    let check = |status, body, code: &str| {
        let double = answering(status, body);
        let registry = client(&double);
        assert_eq!(registry.kind_of(7).unwrap_err().code(), code, "{status} {body}");
        let ids = registry.contract_ids(&Topics::default(), &STAGES, Registration::Register);
        assert_eq!(ids.unwrap_err().code(), code, "{status} {body}");
    };
    check(503, r#"{"error_code": 503, "message": "starting"}"#, "registry_unreachable");
    check(500, r#"{"error_code": 50001, "message": "backend"}"#, "registry_unreachable");
    check(429, "slow down", "registry_unreachable");
    check(401, r#"{"error_code": 401, "message": "Unauthorized"}"#, "registry_unauthorized");
    check(403, "", "registry_unauthorized");
    check(404, "<html>no such page</html>", "registry_refused");
    check(200, "<html>a web site</html>", "registry_refused");
    check(422, r#"{"error_code": 42201, "message": "Invalid schema"}"#, "registry_refused");
}

#[test]
fn nobody_listening_is_unreachable() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let registry =
        SchemaRegistry::new(&RegistryAccess::anonymous(&format!("http://{free}/")), Duration::from_secs(5));
    let fault = registry.unwrap().kind_of(1).unwrap_err();
    assert!(fault.is_retriable() && fault.to_string().contains(&free.to_string()), "{fault}");
}

#[test]
fn an_unreachable_registry_is_asked_again_as_the_schedule_says() {
    let unreachable = || RegistryError::Unreachable { url: "u".into(), detail: "down".into() };
    let run = |fails: usize, last: RegistryError, patience: usize| {
        let asked = AtomicUsize::new(0);
        let mut waited = Vec::new();
        let outcome = while_unreachable(
            (1..=3).map(Duration::from_secs),
            |delay, _| {
                waited.push(delay.as_secs());
                waited.len() <= patience
            },
            || match asked.fetch_add(1, Ordering::Relaxed) {
                n if n < fails => Err(unreachable()),
                _ => Err(last.clone()),
            },
        );
        (outcome.map_err(|error: RegistryError| error.code()), waited)
    };
    let refused = RegistryError::Refused { url: "u".into(), detail: "no".into() };
    assert_eq!(run(2, refused.clone(), 9), (Err::<(), _>("registry_refused"), vec![1, 2]));
    assert_eq!(run(9, refused.clone(), 9), (Err("registry_unreachable"), vec![1, 2, 3]));
    assert_eq!(run(9, refused, 1), (Err("registry_unreachable"), vec![1, 2]));
}
