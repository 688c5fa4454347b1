//! `treble run` as a user starts it: a process of its own, which tests kill as a power cut would.

use crate::broker::LocalStack;
use crate::configuration;
use crate::http::get;
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// The `treble` binary of this build: it lies beside the folder of the test binaries.
pub fn binary() -> Result<PathBuf> {
    let own = std::env::current_exe().context("where the test binary lies")?;
    let folder = own.parent().and_then(Path::parent).context("the build folder")?;
    let binary = folder.join("treble");
    ensure!(binary.is_file(), "{} is missing: `cargo build --bins` comes before this test", binary.display());
    Ok(binary)
}

/// How to start one worker process again and again.
#[derive(Debug)]
pub struct Worker {
    /// The stages it runs.
    pub stages: &'static str,
    /// Its instance id.
    pub instance: String,
    /// The program; `None`: that of this build.
    program: Option<PathBuf>,
    settings: Vec<(&'static str, String)>,
    folder: TempDir,
    running: Option<Running>,
    started: u32,
}

#[derive(Debug)]
struct Running {
    child: Child,
    port: u16,
}

impl Worker {
    /// A worker for `stages` under `prefix`; `more` settings override the private stack's.
    pub fn new(
        stack: &LocalStack,
        prefix: &str,
        stages: &'static str,
        instance: &str,
        more: &[(&'static str, String)],
    ) -> Result<Self> {
        let mut settings = configuration::settings(stack, prefix);
        settings.retain(|(key, _)| *key != "admin.listen");
        settings.extend(more.iter().cloned());
        let folder = tempfile::tempdir()?;
        let instance = instance.to_owned();
        Ok(Self { stages, instance, program: None, settings, folder, running: None, started: 0 })
    }

    /// From the next start on, it is `program`, of another version maybe; `None`: that of this build.
    pub fn becomes(&mut self, program: Option<&Path>) {
        self.program = program.map(Path::to_owned);
    }

    /// Starts the process; it need not be ready when this returns.
    pub fn start(&mut self) -> Result<()> {
        let port = configuration::free_port()?;
        self.started += 1;
        let log = File::create(self.log())?;
        let program = self.program.clone().map_or_else(binary, Ok)?;
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .args(["run", "--stages", self.stages, "--instance-id", &self.instance])
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        command.envs(self.settings.iter().map(|(key, value)| (environment_name(key), value)));
        let child = command.spawn().context("treble run")?;
        self.running = Some(Running { child, port });
        Ok(())
    }

    /// Ends the process with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        let mut running = self.running.take().context("not running")?;
        running.child.kill()?;
        running.child.wait()?;
        Ok(())
    }

    /// Asks the process to drain (SIGTERM) and waits for a clean end.
    pub fn terminate(&mut self) -> Result<()> {
        let mut running = self.running.take().context("not running")?;
        signal(running.child.id(), "TERM")?;
        let status = running.child.wait()?;
        ensure!(status.success(), "{} {}: {status}\n{}", self.stages, self.instance, self.log_tail());
        Ok(())
    }

    /// Freezes or wakes the process.
    pub fn signal(&self, name: &str) -> Result<()> {
        signal(self.running.as_ref().context("not running")?.child.id(), name)
    }

    /// Waits until `/readyz` says yes.
    pub fn await_ready(&mut self, patience: Duration) -> Result<()> {
        let port = self.running.as_ref().context("not running")?.port;
        let step = Duration::from_millis(50);
        let mut waited = Duration::ZERO;
        while !get(port, "/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            if let Some(status) =
                self.running.as_mut().and_then(|running| running.child.try_wait().ok().flatten())
            {
                bail!("{} {} ended: {status}\n{}", self.stages, self.instance, self.log_tail());
            }
            ensure!(
                waited < patience,
                "{} is not ready after {patience:?}\n{}",
                self.stages,
                self.log_tail()
            );
            thread::park_timeout(step);
            waited += step;
        }
        Ok(())
    }

    /// What `/readyz` says: status line, headers and text.
    #[must_use]
    pub fn readiness(&self) -> Option<String> {
        get(self.running.as_ref()?.port, "/readyz")
    }

    /// The process's own account, as Prometheus would read it.
    #[must_use]
    pub fn metrics(&self) -> Option<String> {
        get(self.running.as_ref()?.port, "/metrics")
    }

    /// Memory that the process holds now.
    pub fn resident_bytes(&self) -> Result<u64> {
        self.memory("VmRSS:")
    }

    /// The most memory that it ever held.
    pub fn peak_resident_bytes(&self) -> Result<u64> {
        self.memory("VmHWM:")
    }

    /// Processor time that the process has used.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let process = self.running.as_ref().context("not running")?.child.id();
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        let (_, fields) = stat.rsplit_once(')').context("a process name")?;
        let ticks = |index: usize| -> Result<f64> {
            Ok(fields.split_whitespace().nth(index).context("a field")?.parse()?)
        };
        // User and system time, in ticks of 1/100 s (proc(5), USER_HZ).
        Ok((ticks(11)? + ticks(12)?) / 100.0)
    }

    fn memory(&self, field: &str) -> Result<u64> {
        memory_bytes(&self.running.as_ref().context("not running")?.child.id().to_string(), field)
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&mut self) -> Result<bool> {
        let running = self.running.as_mut().context("not running")?;
        Ok(running.child.try_wait()?.is_some())
    }

    /// Waits until the process has ended by itself; its exit code and what it said.
    pub fn await_end(&mut self, patience: Duration) -> Result<(Option<i32>, String)> {
        let step = Duration::from_millis(50);
        let mut waited = Duration::ZERO;
        loop {
            let running = self.running.as_mut().context("not running")?;
            if let Some(status) = running.child.try_wait()? {
                self.running = None;
                return Ok((status.code(), fs::read_to_string(self.log())?));
            }
            ensure!(waited < patience, "{} still runs\n{}", self.stages, self.log_tail());
            thread::park_timeout(step);
            waited += step;
        }
    }

    /// Changes a setting for the next start.
    pub fn set(&mut self, key: &'static str, value: &str) {
        self.settings.retain(|(other, _)| *other != key);
        self.settings.push((key, value.to_owned()));
    }

    /// The end of the log of the latest start.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join(format!("{}.log", self.started))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.kill().ok();
        }
        // The harness shows this where the test failed.
        eprintln!("--- {} {}\n{}", self.stages, self.instance, self.log_tail());
    }
}

/// A command that is killed when this is dropped.
#[derive(Debug)]
pub struct Background(Child);

impl Background {
    /// Starts it, with nothing said.
    pub fn start(command: &mut Command) -> Result<Self> {
        Ok(Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?))
    }

    /// One that was started already.
    #[must_use]
    pub const fn of(child: Child) -> Self {
        Self(child)
    }

    /// Ends it as an operator would (SIGTERM), and waits for a clean end.
    pub fn end(mut self) -> Result<()> {
        signal(self.0.id(), "TERM")?;
        let status = self.0.wait()?;
        ensure!(status.success(), "it ended with {status}");
        Ok(())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Where it has ended there is nobody to kill.
        drop(self.0.kill().and_then(|()| self.0.wait()));
    }
}

/// What ties a `treble` command to `stack` under `prefix`.
#[must_use]
pub fn environment(stack: &LocalStack, prefix: &str) -> Vec<(String, String)> {
    let settings = configuration::settings(stack, prefix);
    settings.into_iter().map(|(key, value)| (environment_name(key), value)).collect()
}

/// `kafka.bootstrap_servers` → `TREBLE_KAFKA_BOOTSTRAP_SERVERS`.
fn environment_name(key: &str) -> String {
    format!("TREBLE_{}", key.replace('.', "_").to_uppercase())
}

/// What `/proc` tells of the memory of `process`, a number or `self`: `VmRSS:` now, `VmHWM:` at most (proc(5)).
pub fn memory_bytes(process: &str, field: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024)
}

fn signal(process: u32, name: &str) -> Result<()> {
    let status = Command::new("kill").args([format!("-{name}"), process.to_string()]).status()?;
    ensure!(status.success(), "kill -{name} {process}: {status}");
    Ok(())
}
