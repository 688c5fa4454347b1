//! A day of audio through one stream: memory must not grow.

use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::time::Duration;
use treble_bench_support::{Figure, timed};
use treble_pipeline::config::{self, Request, Surroundings};
use treble_pipeline::offline;

const RATE_HZ: u64 = 8_000;
const HOURS: u64 = 24;
const SECONDS: u64 = HOURS * 3_600;

/// A WAV without a known length, as a live encoder writes it: a low tone for so many seconds.
struct Day {
    header: &'static [u8],
    next: u64,
}

/// 16 bits, mono, 8 kHz; both lengths say "unknown".
const HEADER: &[u8] = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\xff\xff\xff\xff";

impl Read for Day {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if !self.header.is_empty() {
            return self.header.read(into);
        }
        let left = (SECONDS * RATE_HZ - self.next) as usize;
        let frames = (into.len() / 2).min(left);
        for sample in into.chunks_exact_mut(2).take(frames) {
            // A triangle of 50 Hz: cheap to make, and no codec can skip it.
            let phase = (self.next % 160) as i16;
            sample.copy_from_slice(&((phase - 80).abs() * 200 - 8_000).to_le_bytes());
            self.next += 1;
        }
        Ok(frames * 2)
    }
}

/// Counts what is written, and remembers how much memory the process held after the first hour.
#[derive(Default)]
struct Sink {
    bytes: u64,
    after_an_hour: Option<u64>,
}

impl Write for Sink {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.bytes += data.len() as u64;
        // 48 kHz, 24 bits.
        if self.after_an_hour.is_none() && self.bytes > 3_600 * 48_000 * 3 {
            self.after_an_hour = resident_kib().ok();
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn resident_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

pub(crate) fn figures() -> Result<Vec<Figure>> {
    let mut request = Request::default();
    request.set("upscale.mode", "baseline", "bench");
    // The plainest output: the stages before it are what is looked at.
    request.set("encode.codec", "wav", "bench");
    let surroundings = Surroundings { host_name: "bench".to_owned(), ..Surroundings::default() };
    let config = config::load(&request, &surroundings)?.config;
    let mut sink = Sink::default();
    let took: Duration = timed(|| {
        let mut day = Day { header: HEADER, next: 0 };
        Ok(offline::upscale(&config, "audio/wav", &mut day, &mut sink, &mut |_| {})?)
    })?;
    let after_an_hour = sink.after_an_hour.context("not an hour came out")?;
    let grown = resident_kib()?.saturating_sub(after_an_hour);
    Ok(vec![
        Figure::speed("day_in_one_stream_speed", SECONDS as f64, took),
        Figure {
            name: "day_in_one_stream_memory_growth".to_owned(),
            value: grown as f64,
            unit: "KiB",
            better: "lower",
            against: Some("memory after the first hour".to_owned()),
        },
    ])
}
