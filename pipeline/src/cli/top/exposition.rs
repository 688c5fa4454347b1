//! The text exposition format of Prometheus, 0.0.4, as far as it is needed: sums over series.

use std::collections::BTreeMap;

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    /// Its labels.
    pub(super) labels: BTreeMap<String, String>,
    /// Its value.
    pub(super) value: f64,
}

/// An answer of `/metrics`: the series of each name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Exposition(BTreeMap<String, Vec<Series>>);

impl Exposition {
    /// Reads `text`; a line that is no series is skipped.
    pub(super) fn read(text: &str) -> Self {
        let mut all: BTreeMap<String, Vec<Series>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, series)) = series(line) {
                all.entry(name).or_default().push(series);
            }
        }
        Self(all)
    }

    /// The series of `name`.
    pub(super) fn of(&self, name: &str) -> &[Series] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The sum over the series of `name` that have all of `labels`.
    pub(super) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |series: &&Series| {
            labels.iter().all(|(label, value)| series.labels.get(*label).is_some_and(|own| own == value))
        };
        self.of(name).iter().filter(has).map(|series| series.value).sum()
    }
}

fn series(line: &str) -> Option<(String, Series)> {
    let (name, labels, rest) = match line.find('{') {
        Some(open) => {
            let (labels, rest) = labels(&line[open + 1..])?;
            (&line[..open], labels, rest)
        }
        None => {
            let (name, rest) = line.split_once(' ')?;
            (name, BTreeMap::new(), rest)
        }
    };
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some((name.to_owned(), Series { labels, value }))
}

/// `a="1",b="2"} 3`: the labels, and what follows the brace. Values escape `\`, `"` and line breaks.
fn labels(text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut found = BTreeMap::new();
    let mut rest = text.trim_start_matches(',');
    while !rest.starts_with('}') {
        let (label, quoted) = rest.split_once("=\"")?;
        let (mut value, mut escaped, mut end) = (String::new(), false, None);
        for (place, character) in quoted.char_indices() {
            match (escaped, character) {
                (true, 'n') => value.push('\n'),
                (true, other) => value.push(other),
                (false, '\\') => {}
                (false, '"') => {
                    end = Some(place);
                    break;
                }
                (false, other) => value.push(other),
            }
            escaped = !escaped && character == '\\';
        }
        found.insert(label.to_owned(), value);
        rest = quoted[end? + 1..].trim_start_matches(',');
    }
    Some((found, &rest[1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_read_with_their_labels() {
        let text = "# HELP a what\na{x=\"1\",y=\"q\\\"\\\\,}\"} 2\na{x=\"2\",y=\"\"} 3\nb 1e3 1700000000\nbroken{ 1\n\n";
        let read = Exposition::read(text);
        assert_eq!(read.of("a")[0].labels["y"], "q\"\\,}");
        assert!((read.sum("a", &[]) - 5.0).abs() < 1e-9 && (read.sum("a", &[("x", "2")]) - 3.0).abs() < 1e-9);
        assert!((read.sum("b", &[]) - 1_000.0).abs() < 1e-9);
        assert!(read.of("broken").is_empty() && read.of("gone").is_empty());
    }
}
