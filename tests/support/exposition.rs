//! `/metrics`, read: the text exposition format of Prometheus, 0.0.4.

use anyhow::{Context, Result, ensure};

/// One series.
#[derive(Debug, Clone, PartialEq)]
struct Series {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

/// An answer of `/metrics`.
#[derive(Debug, Clone)]
pub struct Exposition {
    text: String,
    series: Vec<Series>,
}

impl Exposition {
    /// Reads a whole HTTP answer, or the body alone.
    ///
    /// # Errors
    /// When it is no success, or a line is not of the format.
    pub fn read(answer: &str) -> Result<Self> {
        let text = match answer.split_once("\r\n\r\n") {
            Some((head, body)) => {
                ensure!(head.starts_with("HTTP/1.1 200"), "{head}");
                ensure!(head.to_lowercase().contains("content-type: text/plain; version=0.0.4"), "{head}");
                body
            }
            None => answer,
        };
        let lines = text.lines().filter(|line| !line.starts_with('#') && line.contains(' '));
        let series = lines.map(|line| parse(line).with_context(|| line.to_owned())).collect::<Result<_>>()?;
        Ok(Self { text: text.to_owned(), series })
    }

    /// The sum over all series of `name` that have `labels`.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.of(name, labels).map(|series| series.value).sum()
    }

    /// The value of the only series of `name` that has `labels`; `None` where there is none.
    #[must_use]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.of(name, labels).next().map(|series| series.value)
    }

    /// Whether there is a series of `name`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.of(name, &[]).next().is_some()
    }

    /// The lines of `name`, for the message of a failure.
    #[must_use]
    pub fn family(&self, name: &str) -> String {
        self.text.lines().filter(|line| line.starts_with(name)).collect::<Vec<_>>().join("\n")
    }

    /// How many series there are.
    #[must_use]
    pub fn series(&self) -> usize {
        self.series.len()
    }

    /// Bytes of the answer.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The answer as it came.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    fn of(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(move |series| {
            let has = |(name, value): &(&str, &str)| {
                series.labels.iter().any(|(label, held)| label == name && held == value)
            };
            series.name == name && labels.iter().all(has)
        })
    }
}

/// `name{label="value",…} 1`; values of ours hold neither quotes nor commas.
fn parse(line: &str) -> Result<Series> {
    let (head, value) = line.rsplit_once(' ').context("a value")?;
    let (name, labels) = head.split_once('{').unwrap_or((head, "}"));
    let pairs = labels.trim_end_matches('}').split(',').filter(|pair| !pair.is_empty());
    let label = |pair: &str| {
        let (label, value) = pair.split_once('=').context("a label")?;
        Ok((label.to_owned(), value.trim_matches('"').to_owned()))
    };
    let value = if value == "+Inf" { f64::INFINITY } else { value.parse()? };
    Ok(Series { name: name.to_owned(), labels: pairs.map(label).collect::<Result<_>>()?, value })
}
