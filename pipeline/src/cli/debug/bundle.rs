//! `treble debug bundle`.

use super::archive::{Archive, Content};
use super::hidden::Hidden;
use super::processes::Process;
use super::{cluster, environment, host, tail};
use crate::cli::destination::Destination;
use crate::cli::scrape::Scraper;
use crate::cli::{Context, Exit, Failure, doctor};
use crate::clock::{SystemClock, rfc3339};
use crate::config::{self, Catalogue, Config, Loaded, show};
use crate::kafka::client;
use crate::ports::Clock;
use crate::runtime::model;
use crate::telemetry::process;
use clap::Args;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use treble_upscale::UpscaleStage;

/// The most that is taken of the end of the log.
const LOG_BYTES: u64 = 1 << 20;

#[derive(Debug, Args)]
#[command(after_help = "\
In it: the version, the configuration with who set what, what doctor finds, /metrics and /readyz of processes that run, the end of the \
log, topics, groups and lag, the latest dead letters without what they carry, the model's identity, the machine, the variables that speak \
to Treble. Secrets are taken out of all of it; MANIFEST.json lists the files, and says why one is missing. A file has 2 MiB at most, all \
together 32 MiB. Names of streams are in it: read it before you give it away.

Examples:
  treble debug bundle
  treble debug bundle -o report.tar.gz --from 10.0.0.1:9464 --from 10.0.0.9:9468")]
pub(in crate::cli) struct Bundle {
    /// The archive, or - for standard output; without it, treble-debug-TIME.tar.gz in this folder
    #[arg(short = 'o', value_name = "FILE")]
    to: Option<PathBuf>,
    /// A process to ask for /metrics and /readyz, repeatable; without any, admin.listen of the configuration
    #[arg(long, value_name = "HOST:PORT")]
    from: Vec<String>,
    /// Speaks TLS with processes, and trusts the authorities in this PEM file; the token is that of admin.token_file
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl Bundle {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let now = SystemClock::new().unix_us();
        let to = self.to.clone().unwrap_or_else(|| format!("treble-debug-{}.tar.gz", stamp(now)).into());
        // Before anything is asked: a folder that is not there is the likelier mistake.
        let mut destination = Destination::private(&to)?;
        let archive = self.gather(context);
        archive.write(destination.writer(), now).map_err(|error| Failure::uncreatable(&to, &error))?;
        destination.keep(&to)?;
        if to == Path::new("-") {
            return Ok(Exit::Success);
        }
        let missing = archive.missing();
        let document =
            json!({ "file": to.display().to_string(), "files": archive.count(), "missing": missing });
        context.output.document("bundle", &document, || {
            let lacks = match missing.len() {
                0 => String::new(),
                _ => format!("\nNot to be had, and why is in them: {}", missing.join(", ")),
            };
            format!(
                "{}: {} files, without secrets. Read it before you give it away.{lacks}",
                to.display(),
                archive.count()
            )
        })?;
        Ok(Exit::Success)
    }

    fn gather(&self, context: &Context) -> Archive {
        let loaded = config::load(&context.options.request(), &context.surroundings).map_err(Failure::from);
        let hidden = Hidden::known(&context.options, &context.surroundings, loaded.as_ref().ok());
        let mut archive = Archive::new(hidden);
        archive.add("version.json", "the program", Ok(Content::Json(version())));
        archive.add("host.json", "the machine", Ok(Content::Json(host::document())));
        let variables = environment::document(&context.surroundings, Catalogue::standard());
        archive.add("environment.json", "the variables that speak to Treble", Ok(Content::Json(variables)));
        self.ask(&mut archive, loaded.as_ref().ok().map(|loaded| &loaded.config));
        match loaded {
            Ok(loaded) => configured(&mut archive, &loaded),
            Err(failure) => archive.add("configuration.toml", "the configuration", Err(failure)),
        }
        archive
    }

    /// Asks each process for what it says of itself.
    fn ask(&self, archive: &mut Archive, config: Option<&Config>) {
        let scraper = match config {
            Some(config) => Scraper::configured(self.ca_file.clone(), config),
            None => Ok(Scraper::default()),
        };
        for process in Process::all(&self.from, config) {
            let folder = process.folder();
            let told = |path| process.ask(&scraper, path).map(Content::Text);
            archive.add(&format!("{folder}/metrics.txt"), "its metrics", told("/metrics"));
            archive.add(&format!("{folder}/readyz.txt"), "whether it is ready", told("/readyz"));
        }
    }
}

/// What only somebody with a configuration can find.
fn configured(archive: &mut Archive, loaded: &Loaded) {
    let config = &loaded.config;
    let toml = show::toml(&loaded.settings, true);
    archive.add("configuration.toml", "the configuration, with who set what", Ok(Content::Text(toml)));
    let checks: Vec<Value> = doctor::examine(loaded).iter().map(doctor::Finding::document).collect();
    archive.add("doctor.json", "what doctor finds", Ok(Content::Json(json!({ "checks": checks }))));
    archive.add("model.json", "the model and its library", Ok(Content::Json(identity(config))));
    archive.add("log.txt", "the end of the log", log(config).map(Content::Text));
    for (name, what, content) in cluster::files(config) {
        archive.add(name, what, content);
    }
}

fn version() -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "revision": process::REVISION,
        "profile": if cfg!(debug_assertions) { "dev" } else { "release" },
        "lakes_in_buckets": { "s3": cfg!(feature = "lake-s3"), "azure": cfg!(feature = "lake-azure") },
        "librdkafka": client::library_version(),
    })
}

fn log(config: &Config) -> Result<String, Failure> {
    let Some(path) = &config.log.file else {
        return Err(Failure::new(Exit::NoInput, "there is no file: the log goes to standard error")
            .mend("keep what the process writes there, or set log.file"));
    };
    tail::of(path, LOG_BYTES).map_err(|error| {
        Failure::new(Exit::NoInput, format!("cannot read {}", path.display())).because(error)
    })
}

/// Which files would be opened; what each is, by its hash. Whether they fit each other is doctor's to say.
fn identity(config: &Config) -> Value {
    let (library, file) = model::files(config);
    let told = |path: &Path| {
        let hash = sha256(path).map_or_else(|error| json!({ "error": error.to_string() }), Value::from);
        json!({ "path": path.display().to_string(), "sha256": hash })
    };
    json!({
        "mode": format!("{:?}", config.stage_configs.of::<UpscaleStage>().mode).to_lowercase(),
        "model": told(&file),
        "library": library.as_deref().map(told),
    })
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A time as part of a file's name: 20000229T000000Z.
fn stamp(unix_us: i64) -> String {
    let whole = rfc3339(unix_us);
    let seconds = whole.split('.').next().unwrap_or_default();
    seconds.replace(['-', ':'], "") + "Z"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_s_name_says_when() {
        assert_eq!(stamp(951_782_400_000_001), "20000229T000000Z");
    }
}
