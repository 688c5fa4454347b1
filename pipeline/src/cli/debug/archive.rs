//! What a bundle holds: files without secrets, cut to size, and a manifest that tells of each what it is, or why it is missing.

use super::hidden::Hidden;
use crate::cli::Failure;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::{self, Write};
use tar::{Builder, Header};

/// The most of one file.
const FILE_BYTES: usize = 2 << 20;
/// The most of all files together, before they are compressed.
const ALL_BYTES: usize = 32 << 20;
/// The folder in which files lie, so that an archive that is unpacked does not spill.
const FOLDER: &str = "treble-debug";

/// What a file is made of.
#[derive(Debug)]
pub(super) enum Content {
    /// A document.
    Json(Value),
    /// A text.
    Text(String),
}

/// One file.
#[derive(Debug)]
struct Entry {
    name: String,
    what: &'static str,
    bytes: Vec<u8>,
    /// How long it was before it was cut.
    cut_from: Option<usize>,
    /// Why there is nothing but this reason.
    absent: Option<String>,
}

/// Files on their way into an archive.
#[derive(Debug)]
pub(super) struct Archive {
    hidden: Hidden,
    entries: Vec<Entry>,
    /// The most of one file.
    most: usize,
    /// What is left of the most of all.
    room: usize,
}

impl Archive {
    /// An empty one; what is `hidden` will be in no file.
    pub(super) const fn new(hidden: Hidden) -> Self {
        Self { hidden, entries: Vec::new(), most: FILE_BYTES, room: ALL_BYTES }
    }

    /// Adds the file `name`, which holds `what`; where there is no `content`, a file that says why.
    pub(super) fn add(&mut self, name: &str, what: &'static str, content: Result<Content, Failure>) {
        let (name, text, absent) = match content {
            Ok(Content::Json(document)) => (name.to_owned(), pretty(&self.hidden.json(document)), None),
            Ok(Content::Text(text)) => (name.to_owned(), self.hidden.text(&text), None),
            Err(failure) => {
                let why = self.hidden.text(&failure.to_string());
                (format!("{name}.absent.txt"), format!("{what}\n\n{why}\n"), Some(why))
            }
        };
        let most = self.most.min(self.room);
        let cut_from = (text.len() > most).then_some(text.len());
        let bytes = text.as_bytes()[..text.floor_char_boundary(most)].to_vec();
        self.room -= bytes.len();
        self.entries.push(Entry { name, what, bytes, cut_from, absent });
    }

    /// Names of what could not be had.
    pub(super) fn missing(&self) -> Vec<&str> {
        let absent = self.entries.iter().filter(|entry| entry.absent.is_some());
        absent.map(|entry| entry.name.as_str()).collect()
    }

    /// How many files there are.
    pub(super) const fn count(&self) -> usize {
        self.entries.len()
    }

    /// Writes all files, the manifest first; `unix_us` is when.
    pub(super) fn write(&self, to: impl Write, unix_us: i64) -> io::Result<()> {
        let mut archive = Builder::new(GzEncoder::new(to, Compression::default()));
        let seconds = u64::try_from(unix_us / 1_000_000).unwrap_or_default();
        let mut append = |name: &str, bytes: &[u8]| {
            let mut header = Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o600);
            header.set_mtime(seconds);
            archive.append_data(&mut header, format!("{FOLDER}/{name}"), bytes)
        };
        append("MANIFEST.json", pretty(&self.manifest(unix_us)).as_bytes())?;
        self.entries.iter().try_for_each(|entry| append(&entry.name, &entry.bytes))?;
        archive.into_inner()?.finish()?.flush()
    }

    fn manifest(&self, unix_us: i64) -> Value {
        let file = |entry: &Entry| {
            let mut told = json!({ "file": entry.name, "bytes": entry.bytes.len(), "what": entry.what });
            if let Some(length) = entry.cut_from {
                told["cut_from_bytes"] = length.into();
            }
            if let Some(why) = &entry.absent {
                told["absent"] = why.as_str().into();
            }
            told
        };
        json!({
            "version": crate::cli::output::JSON_VERSION,
            "made": crate::clock::rfc3339(unix_us),
            "treble": env!("CARGO_PKG_VERSION"),
            "files": self.entries.iter().map(file).collect::<Vec<_>>(),
        })
    }
}

fn pretty(document: &Value) -> String {
    format!("{document:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Exit;
    use flate2::read::GzDecoder;
    use std::collections::BTreeMap;
    use std::io::Read;

    fn unpacked(archive: &Archive) -> BTreeMap<String, String> {
        let mut bytes = Vec::new();
        archive.write(&mut bytes, 951_782_400_000_000).unwrap();
        let mut files = tar::Archive::new(GzDecoder::new(&bytes[..]));
        let file = |entry: io::Result<tar::Entry<'_, GzDecoder<&[u8]>>>| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let name = entry.path().unwrap().display().to_string();
            (name.strip_prefix("treble-debug/").unwrap().to_owned(), text)
        };
        files.entries().unwrap().map(file).collect()
    }

    #[test]
    fn each_file_is_told_of_with_what_it_is_or_why_it_is_missing() {
        let mut archive = Archive::new(Hidden::default());
        archive.add("a.json", "an a", Ok(Content::Json(json!({ "password": "hunter2", "n": 1 }))));
        archive.add("b.txt", "a b", Err(Failure::new(Exit::Unavailable, "no b").because("token=hunter2")));
        let files = unpacked(&archive);
        assert_eq!(files["a.json"], "{\n  \"n\": 1,\n  \"password\": \"***\"\n}\n");
        assert!(files["b.txt.absent.txt"].contains("no b"), "{files:?}");
        let manifest: Value = serde_json::from_str(&files["MANIFEST.json"]).unwrap();
        assert_eq!(manifest["made"], "2000-02-29T00:00:00.000000Z");
        assert_eq!(manifest["files"][0], json!({ "file": "a.json", "bytes": 34, "what": "an a" }));
        assert!(manifest["files"][1]["absent"].as_str().unwrap().contains("no b"));
        assert_eq!(archive.missing(), ["b.txt.absent.txt"]);
        assert!(files.values().all(|text| !text.contains("hunter2")), "{files:?}");
    }

    #[test]
    fn no_file_and_not_all_together_grow_beyond_their_bounds() {
        let mut archive = Archive { most: 100, room: 1_600, ..Archive::new(Hidden::default()) };
        for number in 0..20 {
            let long = "é".repeat(50) + "x";
            archive.add(&format!("{number}.txt"), "long", Ok(Content::Text(long)));
        }
        let files = unpacked(&archive);
        let manifest: Value = serde_json::from_str(&files["MANIFEST.json"]).unwrap();
        assert_eq!(files["0.txt"].len(), 100);
        assert_eq!(manifest["files"][0]["cut_from_bytes"], 101);
        let all: usize = archive.entries.iter().map(|entry| entry.bytes.len()).sum();
        assert_eq!((all, archive.count()), (1_600, 20));
    }
}
