//! Writes a view as text: three tables, for a terminal with what is wrong in colour.

use super::view::{GroupRow, ProcessRow, StageRow, View};

/// A colour of a terminal (ECMA-48, "select graphic rendition").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    Plain,
    Yellow,
    Red,
}

/// A table: how wide its columns are, what stands above them, and its rows.
struct Table {
    widths: &'static [usize],
    headings: &'static [&'static str],
    rows: Vec<(Colour, Vec<String>)>,
}

/// `view` as lines of text.
pub(super) fn text(view: &View) -> String {
    let tables = [stages(view), groups(view), processes(view)];
    tables.iter().map(|table| lines(table, |_, line| line)).collect::<Vec<_>>().join("\n\n")
}

/// `view` for a terminal of `rows` rows: written over what is there, line by line, so that nothing flickers.
pub(super) fn screen(view: &View, rows: usize) -> String {
    let tables = [stages(view), groups(view), processes(view)];
    let painted = tables.iter().map(|table| lines(table, paint)).collect::<Vec<_>>().join("\n\n");
    let shown: Vec<&str> = painted.lines().take(rows.saturating_sub(1)).collect();
    // From the upper left; after each line its rest is cleared, after the last all below.
    format!("\u{1b}[H{}\u{1b}[K\u{1b}[J", shown.join("\u{1b}[K\n"))
}

fn paint(colour: Colour, line: String) -> String {
    match colour {
        Colour::Plain => line,
        Colour::Yellow => format!("\u{1b}[33m{line}\u{1b}[0m"),
        Colour::Red => format!("\u{1b}[31m{line}\u{1b}[0m"),
    }
}

fn lines(table: &Table, paint: impl Fn(Colour, String) -> String) -> String {
    let headings: Vec<String> = table.headings.iter().map(|&heading| heading.to_owned()).collect();
    let heading = line(table.widths, &headings);
    let rows = table.rows.iter().map(|(colour, cells)| paint(*colour, line(table.widths, cells)));
    std::iter::once(heading).chain(rows).collect::<Vec<_>>().join("\n")
}

fn line(widths: &[usize], cells: &[String]) -> String {
    let padded = widths.iter().zip(cells).map(|(&width, cell)| format!("{cell:<width$}"));
    padded.collect::<Vec<_>>().join(" ").trim_end().to_owned()
}

fn stages(view: &View) -> Table {
    let row = |stage: &StageRow| {
        let colour = if stage.errors > 0.0 { Colour::Red } else { Colour::Plain };
        let speed = stage.speed.map_or_else(|| "-".to_owned(), |speed| format!("{speed:.0} x"));
        let cells = vec![
            stage.stage.clone(),
            format!("{:.1}", stage.records_in),
            format!("{:.1}", stage.chunks_out),
            format!("{:.0}", stage.streams),
            format!("{:.0}", stage.waiting),
            speed,
            format!("{:.1}", stage.commits),
            format!("{:.0}", stage.errors),
            format!("{:.0}", stage.errors_in_all),
        ];
        (colour, cells)
    };
    Table {
        widths: &[22, 8, 8, 8, 8, 8, 9, 7, 7],
        headings: &["STAGE", "IN/s", "OUT/s", "STREAMS", "WAITING", "SPEED", "COMMIT/s", "ERRORS", "IN ALL"],
        rows: view.stages.iter().map(row).collect(),
    }
}

fn groups(view: &View) -> Table {
    let row = |group: &GroupRow| {
        let colour = match group.status {
            "OK" => Colour::Plain,
            "WARN" => Colour::Yellow,
            _ => Colour::Red,
        };
        let seconds = group.seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1} s"));
        (colour, vec![group.group.clone(), format!("{:.0}", group.lag), seconds, group.status.to_owned()])
    };
    Table {
        widths: &[42, 10, 10, 9],
        headings: &["GROUP", "RECORDS", "BEHIND", "STATUS"],
        rows: view.groups.iter().map(row).collect(),
    }
}

fn processes(view: &View) -> Table {
    let row = |process: &ProcessRow| {
        if !process.answers {
            return (Colour::Red, vec![process.address.clone(), "does not answer".to_owned()]);
        }
        let windows =
            process.windows_in_a_run.map_or_else(|| "-".to_owned(), |windows| format!("{windows:.1}"));
        let memory = format!("{:.0} MiB", process.memory_bytes / 1_048_576.0);
        (Colour::Plain, vec![process.address.clone(), format!("{:.2}", process.processors), memory, windows])
    };
    Table {
        widths: &[30, 16, 12, 14],
        headings: &["PROCESS", "PROCESSORS", "MEMORY", "WINDOWS/RUN"],
        rows: view.processes.iter().map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        let decode = StageRow {
            stage: "decode".into(),
            records_in: 12.34,
            speed: Some(250.0),
            errors: 2.0,
            errors_in_all: 7.0,
            ..StageRow::default()
        };
        let group = GroupRow { group: "treble.decode".into(), lag: 9.0, seconds: Some(1.25), status: "WARN" };
        let answers = ProcessRow {
            address: "10.0.0.1:9464".into(),
            answers: true,
            memory_bytes: 64.0 * 1_048_576.0,
            ..ProcessRow::default()
        };
        let silent = ProcessRow { address: "10.0.0.2:9464".into(), ..ProcessRow::default() };
        View { stages: vec![decode], groups: vec![group], processes: vec![answers, silent] }
    }

    #[test]
    fn as_text_it_is_three_tables() {
        let expect = "\
STAGE                  IN/s     OUT/s    STREAMS  WAITING  SPEED    COMMIT/s  ERRORS  IN ALL
decode                 12.3     0.0      0        0        250 x    0.0       2       7

GROUP                                      RECORDS    BEHIND     STATUS
treble.decode                              9          1.2 s      WARN

PROCESS                        PROCESSORS       MEMORY       WINDOWS/RUN
10.0.0.1:9464                  0.00             64 MiB       -
10.0.0.2:9464                  does not answer";
        assert_eq!(text(&view()), expect);
    }

    #[test]
    fn on_a_terminal_what_is_wrong_is_in_colour_and_nothing_else() {
        let screen = screen(&view(), 24);
        let row = |word: &str| screen.lines().find(|line| line.contains(word)).unwrap_or_default().to_owned();
        assert!(row("250 x").starts_with("\u{1b}[31mdecode"), "{screen:?}");
        assert!(row("WARN").starts_with("\u{1b}[33mtreble.decode"), "{screen:?}");
        assert!(row("does not").starts_with("\u{1b}[31m10.0.0.2"), "{screen:?}");
        assert!(row("64 MiB").starts_with("10.0.0.1"), "{screen:?}");
    }

    #[test]
    fn a_small_terminal_shows_what_fits() {
        assert_eq!(screen(&view(), 4).lines().count(), 3);
        assert_eq!(screen(&view(), 0).lines().count(), 1);
    }
}
