//! What is said of tables and columns, where PostgreSQL's tools look for it: `pg_description`, `col_description`,
//! `obj_description` and `pg_get_viewdef`, by the numbers that `pg_class` gives.

use super::session::Base;
use crate::views::{self, View};
use async_trait::async_trait;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{MemTable, SchemaProvider, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::prelude::{DataFrame, SessionContext};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The schema of PostgreSQL's catalogue.
const CATALOGUE: &str = "pg_catalog";
/// The table that descriptions stand in.
const TABLE: &str = "pg_description";
/// The number of `pg_class` itself, in every PostgreSQL.
const PG_CLASS: i32 = 1259;

/// Texts by the number of a table and of its column, from 1; 0 is the table itself.
type Texts = BTreeMap<(i32, i32), String>;

/// Adds what is said to the session `model`, if it has PostgreSQL's catalogue.
///
/// # Errors
/// The catalogue cannot be asked: a defect.
pub(super) async fn add(model: &SessionContext) -> Result<()> {
    let Some(catalogue) = model.catalog(super::CATALOG).filter(|catalog| catalog.schema(CATALOGUE).is_some())
    else {
        return Ok(());
    };
    let numbers = numbers(model).await?;
    let texts = Arc::new(texts(&numbers));
    for told in [
        Told::columns("col_description", Arc::clone(&texts)),
        Told::tables("obj_description", DataType::Utf8, Arc::clone(&texts)),
        Told::tables("pg_get_viewdef", DataType::Boolean, Arc::new(definitions(&numbers))),
    ] {
        model.register_udf(ScalarUDF::new_from_impl(told));
    }
    if let Some(inner) = catalogue.schema(CATALOGUE) {
        let tables = Base([(TABLE.to_owned(), table(&texts)?)].into());
        catalogue.register_schema(CATALOGUE, Arc::new(Overlay { tables, inner }))?;
    }
    Ok(())
}

/// The numbers of all tables, by name. Two of a name mean the same.
async fn numbers(model: &SessionContext) -> Result<HashMap<String, Vec<i32>>> {
    let state = model.state();
    let plan = state.create_logical_plan("SELECT relname, oid FROM pg_catalog.pg_class").await?;
    let mut numbers: HashMap<String, Vec<i32>> = HashMap::new();
    for batch in DataFrame::new(state, plan).collect().await? {
        let names = cast(batch.column(0), &DataType::Utf8)?;
        let oids = cast(batch.column(1), &DataType::Int32)?;
        for (name, oid) in names.as_string::<i32>().iter().zip(oids.as_primitive::<Int32Type>().values()) {
            numbers.entry(name.unwrap_or_default().to_owned()).or_default().push(*oid);
        }
    }
    Ok(numbers)
}

fn texts(numbers: &HashMap<String, Vec<i32>>) -> Texts {
    let mut texts = Texts::new();
    let mut column = 0;
    for [table, name, text] in views::rows() {
        // A table's own row comes before those of its columns, which are in order.
        column = if name.is_empty() { 0 } else { column + 1 };
        for oid in numbers.get(&table).into_iter().flatten() {
            texts.insert((*oid, column), text.clone());
        }
    }
    texts
}

/// What views select.
fn definitions(numbers: &HashMap<String, Vec<i32>>) -> Texts {
    let of = |view: &'static View| {
        let oids = numbers.get(view.name).into_iter().flatten();
        oids.map(|oid| ((*oid, 0), view.sql.trim().to_owned()))
    };
    View::ALL.iter().flat_map(of).collect()
}

fn table(texts: &Texts) -> Result<Arc<dyn TableProvider>> {
    let number = |name| Field::new(name, DataType::Int32, false);
    let description = Field::new("description", DataType::Utf8, false);
    let schema =
        Arc::new(Schema::new(vec![number("objoid"), number("classoid"), number("objsubid"), description]));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from_iter_values(texts.keys().map(|(table, _)| *table))),
        Arc::new(Int32Array::from_iter_values(texts.keys().map(|_| PG_CLASS))),
        Arc::new(Int32Array::from_iter_values(texts.keys().map(|(_, column)| *column))),
        Arc::new(StringArray::from_iter_values(texts.values())),
    ];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}

/// A schema some of whose tables are others.
#[derive(Debug)]
struct Overlay {
    tables: Base,
    inner: Arc<dyn SchemaProvider>,
}

#[async_trait]
impl SchemaProvider for Overlay {
    fn table_names(&self) -> Vec<String> {
        self.inner.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.tables.table(name).await? {
            Some(table) => Ok(Some(table)),
            None => self.inner.table(name).await,
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.inner.table_exist(name)
    }
}

/// A function that tells a text of a table, or of a column of one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Told {
    name: &'static str,
    of_columns: bool,
    signature: Signature,
    texts: Arc<Texts>,
}

impl Told {
    /// `name(table, column)`.
    fn columns(name: &'static str, texts: Arc<Texts>) -> Self {
        let two = TypeSignature::Exact(vec![DataType::Int64, DataType::Int64]);
        Self { name, of_columns: true, signature: Signature::new(two, Volatility::Stable), texts }
    }

    /// `name(table)`, and with something more that is of no matter here.
    fn tables(name: &'static str, more: DataType, texts: Arc<Texts>) -> Self {
        let one = TypeSignature::Exact(vec![DataType::Int64]);
        let two = TypeSignature::Exact(vec![DataType::Int64, more]);
        let signature = Signature::one_of(vec![one, two], Volatility::Stable);
        Self { name, of_columns: false, signature, texts }
    }
}

impl ScalarUDFImpl for Told {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&arguments.args)?;
        let number = |column: &ArrayRef, row: usize| {
            let column = column.as_primitive::<Int64Type>();
            column.is_valid(row).then(|| i32::try_from(column.value(row)).ok()).flatten()
        };
        let text = |row: usize| {
            let table = number(&columns[0], row)?;
            let column = if self.of_columns { number(&columns[1], row)? } else { 0 };
            self.texts.get(&(table, column)).map(String::as_str)
        };
        let texts: StringArray = (0..columns[0].len()).map(text).collect();
        Ok(ColumnarValue::Array(Arc::new(texts)))
    }
}
