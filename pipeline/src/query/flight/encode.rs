//! Rows as Flight data, in types that clients of any age have.

use super::running::Stopper;
use super::{Reply, status};
use crate::query::service::Rows;
use crate::telemetry::sql::Session;
use arrow_flight::FlightData;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use std::sync::Arc;
use tonic::Status;
use treble_analyse::arrow::compute::cast;
use treble_analyse::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use treble_analyse::arrow::error::ArrowError;
use treble_analyse::arrow::record_batch::RecordBatch;

/// The columns of `schema` as they travel: views and dictionaries become what they stand for.
pub(super) fn plain(schema: &Schema) -> SchemaRef {
    let fields: Vec<FieldRef> = schema.fields().iter().map(plain_field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn plain_field(field: &FieldRef) -> FieldRef {
    let plain = plain_type(field.data_type());
    if plain == *field.data_type() {
        return Arc::clone(field);
    }
    Arc::new(Field::new(field.name(), plain, field.is_nullable()).with_metadata(field.metadata().clone()))
}

fn plain_type(kind: &DataType) -> DataType {
    match kind {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, value) => plain_type(value),
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type()),
        DataType::List(item) | DataType::ListView(item) => DataType::List(plain_field(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => DataType::LargeList(plain_field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(plain_field(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        other => other.clone(),
    }
}

/// `batch` with the columns of `schema`, which is the [`plain`] of its own.
fn cast_to(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        if column.data_type() == field.data_type() {
            Ok(Arc::clone(column))
        } else {
            cast(column, field.data_type())
        }
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?)
}

/// One batch.
///
/// # Errors
/// A defect.
pub(super) fn batch(batch: RecordBatch) -> Result<Reply<FlightData>, Status> {
    let schema = plain(&batch.schema());
    let batch = cast_to(&schema, &batch).map_err(|error| status::defect(&error))?;
    Ok(encoded(schema, stream::iter([Ok(batch)])))
}

/// The rows of a query, until its end, its first error, or the moment that `stopper` names.
pub(super) fn rows(rows: Rows, stopper: Stopper, session: Session) -> Reply<FlightData> {
    let schema = plain(&rows.schema());
    let plain = Arc::clone(&schema);
    let batches = stream::unfold(Some((rows, stopper, session)), move |open| {
        let schema = Arc::clone(&plain);
        async move {
            let (mut rows, mut stopper, session) = open?;
            let next = tokio::select! {
                () = stopper.stopped() => Some(Err(Status::cancelled("stopped, as was asked"))),
                next = rows.next() => next.map(|next| next.map_err(|error| status::of(&error))),
            }?;
            let next =
                next.and_then(|batch| cast_to(&schema, &batch).map_err(|error| status::defect(&error)));
            let open = next.is_ok().then_some((rows, stopper, session));
            Some((next.map_err(FlightError::from), open))
        }
    });
    encoded(schema, batches)
}

fn encoded(
    schema: SchemaRef,
    batches: impl Stream<Item = Result<RecordBatch, FlightError>> + Send + 'static,
) -> Reply<FlightData> {
    FlightDataEncoderBuilder::new().with_schema(schema).build(batches).map_err(Status::from).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use treble_analyse::arrow::array::{Array, AsArray, StringViewArray};

    #[test]
    fn views_travel_as_plain_columns() {
        let views = Arc::new(StringViewArray::from(vec!["a", "a text too long to be inlined"]));
        let field = Field::new("name", DataType::Utf8View, false)
            .with_metadata([("comment".to_owned(), "What it is called.".to_owned())].into());
        let list =
            Field::new("list", DataType::List(Arc::new(Field::new("item", DataType::Utf8View, true))), true);
        let schema = plain(&Schema::new(vec![field.clone(), list]));
        assert_eq!(schema.field(0).data_type(), &DataType::Utf8);
        assert_eq!(schema.field(0).metadata(), field.metadata());
        let item = Arc::new(Field::new("item", DataType::Utf8, true));
        assert_eq!(schema.field(1).data_type(), &DataType::List(item));

        let narrow = Arc::new(Schema::new(vec![field]));
        let batch = RecordBatch::try_new(narrow, vec![views]).unwrap();
        let cast = cast_to(&plain(&batch.schema()), &batch).unwrap();
        assert_eq!(cast.column(0).as_string::<i32>().value(1), "a text too long to be inlined");
        assert_eq!(cast.column(0).len(), 2);
    }
}
