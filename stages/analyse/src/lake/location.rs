//! Where a lake is: a folder of this machine, or a bucket.

use super::LakeError;
use datafusion::object_store::ObjectStore;
use deltalake::table::builder::parse_table_uri;
use deltalake::{DeltaTable, DeltaTableBuilder, ensure_table_uri};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Schemes of URLs, each with the feature that this program must be built with.
const SCHEMES: [(&str, &str, bool); 7] = [
    ("s3", "lake-s3", cfg!(feature = "lake-s3")),
    ("s3a", "lake-s3", cfg!(feature = "lake-s3")),
    ("az", "lake-azure", cfg!(feature = "lake-azure")),
    ("azure", "lake-azure", cfg!(feature = "lake-azure")),
    ("adl", "lake-azure", cfg!(feature = "lake-azure")),
    ("abfs", "lake-azure", cfg!(feature = "lake-azure")),
    ("abfss", "lake-azure", cfg!(feature = "lake-azure")),
];

/// Where the lake is; each table has a folder of its own in it.
#[derive(Clone)]
pub struct Location {
    root: Root,
    /// A store of one's own, in place of the one that the address leads to.
    store: Option<Arc<dyn ObjectStore>>,
}

#[derive(Clone)]
enum Root {
    Folder(PathBuf),
    Url(String),
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.root {
            Root::Folder(path) => write!(f, "{}", path.display()),
            Root::Url(url) => f.write_str(url),
        }
    }
}

impl Location {
    /// What `text` names: a path, or a `file://`, `s3://` or `az://` URL. Nothing is looked at yet.
    ///
    /// # Errors
    /// [`LakeError::Location`] where it is neither, or where this program was built without what the URL needs.
    pub fn parse(text: &str) -> Result<Self, LakeError> {
        let fault = |problem: String| LakeError::Location { location: text.to_owned(), problem };
        let text = text.trim().trim_end_matches('/');
        let root = match text.split_once("://") {
            None if text.is_empty() => return Err(fault("it is empty; write a path or a URL".to_owned())),
            None => Root::Folder(text.into()),
            Some(("file", path)) if path.starts_with('/') => Root::Folder(path.into()),
            Some(("file", _)) => return Err(fault("write file:///absolute/path, or the path".to_owned())),
            Some((scheme, _)) => match SCHEMES.iter().find(|(known, ..)| *known == scheme) {
                Some((.., true)) => Root::Url(text.to_owned()),
                Some((_, feature, _)) => {
                    let problem =
                        format!("this treble was built without it; build it with --features {feature}");
                    return Err(fault(problem));
                }
                None => {
                    return Err(fault(format!(
                        "{scheme}:// is unknown; write a path, file://, s3:// or az://"
                    )));
                }
            },
        };
        Ok(Self { root, store: None })
    }

    /// The folder `path`, read and written through `store`, whose root is that of the file system. For stores that need more
    /// than an address, and for those that fail on purpose.
    #[must_use]
    pub fn on(store: Arc<dyn ObjectStore>, path: &Path) -> Self {
        Self { root: Root::Folder(path.to_owned()), store: Some(store) }
    }

    /// A table that is not loaded yet. Its folder is made where it is missing and `create` says so.
    pub(crate) fn table(&self, name: &str, create: bool) -> Result<DeltaTable, LakeError> {
        let uri = match &self.root {
            Root::Folder(path) => path.join(name).to_string_lossy().into_owned(),
            Root::Url(url) => format!("{url}/{name}"),
        };
        let url = if create { ensure_table_uri(&uri) } else { parse_table_uri(&uri) };
        let fault = |error| LakeError::delta(name, "find the table", error);
        let url = url.map_err(fault)?;
        let mut builder = DeltaTableBuilder::from_url(url.clone()).map_err(fault)?;
        if let Some(store) = &self.store {
            builder = builder.with_storage_backend(Arc::clone(store), url);
        }
        builder.build().map_err(fault)
    }
}

/// Whether `location` is known to lead to no table called `name`, for those who look from outside.
pub(super) fn is_missing(location: &Location, name: &str) -> bool {
    matches!(&location.root, Root::Folder(path) if !path.join(name).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<&str, &str>) {
        match (Location::parse(text), expect) {
            (Ok(location), Ok(shown)) => assert_eq!(location.to_string(), shown),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (outcome, _) => panic!("{text}: {outcome:?}"),
        }
    }

    #[test]
    fn paths_and_urls_are_told_apart_and_what_cannot_be_reached_says_why() {
        check("data/lake/", Ok("data/lake"));
        check("file:///srv/lake", Ok("/srv/lake"));
        check("file://lake", Err("file:///absolute"));
        check("", Err("empty"));
        check("ftp://host/lake", Err("ftp:// is unknown"));
        if cfg!(not(feature = "lake-s3")) {
            check("s3://bucket/lake", Err("--features lake-s3"));
        }
        if cfg!(not(feature = "lake-azure")) {
            check("abfss://container@account/lake", Err("--features lake-azure"));
        }
    }
}
