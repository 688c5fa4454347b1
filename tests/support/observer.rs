//! Nobody who watches.

use treble_pipeline::runtime::compute::Observer;
use treble_pipeline::runtime::partition::{Load, Notice};

/// An observer that hears everything and does nothing.
#[derive(Debug)]
pub struct Silent;

impl Observer for Silent {
    fn notice(&self, _: i32, _: Notice) {}
    fn load(&self, _: Load) {}
    fn registry_unavailable(&self, _: &str) {}
    fn registry_answers(&self) {}
}
