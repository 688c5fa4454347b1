//! Exit codes: the promise to scripts. The table in `--help` and the man page is made from this list.

/// How a command ended. 64 to 78 follow `sysexits.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Success,
    /// The work itself failed.
    Failure,
    /// The command line is wrong.
    Usage,
    /// The input is not what it should be: no audio, a damaged stream.
    Data,
    /// An input does not exist or cannot be read.
    NoInput,
    /// Something that is needed cannot be reached: Kafka, the registry, the ONNX library, a port.
    Unavailable,
    /// A defect of Treble.
    Software,
    /// The output cannot be created.
    CannotCreate,
    /// Reading or writing failed half-way.
    Io,
    /// It may work later: a time-out.
    Temporary,
    /// The cluster or the system refused.
    Permission,
    /// The configuration is wrong.
    Config,
    /// Stopped by Ctrl-C.
    Interrupted,
}

impl Exit {
    /// All codes, in rising order.
    pub const ALL: [Self; 13] = [
        Self::Success,
        Self::Failure,
        Self::Usage,
        Self::Data,
        Self::NoInput,
        Self::Unavailable,
        Self::Software,
        Self::CannotCreate,
        Self::Io,
        Self::Temporary,
        Self::Permission,
        Self::Config,
        Self::Interrupted,
    ];

    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Data => 65,
            Self::NoInput => 66,
            Self::Unavailable => 69,
            Self::Software => 70,
            Self::CannotCreate => 73,
            Self::Io => 74,
            Self::Temporary => 75,
            Self::Permission => 77,
            Self::Config => 78,
            Self::Interrupted => 130,
        }
    }

    /// What it means.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Success => "done",
            Self::Failure => "the work failed",
            Self::Usage => "wrong command line",
            Self::Data => "the input is no audio, is damaged, or its stream was aborted",
            Self::NoInput => {
                "an input is missing or cannot be read, or retention deleted what was not processed"
            }
            Self::Unavailable => "Kafka, the registry, the ONNX library or a port is not available",
            Self::Software => "a defect of Treble; please report it",
            Self::CannotCreate => "the output cannot be created",
            Self::Io => "reading or writing failed half-way",
            Self::Temporary => "timed out; it may work later",
            Self::Permission => "not permitted",
            Self::Config => "wrong configuration; nothing was started",
            Self::Interrupted => "stopped by Ctrl-C",
        }
    }

    /// The table for `--help` and the man page.
    #[must_use]
    pub fn table() -> String {
        let row = |exit: Self| format!("  {:>3}  {}\n", exit.code(), exit.meaning());
        Self::ALL.into_iter().map(row).fold("Exit codes:\n".to_owned(), |table, row| table + &row)
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_rise_and_lie_where_they_were_promised() {
        let codes: Vec<_> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert!(codes.is_sorted_by(|a, b| a < b));
        assert!(codes.iter().all(|code| matches!(code, 0..=2 | 64..=78 | 130)));
        assert!(Exit::table().contains("  69  Kafka"));
    }
}
