//! What the GPUs say of themselves, as metrics.

use super::family::Each;
use super::labels::{Gpu, GpuFault, MetricName, Throttle};
use super::log::event::Event;
use super::metrics::Metrics;
use crate::gpu::Reading;
use prometheus::{Counter, IntCounter};
use std::collections::BTreeMap;
use std::time::Duration;

/// The most GPUs that have series: as many as one machine carries.
const MOST: u32 = 8;

/// See the module.
#[derive(Debug)]
pub struct GpuTelemetry {
    metrics: Metrics,
    cards: BTreeMap<u32, Series>,
    unknown_faults: IntCounter,
    last: Option<Duration>,
}

/// The counters of one GPU; they stay when it falls silent.
#[derive(Debug)]
struct Series {
    energy: Counter,
    energy_told: Option<f64>,
    out_of_memory: IntCounter,
    throttled: Each<Throttle, Counter>,
    faults: Each<GpuFault, IntCounter>,
}

impl Series {
    fn new(metrics: &Metrics, gpu: Gpu) -> Self {
        Self {
            energy: metrics.gpu_energy.of((gpu,)),
            energy_told: None,
            out_of_memory: metrics.gpu_oom.of((gpu,)),
            throttled: Each::new(|reason| metrics.gpu_throttled.of((gpu, reason))),
            faults: Each::new(|class| metrics.gpu_errors.of((gpu, class))),
        }
    }
}

impl GpuTelemetry {
    /// Counts into `metrics`.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        let name = MetricName::from(Metrics::gpu_errors());
        let unknown_faults = metrics.label_overflow.of((name,));
        Self { metrics, cards: BTreeMap::new(), unknown_faults, last: None }
    }

    /// What was read at `now`. A GPU that is gone from the readings has no present any more, only its counters.
    pub fn read(&mut self, readings: &[Reading], now: Duration) {
        let since = self.last.replace(now).map_or(Duration::ZERO, |last| now.saturating_sub(last));
        let told: Vec<&Reading> = readings.iter().filter(|reading| reading.gpu < MOST).collect();
        for reading in &told {
            self.present(reading);
            self.count(reading, since);
        }
        let gone: Vec<u32> =
            self.cards.keys().copied().filter(|gpu| told.iter().all(|told| told.gpu != *gpu)).collect();
        gone.into_iter().for_each(|gpu| self.present(&Reading { gpu, ..Reading::default() }));
    }

    /// Nobody could tell: what is not known is no series.
    pub fn silent(&mut self) {
        self.last = None;
        for gpu in self.cards.keys().copied().collect::<Vec<_>>() {
            self.present(&Reading { gpu, ..Reading::default() });
        }
    }

    fn present(&self, reading: &Reading) {
        let (all, gpu) = (&self.metrics, Gpu(reading.gpu));
        let bytes = [
            (&all.gpu_memory_used, reading.memory_used_bytes),
            (&all.gpu_memory_total, reading.memory_total_bytes),
            (&all.gpu_memory_pool, reading.memory_pool_bytes),
        ];
        for (family, value) in bytes {
            match value {
                Some(value) => family.of((gpu,)).set(i64::try_from(value).unwrap_or(i64::MAX)),
                None => family.forget((gpu,)),
            }
        }
        let numbers = [
            (&all.gpu_utilization, reading.utilization_ratio),
            (&all.gpu_temperature, reading.temperature_celsius),
            (&all.gpu_clock, reading.clock_hertz),
        ];
        for (family, value) in numbers {
            match value {
                Some(value) => family.of((gpu,)).set(value),
                None => family.forget((gpu,)),
            }
        }
    }

    fn count(&mut self, reading: &Reading, since: Duration) {
        let metrics = &self.metrics;
        let series = self.cards.entry(reading.gpu).or_insert_with(|| Series::new(metrics, Gpu(reading.gpu)));
        if let Some(energy) = reading.energy_joules {
            // A driver that was loaded anew counts from 0 again.
            let used = series.energy_told.replace(energy).map_or(0.0, |told| (energy - told).max(0.0));
            series.energy.inc_by(used);
        }
        series.out_of_memory.inc_by(reading.out_of_memory);
        for reason in &reading.throttled {
            series.throttled.of(*reason).inc_by(since.as_secs_f64());
        }
        for xid in &reading.xids {
            let class = GpuFault::of(*xid);
            series.faults.of(class).inc();
            if class == GpuFault::Other {
                self.unknown_faults.inc();
            }
            tracing::error!(
                event = Event::GpuFault.text(),
                gpu = reading.gpu,
                xid,
                class = class.text(),
                "the GPU's driver tells of a fault"
            );
        }
        if reading.out_of_memory > 0 {
            let event = Event::GpuOutOfMemory.text();
            tracing::error!(
                event,
                gpu = reading.gpu,
                times = reading.out_of_memory,
                "the GPU is out of memory"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(metrics: &Metrics) -> String {
        let text = metrics.encode().unwrap();
        text.lines()
            .filter(|line| line.contains("_gpu_") && !line.starts_with('#'))
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn gauges_are_the_present_and_counters_add_up_what_happened_between_readings() {
        let metrics = Metrics::new().unwrap();
        let mut telemetry = GpuTelemetry::new(metrics.clone());
        let at = Duration::from_secs;
        let mut reading = Reading {
            memory_used_bytes: Some(3),
            memory_total_bytes: Some(4),
            utilization_ratio: Some(0.25),
            energy_joules: Some(100.0),
            throttled: vec![Throttle::Power],
            ..Reading::default()
        };
        telemetry.read(std::slice::from_ref(&reading), at(10));
        assert!(
            lines(&metrics).contains("treble_gpu_throttled_seconds_total{gpu=\"0\",reason=\"power\"} 0\n")
        );
        reading = Reading {
            energy_joules: Some(130.0),
            xids: vec![79, 13, 31, 63, 7777],
            out_of_memory: 2,
            ..reading
        };
        telemetry.read(std::slice::from_ref(&reading), at(12));
        let text = lines(&metrics);
        for line in [
            "treble_gpu_memory_used_bytes{gpu=\"0\"} 3",
            "treble_gpu_memory_total_bytes{gpu=\"0\"} 4",
            "treble_gpu_utilization_ratio{gpu=\"0\"} 0.25",
            "treble_gpu_energy_joules_total{gpu=\"0\"} 30",
            "treble_gpu_throttled_seconds_total{gpu=\"0\",reason=\"power\"} 2",
            "treble_gpu_throttled_seconds_total{gpu=\"0\",reason=\"thermal\"} 0",
            "treble_gpu_errors_total{class=\"fatal\",gpu=\"0\"} 1",
            "treble_gpu_errors_total{class=\"app\",gpu=\"0\"} 2",
            "treble_gpu_errors_total{class=\"recoverable\",gpu=\"0\"} 1",
            "treble_gpu_errors_total{class=\"other\",gpu=\"0\"} 1",
            "treble_gpu_oom_total{gpu=\"0\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("treble_gpu_temperature_celsius"), "what the card does not tell is no series");
    }

    #[test]
    fn a_card_that_falls_silent_has_no_present_and_keeps_its_counters() {
        let metrics = Metrics::new().unwrap();
        let mut telemetry = GpuTelemetry::new(metrics.clone());
        let reading = Reading { memory_used_bytes: Some(3), xids: vec![48], ..Reading::default() };
        telemetry.read(&[reading], Duration::from_secs(1));
        telemetry.silent();
        let text = lines(&metrics);
        assert!(!text.contains("treble_gpu_memory_used_bytes"), "{text}");
        assert!(text.contains("treble_gpu_errors_total{class=\"fatal\",gpu=\"0\"} 1"), "{text}");
    }

    #[test]
    fn a_machine_of_more_cards_than_a_machine_carries_makes_no_more_series() {
        let metrics = Metrics::new().unwrap();
        let mut telemetry = GpuTelemetry::new(metrics.clone());
        let crowd =
            (0..100).map(|gpu| Reading { gpu, temperature_celsius: Some(40.0), ..Reading::default() });
        telemetry.read(&crowd.collect::<Vec<_>>(), Duration::from_secs(1));
        assert_eq!(lines(&metrics).matches("treble_gpu_temperature_celsius").count(), MOST as usize);
    }
}
