//! Files that let somebody in: who may read them, and until when they hold.

use super::Finding;
use crate::cli::{Exit, Failure, files};
use crate::config::Config;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use x509_certificate::CapturedX509Certificate;

const SECRETS: &str = "secrets";
const CERTIFICATES: &str = "certificates";
const DAY: i64 = 86_400;
/// Who renews a certificate needs days for it.
const SOON_DAYS: i64 = 14;

/// Every file that `config` names, at `now_seconds` of Unix time.
pub(super) fn findings(config: &Config, now_seconds: i64) -> Vec<Finding> {
    let secrets = files::secrets(config).into_iter().map(|(key, path)| secret(key, path));
    let shown = files::shown_certificates(config).into_iter();
    let shown = shown.map(|(key, path)| certificates(key, path, now_seconds, Whose::Ours));
    let trusted = files::trusted_certificates(config).into_iter();
    let trusted = trusted.map(|(key, path)| certificates(key, path, now_seconds, Whose::Authorities));
    secrets.chain(shown).chain(trusted).collect()
}

fn unreadable(key: &str, path: &Path, error: &io::Error) -> Failure {
    let exit = if error.kind() == io::ErrorKind::PermissionDenied { Exit::Permission } else { Exit::NoInput };
    Failure::new(exit, format!("{key}: cannot read {}", path.display()))
        .because(error)
        .mend("name a file that this user can read")
}

fn secret(key: &'static str, path: &Path) -> Finding {
    let metadata = match File::open(path).and_then(|file| file.metadata()) {
        Ok(metadata) => metadata,
        Err(error) => return Finding::bad(SECRETS, unreadable(key, path, &error)),
    };
    let named = format!("{key}: {}", path.display());
    if metadata.len() == 0 {
        let failure =
            Failure::new(Exit::Config, format!("{named} is empty")).mend("write the secret into it");
        return Finding::bad(SECRETS, failure);
    }
    match readers(&metadata, own_user()) {
        None => Finding::good(SECRETS, format!("{named}: for its owner alone")),
        Some(who) => Finding::odd(
            SECRETS,
            format!("{named}: {who} may read it (mode {:o})", metadata.mode() & 0o777),
            format!("chmod 600 {}", path.display()),
        ),
    }
}

/// Who else has rights on a file. Where it is another's, this process reads it as a member of its group: Kubernetes mounts secrets so.
fn readers(metadata: &Metadata, own: Option<u32>) -> Option<&'static str> {
    let mode = metadata.mode();
    if mode & 0o007 != 0 {
        Some("everybody")
    } else if mode & 0o070 != 0 && own.is_none_or(|own| own == metadata.uid()) {
        Some("its group")
    } else {
        None
    }
}

/// The user of this process, where the system tells.
fn own_user() -> Option<u32> {
    fs::metadata("/proc/self").ok().map(|process| process.uid())
}

/// Whose certificates a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Those that this side shows: all must hold.
    Ours,
    /// Those that it trusts: of several, one that has ended is no harm yet.
    Authorities,
}

fn certificates(key: &'static str, path: &Path, now_seconds: i64, whose: Whose) -> Finding {
    let pem = match fs::read(path) {
        Ok(pem) => pem,
        Err(error) => return Finding::bad(CERTIFICATES, unreadable(key, path, &error)),
    };
    let named = format!("{key}: {}", path.display());
    let bad = |problem: String, fix: &str| {
        Finding::bad(CERTIFICATES, Failure::new(Exit::Config, format!("{named} {problem}")).mend(fix))
    };
    let held = match CapturedX509Certificate::from_pem_multiple(&pem) {
        Ok(held) if held.is_empty() => {
            return bad("holds no certificate".to_owned(), "give certificates as PEM");
        }
        Ok(held) => held,
        Err(error) => return bad(format!("cannot be understood: {error}"), "give certificates as PEM"),
    };
    let from = held.iter().map(|one| one.validity_not_before().timestamp()).max();
    let ends: Vec<i64> = held.iter().map(|one| one.validity_not_after().timestamp()).collect();
    judged(&named, &ends, from.unwrap_or(now_seconds), now_seconds, whose)
}

/// Judges certificates that end at `ends`, the youngest of which begins at `from`.
fn judged(named: &str, ends: &[i64], from: i64, now: i64, whose: Whose) -> Finding {
    let (renew, count) = ("renew it, and start processes anew that hold it", ends.len());
    let ended = ends.iter().filter(|&&end| end <= now).count();
    let bad = |problem: &str, fix: &str| {
        Finding::bad(CERTIFICATES, Failure::new(Exit::Config, format!("{named}: {problem}")).mend(fix))
    };
    if ended == count || ended > 0 && whose == Whose::Ours {
        return bad(&format!("{ended} of {count} has ended"), renew);
    }
    if from > now && whose == Whose::Ours {
        return bad("it does not hold yet", "check the clock, or wait");
    }
    if ended > 0 {
        return Finding::odd(
            CERTIFICATES,
            format!("{named}: {ended} of {count} have ended"),
            "take them out",
        );
    }
    let days = ends.iter().map(|end| (end - now) / DAY).min().unwrap_or_default();
    let detail = format!("{named}: {count} held, the first ends in {days} days");
    if days < SOON_DAYS {
        return Finding::odd(CERTIFICATES, detail, renew);
    }
    Finding::good(CERTIFICATES, detail)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const NOW: i64 = 1_000 * DAY;

    #[test]
    fn a_secret_that_others_may_read_is_odd_and_one_that_is_not_there_bad() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let verdict = || secret("sql.tokens_file", &path).verdict;
        assert_eq!(verdict(), Verdict::Bad);
        fs::write(&path, "").unwrap();
        assert_eq!(verdict(), Verdict::Bad, "empty");
        fs::write(&path, "ada hunter2").unwrap();
        for (mode, expect) in [
            (0o600, Verdict::Good),
            (0o400, Verdict::Good),
            (0o640, Verdict::Odd),
            (0o604, Verdict::Odd),
            (0o644, Verdict::Odd),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(verdict(), expect, "{mode:o}");
        }
        let found = secret("sql.tokens_file", &path);
        assert!(found.detail.contains("everybody") && found.fix.starts_with("chmod 600"), "{found:?}");
        assert!(!found.detail.contains("hunter2"));
    }

    #[test]
    fn a_file_of_somebody_else_s_may_be_read_by_its_group() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(readers(&metadata, Some(metadata.uid())), Some("its group"));
        assert_eq!(readers(&metadata, Some(metadata.uid() + 1)), None);
    }

    #[test]
    fn certificates_are_judged_by_when_they_end() {
        let check = |ends: &[i64], from: i64, whose: Whose, expect: Verdict| {
            let ends: Vec<i64> = ends.iter().map(|days| NOW + days * DAY).collect();
            let found = judged("key: file", &ends, NOW + from * DAY, NOW, whose);
            assert_eq!(found.verdict, expect, "{found:?}");
        };
        use Whose::{Authorities, Ours};
        check(&[14], -1, Ours, Verdict::Good);
        check(&[13], -1, Ours, Verdict::Odd);
        check(&[400, 3], -1, Ours, Verdict::Odd);
        check(&[0], -1, Ours, Verdict::Bad);
        check(&[400, -1], -1, Ours, Verdict::Bad);
        check(&[400], 1, Ours, Verdict::Bad);
        check(&[400, -1], -1, Authorities, Verdict::Odd);
        check(&[-1], -1, Authorities, Verdict::Bad);
        check(&[400, 90], 1, Authorities, Verdict::Good);
    }

    #[test]
    fn what_is_no_certificate_is_bad() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let detail = || certificates("kafka.ssl_ca_file", &path, NOW, Whose::Authorities).detail;
        assert!(detail().contains("cannot read"));
        fs::write(&path, "no certificate").unwrap();
        assert!(detail().contains("holds no certificate"), "{}", detail());
        fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(detail().contains("cannot be understood"), "{}", detail());
    }
}
