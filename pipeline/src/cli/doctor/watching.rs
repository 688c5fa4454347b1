//! Where lines and spans go: is there room, does somebody answer?

use super::Finding;
use crate::cli::{Exit, Failure};
use crate::config::{Config, LogConfig};
use crate::telemetry::trace;
use rustix::fs::{Access, access, statvfs};
use std::fs;
use std::path::{Path, PathBuf};

const LOG: &str = "log";
const TRACES: &str = "traces";
const MEGABYTE: u64 = 1 << 20;

/// A file of the log: the key that names it, where it is, and how much of it is kept.
struct Kept<'a> {
    key: &'static str,
    path: &'a Path,
    megabytes: u64,
    files: u32,
}

/// Whether the log's files can be written, and what they may grow to fits their disk.
pub(super) fn log(config: &LogConfig) -> Vec<Finding> {
    let first = match &config.file {
        None => Finding::good(LOG, "goes to standard error"),
        Some(path) => kept(&Kept { key: "log.file", path, megabytes: config.file_mb, files: config.files }),
    };
    let audit = config.audit_file.as_deref().map(|path| {
        kept(&Kept { key: "log.audit_file", path, megabytes: config.audit_mb, files: config.audit_files })
    });
    std::iter::once(first).chain(audit).collect()
}

fn kept(log: &Kept<'_>) -> Finding {
    let Kept { key, path, .. } = log;
    let folder = existing(path.parent().unwrap_or(Path::new("")));
    let target: &Path = if path.exists() { path } else { &folder };
    let failure = |why: &dyn std::fmt::Display| {
        Failure::new(Exit::CannotCreate, format!("{key}: cannot write {}", path.display()))
            .because(why)
            .mend("name a file in a folder that this user may write, or none")
    };
    if !folder.is_dir() {
        return Finding::bad(LOG, failure(&format!("{} is no folder", folder.display())));
    }
    if let Err(error) = access(target, Access::WRITE_OK) {
        return Finding::bad(LOG, failure(&error));
    }
    match statvfs(folder.as_path()) {
        Ok(disk) => judged(log, disk.f_bavail.saturating_mul(disk.f_frsize), to_come(log)),
        Err(error) => Finding::bad(LOG, failure(&error)),
    }
}

/// Judges a log whose disk has `free` bytes left, of which it may take `to_come`.
fn judged(log: &Kept<'_>, free: u64, to_come: u64) -> Finding {
    let Kept { key, path, .. } = log;
    let left = format!("{key}: {} with {} MiB free", path.display(), free / MEGABYTE);
    if free < MEGABYTE && to_come > 0 {
        let failure = Failure::new(Exit::Io, left).because("lines are being lost");
        return Finding::bad(LOG, failure.mend("make room on that disk"));
    }
    if free < to_come {
        let detail = format!("{left}, and its files may take {} MiB more", to_come / MEGABYTE);
        return Finding::odd(LOG, detail, "make room, or let fewer or smaller files be kept");
    }
    Finding::good(LOG, left)
}

/// What its files may take beyond what they have.
fn to_come(log: &Kept<'_>) -> u64 {
    let size = |file: &Path| fs::metadata(file).map_or(0, |file| file.len());
    let older = (1..log.files).map(|number| PathBuf::from(format!("{}.{number}", log.path.display())));
    let taken = older.map(|file| size(&file)).sum::<u64>() + size(log.path);
    let most = log.megabytes.saturating_mul(MEGABYTE).saturating_mul(log.files.into());
    most.saturating_sub(taken)
}

/// The folder itself or, where it will be created, the nearest above it that is there.
fn existing(folder: &Path) -> PathBuf {
    let found = folder.ancestors().find(|folder| !folder.as_os_str().is_empty() && folder.exists());
    found.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Whether the collector takes spans from us.
pub(super) fn traces(config: &Config) -> Finding {
    let Some(endpoint) = &config.traces.endpoint else {
        return Finding::good(TRACES, "not sent: traces.endpoint is empty");
    };
    match trace::reach(config) {
        Ok(()) => Finding::good(TRACES, format!("{endpoint} takes spans")),
        Err(error) => Finding::bad(TRACES, error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    fn log(path: &Path) -> Kept<'_> {
        Kept { key: "log.file", path, megabytes: 1, files: 2 }
    }

    #[test]
    fn a_log_that_can_be_written_is_good_and_looking_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(kept(&log(&folder.path().join("a/b/treble.log"))).verdict, Verdict::Good);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_log_that_cannot_be_written_is_bad() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "a file").unwrap();
        let found = kept(&log(&folder.path().join("a/treble.log")));
        assert_eq!(found.verdict, Verdict::Bad);
        assert!(found.detail.contains("is no folder"), "{found:?}");
    }

    #[test]
    fn a_disk_that_what_is_to_come_does_not_fit_is_odd_and_a_full_one_bad() {
        let check = |free, to_come, expect| {
            assert_eq!(judged(&log(Path::new("treble.log")), free, to_come).verdict, expect);
        };
        check(5 * MEGABYTE, 5 * MEGABYTE, Verdict::Good);
        check(5 * MEGABYTE, 6 * MEGABYTE, Verdict::Odd);
        check(MEGABYTE - 1, 6 * MEGABYTE, Verdict::Bad);
        check(0, 0, Verdict::Good);
    }

    #[test]
    fn what_files_have_is_not_to_come() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("treble.log");
        assert_eq!(to_come(&log(&path)), 2 * MEGABYTE);
        fs::write(&path, "x".repeat(1_000)).unwrap();
        fs::write(folder.path().join("treble.log.1"), "x".repeat(2_000)).unwrap();
        assert_eq!(to_come(&log(&path)), 2 * MEGABYTE - 3_000);
    }
}
