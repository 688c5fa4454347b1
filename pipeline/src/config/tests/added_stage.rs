//! A stage that nobody but this test knows: its one entry in the list must be enough for all of its configuration.

use super::*;
use crate::stages::{STAGES, StageEntry};
use serde::Deserialize;
use std::path::PathBuf;
use treble_core::{Assets, ConfigError, Outbox, PcmBlock, Stage, StageError};

#[derive(Debug)]
struct Gain {
    config: GainConfig,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct GainConfig {
    decibels: i64,
    curve: Option<PathBuf>,
    fade: Fade,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Fade {
    seconds: u32,
}

impl Stage for Gain {
    const NAME: &'static str = "gain";
    const SUMMARY: &'static str = "makes PCM louder";
    const SETTINGS: &'static str = "# The section of this stage.\n\n# The stage gain.\n[gain]\n\
        # How much louder, in dB, -60 to 60.\ndecibels = 0\n# A file with a curve. Empty: none.\ncurve = \"\"\n\n\
        # The beginning.\n[gain.fade]\n# How long it takes to become loud.\nseconds = 0\n";
    type Config = GainConfig;
    type In = PcmBlock;
    type Out = PcmBlock;

    fn check(config: &GainConfig) -> Result<(), ConfigError> {
        if (-60..=60).contains(&config.decibels) {
            return Ok(());
        }
        let (problem, fix) = ("too much".to_owned(), "choose -60 to 60".to_owned());
        Err(ConfigError { key: "gain.decibels", problem, fix })
    }

    fn new(config: &GainConfig, _: &Assets) -> Result<Self, ConfigError> {
        Ok(Self { config: config.clone() })
    }

    fn push(&mut self, input: PcmBlock, out: &mut Outbox<PcmBlock>) -> Result<(), StageError> {
        let factor = 10_f32.powf(self.config.decibels as f32 / 20.0);
        let louder = |plane: &Vec<f32>| plane.iter().map(|sample| sample * factor).collect();
        let planes = input.planes().iter().map(louder).collect();
        out.emit(PcmBlock::new(input.spec(), input.first_frame(), planes).0);
        Ok(())
    }

    fn finish(&mut self, _: &mut Outbox<PcmBlock>) -> Result<(), StageError> {
        Ok(())
    }
}

/// The list with one line more.
fn catalogue() -> &'static Catalogue {
    let mut stages = STAGES.to_vec();
    stages.insert(2, StageEntry::of::<Gain>("audio.loud"));
    Box::leak(Box::new(Catalogue::of(stages.leak())))
}

fn load_gain(file: &str, variables: &[(&str, &str)]) -> Result<Loaded, ConfigFaults> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(FILE_NAME), file).unwrap();
    load_from(catalogue(), &Request::default(), &surroundings(folder.path(), variables))
}

#[test]
fn its_section_is_read_from_every_source_and_reaches_the_stage() {
    let loaded = load_gain("[gain.fade]\nseconds = 3", &[("TREBLE_GAIN_DECIBELS", "6")]).unwrap();
    let config = loaded.config.stage_configs.of::<Gain>();
    assert_eq!(config, GainConfig { decibels: 6, curve: None, fade: Fade { seconds: 3 } });
    let entry = loaded.settings.catalogue().stages()[2];
    let built = (entry.build)(&loaded.config.stage_configs, &Assets::default()).unwrap();
    assert!(format!("{built:?}").contains("decibels: 6"), "{built:?}");
    let shown = show::toml(&loaded.settings, true);
    for (line, source) in [
        ("decibels = 6", "# environment TREBLE_GAIN_DECIBELS"),
        ("seconds = 3", "treble.toml"),
        ("curve = \"\"", "# default"),
    ] {
        let found = shown.lines().find(|found| found.starts_with(line));
        assert!(found.is_some_and(|found| found.ends_with(source)), "{line}: {shown}");
    }
}

#[test]
fn its_faults_are_found_and_slips_find_their_key() {
    let check = |file: &str, words: &[&str]| {
        let faults = load_gain(file, &[]).unwrap_err();
        assert_eq!(faults.0.len(), 1, "{faults}");
        words.iter().for_each(|word| assert!(faults.to_string().contains(word), "{word}: {faults}"));
    };
    check("[gain]\ndecibel = 3", &["gain.decibel", "did you mean gain.decibels?"]);
    check("[gain]\ndecibels = \"loud\"", &["gain.decibels", "the default is 0"]);
    check("[gain]\ndecibels = 61", &["gain.decibels = 61", "too much", "choose -60 to 60"]);
    check("[gain.fade]\nseconds = -1", &["gain.fade.seconds"]);
    let warnings = load_gain("", &[("TREBLE_GAIN_DECIBEL", "1")]).unwrap().warnings;
    assert!(warnings[0].to_string().contains("did you mean TREBLE_GAIN_DECIBELS?"), "{warnings:?}");
}

#[test]
fn its_keys_are_in_the_reference() {
    let reference = reference::markdown(catalogue());
    assert!(reference.contains("## `[gain]`\n\nThe stage gain.\n"), "{reference}");
    let line = "| `gain.decibels` | `0` | `TREBLE_GAIN_DECIBELS` | How much louder, in dB, -60 to 60. |";
    assert!(reference.contains(line), "{reference}");
}
