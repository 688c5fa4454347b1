//! An answer on its way: rows from the engine's threads to a door, within the limits.

use super::QueryError;
use super::limits::Limits;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Batches that wait between the engine and the door; a slow reader holds the engine up, not the memory.
const IN_FLIGHT: usize = 4;

/// The rows of an answer, in batches. Dropping it stops the query.
#[derive(Debug)]
pub struct Answer {
    schema: SchemaRef,
    batches: mpsc::Receiver<Result<RecordBatch, QueryError>>,
    work: JoinHandle<()>,
    deadline: Instant,
    limits: Limits,
    rows: u64,
    done: bool,
}

impl Answer {
    /// Drives `stream` on the runtime that this is called on. `permit` is held until the last row has left the engine.
    pub(super) fn drive(
        mut stream: SendableRecordBatchStream,
        deadline: Instant,
        limits: Limits,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let schema = stream.schema();
        let (sender, batches) = mpsc::channel(IN_FLIGHT);
        let work = tokio::spawn(async move {
            let sending = async {
                while let Some(batch) = stream.next().await {
                    if sender.send(batch.map_err(QueryError::from)).await.is_err() {
                        break;
                    }
                }
            };
            let outcome = tokio::time::timeout_at(deadline, sending).await;
            // Whoever does not read holds no place, no memory and no thread from here on.
            drop((stream, permit));
            if outcome.is_err() {
                drop(sender.send(Err(QueryError::TimedOut { limit: limits.time })).await);
            }
        });
        Self { schema, batches, work, deadline, limits, rows: 0, done: false }
    }

    /// The columns.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        std::sync::Arc::clone(&self.schema)
    }

    /// The next rows; `None` behind the last. After an error nothing more comes.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        if self.done {
            return None;
        }
        let timed = tokio::time::timeout_at(self.deadline, self.batches.recv()).await;
        let next = match timed {
            Err(_) => Some(Err(QueryError::TimedOut { limit: self.limits.time })),
            Ok(Some(Ok(batch))) => {
                self.rows += batch.num_rows() as u64;
                let limit = self.limits.rows;
                Some(if self.rows > limit { Err(QueryError::TooManyRows { limit }) } else { Ok(batch) })
            }
            Ok(other) => other,
        };
        if !matches!(next, Some(Ok(_))) {
            self.done = true;
            self.work.abort();
        }
        next
    }

    /// All rows that are left.
    ///
    /// # Errors
    ///
    /// The first error of the query.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, QueryError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }
}

/// All rows of a small answer as texts; null is empty.
///
/// # Errors
///
/// The first error of the query.
pub async fn rows(answer: Answer) -> Result<Vec<Vec<String>>, QueryError> {
    let mut rows = Vec::new();
    for batch in answer.collect().await? {
        let texts = |column: &ArrayRef| {
            cast(column, &DataType::Utf8).map_err(|error| QueryError::Wrong(error.to_string()))
        };
        let columns = batch.columns().iter().map(texts).collect::<Result<Vec<_>, _>>()?;
        let cell = |column: &ArrayRef, row: usize| {
            let column = column.as_string::<i32>();
            if column.is_null(row) { String::new() } else { column.value(row).to_owned() }
        };
        rows.extend(
            (0..batch.num_rows()).map(|row| columns.iter().map(|column| cell(column, row)).collect()),
        );
    }
    Ok(rows)
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.work.abort();
    }
}
