//! Where rows go.

use super::super::output::Output;
use super::super::{Exit, Failure};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use treble_analyse::format::{Format, FormatError, Writer};
use treble_analyse::query::Answer;

/// A format, and a file or standard output.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) format: Format,
    path: Option<PathBuf>,
    output: Output,
}

impl Rows {
    pub(super) const fn new(format: Format, path: Option<PathBuf>, output: Output) -> Self {
        Self { format, path, output }
    }

    /// Writes all rows of `answer`; gives their number.
    pub(super) async fn write(&self, mut answer: Answer) -> Result<usize, Failure> {
        let mut sink = self.sink()?;
        let mut writer = Writer::new(self.format, &answer.schema()).map_err(|error| unwritable(&error))?;
        let mut rows = 0;
        while let Some(batch) = answer.next().await {
            let batch = batch.map_err(|error| super::failure(&error))?;
            rows += batch.num_rows();
            self.put(&mut sink, &writer.write(&batch).map_err(|error| unwritable(&error))?)?;
        }
        self.put(&mut sink, &writer.finish().map_err(|error| unwritable(&error))?)?;
        if let Some(sink) = &mut sink {
            sink.flush().map_err(|error| Failure::new(Exit::Io, "cannot write rows").because(error))?;
        }
        Ok(rows)
    }

    fn sink(&self) -> Result<Option<BufWriter<File>>, Failure> {
        let Some(path) = &self.path else { return Ok(None) };
        let file = File::create(path).map_err(|error| Failure::uncreatable(path, &error))?;
        Ok(Some(BufWriter::new(file)))
    }

    fn put(&self, sink: &mut Option<BufWriter<File>>, bytes: &[u8]) -> Result<(), Failure> {
        match sink {
            None => self.output.raw(bytes),
            Some(file) => file
                .write_all(bytes)
                .map_err(|error| Failure::new(Exit::Io, "cannot write rows").because(error)),
        }
    }
}

fn unwritable(error: &FormatError) -> Failure {
    Failure::new(Exit::Data, error.to_string())
}
