//! One table of stored and recent rows.

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Field, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal, cast};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;
use std::sync::Arc;

/// Rows of a Delta snapshot and rows in memory, which exclude each other (see [`tail`](crate::tail)).
#[derive(Debug)]
pub(super) struct Union {
    /// The columns as this version of Treble knows them.
    pub(super) schema: SchemaRef,
    pub(super) stored: Option<Arc<dyn TableProvider>>,
    pub(super) recent: Vec<RecordBatch>,
}

impl Union {
    /// Whether all columns of `filter` are stored: an older lake may lack some.
    fn is_stored(&self, filter: &Expr) -> bool {
        let schema = self.stored.as_ref().map(|stored| stored.schema());
        let known = |name: &str| schema.as_ref().is_some_and(|schema| schema.index_of(name).is_ok());
        filter.column_refs().iter().all(|column| known(&column.name))
    }

    /// The stored rows, with the columns of this table in its order.
    async fn stored_rows(
        &self,
        stored: &dyn TableProvider,
        session: &dyn Session,
        columns: &SchemaRef,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let there = stored.schema();
        let wanted = columns.fields().iter().filter_map(|field| there.index_of(field.name()).ok());
        let wanted: Vec<usize> = wanted.collect();
        let filters: Vec<Expr> = filters.iter().filter(|filter| self.is_stored(filter)).cloned().collect();
        let scan = stored.scan(session, Some(&wanted), &filters, limit).await?;
        if scan.schema().fields() == columns.fields() {
            return Ok(scan);
        }
        let found = scan.schema();
        let column = |field: &Arc<Field>| -> Result<(Arc<dyn PhysicalExpr>, String)> {
            let expression: Arc<dyn PhysicalExpr> = match found.index_of(field.name()) {
                Ok(at) if found.field(at).data_type() == field.data_type() => {
                    Arc::new(Column::new(field.name(), at))
                }
                Ok(at) => cast(Arc::new(Column::new(field.name(), at)), &found, field.data_type().clone())?,
                Err(_) => Arc::new(Literal::new(ScalarValue::try_new_null(field.data_type())?)),
            };
            Ok((expression, field.name().clone()))
        };
        let columns = columns.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(ProjectionExec::try_new(columns, scan)?))
    }
}

#[async_trait]
impl TableProvider for Union {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // Whatever the files skip, rows in memory are not filtered: the filter above must stay.
        let inexact = |filter: &&Expr| match self.is_stored(filter) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(inexact).collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let partitions = [self.recent.clone()];
        let recent = MemorySourceConfig::try_new_exec(&partitions, self.schema(), projection.cloned())?;
        let Some(stored) = &self.stored else { return Ok(recent) };
        let columns = recent.schema();
        let stored = self.stored_rows(stored.as_ref(), session, &columns, filters, limit).await?;
        if self.recent.is_empty() { Ok(stored) } else { UnionExec::try_new(vec![stored, recent]) }
    }
}
