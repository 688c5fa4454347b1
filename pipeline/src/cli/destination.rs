//! Where audio is written to.

use super::{Exit, Failure};
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Rights on a file, less what the user's mask takes.
const PUBLIC: u32 = 0o666;
const PRIVATE: u32 = 0o600;

/// A file that appears under its name only when it is whole, or standard output.
pub(super) struct Destination {
    writer: Box<dyn Write>,
    temporary: Option<PathBuf>,
}

impl Destination {
    pub(super) fn open(to: &Path, from: &Path) -> Result<Self, Failure> {
        if to == from && to != Path::new("-") {
            return Err(Failure::new(Exit::Usage, "the output would replace the input")
                .mend("name another file with -o"));
        }
        Self::create(to, PUBLIC)
    }

    /// A file for the eyes of its owner alone.
    pub(super) fn private(to: &Path) -> Result<Self, Failure> {
        Self::create(to, PRIVATE)
    }

    fn create(to: &Path, mode: u32) -> Result<Self, Failure> {
        if to == Path::new("-") {
            return Ok(Self { writer: Box::new(io::stdout()), temporary: None });
        }
        let mut name = to.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let temporary = to.with_file_name(name);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary);
        let file = file.map_err(|error| Failure::uncreatable(to, &error))?;
        Ok(Self { writer: Box::new(BufWriter::new(file)), temporary: Some(temporary) })
    }

    pub(super) fn writer(&mut self) -> &mut dyn Write {
        &mut *self.writer
    }

    /// Writes `data` at once: somebody may be listening.
    pub(super) fn write(&mut self, data: &[u8], to: &Path) -> Result<(), Failure> {
        let written = self.writer.write_all(data).and_then(|()| self.writer.flush());
        written.map_err(|error| match self.temporary {
            Some(_) => Failure::new(Exit::Io, format!("cannot write {}", to.display())).because(error),
            None => Failure::stdout(&error),
        })
    }

    pub(super) fn keep(mut self, to: &Path) -> Result<(), Failure> {
        self.writer.flush().map_err(|error| Failure::uncreatable(to, &error))?;
        match self.temporary.take() {
            Some(temporary) => {
                std::fs::rename(temporary, to).map_err(|error| Failure::uncreatable(to, &error))
            }
            None => Ok(()),
        }
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // Half a file helps nobody; where it cannot be removed, its name says what it is.
            drop(std::fs::remove_file(temporary));
        }
    }
}
