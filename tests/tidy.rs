//! The repository's own rules, as tests. Each scanner is tried on a bad example first: a rule that cannot fail
//! holds nothing.
//!
//! Map: `tree` the files · `source` Rust read just well enough · `manifests` rooms and layers of dependencies,
//! deny.toml · `purity` invariant 1 and the purity of decisions · `rooms` who may name what in the pipeline ·
//! `size` measured targets · `prose` texts and documents · `architecture` invariants name their tests ·
//! `checklist` the page of promises · `names` metrics and topics.

#[path = "tidy/architecture.rs"]
mod architecture;
#[path = "tidy/checklist.rs"]
mod checklist;
#[path = "tidy/manifests.rs"]
mod manifests;
#[path = "tidy/names.rs"]
mod names;
#[path = "tidy/prose.rs"]
mod prose;
#[path = "tidy/purity.rs"]
mod purity;
#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/size.rs"]
mod size;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tree.rs"]
mod tree;
