//! What the service can do and which types it has: JDBC and ODBC ask before anything else.

use super::status;
use crate::query::serve::House;
use arrow_flight::sql::metadata::{SqlInfoDataBuilder, XdbcTypeInfo, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{
    CommandGetSqlInfo, CommandGetXdbcTypeInfo, Nullable, Searchable, SqlInfo, SqlNullOrdering,
    SqlOuterJoinsSupportLevel, SqlSupportedCaseSensitivity, SqlSupportedGroupBy, SqlSupportedSubqueries,
    SqlSupportedTransaction, SqlSupportedUnions, SupportedSqlGrammar, XdbcDataType, XdbcDatetimeSubcode,
};
use std::sync::Arc;
use tonic::Status;
use treble_analyse::arrow::datatypes::SchemaRef;
use treble_analyse::arrow::record_batch::RecordBatch;

/// Words that are keywords here and not in SQL-92.
const KEYWORDS: [&str; 9] =
    ["EXPLAIN", "ILIKE", "LIMIT", "OFFSET", "QUALIFY", "REGEXP", "SHOW", "UNNEST", "WINDOW"];
const NUMERIC: [&str; 12] =
    ["ABS", "CEIL", "EXP", "FLOOR", "LN", "LOG", "LOG10", "POWER", "RANDOM", "ROUND", "SIGN", "SQRT"];
const STRING: [&str; 12] = [
    "ASCII", "BTRIM", "CONCAT", "LEFT", "LENGTH", "LOWER", "LTRIM", "REPLACE", "RIGHT", "SUBSTR", "TRIM",
    "UPPER",
];
const DATETIME: [&str; 6] = ["CURRENT_DATE", "CURRENT_TIME", "DATE_BIN", "DATE_PART", "DATE_TRUNC", "NOW"];

/// The columns of [`sql`].
pub(super) fn sql_schema() -> SchemaRef {
    Arc::new(SqlInfoDataBuilder::schema().clone())
}

/// What `query` wants to know.
///
/// # Errors
/// A defect.
pub(super) fn sql(house: &House, query: CommandGetSqlInfo) -> Result<RecordBatch, Status> {
    let mut facts = SqlInfoDataBuilder::new();
    server(&mut facts, house);
    language(&mut facts);
    absent(&mut facts);
    let facts = facts.build().map_err(|error| status::defect(&error))?;
    query.into_builder(&facts).build().map_err(|error| status::defect(&error))
}

fn server(facts: &mut SqlInfoDataBuilder, house: &House) {
    let limits = house.service.engine().limits();
    facts.append(SqlInfo::FlightSqlServerName, "Treble");
    facts.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    // The format of messages has had one version since Arrow 1.0.
    facts.append(SqlInfo::FlightSqlServerArrowVersion, "1.3");
    facts.append(SqlInfo::FlightSqlServerReadOnly, true);
    facts.append(SqlInfo::FlightSqlServerSql, true);
    facts.append(SqlInfo::FlightSqlServerSubstrait, false);
    facts.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
    facts.append(SqlInfo::FlightSqlServerCancel, true);
    facts.append(SqlInfo::FlightSqlServerBulkIngestion, false);
    facts.append(
        SqlInfo::FlightSqlServerStatementTimeout,
        i32::try_from(limits.time.as_millis()).unwrap_or(i32::MAX),
    );
    facts.append(SqlInfo::SqlMaxStatementLength, i64::try_from(limits.statement_bytes).unwrap_or(i64::MAX));
}

fn language(facts: &mut SqlInfoDataBuilder) {
    let bit = |bit: i32| 1_i32 << bit;
    facts.append(SqlInfo::SqlIdentifierCase, SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32);
    facts.append(
        SqlInfo::SqlQuotedIdentifierCase,
        SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive as i32,
    );
    facts.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    facts.append(SqlInfo::SqlSearchStringEscape, "\\");
    facts.append(SqlInfo::SqlExtraNameCharacters, "");
    facts.append(SqlInfo::SqlCatalogTerm, "catalog");
    facts.append(SqlInfo::SqlSchemaTerm, "schema");
    facts.append(SqlInfo::SqlProcedureTerm, "procedure");
    facts.append(SqlInfo::SqlCatalogAtStart, true);
    facts.append(SqlInfo::SqlAllTablesAreSelectable, true);
    facts.append(SqlInfo::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i32);
    facts.append(SqlInfo::SqlKeywords, KEYWORDS.as_slice());
    facts.append(SqlInfo::SqlNumericFunctions, NUMERIC.as_slice());
    facts.append(SqlInfo::SqlStringFunctions, STRING.as_slice());
    facts.append(SqlInfo::SqlDatetimeFunctions, DATETIME.as_slice());
    facts.append(SqlInfo::SqlSystemFunctions, [].as_slice());
    facts.append(SqlInfo::SqlSupportsColumnAliasing, true);
    facts.append(SqlInfo::SqlNullPlusNullIsNull, true);
    facts.append(SqlInfo::SqlSupportsTableCorrelationNames, true);
    facts.append(SqlInfo::SqlSupportsExpressionsInOrderBy, true);
    facts.append(SqlInfo::SqlSupportsOrderByUnrelated, true);
    facts.append(SqlInfo::SqlSupportsLikeEscapeClause, true);
    facts.append(SqlInfo::SqlSupportsNonNullableColumns, true);
    facts.append(SqlInfo::SqlSupportedGroupBy, bit(SqlSupportedGroupBy::SqlGroupByUnrelated as i32));
    facts.append(SqlInfo::SqlSupportedGrammar, bit(SupportedSqlGrammar::SqlCoreGrammar as i32));
    facts
        .append(SqlInfo::SqlOuterJoinsSupportLevel, bit(SqlOuterJoinsSupportLevel::SqlFullOuterJoins as i32));
    let subqueries = [
        SqlSupportedSubqueries::SqlSubqueriesInComparisons,
        SqlSupportedSubqueries::SqlSubqueriesInExists,
        SqlSupportedSubqueries::SqlSubqueriesInIns,
    ];
    facts.append(
        SqlInfo::SqlSupportedSubqueries,
        subqueries.into_iter().fold(0, |all, one| all | bit(one as i32)),
    );
    facts.append(SqlInfo::SqlCorrelatedSubqueriesSupported, true);
    let unions = bit(SqlSupportedUnions::SqlUnion as i32) | bit(SqlSupportedUnions::SqlUnionAll as i32);
    facts.append(SqlInfo::SqlSupportedUnions, unions);
}

/// What a door that only reads does not have.
fn absent(facts: &mut SqlInfoDataBuilder) {
    facts.append(SqlInfo::SqlDdlCatalog, false);
    facts.append(SqlInfo::SqlDdlSchema, false);
    facts.append(SqlInfo::SqlDdlTable, false);
    facts.append(SqlInfo::SqlSupportsIntegrityEnhancementFacility, false);
    facts.append(SqlInfo::SqlSelectForUpdateSupported, false);
    facts.append(SqlInfo::SqlStoredProceduresSupported, false);
    facts.append(SqlInfo::SqlSupportedPositionedCommands, 0);
    facts.append(SqlInfo::SqlTransactionsSupported, false);
}

/// The columns of [`types`].
pub(super) fn types_schema() -> SchemaRef {
    XdbcTypeInfoDataBuilder::new().schema()
}

/// The types that columns have.
///
/// # Errors
/// A defect.
pub(super) fn types(query: CommandGetXdbcTypeInfo) -> Result<RecordBatch, Status> {
    let mut types = XdbcTypeInfoDataBuilder::new();
    let number = |name: &str, kind, digits| XdbcTypeInfo {
        unsigned_attribute: Some(false),
        auto_increment: Some(false),
        num_prec_radix: Some(10),
        ..of_type(name, kind, digits)
    };
    types.append(number("INTEGER", XdbcDataType::XdbcInteger, 10));
    types.append(number("BIGINT", XdbcDataType::XdbcBigint, 19));
    types.append(number("DOUBLE", XdbcDataType::XdbcDouble, 15));
    types.append(of_type("BOOLEAN", XdbcDataType::XdbcBit, 1));
    // The value 1 means a year in intervals and a date here (ODBC's SQL_CODE_DATE); the enumeration has one name for both.
    let date = of_type("DATE", XdbcDataType::XdbcDate, 10);
    types.append(quoted(date, Some(XdbcDatetimeSubcode::XdbcSubcodeYear)));
    let timestamp = of_type("TIMESTAMP", XdbcDataType::XdbcTimestamp, 26);
    types.append(quoted(timestamp, Some(XdbcDatetimeSubcode::XdbcSubcodeTimestamp)));
    let text =
        XdbcTypeInfo { case_sensitive: true, ..of_type("VARCHAR", XdbcDataType::XdbcVarchar, i32::MAX) };
    types.append(quoted(text, None));
    types.append(of_type("VARBINARY", XdbcDataType::XdbcVarbinary, i32::MAX));
    let types = types.build().map_err(|error| status::defect(&error))?;
    query.into_builder(&types).build().map_err(|error| status::defect(&error))
}

fn of_type(name: &str, kind: XdbcDataType, size: i32) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_owned(),
        local_type_name: Some(name.to_owned()),
        data_type: kind,
        sql_data_type: kind,
        column_size: Some(size),
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Full,
        ..XdbcTypeInfo::default()
    }
}

fn quoted(kind: XdbcTypeInfo, subcode: Option<XdbcDatetimeSubcode>) -> XdbcTypeInfo {
    let quote = || Some("'".to_owned());
    // ODBC's concise types and its verbose one: both kinds of time are of the type DATETIME.
    let sql_data_type = subcode.map_or(kind.sql_data_type, |_| XdbcDataType::XdbcDatetime);
    XdbcTypeInfo {
        literal_prefix: quote(),
        literal_suffix: quote(),
        datetime_subcode: subcode,
        sql_data_type,
        ..kind
    }
}
