//! Asks one table of a lake through a Ballista cluster, here the one that its standalone mode starts in this process.
//!
//! Usage: `cargo run -- LAKE TABLE SQL`, with LAKE a folder. The SQL names the table `t`.
//!
//! Ballista sends plans to its executors as bytes. deltalake 1.1 has none for the scan of a Delta table
//! (`DeltaPhysicalCodec` knows a retired one only), so the scan that is sent is that of Parquet files: those that the table's
//! log names, which the folder may hold more of. The day, `event_date`, stands in the folders' names and is left out.

use ballista::prelude::SessionContextExt;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::prelude::SessionContext;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [lake, table, sql] = arguments.as_slice() else { return Err("usage: LAKE TABLE SQL".into()) };
    let folder = Path::new(lake).join(table).canonicalize()?;
    let url = deltalake::ensure_table_uri(folder.to_str().ok_or("a path in UTF-8")?)?;
    let delta = deltalake::open_table(url).await?;
    let files = delta.get_file_uris()?.map(|file| ListingTableUrl::parse(file)).collect::<Result<_, _>>()?;
    let cluster = SessionContext::standalone().await?;
    let options = ListingOptions::new(Arc::new(ParquetFormat::default()));
    let config = ListingTableConfig::new_with_multi_paths(files).with_listing_options(options);
    let config = config.infer_schema(&cluster.state()).await?;
    cluster.register_table("t", Arc::new(ListingTable::try_new(config)?))?;
    cluster.sql(sql).await?.show().await?;
    Ok(())
}
