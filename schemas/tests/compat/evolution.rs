//! FULL_TRANSITIVE for Protobuf, as this repository means it: whatever either side writes, the other reads
//! with the same meaning. Registries judge Protobuf oddly and differently, so this is the gate of record.
//!
//! Allowed: new messages, new fields under numbers and names never used before, new enum values (readers get
//! the number), and removing a field whose number *and* name become reserved. Everything else is a violation.

use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use protox::prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};

/// A change that breaks a reader or a writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Violation {
    /// A message or enum is gone.
    TypeRemoved(String),
    /// A field is gone and its number and name are not both reserved.
    RemovedWithoutReserved(String),
    /// A field's name, type, cardinality, presence or oneof changed.
    FieldChanged { field: String, what: &'static str },
    /// A number or name that was reserved is in use, or is no longer reserved.
    ReservationBroken(String),
    /// An enum value is gone or has another name.
    EnumValueChanged(String),
}

/// Compiles `files`, given as import path and text.
pub(crate) fn compile(files: &[(&str, String)]) -> DescriptorPool {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Texts(files.iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect()));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    compiler.open_files(files.iter().map(|(name, _)| name)).unwrap();
    compiler.descriptor_pool()
}

/// What breaks between `old` and `new`, whichever of the two writes.
pub(crate) fn violations(old: &DescriptorPool, new: &DescriptorPool) -> Vec<Violation> {
    let mut found = Vec::new();
    for message in old.all_messages() {
        match new.get_message_by_name(message.full_name()) {
            Some(successor) => compare_messages(&message, &successor, &mut found),
            None => found.push(Violation::TypeRemoved(message.full_name().to_owned())),
        }
    }
    for old_enum in old.all_enums() {
        match new.get_enum_by_name(old_enum.full_name()) {
            Some(successor) => compare_enums(&old_enum, &successor, &mut found),
            None => found.push(Violation::TypeRemoved(old_enum.full_name().to_owned())),
        }
    }
    found
}

fn compare_messages(old: &MessageDescriptor, new: &MessageDescriptor, found: &mut Vec<Violation>) {
    for field in old.fields() {
        match new.get_field(field.number()) {
            Some(successor) => found.extend(changes(&field, &successor)),
            None => {
                let number = new.reserved_ranges().any(|range| range.contains(&field.number()));
                let name = new.reserved_names().any(|name| name == field.name());
                if !(number && name) {
                    found.push(Violation::RemovedWithoutReserved(field.full_name().to_owned()));
                }
            }
        }
    }
    let still_reserved = |number| new.reserved_ranges().any(|range| range.contains(&number));
    for number in old.reserved_ranges().flatten().filter(|number| !still_reserved(*number)) {
        found.push(Violation::ReservationBroken(format!("{} = {number}", old.full_name())));
    }
    for name in old.reserved_names().filter(|name| !new.reserved_names().any(|kept| kept == *name)) {
        found.push(Violation::ReservationBroken(format!("{}.{name}", old.full_name())));
    }
}

fn changes(old: &FieldDescriptor, new: &FieldDescriptor) -> Vec<Violation> {
    let oneof = |field: &FieldDescriptor| {
        field.containing_oneof().filter(|oneof| !oneof.is_synthetic()).map(|oneof| oneof.name().to_owned())
    };
    let differences = [
        ("name", old.name() != new.name()),
        ("type", type_name(&old.kind()) != type_name(&new.kind())),
        ("cardinality", old.cardinality() != new.cardinality()),
        ("presence", old.supports_presence() != new.supports_presence()),
        ("oneof", oneof(old) != oneof(new)),
    ];
    let changed = differences.into_iter().filter(|(_, differs)| *differs);
    changed.map(|(what, _)| Violation::FieldChanged { field: old.full_name().to_owned(), what }).collect()
}

fn compare_enums(old: &EnumDescriptor, new: &EnumDescriptor, found: &mut Vec<Violation>) {
    for value in old.values() {
        let kept = new.get_value(value.number()).is_some_and(|kept| kept.name() == value.name());
        if !kept {
            found.push(Violation::EnumValueChanged(value.full_name().to_owned()));
        }
    }
}

fn type_name(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(enumeration) => enumeration.full_name().to_owned(),
        scalar => format!("{scalar:?}"),
    }
}

struct Texts(Vec<(String, String)>);

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match self.0.iter().find(|(path, _)| path == name) {
            Some((_, text)) => File::from_source(name, text),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

mod self_test {
    use super::*;

    const OLD: &str = r#"syntax = "proto3"; package t;
        message M { reserved 9; reserved "gone"; string a = 1; int64 b = 2; repeated int32 c = 3; E e = 4;
                    optional int32 f = 5; N n = 6; }
        message N { bytes x = 1; }
        enum E { ZERO = 0; ONE = 1; }"#;

    fn check(from: &str, to: &str, expected: &[Violation]) {
        assert!(OLD.contains(from), "the change applies: {from}");
        let compile = |text: &str| compile(&[("t.proto", text.to_owned())]);
        assert_eq!(violations(&compile(OLD), &compile(&OLD.replace(from, to))), expected, "{from} → {to}");
    }

    fn changed(field: &str, what: &'static str) -> Vec<Violation> {
        vec![Violation::FieldChanged { field: field.to_owned(), what }]
    }

    #[test]
    fn growing_is_allowed() {
        check("string a = 1;", "string a = 1; string new = 7;", &[]);
        check("ONE = 1;", "ONE = 1; TWO = 2;", &[]);
        check("message N", "message New {} message N", &[]);
        check("string a = 1;", "reserved 1; reserved \"a\";", &[]);
    }

    #[test]
    fn every_bad_change_is_caught() {
        check("int64 b = 2;", "", &[Violation::RemovedWithoutReserved("t.M.b".into())]);
        check("int64 b = 2;", "reserved 2;", &[Violation::RemovedWithoutReserved("t.M.b".into())]);
        check("int64 b = 2;", "int64 b = 7;", &[Violation::RemovedWithoutReserved("t.M.b".into())]);
        check("int64 b = 2;", "int64 other = 2;", &changed("t.M.b", "name"));
        check("int64 b = 2;", "int32 b = 2;", &changed("t.M.b", "type"));
        check("E e = 4;", "int32 e = 4;", &changed("t.M.e", "type"));
        check("repeated int32 c = 3;", "int32 c = 3;", &changed("t.M.c", "cardinality"));
        check("optional int32 f = 5;", "int32 f = 5;", &changed("t.M.f", "presence"));
        check(
            "int64 b = 2;",
            "oneof o { int64 b = 2; }",
            &[changed("t.M.b", "presence"), changed("t.M.b", "oneof")].concat(),
        );
        check("reserved 9;", "", &[Violation::ReservationBroken("t.M = 9".into())]);
        check("reserved 9;", "int32 again = 9;", &[Violation::ReservationBroken("t.M = 9".into())]);
        check("reserved \"gone\";", "int32 gone = 7;", &[Violation::ReservationBroken("t.M.gone".into())]);
        check("ONE = 1;", "", &[Violation::EnumValueChanged("t.ONE".into())]);
        check("ONE = 1;", "UNO = 1;", &[Violation::EnumValueChanged("t.ONE".into())]);
        check(
            "N n = 6; }\n        message N {",
            "reserved 6; reserved \"n\"; }\n        message N2 {",
            &[Violation::TypeRemoved("t.N".into())],
        );
    }
}
