//! Functions beside those that the engine brings, and those that make much of little: held to a size before they allocate it.
//!
//! Memory that operators hold is accounted by the engine's pool; what one call of a function allocates is not, and an
//! allocation that fails ends the process.

use super::QueryError;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use std::sync::Arc;

/// The most bytes that one call may make for one batch of rows.
const MOST_BYTES: u64 = 128 << 20;

/// Functions whose arguments say how long the result is.
const BOUNDED: [(&str, Growth); 5] = [
    ("repeat", Growth::Times),
    ("lpad", Growth::Length),
    ("rpad", Growth::Length),
    ("replace", Growth::Replaced),
    ("regexp_replace", Growth::Replaced),
];

/// Functions that make lists of any length out of two numbers, which no question over the lake needs. The table functions of
/// the same names make their rows one batch at a time and stay.
const REMOVED: [&str; 4] = ["range", "generate_series", "array_repeat", "array_resize"];

/// How the length of a result follows from the arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Growth {
    /// Length of the first, times the second.
    Times,
    /// The second.
    Length,
    /// Length of the first, times that of the third, at worst.
    Replaced,
}

/// `state` with functions for texts that hold JSON, such as the attributes of a line of the log, and every function that makes
/// much of little bounded.
///
/// # Errors
///
/// [`QueryError::Internal`] where one of them cannot be added or replaced.
pub(super) fn registered(mut state: SessionState) -> Result<SessionState, QueryError> {
    let internal = |error: datafusion::error::DataFusionError| QueryError::Internal(error.to_string());
    datafusion_functions_json::register_all(&mut state).map_err(internal)?;
    for (name, growth) in BOUNDED {
        let inner = state.udf(name).map_err(internal)?;
        let aliases = inner.aliases().to_vec();
        let bounded = ScalarUDF::new_from_impl(Bounded { inner, growth, aliases });
        state.register_udf(Arc::new(bounded)).map_err(internal)?;
    }
    for name in REMOVED {
        state.deregister_udf(name).map_err(internal)?;
    }
    Ok(state)
}

/// A function that refuses to make too much.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
    aliases: Vec<String>,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(arguments)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&arguments.args)?;
        let rows = if columns.iter().all(|column| column.len() == 1) { 1 } else { arguments.number_rows };
        let bytes: u64 = match self.growth {
            Growth::Times => {
                let (lengths, times) = (lengths(&columns[0])?, numbers(&columns[1])?);
                (0..rows).map(|row| lengths(row).saturating_mul(times(row))).fold(0, u64::saturating_add)
            }
            Growth::Length => {
                let length = numbers(&columns[1])?;
                (0..rows).map(|row| length(row).saturating_mul(4)).fold(0, u64::saturating_add)
            }
            Growth::Replaced => {
                let (lengths, to) = (lengths(&columns[0])?, self::lengths(&columns[2])?);
                (0..rows).map(|row| lengths(row).saturating_mul(to(row).max(1))).fold(0, u64::saturating_add)
            }
        };
        if bytes > MOST_BYTES {
            return exec_err!(
                "{} would make more than {} MiB of text at once",
                self.name(),
                MOST_BYTES >> 20
            );
        }
        self.inner.invoke_with_args(arguments)
    }
}

/// The lengths of texts in bytes, by row.
fn lengths(column: &ArrayRef) -> Result<impl Fn(usize) -> u64 + use<>> {
    let texts = cast(column, &DataType::LargeUtf8)?;
    let texts = texts.as_string::<i64>().clone();
    Ok(move |row: usize| if texts.is_null(row) { 0 } else { texts.value_length(row).unsigned_abs() })
}

/// Numbers, by row; negative ones are 0.
fn numbers(column: &ArrayRef) -> Result<impl Fn(usize) -> u64 + use<>> {
    let numbers = cast(column, &DataType::Int64)?;
    let numbers = numbers.as_primitive::<Int64Type>().clone();
    Ok(
        move |row: usize| {
            if numbers.is_null(row) { 0 } else { u64::try_from(numbers.value(row)).unwrap_or(0) }
        },
    )
}
