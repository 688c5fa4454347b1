//! Every schema that was ever released is kept in `history/`, with payloads written by it. These tests hold
//! the schemas of today, and the code that reads and writes them, against that history.
//!
//! To release a changed schema: add samples if it has new fields, then
//! `TREBLE_WRITE_HISTORY=v2 cargo test -p treble-schemas --test compat -- a_release_is_written_on_request`,
//! and commit the new folder. The folders of earlier releases never change.

#![expect(clippy::unwrap_used, reason = "a test: what cannot be unwrapped is a failure")]

#[path = "compat/evolution.rs"]
mod evolution;
#[path = "compat/samples.rs"]
mod samples;

use apache_avro::Schema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use evolution::{compile, violations};
use protox::prost_reflect::DescriptorPool;
use std::fs;
use std::path::{Path, PathBuf};
use treble_schemas::Contract;

const PROTOS: [(&str, Contract); 2] =
    [("treble/v1/chunk.proto", Contract::AudioChunk), ("treble/v1/state.proto", Contract::StreamState)];
const EVENTS: [(&str, Contract); 2] =
    [("StageEvent", Contract::StageEvent), ("StreamReport", Contract::StreamReport)];

fn history() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("history")
}

/// The folders of all releases, oldest first.
fn releases() -> Vec<PathBuf> {
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix('v')?.parse::<u32>().ok();
    let folders = fs::read_dir(history()).unwrap().map(|entry| entry.unwrap().path());
    let mut numbered: Vec<_> = folders.filter_map(|path| Some((number(&path)?, path))).collect();
    numbered.sort();
    assert!(!numbered.is_empty(), "history/ holds at least v1");
    numbered.into_iter().map(|(_, path)| path).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn kept_protos(release: &Path) -> DescriptorPool {
    compile(&PROTOS.map(|(name, _)| (name, read(&release.join(name)))))
}

fn current_protos() -> DescriptorPool {
    compile(&PROTOS.map(|(name, contract)| (name, contract.text().to_owned())))
}

fn avsc(release: &Path, name: &str) -> Schema {
    Schema::parse_str(&read(&release.join(format!("{name}.avsc")))).unwrap()
}

fn write_release(release: &Path) {
    fs::create_dir_all(release.join("treble/v1")).unwrap();
    fs::create_dir_all(release.join("payloads")).unwrap();
    for (name, contract) in PROTOS {
        fs::write(release.join(name), contract.text()).unwrap();
    }
    for (name, contract) in EVENTS {
        fs::write(release.join(format!("{name}.avsc")), contract.text()).unwrap();
    }
    for (name, sample) in samples::all() {
        fs::write(release.join(format!("payloads/{name}.bin")), sample.encode()).unwrap();
    }
}

#[test]
fn a_release_is_written_on_request() {
    let Some(version) = std::env::var_os("TREBLE_WRITE_HISTORY") else { return };
    let version = version.into_string().unwrap();
    assert!(version.strip_prefix('v').is_some_and(|n| n.parse::<u32>().is_ok()), "v1, v2, …: {version}");
    write_release(&history().join(version));
}

#[test]
fn every_kept_payload_decodes_to_what_was_written() {
    let samples = samples::all();
    for release in releases() {
        let mut seen = 0;
        for entry in fs::read_dir(release.join("payloads")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let (_, sample) =
                samples.iter().find(|(known, _)| *known == name).expect("a sample of that name");
            let decoded = sample.decode_alike(fs::read(&path).unwrap(), |schema| avsc(&release, schema));
            assert_eq!(&decoded, sample, "{}", path.display());
            seen += 1;
        }
        assert!(seen >= 7, "{} holds a payload of every kind", release.display());
    }
}

#[test]
fn today_writes_the_bytes_of_the_newest_release() {
    let newest = releases().pop().unwrap();
    for (name, sample) in samples::all() {
        let kept = fs::read(newest.join(format!("payloads/{name}.bin"))).unwrap();
        assert_eq!(sample.encode(), kept, "{name}: see the head of this file for how to release a change");
    }
}

#[test]
fn chunks_and_state_are_fully_compatible_with_every_release() {
    let today = current_protos();
    for release in releases() {
        assert_eq!(violations(&kept_protos(&release), &today), [], "{}", release.display());
    }
}

#[test]
fn events_of_every_release_are_read() {
    for release in releases() {
        for (name, contract) in EVENTS {
            let today = Schema::parse_str(contract.text()).unwrap();
            let read = SchemaCompatibility::can_read(&avsc(&release, name), &today);
            assert!(matches!(read, Ok(Compatibility::Full)), "{name} of {}: {read:?}", release.display());
        }
    }
}

#[test]
fn todays_schemas_are_the_newest_release() {
    let newest = releases().pop().unwrap();
    let how = "see the head of this file for how to release a change";
    let (kept, today) = (kept_protos(&newest), current_protos());
    for message in kept.all_messages() {
        let current = today.get_message_by_name(message.full_name()).unwrap();
        assert_eq!(current.descriptor_proto(), message.descriptor_proto(), "{how}");
    }
    assert_eq!(kept.all_messages().len(), today.all_messages().len(), "{how}");
    for kept in kept.all_enums() {
        let current = today.get_enum_by_name(kept.full_name()).unwrap();
        assert_eq!(current.enum_descriptor_proto(), kept.enum_descriptor_proto(), "{how}");
    }
    for (name, contract) in EVENTS {
        let today = Schema::parse_str(contract.text()).unwrap();
        assert_eq!(avsc(&newest, name).canonical_form(), today.canonical_form(), "{name}: {how}");
    }
}

#[test]
fn a_bad_change_of_an_event_is_caught() {
    let check = |change: &dyn Fn(&mut serde_json::Value), compatible: bool| {
        for (_, contract) in EVENTS {
            let old: serde_json::Value = serde_json::from_str(contract.text()).unwrap();
            let mut new = old.clone();
            change(&mut new);
            let (old, new) = (Schema::parse(&old).unwrap(), Schema::parse(&new).unwrap());
            let outcome = SchemaCompatibility::can_read(&old, &new);
            assert_eq!(matches!(outcome, Ok(Compatibility::Full)), compatible, "{outcome:?}");
        }
    };
    check(&|_| {}, true);
    let add = |schema: &mut serde_json::Value, field| schema["fields"].as_array_mut().unwrap().push(field);
    check(&|schema| schema["fields"].as_array_mut().unwrap().truncate(3), true);
    check(
        &move |schema| {
            add(schema, serde_json::json!({"name": "n", "type": ["null", "long"], "default": null}))
        },
        true,
    );
    check(&move |schema| add(schema, serde_json::json!({"name": "n", "type": "long"})), false);
    check(&|schema| schema["fields"][1]["type"] = "long".into(), false);
    check(&|schema| schema["fields"][1]["name"] = "stream".into(), false);
}
