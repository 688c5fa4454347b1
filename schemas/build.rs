//! Compiles the Protobuf contracts without a `protoc` binary.
//!
//! `bytes` fields become `bytes::Bytes`, so that a chunk's payload is a slice of the record it came in.

use std::error::Error;
use std::path::PathBuf;

const FILES: [&str; 2] = ["treble/v1/chunk.proto", "treble/v1/state.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: run through cargo")?);
    prost_build::Config::new().bytes(["."]).out_dir(out).compile_fds(descriptors)?;
    Ok(())
}
