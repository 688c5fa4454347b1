//! Benchmarks of Treble.
