//! Keeps a lake tidy: small files of past days joined, days past retention dropped, files that nobody reads removed.
//!
//! Every step is a commit of its own that may meet others: who is second loses, and tries again next time. Nothing here
//! can touch a position, which survives joining, dropping and checkpoints.

use crate::commit;
use crate::lake::{Lake, LakeError};
use crate::rows::Rows;
use crate::tables::{EVENT_DATE, Origin, Table};
use datafusion::arrow::array::{AsArray, Date32Array};
use datafusion::arrow::datatypes::Date32Type;
use datafusion::common::ScalarValue;
use datafusion::prelude::{col, lit};
use deltalake::checkpoints::{cleanup_metadata, create_checkpoint};
use deltalake::operations::optimize::OptimizeType;
use deltalake::{DeltaTable, DeltaTableError, FilterOp, FilterValue};

/// A UTC day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub i32);

impl Day {
    /// The day of a point in time, in microseconds of Unix time.
    #[must_use]
    pub fn of_unix_us(unix_us: i64) -> Self {
        Self(i32::try_from(unix_us.div_euclid(86_400_000_000)).unwrap_or_default())
    }

    /// The day that `rows` are filed under, where they are rows of one record; `None` where there is none.
    #[must_use]
    pub fn of_rows(rows: &Rows) -> Option<Self> {
        let days = rows.values().next()?.column_by_name(EVENT_DATE)?.as_primitive_opt::<Date32Type>()?;
        days.iter().next()?.map(Self)
    }

    /// So many days before.
    #[must_use]
    pub fn before(self, days: u32) -> Self {
        Self(self.0.saturating_sub_unsigned(days))
    }
}

impl std::fmt::Display for Day {
    /// `2026-11-26`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match Date32Array::from(vec![self.0]).value_as_date(0) {
            Some(date) => write!(f, "{date}"),
            None => write!(f, "day {}", self.0),
        }
    }
}

/// What joining did to one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined {
    /// The table.
    pub table: Table,
    /// Files before.
    pub removed: u64,
    /// Files in their place.
    pub added: u64,
}

/// What removing did to one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vacuumed {
    /// The table.
    pub table: Table,
    /// Files that were removed, or would be.
    pub files: usize,
}

/// Joins the small files of all days before `today`: of today's, more are to come.
pub async fn optimize(lake: &mut Lake, today: Day) -> Result<Vec<Joined>, LakeError> {
    let day = today.to_string();
    let past = [(EVENT_DATE, FilterOp::Lt, FilterValue::Scalar(&day))];
    let mut joined = Vec::new();
    for table in lake.tables() {
        let optimize = lake.table(table).clone().optimize();
        let optimize = optimize
            .with_type(OptimizeType::Compact)
            .with_filters(&past)
            .with_writer_properties(commit::properties());
        let (done, metrics) =
            optimize.await.map_err(|error| LakeError::delta(table.name(), "join files", error))?;
        *lake.table_mut(table) = done;
        joined.push(Joined { table, removed: metrics.num_files_removed, added: metrics.num_files_added });
    }
    Ok(joined)
}

/// Drops every day before the `first` of each origin, whole files at a time; `None` keeps all.
pub async fn retain(lake: &mut Lake, first: impl Fn(Origin) -> Option<Day>) -> Result<(), LakeError> {
    for table in lake.tables() {
        let Some(first) = first(table.origin()) else { continue };
        let before = col(EVENT_DATE).lt(lit(ScalarValue::Date32(Some(first.0))));
        let delete = lake.table(table).clone().delete().with_predicate(before);
        let (done, _) =
            delete.await.map_err(|error| LakeError::delta(table.name(), "drop old days", error))?;
        *lake.table_mut(table) = done;
    }
    Ok(())
}

/// Removes files that no version of the last seven days names (`delta.deletedFileRetentionDuration`), and the part of the
/// log that nobody needs any more; with `dry_run`, only tells of the files.
pub async fn vacuum(lake: &mut Lake, dry_run: bool) -> Result<Vec<Vacuumed>, LakeError> {
    let mut vacuumed = Vec::new();
    for table in lake.tables() {
        let vacuum = lake.table(table).clone().vacuum().with_dry_run(dry_run);
        let (done, metrics) =
            vacuum.await.map_err(|error| LakeError::delta(table.name(), "remove old files", error))?;
        if !dry_run {
            tidy_log(&done)
                .await
                .map_err(|error| LakeError::delta(table.name(), "tidy its log up", error))?;
        }
        *lake.table_mut(table) = done;
        vacuumed.push(Vacuumed { table, files: metrics.files_deleted.len() });
    }
    Ok(vacuumed)
}

/// A checkpoint lets whoever opens the table begin there; what lies before the one of a month ago is removed.
async fn tidy_log(table: &DeltaTable) -> Result<(), DeltaTableError> {
    create_checkpoint(table, None).await?;
    cleanup_metadata(table, None).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_and_written_in_utc() {
        assert_eq!(Day::of_unix_us(1_700_000_000_000_000), Day(19_675));
        assert_eq!(Day(19_675).to_string(), "2023-11-14");
        assert_eq!(Day(19_675).before(14).to_string(), "2023-10-31");
        assert_eq!(Day::of_unix_us(-1).to_string(), "1969-12-31");
    }
}
