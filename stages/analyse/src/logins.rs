//! Who came to the doors: the latest logins and refusals, as the table `system.logins`.

use crate::tables::time;
use datafusion::arrow::array::{ArrayRef, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{MemTable, TableProvider};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// How many are kept. A flood of refusals must not fill the memory.
const KEPT: usize = 10_000;
/// The most bytes of a name that are kept: whoever is refused chose it.
const NAME_BYTES: usize = 64;

/// A login, or the refusal of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// When, in microseconds since the Unix epoch.
    pub at_us: i64,
    /// The door: `http`, `flight` or `pgwire`.
    pub protocol: &'static str,
    /// Address of the client, without its port.
    pub client: String,
    /// The name that it gave.
    pub name: Option<String>,
    /// Whether it was let in.
    pub allowed: bool,
}

/// The latest logins. Doors write, queries read.
#[derive(Debug, Default)]
pub struct Logins(Mutex<VecDeque<Login>>);

impl Logins {
    /// Keeps `login`, in place of the oldest where there are too many.
    pub fn note(&self, mut login: Login) {
        if let Some(name) = &mut login.name {
            let end = (0..=NAME_BYTES.min(name.len())).rev().find(|end| name.is_char_boundary(*end));
            name.truncate(end.unwrap_or(0));
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(login);
    }

    /// The table.
    pub(crate) fn table(&self) -> datafusion::error::Result<Arc<dyn TableProvider>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = |login: &Login| if login.allowed { "ok" } else { "denied" };
        let times = TimestampMicrosecondArray::from_iter_values(kept.iter().map(|login| login.at_us));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(times.with_timezone(crate::tables::UTC)),
            Arc::new(StringArray::from_iter_values(kept.iter().map(|login| login.protocol))),
            Arc::new(StringArray::from_iter_values(kept.iter().map(|login| &login.client))),
            Arc::new(StringArray::from_iter(kept.iter().map(|login| login.name.as_deref()))),
            Arc::new(StringArray::from_iter_values(kept.iter().map(outcome))),
        ];
        let text = |name, nullable| Field::new(name, DataType::Utf8, nullable);
        let schema = Arc::new(Schema::new(vec![
            Field::new("at", time(), false),
            text("protocol", false),
            text("client", false),
            text("name", true),
            text("outcome", false),
        ]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept_and_names_are_cut() {
        let logins = Logins::default();
        for at_us in 0..=KEPT as i64 {
            let name = Some("ä".repeat(1_000));
            logins.note(Login {
                at_us,
                protocol: "http",
                client: "127.0.0.1".to_owned(),
                name,
                allowed: false,
            });
        }
        let kept = logins.0.lock().unwrap();
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept[0].at_us, 1, "the oldest made room");
        assert_eq!(kept[0].name.as_deref(), Some("ä".repeat(32).as_str()));
    }
}
