//! What a check found.

use crate::cli::{Exit, Failure};
use serde_json::{Value, json};

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    /// Works, but perhaps not as meant.
    Odd,
    Bad,
}

impl Verdict {
    const fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Odd => "warning",
            Self::Bad => "fault",
        }
    }
}

/// One check, done.
#[derive(Debug)]
pub(in crate::cli) struct Finding {
    pub(super) subject: &'static str,
    pub(super) verdict: Verdict,
    pub(super) detail: String,
    pub(super) fix: String,
    pub(super) exit: Exit,
}

impl Finding {
    pub(super) fn good(subject: &'static str, detail: impl Into<String>) -> Self {
        let (detail, fix) = (detail.into(), String::new());
        Self { subject, verdict: Verdict::Good, detail, fix, exit: Exit::Success }
    }

    pub(super) fn odd(subject: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { verdict: Verdict::Odd, fix: fix.into(), ..Self::good(subject, detail) }
    }

    pub(super) fn bad(subject: &'static str, failure: Failure) -> Self {
        let detail = match failure.why.as_str() {
            "" => failure.what,
            why => format!("{}: {why}", failure.what),
        };
        Self { subject, verdict: Verdict::Bad, detail, fix: failure.fix, exit: failure.exit }
    }

    /// For programs.
    pub(in crate::cli) fn document(&self) -> Value {
        let Self { subject, verdict, detail, fix, .. } = self;
        json!({ "subject": subject, "verdict": verdict.name(), "detail": detail, "fix": fix })
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let Self { subject, verdict, detail, fix, .. } = self;
        let remedy = if fix.is_empty() { String::new() } else { format!("\n{:25}fix: {fix}", "") };
        format!("{:<8} {subject:<15} {detail}{remedy}", verdict.name())
    }
}
