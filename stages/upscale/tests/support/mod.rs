//! What the tests of this crate share.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test binary uses some of it")]

pub mod library;
pub mod signals;
