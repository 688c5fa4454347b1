//! Metrics with typed labels, over the crate that keeps them: a family takes exactly the labels it was declared with.

use super::labels::{Closed, Label};
use prometheus::core::{Atomic, Collector, GenericCounter, GenericCounterVec, GenericGauge, GenericGaugeVec};
use prometheus::{HistogramOpts, HistogramVec, Opts, Registry};
use std::fmt;
use std::marker::PhantomData;

/// The labels of a family, in order.
pub trait Labels {
    /// Their names.
    const NAMES: &'static [&'static str];
    /// Their values.
    fn values(&self) -> Vec<String>;
}

impl Labels for () {
    const NAMES: &'static [&'static str] = &[];
    fn values(&self) -> Vec<String> {
        Vec::new()
    }
}

macro_rules! labels {
    ($($label:ident $index:tt),+) => {
        impl<$($label: Label),+> Labels for ($($label,)+) {
            const NAMES: &'static [&'static str] = &[$($label::NAME),+];
            fn values(&self) -> Vec<String> {
                vec![$(self.$index.value().into_owned()),+]
            }
        }
    };
}
labels!(A 0);
labels!(A 0, B 1);
labels!(A 0, B 1, C 2);

/// What a family is made of.
pub trait Kind: Collector + Clone + 'static {
    /// One series.
    type Series: Clone + fmt::Debug;
    /// As Prometheus calls it.
    const TYPE: &'static str;
    /// An empty family.
    fn declare(name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> Result<Self, prometheus::Error>;
    /// The series of `values`, made where it is not there.
    fn series(&self, values: &[String]) -> Self::Series;
    /// Removes the series of `values`.
    fn forget(&self, values: &[String]);
}

/// What all vectors of the crate do alike, by methods that no trait of it names.
macro_rules! series_by_values {
    () => {
        fn series(&self, values: &[String]) -> Self::Series {
            self.with_label_values(values)
        }
        fn forget(&self, values: &[String]) {
            drop(self.remove_label_values(values));
        }
    };
}

impl<P: Atomic + fmt::Debug + 'static> Kind for GenericCounterVec<P> {
    type Series = GenericCounter<P>;
    const TYPE: &'static str = "counter";
    fn declare(name: &str, help: &str, labels: &[&str], _: &[f64]) -> Result<Self, prometheus::Error> {
        Self::new(Opts::new(name, help), labels)
    }
    series_by_values!();
}

impl<P: Atomic + fmt::Debug + 'static> Kind for GenericGaugeVec<P> {
    type Series = GenericGauge<P>;
    const TYPE: &'static str = "gauge";
    fn declare(name: &str, help: &str, labels: &[&str], _: &[f64]) -> Result<Self, prometheus::Error> {
        Self::new(Opts::new(name, help), labels)
    }
    series_by_values!();
}

impl Kind for HistogramVec {
    type Series = prometheus::Histogram;
    const TYPE: &'static str = "histogram";
    fn declare(name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> Result<Self, prometheus::Error> {
        Self::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)
    }
    series_by_values!();
}

/// Counts events.
pub type Counter<L> = Family<prometheus::IntCounterVec, L>;
/// Adds up what is no whole number, such as seconds.
pub type Sum<L> = Family<prometheus::CounterVec, L>;
/// A whole number that rises and falls.
pub type Level<L> = Family<prometheus::IntGaugeVec, L>;
/// A number that rises and falls, such as a point in time.
pub type Gauge<L> = Family<prometheus::GaugeVec, L>;
/// A distribution.
pub type Histogram<L> = Family<HistogramVec, L>;

/// A metric, with all its series.
pub struct Family<K, L> {
    vector: K,
    labels: PhantomData<fn(L)>,
}

impl<K: Clone, L> Clone for Family<K, L> {
    fn clone(&self) -> Self {
        Self { vector: self.vector.clone(), labels: PhantomData }
    }
}

impl<K, L: Labels> fmt::Debug for Family<K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Family").field("labels", &L::NAMES).finish_non_exhaustive()
    }
}

impl<K: Kind, L: Labels> Family<K, L> {
    /// Registers the metric.
    pub(super) fn register(
        registry: &Registry,
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> Result<Self, prometheus::Error> {
        let vector = K::declare(name, help.trim(), L::NAMES, buckets)?;
        registry.register(Box::new(vector.clone()))?;
        Ok(Self { vector, labels: PhantomData })
    }

    /// The series of `labels`; it is visible from now on. Where it is used often, keep it.
    pub fn of(&self, labels: L) -> K::Series {
        self.vector.series(&labels.values())
    }

    /// Removes the series of `labels`.
    pub fn forget(&self, labels: L) {
        self.vector.forget(&labels.values());
    }

    /// What the catalogue says of it.
    pub(super) fn entry(name: &'static str, help: &'static str) -> Entry {
        Entry { name, kind: K::TYPE, labels: L::NAMES, help: help.trim() }
    }
}

impl<K: Kind> Family<K, ()> {
    /// The only series of a metric without labels.
    pub fn only(&self) -> K::Series {
        self.of(())
    }
}

/// A metric, described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// counter, gauge or histogram.
    pub kind: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// One series for each value of a closed set, all of them visible from the start: a rate over a series that begins with
/// its first event misses that event.
#[derive(Debug, Clone)]
pub struct Each<C, S> {
    series: Vec<S>,
    values: PhantomData<fn(C)>,
}

impl<C: Closed, S> Each<C, S> {
    /// Makes the series.
    pub fn new(series: impl FnMut(C) -> S) -> Self {
        Self { series: C::ALL.iter().copied().map(series).collect(), values: PhantomData }
    }

    /// That of `value`.
    pub fn of(&self, value: C) -> &S {
        &self.series[value.index()]
    }
}

/// Declares metrics once: handle, name, labels, buckets; what documents the handle is the help text.
macro_rules! catalogue {
    ($(#[$doc:meta])* $set:ident {
        $(#[doc = $help:literal] $field:ident: $kind:ident<$labels:ty> = $name:literal $(, $buckets:expr)?;)+
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $set {
            registry: prometheus::Registry,
            $(#[doc = $help] pub $field: $kind<$labels>,)+
        }

        impl $set {
            /// Registers everything.
            ///
            /// # Errors
            /// Only where a name is registered twice or illegal: a defect that a test finds.
            pub fn new() -> Result<Self, prometheus::Error> {
                let registry = prometheus::Registry::new();
                Ok(Self {
                    $($field: $kind::register(&registry, $name, $help, buckets!($($buckets)?))?,)+
                    registry,
                })
            }

            $(
                #[doc = concat!("The name of `", stringify!($field), "`, for who reads what others export.")]
                #[must_use]
                pub const fn $field() -> &'static str {
                    $name
                }
            )+

            /// What there is.
            #[must_use]
            pub fn catalogue() -> Vec<Entry> {
                vec![$($kind::<$labels>::entry($name, $help),)+]
            }

            /// All series in the text exposition format, version 0.0.4.
            ///
            /// # Errors
            /// Where the format cannot hold what was counted: a defect.
            pub fn encode(&self) -> Result<String, prometheus::Error> {
                let mut text = Vec::new();
                prometheus::Encoder::encode(&prometheus::TextEncoder::new(), &self.registry.gather(), &mut text)?;
                Ok(String::from_utf8_lossy(&text).into_owned())
            }
        }
    };
}

/// The bounds of a histogram; a metric that is none has none.
macro_rules! buckets {
    () => {
        &[]
    };
    ($bounds:expr) => {
        &$bounds
    };
}

pub(super) use {buckets, catalogue};
