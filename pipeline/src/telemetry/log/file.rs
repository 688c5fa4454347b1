//! A log file that does not grow without end: at a size, and at the turn of a period, it is called `.1`, what was `.1` becomes `.2`,
//! and the oldest goes. Files are renamed, not copied, so that a collector that follows by inode misses no line.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// When a new file is begun, and how many are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rotation {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) period_seconds: u64,
    /// The one that is written included.
    pub(super) files: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct RotatingFile {
    rotation: Rotation,
    file: File,
    bytes: u64,
    /// The period of the latest line, counted since 1970.
    period: u64,
}

impl RotatingFile {
    /// Goes on with the file at its path, or begins it; `now` in seconds of Unix time.
    pub(super) fn open(rotation: Rotation, now: u64) -> io::Result<Self> {
        if let Some(folder) = rotation.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let file = append(&rotation.path)?;
        let known = file.metadata()?;
        let bytes = known.len();
        let written = known.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let at = written.map_or(now, |time| time.as_secs());
        let period = (if bytes == 0 { now } else { at }) / rotation.period_seconds.max(1);
        Ok(Self { rotation, file, bytes, period })
    }

    /// Writes `line`, which ends with a line break, as a whole; `now` in seconds of Unix time. A line that is longer than a file may be
    /// has one of its own.
    pub(super) fn write(&mut self, line: &[u8], now: u64) -> io::Result<()> {
        let period = now / self.rotation.period_seconds.max(1);
        let length = line.len() as u64;
        let full = self.bytes.saturating_add(length) > self.rotation.bytes;
        // A clock that was set back turns no period.
        if self.bytes > 0 && (full || period > self.period) {
            self.rotate()?;
        }
        self.period = self.period.max(period);
        self.file.write_all(line)?;
        self.bytes += length;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let Rotation { path, files, .. } = &self.rotation;
        let oldest = files.saturating_sub(1);
        for number in (1..=oldest).rev() {
            let from = if number == 1 { path.clone() } else { numbered(path, number - 1) };
            match fs::rename(from, numbered(path, number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if oldest == 0 {
            fs::remove_file(path)?;
        }
        self.file = append(path)?;
        self.bytes = self.file.metadata()?.len();
        Ok(())
    }
}

/// Readable by its owner and group: a log says who came, and what was processed.
fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn rotation(folder: &Path, bytes: u64, files: u32) -> Rotation {
        Rotation { path: folder.join("logs/treble.log"), bytes, period_seconds: DAY, files }
    }

    fn contents(rotation: &Rotation) -> Vec<String> {
        let older = (1..10).map(|number| numbered(&rotation.path, number));
        let paths = std::iter::once(rotation.path.clone()).chain(older);
        paths.map_while(|path| fs::read_to_string(path).ok()).collect()
    }

    #[test]
    fn a_full_file_is_moved_aside_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let rotation = rotation(folder.path(), 8, 3);
        let mut file = RotatingFile::open(rotation.clone(), DAY).unwrap();
        for line in ["aaa\n", "bbb\n", "ccc\n", "longer than a file\n", "ddd\n", "eee\n"] {
            file.write(line.as_bytes(), DAY).unwrap();
        }
        assert_eq!(contents(&rotation), ["ddd\neee\n", "longer than a file\n", "ccc\n"]);
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&rotation.path).unwrap().permissions());
        assert_eq!(mode & 0o027, 0, "nothing for others: {mode:o}");
    }

    #[test]
    fn a_period_that_is_over_is_noticed_also_after_a_restart_and_a_clock_set_back_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let rotation = rotation(folder.path(), 1 << 20, 4);
        let mut file = RotatingFile::open(rotation.clone(), DAY).unwrap();
        file.write(b"first day\n", DAY + 5).unwrap();
        file.write(b"first day\n", 2 * DAY - 1).unwrap();
        file.write(b"second day\n", 2 * DAY).unwrap();
        file.write(b"set back\n", DAY).unwrap();
        assert_eq!(contents(&rotation), ["second day\nset back\n", "first day\nfirst day\n"]);
        drop(file);
        let written = fs::metadata(&rotation.path).unwrap().modified().unwrap();
        let written = written.duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut file = RotatingFile::open(rotation.clone(), written + DAY).unwrap();
        file.write(b"after a restart\n", written + DAY).unwrap();
        assert_eq!(contents(&rotation)[..2], ["after a restart\n", "second day\nset back\n"]);
    }

    #[test]
    fn one_file_is_kept_where_one_is_wished() {
        let folder = tempfile::tempdir().unwrap();
        let rotation = rotation(folder.path(), 4, 1);
        let mut file = RotatingFile::open(rotation.clone(), 0).unwrap();
        file.write(b"aaa\n", 0).unwrap();
        file.write(b"bbb\n", 0).unwrap();
        assert_eq!(contents(&rotation), ["bbb\n"]);
    }

    #[test]
    fn what_cannot_be_opened_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("logs"), "a file").unwrap();
        assert!(RotatingFile::open(rotation(folder.path(), 4, 1), 0).is_err());
    }
}
