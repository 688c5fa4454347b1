//! Asks Ballista, DataFusion's distributed engine, about a table of the lake.
//!
//! Usage: `treble-on-ballista TABLE SQL`, with the table's files on standard input, one a line, as the Delta log names them.
//! A scheduler and an executor start in this process (standalone mode); plans go through them as bytes, as in a cluster.
//! `event_date`, which stands in the folders' names and not in the files, is no column here.

use ballista::datafusion::datasource::file_format::parquet::ParquetFormat;
use ballista::datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use ballista::datafusion::prelude::SessionContext;
use ballista::prelude::SessionContextExt;
use std::error::Error;
use std::io::{self, BufRead};
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [table, sql] = arguments.as_slice() else {
        return Err("give the table's name and a statement, and its files on standard input".into());
    };
    let mut files = Vec::new();
    for line in io::stdin().lock().lines() {
        files.push(ListingTableUrl::parse(line?)?);
    }
    let context = SessionContext::standalone().await?;
    let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension(".parquet");
    let listing = ListingTableConfig::new_with_multi_paths(files).with_listing_options(options);
    let listing = listing.infer_schema(&context.state()).await?;
    context.register_table(table.as_str(), Arc::new(ListingTable::try_new(listing)?))?;
    context.sql(sql).await?.show().await?;
    Ok(())
}
