//! A store that fails at one of its writes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::object_store::path::Path;
use datafusion::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use futures::stream::BoxStream;
use std::fmt;
use std::ops::Range;
use std::sync::Mutex;

/// Whether what is written is there although its writer is told that it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// It is not.
    Before,
    /// It is: the answer was lost.
    After,
}

/// Passes everything on, but for one write.
#[derive(Debug)]
pub(crate) struct Failing {
    inner: Box<dyn ObjectStore>,
    /// Writes that still succeed, and how the next one fails.
    plan: Mutex<Option<(usize, When)>>,
}

impl Failing {
    pub(crate) fn new(inner: impl ObjectStore) -> Self {
        Self { inner: Box::new(inner), plan: Mutex::new(None) }
    }

    /// From now on `writes` succeed, then one fails.
    pub(crate) fn fail(&self, writes: usize, when: When) {
        *self.plan.lock().unwrap() = Some((writes, when));
    }

    fn next(&self) -> Option<When> {
        let mut plan = self.plan.lock().unwrap();
        match *plan {
            Some((0, when)) => {
                *plan = None;
                Some(when)
            }
            Some((writes, when)) => {
                *plan = Some((writes - 1, when));
                None
            }
            None => None,
        }
    }
}

fn failure() -> Error {
    Error::Generic { store: "failing", source: "no space left on device".into() }
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failing({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Failing {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let failure_at = self.next();
        if failure_at == Some(When::Before) {
            return Err(failure());
        }
        let put = self.inner.put_opts(location, payload, opts).await?;
        if failure_at.is_some() { Err(failure()) } else { Ok(put) }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        match self.next() {
            Some(_) => Err(failure()),
            None => self.inner.put_multipart_opts(location, opts).await,
        }
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}
