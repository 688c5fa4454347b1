//! Test support of Treble.
pub mod broker;
