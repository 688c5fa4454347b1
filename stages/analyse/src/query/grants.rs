//! Who may read what.

use crate::tables::Table;

/// What an asker may read beside what everybody may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grants {
    /// Lines of the log.
    pub logs: bool,
}

impl Grants {
    /// Nothing.
    pub const NONE: Self = Self { logs: false };
    /// Everything: for who reads the files of the lake anyway.
    pub const ALL: Self = Self { logs: true };

    /// That `table` may be read.
    ///
    /// # Errors
    /// [`Forbidden`], with the role that is needed.
    pub(super) const fn allow(self, table: &'static str) -> Result<(), Forbidden> {
        if self.logs { Ok(()) } else { Err(Forbidden { table, role: LOGS_ROLE }) }
    }
}

/// The role that lets read lines of the log.
pub const LOGS_ROLE: &str = "logs";

/// The table `name`, where not everybody may read it.
pub(super) fn guarded(name: &str) -> Option<&'static str> {
    (name == Table::Logs.name()).then_some(Table::Logs.name())
}

/// A table that its asker has no role for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{table} is read with the role {role}, which this token does not have; sql.tokens_file gives it")]
pub struct Forbidden {
    /// The table.
    pub table: &'static str,
    /// The role that is needed.
    pub role: &'static str,
}
