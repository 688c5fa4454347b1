//! Rules about `Cargo.toml` files, `deny.toml` and the lock file.

use crate::source::Source;
use crate::tree::{File, files, none, root};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use toml::{Table, Value};

/// Which packages may depend on a dependency, by the start of its name. A room is named in style and in
/// ARCHITECTURE.md; `deny.toml` says the same to the whole tree, this says it to our manifests.
const ROOMS: &[(&str, &[&str])] = &[
    ("symphonia", &["treble-decode", "treble-benches"]),
    ("corosensei", &["treble-decode"]),
    ("rubato", &["treble-upscale"]),
    ("ort", &["treble-upscale"]),
    ("flac-bound", &["treble-encode"]),
    ("flac-codec", &["treble-encode"]),
    ("opus", &["treble-encode"]),
    ("ogg", &["treble-encode"]),
    ("hound", &["treble-encode"]),
    ("arrow-flight", &["treble-pipeline"]),
    ("arrow", &["treble-analyse"]),
    ("parquet", &["treble-analyse"]),
    ("datafusion", &["treble-analyse", "treble-pipeline", "treble-benches"]),
    ("deltalake", &["treble-analyse"]),
    ("object_store", &["treble-analyse"]),
    ("prost", &["treble-schemas", "treble-pipeline"]),
    ("apache-avro", &["treble-schemas"]),
    ("rdkafka", &["treble-pipeline", "treble-tests", "treble-benches"]),
    ("schema_registry_converter", &["treble-pipeline"]),
    ("prometheus", &["treble-pipeline"]),
    ("opentelemetry", &["treble-pipeline", "treble-tests"]),
    ("tonic", &["treble-pipeline", "treble-tests"]),
    ("clap", &["treble-pipeline"]),
    ("indicatif", &["treble-pipeline"]),
    ("ratatui", &["treble-pipeline"]),
];

/// Which of our packages a package may depend on; the last two stand on everything.
const LAYERS: &[(&str, &[&str])] = &[
    ("treble-schemas", &[]),
    ("treble-core", &[]),
    ("treble-decode", &["treble-core"]),
    ("treble-upscale", &["treble-core"]),
    ("treble-encode", &["treble-core"]),
    ("treble-analyse", &["treble-core", "treble-schemas"]),
];

/// A member of the workspace.
struct Member {
    name: String,
    folder: String,
    manifest: Table,
}

impl Member {
    fn all(files: &[File]) -> Vec<Self> {
        // Fuzz targets and the example for Ballista are workspaces of their own.
        let outside = |path: &str| path.starts_with("fuzz/") || path.starts_with("examples/");
        let manifests =
            files.iter().filter(|file| file.path.ends_with("/Cargo.toml") && !outside(&file.path));
        manifests
            .map(|file| {
                let manifest: Table =
                    file.text.parse().unwrap_or_else(|error| panic!("{}: {error}", file.path));
                let name = manifest["package"]["name"].as_str().expect("a package has a name").to_owned();
                Self { name, folder: file.path.trim_end_matches("/Cargo.toml").to_owned(), manifest }
            })
            .collect()
    }

    /// Every dependency of the manifest, with the table it stands in.
    fn dependencies(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        ["dependencies", "dev-dependencies", "build-dependencies"].into_iter().flat_map(|kind| {
            let table = self.manifest.get(kind).and_then(Value::as_table).into_iter().flatten();
            table.map(move |(name, value)| (kind, name.as_str(), value))
        })
    }
}

fn strangers(member: &Member) -> Vec<String> {
    let allowed = |dependency: &str| match LAYERS.iter().find(|(name, _)| *name == member.name) {
        Some((_, layer)) if dependency.starts_with("treble-") => layer.contains(&dependency),
        _ => {
            let room = ROOMS.iter().find(|(start, _)| dependency.starts_with(start));
            room.is_none_or(|(_, members)| members.contains(&member.name.as_str()))
        }
    };
    let outside = member.dependencies().filter(|(_, dependency, _)| !allowed(dependency));
    outside.map(|(kind, dependency, _)| format!("{}: {dependency} in [{kind}]", member.folder)).collect()
}

#[test]
fn each_heavy_dependency_has_one_room_and_stages_never_import_each_other() {
    let violations: Vec<String> = Member::all(files()).iter().flat_map(strangers).collect();
    none("dependencies outside their room (see ROOMS and LAYERS):", &violations);
}

#[test]
fn a_stranger_in_a_manifest_is_found() {
    let manifest = "[package]\nname = \"treble-decode\"\n[dependencies]\ntreble-core.workspace = true\nbytes = \"1\"\n\
                    rdkafka.workspace = true\n[dev-dependencies]\ntreble-encode.workspace = true\n";
    let file = File { path: "stages/decode/Cargo.toml".into(), text: manifest.into() };
    let found = strangers(&Member::all(&[file])[0]);
    assert_eq!(
        found,
        ["stages/decode: rdkafka in [dependencies]", "stages/decode: treble-encode in [dev-dependencies]"]
    );
}

/// What a member states itself although the workspace should.
fn stated_twice(member: &Member) -> Vec<String> {
    let inherits =
        |value: Option<&Value>| value.and_then(|v| v.get("workspace")).and_then(Value::as_bool) == Some(true);
    let package = &member.manifest["package"];
    let keys = ["version", "edition", "rust-version", "license", "publish"];
    let keys = keys.into_iter().filter(|key| !inherits(package.get(key))).map(|key| format!("package.{key}"));
    let lints = (!inherits(member.manifest.get("lints"))).then(|| "lints".to_owned());
    let versions = member.dependencies().filter(|(.., value)| !inherits(Some(value)));
    let versions = versions.map(|(kind, name, _)| format!("{kind}.{name}"));
    keys.chain(lints).chain(versions).map(|what| format!("{}: {what}", member.folder)).collect()
}

#[test]
fn versions_and_lints_are_stated_in_the_workspace_and_nowhere_else() {
    let violations: Vec<String> = Member::all(files()).iter().flat_map(stated_twice).collect();
    none("write `workspace = true`:", &violations);
    let text = "[package]\nname = \"x\"\nversion = \"1\"\n[dependencies]\nbytes = \"1\"\n";
    let bad = Member::all(&[File { path: "x/Cargo.toml".into(), text: text.into() }]);
    assert_eq!(stated_twice(&bad[0]).len(), 5 + 1 + 1, "the rule finds what it is for");
}

/// Dependencies that no source file of the member names.
fn unused(member: &Member, files: &[File]) -> Vec<String> {
    let below = format!("{}/", member.folder);
    let sources: Vec<Source> = files
        .iter()
        .filter(|file| file.is_rust() && file.path.starts_with(&below))
        .map(|file| Source { code: file.text.clone(), ..Source::read("") })
        .collect();
    let named = |dependency: &str| {
        let ident = dependency.replace('-', "_");
        sources.iter().any(|source| !source.mentions(&ident).is_empty())
    };
    let idle = member.dependencies().filter(|(_, dependency, _)| !named(dependency));
    idle.map(|(kind, dependency, _)| format!("{}: {dependency} in [{kind}]", member.folder)).collect()
}

#[test]
fn no_dependency_is_idle() {
    let files = files();
    let violations: Vec<String> =
        Member::all(files).iter().flat_map(|member| unused(member, files)).collect();
    none("dependencies that no source names (remove them):", &violations);
    let manifest = "[package]\nname = \"x\"\n[dependencies]\nused-one = \"1\"\nidle = \"1\"\n";
    let files = [("x/Cargo.toml", manifest), ("x/src/lib.rs", "use used_one::A;\n// idler\n")]
        .map(|(path, text)| File { path: path.into(), text: text.into() });
    assert_eq!(unused(&Member::all(&files)[0], &files), ["x: idle in [dependencies]"]);
}

/// Rust files directly in `tests/` that `tests/Cargo.toml` does not declare: cargo would never run them.
fn undeclared(manifest: &str, paths: &[&str]) -> Vec<String> {
    let manifest: Table = manifest.parse().expect("a manifest");
    let declared = manifest.get("test").and_then(Value::as_array).into_iter().flatten();
    let declared: BTreeSet<&str> = declared.filter_map(|test| test.get("path")?.as_str()).collect();
    paths.iter().filter(|path| !declared.contains(**path)).map(|&path| path.to_owned()).collect()
}

#[test]
fn every_suite_is_declared_and_so_is_run() {
    let files = files();
    let manifest = files.iter().find(|file| file.path == "tests/Cargo.toml").expect("tests/Cargo.toml");
    let suites =
        files.iter().filter(|file| file.is_rust()).filter_map(|file| file.path.strip_prefix("tests/"));
    let suites: Vec<&str> = suites.filter(|path| !path.contains('/') || path.ends_with("/main.rs")).collect();
    none("declare these as [[test]] in tests/Cargo.toml:", &undeclared(&manifest.text, &suites));
    assert_eq!(undeclared("[[test]]\nname = \"a\"\npath = \"a.rs\"\n", &["a.rs", "b.rs"]), ["b.rs"]);
}

/// A package of the lock file: name, version, and the names of what it depends on.
struct Locked {
    name: String,
    version: String,
    dependencies: BTreeSet<String>,
}

fn locked(text: &str) -> Vec<Locked> {
    let lock: Table = text.parse().expect("the lock file is TOML");
    let packages = lock["package"].as_array().expect("the lock file lists packages");
    let word =
        |value: &Value| value.as_str().unwrap_or_default().split(' ').next().unwrap_or_default().to_owned();
    packages
        .iter()
        .map(|package| Locked {
            name: word(&package["name"]),
            version: word(&package["version"]),
            dependencies: package
                .get("dependencies")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .map(word)
                .collect(),
        })
        .collect()
}

fn entries<'a>(deny: &'a Table, list: &str) -> Vec<&'a Table> {
    let bans = deny.get("bans").and_then(|bans| bans.get(list)).and_then(Value::as_array);
    bans.into_iter().flatten().filter_map(Value::as_table).collect()
}

fn text<'a>(entry: &'a Table, key: &str) -> &'a str {
    entry.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// What cargo-deny would say about rooms and duplicates, read off the lock file.
fn denied(deny: &str, lock: &str) -> Vec<String> {
    let deny: Table = deny.parse().expect("deny.toml is TOML");
    let packages = locked(lock);
    let mut violations = Vec::new();
    for entry in entries(&deny, "deny") {
        let name = text(entry, "crate");
        let wrappers = entry.get("wrappers").and_then(Value::as_array).into_iter().flatten();
        let wrappers: BTreeSet<&str> = wrappers.filter_map(Value::as_str).collect();
        let users = packages.iter().filter(|package| package.dependencies.contains(name));
        let users = users.map(|package| package.name.as_str());
        violations.extend(
            users.filter(|user| !wrappers.contains(user)).map(|user| format!("{user} depends on {name}")),
        );
    }
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in &packages {
        versions.entry(&package.name).or_default().insert(&package.version);
    }
    let skips: BTreeSet<&str> = entries(&deny, "skip").iter().map(|entry| text(entry, "crate")).collect();
    for (name, versions) in versions {
        let kept =
            versions.iter().filter(|version| !skips.contains(format!("{name}@{version}").as_str())).count();
        if kept > 1 {
            violations.push(format!("{name} in versions {versions:?}: skip all but one, with the reason"));
        }
    }
    let reasonless = ["deny", "skip"].into_iter().flat_map(|list| entries(&deny, list));
    let reasonless = reasonless.filter(|entry| text(entry, "reason").is_empty());
    violations.extend(reasonless.map(|entry| format!("{} has no reason", text(entry, "crate"))));
    violations
}

#[test]
fn deny_toml_names_the_rooms_and_every_duplicate() {
    let read =
        |name: &str| fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let deny = read("deny.toml");
    none("deny.toml:", &denied(&deny, &read("Cargo.lock")));
    let deny: Table = deny.parse().expect("deny.toml is TOML");
    let named: BTreeSet<&str> = entries(&deny, "deny").iter().map(|entry| text(entry, "crate")).collect();
    let missing: Vec<String> = ["rdkafka", "ort", "symphonia", "deltalake"]
        .iter()
        .filter(|n| !named.contains(**n))
        .map(|n| n.to_string())
        .collect();
    none("deny.toml gives these no room:", &missing);
}

#[test]
fn a_trespasser_and_a_duplicate_in_the_lock_file_are_found() {
    let deny = "[bans]\ndeny = [{ crate = \"heavy\", wrappers = [\"a\"], reason = \"r\" }]\nskip = [{ crate = \"twice@1.0.0\" }]\n";
    let package = |name: &str, version: &str, on: &str| {
        format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\ndependencies = [{on}]\n")
    };
    let lock = package("heavy", "1.0.0", "")
        + &package("a", "1.0.0", "\"heavy\"")
        + &package("b", "1.0.0", "\"heavy 1.0.0\"")
        + &package("twice", "1.0.0", "")
        + &package("twice", "2.0.0", "")
        + &package("thrice", "1.0.0", "")
        + &package("thrice", "2.0.0", "");
    let found = denied(deny, &lock);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found[0].contains("b depends on heavy")
            && found[1].contains("thrice")
            && found[2].contains("no reason")
    );
}
