//! GPUs that are a file: what they say is read from it again each time, so that whoever writes it can make them fail.
//!
//! ```toml
//! [[gpu]]
//! memory_used_bytes = 70000000000
//! memory_total_bytes = 80000000000
//! memory_pool_bytes = 60000000000
//! utilization_ratio = 0.7
//! temperature_celsius = 61.0
//! clock_hertz = 1.98e9
//! energy_joules = 1000.0      # so far
//! throttled = ["power"]       # now: power, thermal, hw_slowdown, other
//! xids = [13, 31]             # so far, in order
//! out_of_memory = 2           # so far
//! ```
//!
//! Every key may be missing. A file is replaced as a whole (`rename`), not written in place.

use super::{GpuError, GpuSource, Reading};
use crate::telemetry::labels::{Closed, Throttle};
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    gpu: Vec<Card>,
}

/// One GPU, as the file has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Card {
    memory_used_bytes: Option<u64>,
    memory_total_bytes: Option<u64>,
    memory_pool_bytes: Option<u64>,
    utilization_ratio: Option<f64>,
    temperature_celsius: Option<f64>,
    clock_hertz: Option<f64>,
    energy_joules: Option<f64>,
    throttled: Vec<String>,
    xids: Vec<u64>,
    out_of_memory: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Simulated {
    path: PathBuf,
    /// Faults of each GPU that were told already: XIDs, allocations.
    told: Vec<(usize, u64)>,
}

impl Simulated {
    /// GPUs that are what `path` says; faults that it begins with are told at the first reading.
    ///
    /// # Errors
    /// Where the file cannot be read, or says something else.
    pub fn open(path: &Path) -> Result<Self, GpuError> {
        let made = Self { path: path.to_owned(), told: Vec::new() };
        made.document()?;
        Ok(made)
    }

    fn document(&self) -> Result<Vec<Card>, GpuError> {
        let path = || self.path.clone();
        let malformed = |detail: String| GpuError::Malformed { path: path(), detail };
        let text = std::fs::read_to_string(&self.path)
            .map_err(|source| GpuError::Unreadable { path: path(), source })?;
        let document: Document = toml::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        for reason in document.gpu.iter().flat_map(|card| &card.throttled) {
            throttle(reason).ok_or_else(|| malformed(format!("throttled: nobody knows `{reason}`")))?;
        }
        Ok(document.gpu)
    }
}

impl GpuSource for Simulated {
    fn read(&mut self) -> Result<Vec<Reading>, GpuError> {
        let cards = self.document()?;
        self.told.resize(cards.len().max(self.told.len()), (0, 0));
        let numbered = (0_u32..).zip(cards).zip(&mut self.told);
        Ok(numbered.map(|((gpu, card), told)| card.reading(gpu, told)).collect())
    }
}

impl Card {
    fn reading(self, gpu: u32, told: &mut (usize, u64)) -> Reading {
        let xids = self.xids.get(told.0..).unwrap_or_default().to_vec();
        let out_of_memory = self.out_of_memory.saturating_sub(told.1);
        *told = (self.xids.len(), self.out_of_memory);
        Reading {
            gpu,
            memory_used_bytes: self.memory_used_bytes,
            memory_total_bytes: self.memory_total_bytes,
            memory_pool_bytes: self.memory_pool_bytes,
            utilization_ratio: self.utilization_ratio,
            temperature_celsius: self.temperature_celsius,
            clock_hertz: self.clock_hertz,
            energy_joules: self.energy_joules,
            throttled: self.throttled.iter().filter_map(|reason| throttle(reason)).collect(),
            xids,
            out_of_memory,
        }
    }
}

fn throttle(text: &str) -> Option<Throttle> {
    Throttle::ALL.iter().copied().find(|reason| reason.text() == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_file_is_read_anew_and_each_fault_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gpus.toml");
        fs::write(&path, "[[gpu]]\nxids = [13]\n[[gpu]]\nutilization_ratio = 0.5\n").unwrap();
        let mut source = Simulated::open(&path).unwrap();
        let first = source.read().unwrap();
        assert_eq!((first[0].xids.as_slice(), first[1].utilization_ratio), (&[13][..], Some(0.5)));
        fs::write(&path, "[[gpu]]\nxids = [13, 79]\nout_of_memory = 3\nthrottled = [\"thermal\"]\n").unwrap();
        let second = source.read().unwrap();
        assert_eq!(second.len(), 1);
        assert_eq!((second[0].xids.as_slice(), second[0].out_of_memory), (&[79][..], 3));
        assert_eq!(second[0].throttled, [Throttle::Thermal]);
        let third = source.read().unwrap();
        assert_eq!((third[0].xids.len(), third[0].out_of_memory), (0, 0));
    }

    #[test]
    fn what_it_does_not_understand_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gpus.toml");
        let refused = |text: &str| {
            fs::write(&path, text).unwrap();
            Simulated::open(&path).unwrap_err().to_string()
        };
        assert!(refused("[[gpu]]\nthrottled = [\"boredom\"]").contains("boredom"));
        assert!(refused("[[gpu]]\nmemory = 1").contains("memory"));
        let missing = Simulated::open(&folder.path().join("none")).unwrap_err().to_string();
        assert!(missing.starts_with("gpu.readings_file: "), "{missing}");
    }
}
