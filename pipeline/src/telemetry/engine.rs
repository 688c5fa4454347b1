//! What the model's engine does, counted.

use super::family::Each;
use super::labels::{Backend, Execution, Flush, Gpu, Model, Version};
use super::metrics::Metrics;
use crate::ports::Clock;
use prometheus::{Histogram, IntCounter};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use treble_core::ModelInfo;
use treble_upscale::{Closing, EngineWatch, FaultKind};

/// Observes one engine. It counts nothing before it knows the [`model`](Self::name).
#[derive(Debug)]
pub struct EngineObserver {
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    series: OnceLock<Series>,
    flush: Each<Flush, IntCounter>,
    /// When the engine's thread took the first request of the batch, and when it began to run it: microseconds.
    taken_us: AtomicU64,
    began_us: AtomicU64,
}

#[derive(Debug)]
struct Series {
    duration: Histogram,
    requests: Each<Execution, IntCounter>,
    executions: Each<Execution, IntCounter>,
    size: Histogram,
    wait: Histogram,
    occupancy: Histogram,
    /// On a GPU only.
    out_of_memory: Option<IntCounter>,
}

/// The GPU that the engine uses: the first that CUDA shows it.
const ENGINE_GPU: Gpu = Gpu(0);

impl EngineObserver {
    /// An observer that counts into `metrics`.
    #[must_use]
    pub fn new(metrics: Metrics, clock: Arc<dyn Clock>) -> Self {
        let flush = Each::new(|cause| metrics.batch_flush.of((cause,)));
        let (taken_us, began_us) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { metrics, clock, series: OnceLock::new(), flush, taken_us, began_us }
    }

    /// The engine runs this model.
    pub fn name(&self, model: &ModelInfo) {
        let name = || Model::from(model.name.as_str());
        let all = &self.metrics;
        all.model_info.of((name(), Version::from(model.version.as_str()))).set(1);
        self.series.get_or_init(|| Series {
            duration: all.inference_duration.of((name(), Backend::of(&model.device))),
            requests: Each::new(|outcome| all.inference_requests.of((name(), outcome))),
            executions: Each::new(|outcome| all.inference_executions.of((name(), outcome))),
            size: all.batch_size.of((name(),)),
            wait: all.batch_wait.of((name(),)),
            occupancy: all.batch_occupancy.of((name(),)),
            out_of_memory: (model.device != "cpu").then(|| all.gpu_oom.of((ENGINE_GPU,))),
        });
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.clock.now().as_micros()).unwrap_or(u64::MAX)
    }

    fn since(&self, begin: &AtomicU64) -> f64 {
        Duration::from_micros(self.now_us().saturating_sub(begin.load(Ordering::Relaxed))).as_secs_f64()
    }
}

impl EngineWatch for EngineObserver {
    fn taken(&self) {
        self.taken_us.store(self.now_us(), Ordering::Relaxed);
    }

    fn closed(&self, why: Closing) {
        let cause = match why {
            Closing::Full => Flush::Full,
            Closing::Deadline => Flush::Deadline,
            Closing::Shutdown => Flush::Shutdown,
        };
        self.flush.of(cause).inc();
        if let Some(series) = self.series.get() {
            series.wait.observe(self.since(&self.taken_us));
        }
    }

    fn running(&self, windows: usize, capacity: usize) {
        self.began_us.store(self.now_us(), Ordering::Relaxed);
        if let Some(series) = self.series.get() {
            series.size.observe(windows as f64);
            series.occupancy.observe(windows as f64 / capacity.max(1) as f64);
        }
    }

    fn ran(&self, fault: Option<FaultKind>) {
        let Some(series) = self.series.get() else { return };
        series.duration.observe(self.since(&self.began_us));
        series.executions.of(outcome(fault.is_none())).inc();
        if let (Some(FaultKind::OutOfMemory), Some(count)) = (fault, &series.out_of_memory) {
            count.inc();
        }
    }

    fn answered(&self, requests: usize, succeeded: bool) {
        if let Some(series) = self.series.get() {
            series.requests.of(outcome(succeeded)).inc_by(requests as u64);
        }
    }
}

const fn outcome(succeeded: bool) -> Execution {
    if succeeded { Execution::Success } else { Execution::Backend }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::ManualClock;

    #[test]
    fn a_batch_is_counted_with_its_wait_its_size_and_its_time() {
        let (metrics, clock) = (Metrics::new().unwrap(), ManualClock::default());
        let observer = EngineObserver::new(metrics.clone(), Arc::new(clock.clone()));
        let info = ModelInfo { name: "small".into(), device: "cpu".into(), ..ModelInfo::default() };
        observer.name(&info);
        observer.taken();
        clock.advance(Duration::from_millis(4));
        observer.closed(Closing::Deadline);
        observer.running(3, 4);
        clock.advance(Duration::from_millis(20));
        observer.ran(None);
        observer.answered(2, true);
        let text = metrics.encode().unwrap();
        for line in [
            "treble_batch_wait_seconds_sum{model=\"small\"} 0.004",
            "treble_batch_size_sum{model=\"small\"} 3",
            "treble_batch_occupancy_ratio_sum{model=\"small\"} 0.75",
            "treble_inference_duration_seconds_sum{backend=\"cpu\",model=\"small\"} 0.02",
            "treble_inference_executions_total{model=\"small\",outcome=\"success\"} 1",
            "treble_inference_executions_total{model=\"small\",outcome=\"backend\"} 0",
            "treble_inference_requests_total{model=\"small\",outcome=\"success\"} 2",
            "treble_batch_flush_total{cause=\"deadline\"} 1",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("treble_gpu_oom_total{"), "a processor's memory is no GPU's");
    }

    #[test]
    fn memory_that_a_gpu_does_not_have_is_counted_and_other_faults_are_not() {
        let metrics = Metrics::new().unwrap();
        let observer = EngineObserver::new(metrics.clone(), Arc::new(ManualClock::default()));
        observer.name(&ModelInfo { name: "small".into(), device: "cuda".into(), ..ModelInfo::default() });
        let counted = |count: u32| {
            let text = metrics.encode().unwrap();
            assert!(text.contains(&format!("treble_gpu_oom_total{{gpu=\"0\"}} {count}\n")), "{text}");
        };
        counted(0);
        observer.ran(Some(FaultKind::Other));
        observer.ran(None);
        counted(0);
        observer.ran(Some(FaultKind::OutOfMemory));
        counted(1);
    }
}
