//! What there is to ask: catalogues, schemas, tables; and keys, of which there are none.

use super::{encode, info, status};
use crate::query::serve::House;
use arrow_flight::sql::{
    Command, CommandGetCatalogs, CommandGetDbSchemas, CommandGetTableTypes, CommandGetTables,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use tonic::Status;
use treble_analyse::arrow::array::AsArray;
use treble_analyse::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use treble_analyse::arrow::record_batch::RecordBatch;
use treble_analyse::query::{CATALOG, SCHEMA};

/// The kinds of tables, as JDBC names them.
const TYPES: [&str; 3] = ["SYSTEM TABLE", "TABLE", "VIEW"];

/// The columns of what `command` asks for.
///
/// # Errors
/// It is no such command.
pub(super) fn shape(command: &Command) -> Result<SchemaRef, Status> {
    Ok(match command {
        Command::CommandGetCatalogs(query) => query.into_builder().schema(),
        Command::CommandGetDbSchemas(query) => query.clone().into_builder().schema(),
        Command::CommandGetTables(query) => query.clone().into_builder().schema(),
        Command::CommandGetTableTypes(query) => query.into_builder().schema(),
        Command::CommandGetSqlInfo(_) => info::sql_schema(),
        Command::CommandGetXdbcTypeInfo(_) => info::types_schema(),
        Command::CommandGetPrimaryKeys(_) => primary_keys(),
        Command::CommandGetImportedKeys(_)
        | Command::CommandGetExportedKeys(_)
        | Command::CommandGetCrossReference(_) => foreign_keys(),
        other => return Err(status::refused(other)),
    })
}

/// What `command` asks for.
///
/// # Errors
/// It is no such command, or the engine does not say.
pub(super) async fn rows(house: &House, command: Command) -> Result<RecordBatch, Status> {
    let shape = shape(&command)?;
    match command {
        Command::CommandGetCatalogs(query) => catalogs(query),
        Command::CommandGetDbSchemas(query) => schemas(query, &tables(house).await?),
        Command::CommandGetTables(query) => described(house, query, tables(house).await?).await,
        Command::CommandGetTableTypes(query) => table_types(query),
        Command::CommandGetSqlInfo(query) => info::sql(house, query),
        Command::CommandGetXdbcTypeInfo(query) => info::types(query),
        _ => Ok(RecordBatch::new_empty(shape)),
    }
}

/// A table or view.
struct Table {
    schema: String,
    name: String,
    /// One of [`TYPES`].
    kind: &'static str,
}

impl Table {
    /// Its columns, with what is said of them.
    async fn columns(&self, house: &House) -> Result<SchemaRef, Status> {
        let sql = format!("SELECT * FROM \"{}\".\"{}\"", self.schema, self.name);
        let planned = house.service.engine().plan(&sql).await.map_err(|error| status::of(&error))?;
        Ok(encode::plain(&planned.schema()))
    }
}

/// All tables, as the engine lists them.
async fn tables(house: &House) -> Result<Vec<Table>, Status> {
    let sql = "SELECT table_schema, table_name, table_type FROM information_schema.tables ORDER BY 1, 2";
    let answer = house.service.engine().ask(sql, None).await.map_err(|error| status::of(&error))?;
    let batches = answer.collect().await.map_err(|error| status::of(&error))?;
    let mut tables = Vec::new();
    for batch in &batches {
        let [schemas, names, kinds] = [0, 1, 2].map(|column| batch.column(column).as_string::<i32>());
        for row in 0..batch.num_rows() {
            let (schema, name) = (schemas.value(row).to_owned(), names.value(row).to_owned());
            let kind = match kinds.value(row) {
                _ if schema != SCHEMA => "SYSTEM TABLE",
                "VIEW" => "VIEW",
                _ => "TABLE",
            };
            tables.push(Table { schema, name, kind });
        }
    }
    Ok(tables)
}

fn catalogs(query: CommandGetCatalogs) -> Result<RecordBatch, Status> {
    let mut builder = query.into_builder();
    builder.append(CATALOG);
    builder.build().map_err(Status::from)
}

fn schemas(query: CommandGetDbSchemas, tables: &[Table]) -> Result<RecordBatch, Status> {
    let mut builder = query.into_builder();
    let schemas: BTreeSet<&str> = tables.iter().map(|table| table.schema.as_str()).collect();
    schemas.into_iter().for_each(|schema| builder.append(CATALOG, schema));
    builder.build().map_err(Status::from)
}

async fn described(
    house: &House,
    query: CommandGetTables,
    tables: Vec<Table>,
) -> Result<RecordBatch, Status> {
    let with_columns = query.include_schema;
    let mut builder = query.into_builder();
    let nothing: SchemaRef = Arc::new(Schema::empty());
    for table in tables {
        let columns = if with_columns { table.columns(house).await? } else { Arc::clone(&nothing) };
        builder.append(CATALOG, &table.schema, &table.name, table.kind, &columns).map_err(Status::from)?;
    }
    builder.build().map_err(Status::from)
}

fn table_types(query: CommandGetTableTypes) -> Result<RecordBatch, Status> {
    let mut builder = query.into_builder();
    TYPES.iter().for_each(|kind| builder.append(kind));
    builder.build().map_err(Status::from)
}

fn primary_keys() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("catalog_name", DataType::Utf8, true),
        Field::new("db_schema_name", DataType::Utf8, true),
        Field::new("table_name", DataType::Utf8, false),
        Field::new("column_name", DataType::Utf8, false),
        Field::new("key_name", DataType::Utf8, true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
}

fn foreign_keys() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("pk_catalog_name", DataType::Utf8, true),
        Field::new("pk_db_schema_name", DataType::Utf8, true),
        Field::new("pk_table_name", DataType::Utf8, false),
        Field::new("pk_column_name", DataType::Utf8, false),
        Field::new("fk_catalog_name", DataType::Utf8, true),
        Field::new("fk_db_schema_name", DataType::Utf8, true),
        Field::new("fk_table_name", DataType::Utf8, false),
        Field::new("fk_column_name", DataType::Utf8, false),
        Field::new("key_sequence", DataType::Int32, false),
        Field::new("fk_key_name", DataType::Utf8, true),
        Field::new("pk_key_name", DataType::Utf8, true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]))
}
