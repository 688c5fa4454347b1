//! Files, globs and standard input as sources of audio.

use super::{Exit, Failure};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Extensions and the media type that each hints at.
const MEDIA_TYPES: [(&str, &str); 17] = [
    ("aac", "audio/aac"),
    ("aif", "audio/aiff"),
    ("aiff", "audio/aiff"),
    ("caf", "audio/x-caf"),
    ("flac", "audio/flac"),
    ("m4a", "audio/mp4"),
    ("mka", "audio/x-matroska"),
    ("mkv", "video/x-matroska"),
    ("mp3", "audio/mpeg"),
    ("mp4", "audio/mp4"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/ogg"),
    ("wav", "audio/wav"),
    ("wave", "audio/wav"),
    ("weba", "audio/webm"),
    ("webm", "audio/webm"),
];

/// Where audio comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Input {
    /// `-` is standard input.
    pub(super) fn of(path: &Path) -> Self {
        if path == Path::new("-") { Self::Stdin } else { Self::File(path.to_owned()) }
    }

    /// Opens it; its length, where it is known.
    pub(super) fn open(&self) -> Result<(Box<dyn Read>, Option<u64>), Failure> {
        match self {
            Self::Stdin => Ok((Box::new(io::stdin()), None)),
            Self::File(path) => {
                let unreadable = |error| Failure::unreadable(path, &error);
                let file = File::open(path).map_err(unreadable)?;
                let metadata = file.metadata().map_err(unreadable)?;
                if metadata.is_dir() {
                    return Err(Failure::new(Exit::NoInput, format!("{} is a folder", path.display()))
                        .mend("name files, or a pattern such as 'folder/*.mp3'"));
                }
                Ok((Box::new(file), Some(metadata.len())))
            }
        }
    }

    /// The media type that the name hints at; empty where it hints at none. The decoder does not trust it.
    pub(super) fn media_type(&self) -> &'static str {
        let Self::File(path) = self else { return "" };
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        let known = MEDIA_TYPES.iter().find(|(known, _)| Some(*known) == extension.as_deref());
        known.map_or("", |(_, media_type)| media_type)
    }

    /// How it is called in messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// The file's name without its extension.
    pub(super) fn stem(&self) -> Option<String> {
        let Self::File(path) = self else { return None };
        path.file_stem().map(|stem| stem.to_string_lossy().into_owned())
    }
}

/// The inputs that `patterns` name; one that holds `*` or `?` in its last part stands for the files it matches, in
/// order of their names, for shells that did not expand it.
pub(super) fn expand(patterns: &[PathBuf]) -> Result<Vec<Input>, Failure> {
    let mut inputs = Vec::new();
    for pattern in patterns {
        let name = pattern.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !name.contains(['*', '?']) || pattern.exists() {
            inputs.push(Input::of(pattern));
            continue;
        }
        let found = matching(pattern.parent().unwrap_or(Path::new("")), &name)?;
        if found.is_empty() {
            return Err(Failure::new(Exit::NoInput, format!("nothing matches {}", pattern.display()))
                .mend("check the pattern; * and ? are understood in the last part of a path"));
        }
        inputs.extend(found.into_iter().map(Input::File));
    }
    Ok(inputs)
}

fn matching(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, Failure> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = std::fs::read_dir(folder).map_err(|error| Failure::unreadable(folder, &error))?;
    let names = entries.filter_map(Result::ok).filter(|entry| entry.path().is_file());
    let fits = |name: &str| matches(pattern.as_bytes(), name.as_bytes());
    let mut found: Vec<PathBuf> =
        names.filter(|entry| fits(&entry.file_name().to_string_lossy())).map(|entry| entry.path()).collect();
    found.sort();
    Ok(found)
}

/// Whether `name` fits `pattern`, in which `*` stands for any bytes and `?` for one.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // Backtracks to the latest star only, so the time is bounded by the product of the lengths.
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match &mut star {
                Some((at, from)) => {
                    *from += 1;
                    (p, n) = (*at + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_shells_do() {
        let check = |pattern: &str, name: &str, fits: bool| {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        };
        check("*.mp3", "a.mp3", true);
        check("*.mp3", "a.mp3.txt", false);
        check("a?c*", "abc", true);
        check("a?c*", "ac", false);
        check("*a*b*", "xxaxxbxx", true);
        check("", "a", false);
        check("*", "", true);
    }

    #[test]
    fn names_hint_at_media_types() {
        assert_eq!(Input::of(Path::new("x/Song.MP3")).media_type(), "audio/mpeg");
        assert_eq!(Input::of(Path::new("-")).media_type(), "");
        assert_eq!(Input::of(Path::new("x/song.mp3")).stem().as_deref(), Some("song"));
    }
}
