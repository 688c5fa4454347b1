//! Progress of long work: always with speed (× real time) and time left.

use super::output::{talk, versioned};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::io::{self, IsTerminal};
use std::time::Duration;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressMode {
    /// A bar; the default on a terminal.
    Bar,
    /// Lines of key=value, the last with progress=end.
    Plain,
    /// Lines of JSON.
    Json,
    /// Nothing; the default elsewhere.
    None,
}

/// Between two lines of `plain` or `json`.
const LINE_INTERVAL: Duration = Duration::from_millis(500);

/// How far the work is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Step {
    /// Part done, 0 to 1; `None` where the whole is not known.
    pub part: Option<f64>,
    /// Seconds of audio done so far; 0 where it is not known.
    pub audio_seconds: f64,
    /// Bytes moved so far.
    pub bytes: u64,
    /// Time since the beginning.
    pub elapsed: Duration,
}

impl Step {
    /// Seconds of audio a second; `None` before anything can be said.
    #[must_use]
    pub(super) fn speed(&self) -> Option<f64> {
        let seconds = self.elapsed.as_secs_f64();
        (self.audio_seconds > 0.0 && seconds > 0.0).then(|| self.audio_seconds / seconds)
    }

    /// Seconds left at the pace so far.
    #[must_use]
    pub(super) fn seconds_left(&self) -> Option<f64> {
        let part = self.part.filter(|part| *part > 0.0)?;
        Some(self.elapsed.as_secs_f64() * (1.0 - part).max(0.0) / part)
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        let optional =
            |name, value: Option<f64>, digits: usize| value.map(|value| (name, format!("{value:.digits$}")));
        let mut fields = vec![("elapsed_seconds", format!("{:.1}", self.elapsed.as_secs_f64()))];
        fields.push(("bytes", self.bytes.to_string()));
        fields.push(("audio_seconds", format!("{:.1}", self.audio_seconds)));
        fields.extend(optional("part", self.part, 3));
        fields.extend(optional("speed", self.speed(), 1));
        fields.extend(optional("eta_seconds", self.seconds_left(), 1));
        fields
    }
}

/// Shows the progress of one piece of work.
#[derive(Debug)]
pub(super) struct Progress {
    mode: ProgressMode,
    title: String,
    bar: ProgressBar,
    last_line: Option<Duration>,
}

/// Ticks of a full bar.
const BAR_LENGTH: u64 = 1_000;

impl Progress {
    /// Progress of the work called `title`; without a wish, a bar on a terminal and nothing elsewhere.
    #[must_use]
    pub(super) fn new(wish: Option<ProgressMode>, title: &str) -> Self {
        let usual = if io::stderr().is_terminal() { ProgressMode::Bar } else { ProgressMode::None };
        let mode = wish.unwrap_or(usual);
        let bar = if mode == ProgressMode::Bar { bar() } else { ProgressBar::hidden() };
        Self { mode, title: title.to_owned(), bar, last_line: None }
    }

    /// Shows `step`, not more often than is useful.
    pub(super) fn update(&mut self, step: &Step) {
        match self.mode {
            ProgressMode::None => {}
            ProgressMode::Bar => self.draw(step),
            ProgressMode::Plain | ProgressMode::Json => {
                let due = self.last_line.is_none_or(|last| step.elapsed >= last + LINE_INTERVAL);
                if due {
                    self.last_line = Some(step.elapsed);
                    self.line(step, "continue");
                }
            }
        }
    }

    /// Shows the end.
    pub(super) fn finish(self, step: &Step) {
        self.bar.finish_and_clear();
        self.line(step, "end");
    }

    fn line(&self, step: &Step, state: &str) {
        match self.mode {
            ProgressMode::Plain => {
                let words = step.fields().into_iter().map(|(name, value)| format!("{name}={value} "));
                talk(&format!("{}progress={state}", words.collect::<String>()));
            }
            ProgressMode::Json => {
                let number = |text: String| text.parse::<f64>().unwrap_or_default();
                let fields = step.fields().into_iter().map(|(name, value)| (name, number(value)));
                let fields: std::collections::BTreeMap<_, _> = fields.collect();
                talk(&versioned("progress", &json!({ "state": state, "title": self.title, "step": fields })));
            }
            ProgressMode::Bar | ProgressMode::None => {}
        }
    }

    fn draw(&self, step: &Step) {
        let speed = step.speed().map_or_else(String::new, |speed| format!("{speed:.1}× real time"));
        let left = step.seconds_left().map_or_else(String::new, |left| format!("  {left:.0} s left"));
        self.bar.set_message(format!("{}  {speed}{left}", self.title));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 0..=BAR_LENGTH"
        )]
        let position = (step.part.unwrap_or(0.0).clamp(0.0, 1.0) * BAR_LENGTH as f64) as u64;
        self.bar.set_position(position);
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(BAR_LENGTH), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:30} {percent:>3}%  {msg}");
    bar.set_style(style.expect("the template is well-formed"));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_and_time_left_are_told_from_what_was_done() {
        let step = Step { part: Some(0.25), audio_seconds: 30.0, bytes: 7, elapsed: Duration::from_secs(3) };
        assert_eq!(step.speed(), Some(10.0));
        assert_eq!(step.seconds_left(), Some(9.0));
        assert_eq!(Step::default().speed(), None);
        assert_eq!(Step::default().seconds_left(), None);
    }
}
