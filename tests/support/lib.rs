//! Test support of Treble.
