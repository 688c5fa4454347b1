//! The object stores that queries can reach: those of the lake's tables, and nothing else of the machine.

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::object_store::ObjectStore;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use url::Url;

/// Knows what was put into it. DataFusion's own registry opens the local file system for any `file://` address.
#[derive(Debug, Default)]
pub(super) struct Stores {
    /// Written by the scan that first touches a table, read by all queries.
    known: RwLock<BTreeMap<String, Arc<dyn ObjectStore>>>,
}

fn key(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.authority())
}

impl ObjectStoreRegistry for Stores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(key(url), store)
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let absent = || DataFusionError::Plan(format!("{} is no part of the lake", key(url)));
        known.get(&key(url)).cloned().ok_or_else(absent)
    }
}
