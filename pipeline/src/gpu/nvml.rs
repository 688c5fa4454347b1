//! NVIDIA's management library, loaded at run time where the driver has brought it.

use super::{GpuError, GpuSource, Reading};
use crate::telemetry::labels::Throttle;
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::event::EventSet;
use nvml_wrapper::{Device, Nvml};
use std::ffi::OsStr;
use std::sync::OnceLock;

/// What drivers install; the name without a number comes with development packages only.
const LIBRARY: &str = "libnvidia-ml.so.1";
/// "GPU has fallen off the bus": what a card that no longer answers is counted as.
const FALLEN_OFF_THE_BUS: u64 = 79;
/// What NVML gives for a fault whose number it does not know.
const UNKNOWN_XID: u64 = 999;

/// The driver's view of all cards.
#[derive(Debug)]
pub struct Driver {
    cards: Vec<Card>,
}

#[derive(Debug)]
struct Card {
    index: u32,
    device: Device<'static>,
    /// Absent where the card tells of no faults.
    faults: Option<EventSet<'static>>,
    lost: bool,
}

/// The library, loaded once; it stays until the process ends.
fn library() -> Result<&'static Nvml, NvmlError> {
    static NVML: OnceLock<Nvml> = OnceLock::new();
    if let Some(nvml) = NVML.get() {
        return Ok(nvml);
    }
    let nvml = Nvml::builder().lib_path(OsStr::new(LIBRARY)).init()?;
    Ok(NVML.get_or_init(|| nvml))
}

impl Driver {
    /// Loads the library and finds the cards.
    ///
    /// # Errors
    /// Where there is no library, no driver that fits it, or no card.
    pub fn open() -> Result<Self, GpuError> {
        let told = |error: NvmlError| GpuError::Driver(error.to_string());
        let nvml = library().map_err(told)?;
        let count = nvml.device_count().map_err(told)?;
        let cards = (0..count).map(|index| Ok(Card::new(index, nvml.device_by_index(index)?, nvml)));
        let cards: Vec<Card> = cards.collect::<Result<_, _>>().map_err(told)?;
        if cards.is_empty() {
            return Err(GpuError::Driver("there is no card".to_owned()));
        }
        Ok(Self { cards })
    }
}

impl GpuSource for Driver {
    fn read(&mut self) -> Result<Vec<Reading>, GpuError> {
        Ok(self.cards.iter_mut().map(Card::read).collect())
    }
}

impl Card {
    fn new(index: u32, device: Device<'static>, nvml: &'static Nvml) -> Self {
        let faults = nvml.create_event_set().ok();
        let faults = faults.and_then(|set| device.register_events(EventTypes::CRITICAL_XID_ERROR, set).ok());
        Self { index, device, faults, lost: false }
    }

    fn read(&mut self) -> Reading {
        let memory = self.device.memory_info();
        let mut xids = self.xids();
        // A card that is lost tells of nothing any more, not even of that.
        let lost = matches!(memory, Err(NvmlError::GpuLost));
        if lost && !std::mem::replace(&mut self.lost, lost) && !xids.contains(&FALLEN_OFF_THE_BUS) {
            xids.push(FALLEN_OFF_THE_BUS);
        }
        let device = &self.device;
        Reading {
            gpu: self.index,
            memory_used_bytes: memory.as_ref().ok().map(|memory| memory.used),
            memory_total_bytes: memory.as_ref().ok().map(|memory| memory.total),
            memory_pool_bytes: own_memory(device),
            utilization_ratio: device.utilization_rates().ok().map(|rates| f64::from(rates.gpu) / 100.0),
            temperature_celsius: device.temperature(TemperatureSensor::Gpu).ok().map(f64::from),
            clock_hertz: device.clock_info(Clock::SM).ok().map(|megahertz| f64::from(megahertz) * 1e6),
            energy_joules: device.total_energy_consumption().ok().map(|milli| milli as f64 / 1e3),
            throttled: device.current_throttle_reasons().map(reasons).unwrap_or_default(),
            xids,
            out_of_memory: 0,
        }
    }

    /// The faults since the last question.
    fn xids(&self) -> Vec<u64> {
        let Some(faults) = &self.faults else { return Vec::new() };
        let told = std::iter::from_fn(|| faults.wait(0).ok());
        told.filter_map(|event| event.event_data)
            .map(|xid| match xid {
                XidError::Value(number) => number,
                XidError::Unknown => UNKNOWN_XID,
            })
            .collect()
    }
}

/// What this process holds. In a container with process numbers of its own, nobody knows.
fn own_memory(device: &Device<'_>) -> Option<u64> {
    let own = std::process::id();
    let processes = device.running_compute_processes().ok()?;
    let mine = processes.into_iter().find(|process| process.pid == own)?;
    match mine.used_gpu_memory {
        UsedGpuMemory::Used(bytes) => Some(bytes),
        UsedGpuMemory::Unavailable => None,
    }
}

/// What holds the clock down. Idleness and clocks that somebody has set do not count. `HW_SLOWDOWN` stands beside the
/// reasons that are more exact, and for itself where there is none.
fn reasons(told: ThrottleReasons) -> Vec<Throttle> {
    use ThrottleReasons as R;
    let exact = [
        (R::SW_POWER_CAP | R::HW_POWER_BRAKE_SLOWDOWN, Throttle::Power),
        (R::SW_THERMAL_SLOWDOWN | R::HW_THERMAL_SLOWDOWN, Throttle::Thermal),
        (R::SYNC_BOOST, Throttle::Other),
    ];
    let mut found: Vec<Throttle> =
        exact.iter().filter(|(flags, _)| told.intersects(*flags)).map(|(_, reason)| *reason).collect();
    let explained = told.intersects(R::HW_THERMAL_SLOWDOWN | R::HW_POWER_BRAKE_SLOWDOWN);
    if told.contains(R::HW_SLOWDOWN) && !explained {
        found.push(Throttle::HwSlowdown);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_clock_is_told_by_its_cause() {
        use ThrottleReasons as R;
        assert_eq!(reasons(R::GPU_IDLE | R::APPLICATIONS_CLOCKS_SETTING | R::DISPLAY_CLOCK_SETTING), []);
        assert_eq!(reasons(R::SW_POWER_CAP), [Throttle::Power]);
        assert_eq!(reasons(R::HW_SLOWDOWN | R::HW_THERMAL_SLOWDOWN), [Throttle::Thermal]);
        assert_eq!(reasons(R::HW_SLOWDOWN | R::HW_POWER_BRAKE_SLOWDOWN), [Throttle::Power]);
        assert_eq!(reasons(R::HW_SLOWDOWN), [Throttle::HwSlowdown]);
        assert_eq!(reasons(R::HW_SLOWDOWN | R::SW_POWER_CAP), [Throttle::Power, Throttle::HwSlowdown]);
        assert_eq!(reasons(R::SYNC_BOOST), [Throttle::Other]);
    }

    #[test]
    fn a_machine_without_the_library_says_so_and_one_with_it_is_read() {
        match Driver::open() {
            Err(error) => assert!(error.to_string().starts_with("NVML: "), "{error}"),
            Ok(mut driver) => {
                let readings = driver.read().unwrap();
                assert!(readings.iter().all(|reading| reading.memory_total_bytes > Some(0)), "{readings:?}");
            }
        }
    }
}
