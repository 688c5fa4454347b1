//! `treble validate`.

use super::{Context, Exit, Failure, files};
use crate::config::{Config, Fault, Settings, shown};
use clap::Args;
use serde_json::json;
use std::fs::File;
use std::path::Path;
use treble_upscale::{Mode, ModelChoice, UpscaleStage};

/// Checks the configuration and names all its faults at once
#[derive(Debug, Args)]
pub(super) struct Validate {
    /// Checks what is written only, not whether the files it names are there
    #[arg(long)]
    no_environment: bool,
    /// Counts warnings as faults
    #[arg(long)]
    deny_warnings: bool,
}

impl Validate {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let loaded = crate::config::load(&context.options.request(), &context.surroundings)?;
        let mut faults = Vec::new();
        if !self.no_environment {
            faults.extend(missing_files(&loaded.config, &loaded.settings));
        }
        if self.deny_warnings {
            faults.extend(loaded.warnings.iter().cloned());
        } else {
            loaded.warnings.iter().for_each(|warning| context.output.warning(warning));
        }
        if !faults.is_empty() {
            return Err(crate::config::ConfigFaults(faults).into());
        }
        let document = json!({ "valid": true, "warnings": loaded.warnings.len() });
        context.output.document("validation", &document, || "The configuration holds.".to_owned())?;
        Ok(Exit::Success)
    }
}

/// The files that the configuration names and that cannot be opened.
fn missing_files(config: &Config, settings: &Settings) -> Vec<Fault> {
    let upscale = config.stage_configs.of::<UpscaleStage>();
    let ai = upscale.mode == Mode::Ai;
    let model = match &upscale.model {
        ModelChoice::File(path) => Some(path.as_path()),
        ModelChoice::Quality | ModelChoice::Live => None,
    };
    let of_model = [
        ("upscale.model", model.filter(|_| ai)),
        ("engine.library", config.engine.library.as_deref().filter(|_| ai)),
    ];
    let of_model = of_model.into_iter().filter_map(|(key, path)| Some((key, path?)));
    let access =
        [files::secrets(config), files::shown_certificates(config), files::trusted_certificates(config)];
    let named = access.into_iter().flatten().chain(of_model);
    named.filter_map(|(key, path)| unopenable(key, path, settings)).collect()
}

fn unopenable(key: &str, path: &Path, settings: &Settings) -> Option<Fault> {
    let error = File::open(path).err()?;
    let setting = settings.get(key);
    Some(Fault {
        key: key.to_owned(),
        value: setting.map(|setting| shown(key, &setting.value)).unwrap_or_default(),
        origin: setting.map(|setting| setting.origin.clone()),
        problem: format!("cannot be opened: {error}"),
        fix: "name a file that can be read".to_owned(),
    })
}
