//! Text inside of queries, and text that leaves them.
//!
//! Inside, columns of text are views (`Utf8View`): what Parquet holds is compared and grouped where it lies, and nothing is
//! copied. Outside they are `Utf8`, which every client reads.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast as cast_expression};
use std::sync::Arc;

/// `schema` with views in place of text.
pub(crate) fn viewed(schema: &Schema) -> SchemaRef {
    let field = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8 => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
        _ => Arc::clone(field),
    };
    let fields: Vec<_> = schema.fields().iter().map(field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// `batch` with views in place of text.
///
/// # Errors
///
/// None that a column of text could have.
pub(crate) fn view(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = viewed(&batch.schema());
    let pairs = batch.columns().iter().zip(schema.fields());
    let columns = pairs.map(|(column, field)| cast(column, field.data_type()));
    let columns = columns.collect::<Result<Vec<ArrayRef>, _>>()?;
    RecordBatch::try_new(schema, columns)
}

/// `plan`, whose answer has text in place of views.
///
/// # Errors
///
/// None that a plan with columns could have.
pub(super) fn plain(plan: LogicalPlan) -> Result<LogicalPlan> {
    let is_view = |field: &Field| *field.data_type() == DataType::Utf8View;
    if !plan.schema().fields().iter().any(|field| is_view(field)) {
        return Ok(plan);
    }
    let column = |(qualifier, field)| {
        let column = Expr::from((qualifier, field));
        match is_view(field) {
            true => cast_expression(column, DataType::Utf8).alias_qualified(qualifier.cloned(), field.name()),
            false => column,
        }
    };
    let columns: Vec<Expr> = plan.schema().iter().map(column).collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::prelude::SessionContext;

    #[tokio::test]
    async fn an_answer_has_plain_text_in_the_order_and_under_the_names_that_were_asked_for() {
        let context = SessionContext::new();
        let sql = "SELECT b.x, a.x, 1 AS n FROM (SELECT arrow_cast('y', 'Utf8View') AS x) a, \
                   (SELECT arrow_cast(v, 'Utf8View') AS x FROM (VALUES ('2'), ('1')) t(v)) b ORDER BY b.x";
        let planned = context.state().create_logical_plan(sql).await.unwrap();
        let plan = plain(planned).unwrap();
        let kinds: Vec<_> = plan.schema().fields().iter().map(|field| field.data_type().clone()).collect();
        assert_eq!(kinds, [DataType::Utf8, DataType::Utf8, DataType::Int64]);
        let batches = context.execute_logical_plan(plan).await.unwrap().collect().await.unwrap();
        let table = datafusion::arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
        let rows: Vec<_> = table.lines().skip(1).map(|line| line.replace(' ', "")).collect();
        assert_eq!(rows, ["|x|x|n|", "+---+---+---+", "|1|y|1|", "|2|y|1|", "+---+---+---+"]);
    }

    #[tokio::test]
    async fn an_answer_without_views_is_left_as_it_is() {
        let context = SessionContext::new();
        let plan = context.state().create_logical_plan("SELECT 1 AS n").await.unwrap();
        assert_eq!(plain(plan.clone()).unwrap(), plan);
    }
}
