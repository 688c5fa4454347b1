//! What the machine is: what a maintainer would ask first.

use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;
use std::thread;

/// Files that say what the machine and its container give, by the name under which they are told.
const FILES: &[(&str, &str)] = &[
    ("kernel", "/proc/sys/kernel/osrelease"),
    ("system", "/etc/os-release"),
    ("load", "/proc/loadavg"),
    ("pressure_cpu", "/proc/pressure/cpu"),
    ("pressure_memory", "/proc/pressure/memory"),
    ("pressure_io", "/proc/pressure/io"),
    ("limits", "/proc/self/limits"),
];
/// Limits of a control group (version 2), and what is used of them.
const GROUP: &[&str] = &["cpu.max", "cpu.stat", "memory.max", "memory.current", "memory.events", "pids.max"];
/// Lines of `/proc/meminfo`.
const MEMORY: &[&str] = &["MemTotal", "MemAvailable", "SwapTotal", "SwapFree"];

/// Facts of this machine; what it does not tell is absent.
pub(super) fn document() -> Value {
    let mut facts = Map::new();
    facts.insert("os".to_owned(), std::env::consts::OS.into());
    facts.insert("architecture".to_owned(), std::env::consts::ARCH.into());
    facts.insert("cores".to_owned(), json!(thread::available_parallelism().ok()));
    facts.extend(
        FILES.iter().filter_map(|(name, path)| Some(((*name).to_owned(), read(path.as_ref())?.into()))),
    );
    facts.insert("memory".to_owned(), memory(&read("/proc/meminfo".as_ref()).unwrap_or_default()));
    facts.insert("control_group".to_owned(), control_group(Path::new("/sys/fs/cgroup")));
    Value::Object(facts)
}

fn read(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim_end().to_owned())
}

fn memory(meminfo: &str) -> Value {
    let lines = meminfo.lines().filter_map(|line| line.split_once(':'));
    let wanted = lines.filter(|(name, _)| MEMORY.contains(name));
    wanted.map(|(name, value)| (name.to_owned(), Value::from(value.trim()))).collect::<Map<_, _>>().into()
}

/// The group of this process, and those above it: the tightest limit counts.
fn control_group(root: &Path) -> Value {
    let own = read("/proc/self/cgroup".as_ref()).unwrap_or_default();
    let path = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let inside = root.join(path);
    let groups = inside.ancestors().take_while(|folder| folder.starts_with(root));
    let told = |folder: &Path| -> Map<String, Value> {
        GROUP.iter().filter_map(|name| Some(((*name).to_owned(), read(&folder.join(name))?.into()))).collect()
    };
    let named = |folder: &Path| {
        let name = folder.strip_prefix(root).unwrap_or(folder).display().to_string();
        (format!("/{name}"), Value::Object(told(folder)))
    };
    Value::Object(groups.map(named).filter(|(_, told)| told != &json!({})).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_described() {
        let facts = document();
        assert!(facts["cores"].as_u64() > Some(0), "{facts}");
        if cfg!(target_os = "linux") {
            assert!(facts["limits"].as_str().unwrap().contains("open files"), "{facts}");
            assert!(facts["memory"]["MemTotal"].as_str().unwrap().ends_with("kB"), "{facts}");
        }
    }

    #[test]
    fn memory_is_told_as_far_as_it_matters() {
        let found = memory("MemTotal:  16 kB\nBuffers: 5 kB\nMemAvailable: 8 kB\n");
        assert_eq!(found, json!({ "MemTotal": "16 kB", "MemAvailable": "8 kB" }));
    }
}
