//! Rows as bytes that other tools read.

use datafusion::arrow::csv;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::arrow::json::Writer as JsonWriter;
use datafusion::arrow::json::writer::{JsonArray, LineDelimited, WriterBuilder};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::FormatOptions;
use datafusion::arrow::util::pretty::pretty_format_batches_with_options;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::properties::WriterProperties;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people: a table with lines. It is written when all rows are there, since its columns are as wide as its cells.
    Table,
    /// One JSON array of objects.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// RFC 4180, with a line of names first; nulls are empty.
    Csv,
    /// Arrow's IPC stream.
    Arrow,
    /// One Parquet file, compressed with Zstandard.
    Parquet,
}

impl Format {
    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Table => "text/plain; charset=utf-8",
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The format that an `Accept` header asks for first; JSON where anything will do, `None` where nothing is offered
    /// that it takes.
    #[must_use]
    pub fn accepted(accept: &str) -> Option<Self> {
        let offered = [Self::Json, Self::Ndjson, Self::Csv, Self::Arrow, Self::Parquet, Self::Table];
        let name = |format: Self| format.media_type().split(';').next().unwrap_or_default();
        accept.split(',').find_map(|wanted| {
            let wanted = wanted.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            match wanted.as_str() {
                "" | "*/*" | "application/*" => Some(Self::Json),
                "text/*" => Some(Self::Csv),
                "application/jsonl" | "application/ndjson" => Some(Self::Ndjson),
                wanted => offered.into_iter().find(|format| name(*format) == wanted),
            }
        })
    }
}

/// Rows that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// A type that the format has no way to write.
    #[error("these rows cannot be written in this format: {0}; cast the column, or choose another format")]
    Arrow(#[from] ArrowError),
    /// The same, from Parquet.
    #[error("these rows cannot be written as Parquet: {0}; cast the column, or choose another format")]
    Parquet(#[from] ParquetError),
}

/// Writes the rows of one answer.
#[derive(Debug)]
pub struct Writer(Kind);

enum Kind {
    Table(SchemaRef, Vec<RecordBatch>),
    Json(JsonWriter<Vec<u8>, JsonArray>),
    Ndjson(JsonWriter<Vec<u8>, LineDelimited>),
    Csv(SchemaRef, bool),
    Arrow(StreamWriter<Vec<u8>>),
    Parquet(Box<ArrowWriter<Vec<u8>>>),
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Table(..) => "Table",
            Self::Json(_) => "Json",
            Self::Ndjson(_) => "Ndjson",
            Self::Csv(..) => "Csv",
            Self::Arrow(_) => "Arrow",
            Self::Parquet(_) => "Parquet",
        })
    }
}

impl Writer {
    /// A writer of rows with the columns of `schema`.
    ///
    /// # Errors
    ///
    /// A column that the format cannot hold.
    pub fn new(format: Format, schema: &SchemaRef) -> Result<Self, FormatError> {
        let explicit = WriterBuilder::new().with_explicit_nulls(true);
        Ok(Self(match format {
            Format::Table => Kind::Table(SchemaRef::clone(schema), Vec::new()),
            Format::Json => Kind::Json(explicit.build::<_, JsonArray>(Vec::new())),
            Format::Ndjson => Kind::Ndjson(explicit.build::<_, LineDelimited>(Vec::new())),
            Format::Csv => Kind::Csv(SchemaRef::clone(schema), false),
            Format::Arrow => Kind::Arrow(StreamWriter::try_new(Vec::new(), schema)?),
            Format::Parquet => {
                let compression = Compression::ZSTD(ZstdLevel::default());
                let properties = WriterProperties::builder().set_compression(compression).build();
                Kind::Parquet(Box::new(ArrowWriter::try_new(
                    Vec::new(),
                    SchemaRef::clone(schema),
                    Some(properties),
                )?))
            }
        }))
    }

    /// Takes rows and gives the bytes that are ready.
    ///
    /// # Errors
    ///
    /// A value that the format cannot hold.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, FormatError> {
        match &mut self.0 {
            Kind::Table(_, batches) => batches.push(batch.clone()),
            Kind::Json(writer) => writer.write(batch)?,
            Kind::Ndjson(writer) => writer.write(batch)?,
            Kind::Csv(_, begun) => return Self::csv(batch, std::mem::replace(begun, true)),
            Kind::Arrow(writer) => writer.write(batch)?,
            Kind::Parquet(writer) => writer.write(batch)?,
        }
        Ok(self.ready())
    }

    fn csv(batch: &RecordBatch, begun: bool) -> Result<Vec<u8>, FormatError> {
        let mut bytes = Vec::new();
        csv::WriterBuilder::new().with_header(!begun).build(&mut bytes).write(batch)?;
        Ok(bytes)
    }

    /// Bytes that the inner writer has put aside.
    fn ready(&mut self) -> Vec<u8> {
        match &mut self.0 {
            Kind::Table(..) | Kind::Csv(..) => Vec::new(),
            Kind::Json(writer) => std::mem::take(writer.get_mut()),
            Kind::Ndjson(writer) => std::mem::take(writer.get_mut()),
            Kind::Arrow(writer) => std::mem::take(writer.get_mut()),
            Kind::Parquet(writer) => std::mem::take(writer.inner_mut()),
        }
    }

    /// What comes behind the last row.
    ///
    /// # Errors
    ///
    /// A value that the format cannot hold.
    pub fn finish(mut self) -> Result<Vec<u8>, FormatError> {
        match &mut self.0 {
            Kind::Table(schema, batches) => return Self::table(schema, batches),
            Kind::Csv(_, true) => {}
            // An answer without rows has columns all the same.
            Kind::Csv(schema, false) => {
                return Self::csv(&RecordBatch::new_empty(SchemaRef::clone(schema)), false);
            }
            Kind::Json(writer) => writer.finish()?,
            Kind::Ndjson(writer) => writer.finish()?,
            Kind::Arrow(writer) => writer.finish()?,
            Kind::Parquet(writer) => drop(writer.finish()?),
        }
        Ok(self.ready())
    }

    fn table(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<u8>, FormatError> {
        let options = FormatOptions::default().with_display_error(true);
        let empty = [RecordBatch::new_empty(SchemaRef::clone(schema))];
        let batches = if batches.is_empty() { &empty[..] } else { batches };
        Ok(format!("{}\n", pretty_format_batches_with_options(batches, &options)?).into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Int64Array, StringArray};
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use std::sync::Arc;

    fn batch(numbers: &[Option<i64>]) -> RecordBatch {
        let schema = Schema::new(vec![
            Field::new("n", DataType::Int64, true),
            Field::new("text", DataType::Utf8, false),
        ]);
        let texts = StringArray::from(vec!["a,\"b\""; numbers.len()]);
        RecordBatch::try_new(
            Arc::new(schema),
            vec![Arc::new(Int64Array::from(numbers.to_vec())), Arc::new(texts)],
        )
        .unwrap()
    }

    fn written(format: Format, batches: &[RecordBatch]) -> Vec<u8> {
        let mut writer = Writer::new(format, &batch(&[]).schema()).unwrap();
        let mut bytes = Vec::new();
        for batch in batches {
            bytes.extend(writer.write(batch).unwrap());
        }
        bytes.extend(writer.finish().unwrap());
        bytes
    }

    fn text(format: Format, batches: &[RecordBatch]) -> String {
        String::from_utf8(written(format, batches)).unwrap()
    }

    #[test]
    fn every_format_is_what_its_name_says() {
        let batches = [batch(&[Some(1)]), batch(&[None])];
        assert_eq!(text(Format::Csv, &batches), "n,text\n1,\"a,\"\"b\"\"\"\n,\"a,\"\"b\"\"\"\n");
        let line = |n: &str| format!("{{\"n\":{n},\"text\":\"a,\\\"b\\\"\"}}");
        assert_eq!(text(Format::Json, &batches), format!("[{},{}]", line("1"), line("null")));
        assert_eq!(text(Format::Ndjson, &batches), format!("{}\n{}\n", line("1"), line("null")));
        assert!(text(Format::Table, &batches).contains("| 1 | a,\"b\" |"));
        let parquet = written(Format::Parquet, &batches);
        assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
        let arrow = written(Format::Arrow, &batches);
        let read = datafusion::arrow::ipc::reader::StreamReader::try_new(&arrow[..], None).unwrap();
        assert_eq!(read.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 2);
    }

    #[test]
    fn no_rows_are_an_answer_too() {
        assert_eq!(text(Format::Csv, &[]), "n,text\n");
        assert_eq!(text(Format::Json, &[]), "[]");
        assert_eq!(text(Format::Ndjson, &[]), "");
        assert!(text(Format::Table, &[]).contains("| n | text |"));
        assert!(written(Format::Parquet, &[]).ends_with(b"PAR1"));
    }

    #[test]
    fn the_first_that_is_accepted_and_offered_is_given() {
        let check = |accept, expect| assert_eq!(Format::accepted(accept), expect, "{accept}");
        check("", Some(Format::Json));
        check("*/*", Some(Format::Json));
        check("text/html, text/csv;q=0.9", Some(Format::Csv));
        check("application/vnd.apache.parquet", Some(Format::Parquet));
        check("Application/X-NDJSON", Some(Format::Ndjson));
        check("image/png", None);
    }
}
