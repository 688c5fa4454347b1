//! The end of a file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// The last `bytes` of the file at `path`, from the first line on that is whole.
pub(super) fn of(path: &Path, bytes: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(bytes);
    // One more: where a line ends just before, the next is whole.
    file.seek(SeekFrom::Start(from.saturating_sub(1)))?;
    let mut end = Vec::new();
    file.take(bytes + 1).read_to_end(&mut end)?;
    let text = String::from_utf8_lossy(&end).into_owned();
    if from == 0 {
        return Ok(text);
    }
    Ok(text.split_once('\n').map(|(_, whole)| whole.to_owned()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_begins_with_a_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "first\nsecond\nthird\n").unwrap();
        assert_eq!(of(&path, 100).unwrap(), "first\nsecond\nthird\n");
        assert_eq!(of(&path, 13).unwrap(), "second\nthird\n");
        assert_eq!(of(&path, 12).unwrap(), "third\n");
        assert_eq!(of(&path, 3).unwrap(), "");
        assert!(of(&folder.path().join("absent"), 3).is_err());
    }
}
