//! The GPUs of this machine: what they say of their memory, load, heat and faults.
//!
//! [`GpuSource`] is asked once a second by [`watch`], and `telemetry::gpu` counts what it says. [`nvml`] asks the driver;
//! a machine without one is normal, and quiet. [`simulated`] reads a file instead: for tests, and for drills of alerts on
//! machines without a card. Deliberately absent: any control of a card.

pub mod nvml;
pub mod simulated;
pub mod watch;

use crate::config::GpuConfig;
use crate::telemetry::labels::Throttle;
use std::path::PathBuf;

/// What one GPU says of itself. What a card does not tell is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// Its number, as the driver counts.
    pub gpu: u32,
    /// Memory in use, by whomever.
    pub memory_used_bytes: Option<u64>,
    /// Memory that it has.
    pub memory_total_bytes: Option<u64>,
    /// Memory that this process holds: the pool of the model's engine, and the context around it.
    pub memory_pool_bytes: Option<u64>,
    /// Share of the time in which some kernel ran, 0 to 1.
    pub utilization_ratio: Option<f64>,
    /// Temperature of the chip.
    pub temperature_celsius: Option<f64>,
    /// Clock of its multiprocessors.
    pub clock_hertz: Option<f64>,
    /// Energy used since some moment; it only grows, and differences alone mean something.
    pub energy_joules: Option<f64>,
    /// Why its clock is held down now.
    pub throttled: Vec<Throttle>,
    /// XIDs, the driver's numbers of faults, since the last reading.
    pub xids: Vec<u64>,
    /// Allocations that found no memory since the last reading, where the source knows. NVML does not: the model's engine
    /// tells of its own.
    pub out_of_memory: u64,
}

/// Someone who knows how the GPUs are.
pub trait GpuSource: Send {
    /// How each of them is now.
    ///
    /// # Errors
    /// Where nobody can tell at the moment.
    fn read(&mut self) -> Result<Vec<Reading>, GpuError>;
}

/// Why nobody can tell how the GPUs are.
#[derive(Debug, thiserror::Error)]
pub enum GpuError {
    /// The file is not there.
    #[error("gpu.readings_file: {} cannot be read: {source}; name a file that can, or leave the key empty", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file says something else.
    #[error("gpu.readings_file: {}: {detail}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The driver does not answer.
    #[error("NVML: {0}")]
    Driver(String),
}

/// Who tells how the GPUs are: the configured file, else the driver; nobody where there is none.
///
/// # Errors
/// Where a file is configured and cannot be used.
pub fn open(config: &GpuConfig) -> Result<Option<Box<dyn GpuSource>>, GpuError> {
    if let Some(path) = &config.readings_file {
        return Ok(Some(Box::new(simulated::Simulated::open(path)?)));
    }
    match nvml::Driver::open() {
        Ok(driver) => Ok(Some(Box::new(driver))),
        Err(error) => {
            tracing::debug!(%error, "no GPU is watched");
            Ok(None)
        }
    }
}
