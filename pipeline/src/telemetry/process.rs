//! What every process tells of itself: its version, and what the system says of it, as Prometheus' own client libraries tell it. On Linux,
//! from /proc (proc(5)).

use super::log;
use super::metrics::ProcessMetrics;
use std::fs;

/// The commit that this was built from, where whoever built it said so.
pub const REVISION: &str = match option_env!("TREBLE_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// Ticks a second in `/proc/*/stat`: `USER_HZ`, 100 on every Linux.
const TICKS: f64 = 100.0;

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Usage {
    cpu_seconds: f64,
    threads: i64,
    /// Unix time.
    start_seconds: f64,
    virtual_bytes: i64,
    resident_bytes: i64,
    max_fds: i64,
}

/// The metrics of this process and of its log, as they are now; the former where the system has a /proc.
///
/// # Errors
/// Where a metric cannot be registered or written: a defect.
pub fn exposition() -> Result<String, prometheus::Error> {
    Ok(of_system()? + &log::exposition()?)
}

fn of_system() -> Result<String, prometheus::Error> {
    let file = |name: &str| fs::read_to_string(format!("/proc/{name}")).ok();
    let usage =
        (|| usage(&file("self/stat")?, &file("self/status")?, &file("self/limits")?, &file("stat")?))();
    let metrics = ProcessMetrics::new()?;
    metrics.build_info.of((env!("CARGO_PKG_VERSION").into(), REVISION.into())).set(1);
    let Some(usage) = usage else { return metrics.encode() };
    metrics.cpu.only().inc_by(usage.cpu_seconds);
    metrics.threads.only().set(usage.threads);
    metrics.start.only().set(usage.start_seconds);
    metrics.virtual_memory.only().set(usage.virtual_bytes);
    metrics.resident.only().set(usage.resident_bytes);
    metrics.max_fds.only().set(usage.max_fds);
    let open = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    // Without the one that looks.
    metrics.open_fds.only().set(i64::try_from(open.saturating_sub(1)).unwrap_or(i64::MAX));
    metrics.encode()
}

fn usage(stat: &str, status: &str, limits: &str, system: &str) -> Option<Usage> {
    // The name in brackets may hold anything; fields are numbered from 3 behind it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    let line = |text: &str, name: &str, place: usize| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().nth(place)?.parse::<f64>().ok()
    };
    let kibibytes = |name| Some((line(status, name, 0)? * 1024.0) as i64);
    Some(Usage {
        cpu_seconds: (field(14)? + field(15)?) / TICKS,
        threads: field(20)? as i64,
        start_seconds: line(system, "btime", 0)? + field(22)? / TICKS,
        virtual_bytes: kibibytes("VmSize:")?,
        resident_bytes: kibibytes("VmRSS:")?,
        max_fds: line(limits, "Max open files", 0)? as i64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_proc_5() {
        let stat = "42 (a b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 13 14 15 16 7 18 1000 20 21";
        let status = "Name:\ttreble\nVmSize:\t    2048 kB\nVmRSS:\t     512 kB\n";
        let limits = "Max open files            1024                 4096                 files\n";
        let usage = usage(stat, status, limits, "cpu 1 2\nbtime 1700000000\n").unwrap();
        let expect = Usage {
            cpu_seconds: 3.0,
            threads: 7,
            start_seconds: 1_700_000_010.0,
            virtual_bytes: 2 << 20,
            resident_bytes: 512 << 10,
            max_fds: 1024,
        };
        assert_eq!(usage, expect);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_measured() {
        let text = exposition().unwrap();
        assert!(text.contains("treble_build_info{"), "{text}");
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("{name}\n{text}")).parse().unwrap()
        };
        let entries = ProcessMetrics::catalogue();
        let measured = entries.iter().filter(|entry| entry.labels.is_empty());
        assert!(measured.clone().count() > 5 && measured.into_iter().all(|entry| value(entry.name) >= 0.0));
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_start_time_seconds") > 1.6e9);
    }
}
