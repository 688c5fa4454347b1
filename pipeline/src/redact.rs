//! What must not leave the process in a text: keys, tokens, passwords, e-mail addresses, homes of people.
//!
//! Pure and in linear time (the crate `regex` has no backtracking). It knows secrets by the form around them, so that a secret that
//! stands alone, with no word beside it, is recognised only where its own form gives it away (keys of clouds, JWTs, PEM). In doubt it
//! hides: a word too many costs less than a key. What it leaves is left byte for byte, and a second pass changes nothing.

use regex::{Captures, Regex};
use std::borrow::Cow;
use std::sync::LazyLock;

/// What stands in the place of a secret.
pub const HIDDEN: &str = "***";

/// Ends of names whose values are secrets.
const SECRET_NAME: &str = r"(?:pass(?:word|wd|phrase)|pwd|secret|token|credentials?|jaas[._-]config|(?:api|access|account|private|shared|signing|encryption|storage)[._-]?key|connection[._-]?string|signature|\bsig)";

/// Words that follow `basic` or `bearer` in prose.
const PROSE: &[&str] = &["auth", "authentication", "authorization", "scheme", "token", "tokens"];

/// What is looked for, and what takes its place; in order, as later forms may contain what earlier ones leave.
static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let quoted = r#"\\+".*?\\+"|"(?:[^"\\]|\\.)*"?|'[^']*'?"#;
    let rules = [
        // A private key, also one that was cut off (RFC 7468).
        (
            r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)".to_owned(),
            HIDDEN,
        ),
        // User info of a URL (RFC 3986), with whatever a careless password holds up to the last @ before the path.
        (r#"([A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#"'<>]*@"#.to_owned(), "${1}***@"),
        // Headers: all of the line.
        (
            r#"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key|api-key)(\\*["']?\s*[:=]\s*\\*["']?)[^\r\n"\\]+"#
                .to_owned(),
            "${1}${2}***",
        ),
        // name=value, name: value, "name": "value", name: Some("value").
        (
            format!(
                r#"(?i)([A-Za-z0-9_.-]*{SECRET_NAME})(\\*["']?\s*[=:]\s*)(?:Some\((?:{quoted}|[^\s)]*)\)?|{quoted}|[^\s,;&"']+)"#
            ),
            "${1}${2}***",
        ),
        // Keys whose form is their own: AWS, Azure storage, JSON Web Tokens (RFC 7519), GitHub, Slack.
        (r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b".to_owned(), HIDDEN),
        (r"[A-Za-z0-9+/]{86}==".to_owned(), HIDDEN),
        (r"\beyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?".to_owned(), HIDDEN),
        (r"\b(?:gh[pousr]_[A-Za-z0-9]{16,}|xox[abeprs]-[A-Za-z0-9-]{8,})".to_owned(), HIDDEN),
        (r"/services/T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]+".to_owned(), "/services/***"),
        // Addresses of people.
        (
            r"[A-Za-z0-9._%+'-]+@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+"
                .to_owned(),
            "***@***",
        ),
        // Homes.
        (r#"(?:/home|/Users)/[^/\s"':,;)\]}]+"#.to_owned(), "~"),
        (r#"\b[A-Za-z]:\\+Users\\+[^\\\s"':,;)\]}]+"#.to_owned(), "~"),
        (r"(^|[^\w/.~-])/root\b".to_owned(), "${1}~"),
    ];
    rules.map(|(pattern, place)| (Regex::new(&pattern).expect("tests compile it"), place)).into()
});

/// `Bearer TOKEN` and its like outside a header (RFC 6750, RFC 7617).
static SCHEMES: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#"(?i)\b(bearer|basic|sharedaccesssignature)(\s+)([^\s"',;*]+)"#;
    Regex::new(pattern).expect("tests compile it")
});

static NAMES: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(&format!("(?i){SECRET_NAME}$")).expect("tests compile it"));

/// Whether what is called `name` is a secret, whatever it looks like.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    NAMES.is_match(name)
}

/// `text` with [`HIDDEN`] in the place of what is secret in it; borrowed where there is nothing.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut clean = Cow::Borrowed(text);
    for (form, place) in RULES.iter() {
        replace(&mut clean, |text| form.replace_all(text, *place));
    }
    replace(&mut clean, |text| SCHEMES.replace_all(text, scheme));
    clean
}

fn scheme(found: &Captures<'_>) -> String {
    if PROSE.contains(&found[3].to_lowercase().as_str()) {
        found[0].to_owned()
    } else {
        format!("{}{}{HIDDEN}", &found[1], &found[2])
    }
}

/// Keeps what was there where nothing is replaced.
fn replace(clean: &mut Cow<'_, str>, with: impl FnOnce(&str) -> Cow<'_, str>) {
    if let Cow::Owned(changed) = with(clean)
        && changed != **clean
    {
        *clean = Cow::Owned(changed);
    }
}

#[cfg(test)]
mod tests;
