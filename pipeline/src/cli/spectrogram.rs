//! `treble spectrogram`.

mod canvas;
mod colour;
mod font;
mod stft;

use super::input::Input;
use super::{Context, Exit, Failure, listen};
use canvas::Canvas;
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};
use stft::{Signal, Spectrogram as Spectra};
use treble_decode::{DecodeConfig, DecodeStage};

/// Draws two files side by side: what was missing, and what was restored
#[derive(Debug, Args)]
#[command(after_help = "Example: treble spectrogram song.mp3 song.flac -o song.png")]
pub(super) struct Spectrogram {
    /// The file before
    before: PathBuf,
    /// The file after
    after: PathBuf,
    /// The picture to write
    #[arg(short = 'o', long = "to", value_name = "FILE")]
    to: PathBuf,
    /// How much of the beginning is drawn
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
}

/// Size of one panel, in pixels.
const PANEL_WIDTH: usize = 600;
const PANEL_HEIGHT: usize = 400;
/// Around and between the panels: room for titles and axes.
const MARGIN_LEFT: usize = 76;
const MARGIN_TOP: usize = 34;
const MARGIN_BOTTOM: usize = 40;
const GAP: usize = 40;

impl Spectrogram {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let config = context.load(&context.options.request())?.config;
        let decode = config.stage_configs.of::<DecodeStage>();
        let before = self.signal(&decode, &self.before)?;
        let after = self.signal(&decode, &self.after)?;
        // Both panels share their axes: only then can they be compared.
        let seconds = before.seconds().max(after.seconds());
        let spectra = [&before, &after].map(|signal| Spectra::of(signal, PANEL_WIDTH, seconds));
        let top_hz = before.nyquist_hz().max(after.nyquist_hz());
        draw(&spectra, top_hz, seconds).save(&self.to)?;
        let document = json!({
            "file": self.to.display().to_string(),
            "before_rate_hz": before.rate_hz,
            "after_rate_hz": after.rate_hz,
            "before_bandwidth_hz": spectra[0].bandwidth_hz(),
            "after_bandwidth_hz": spectra[1].bandwidth_hz(),
        });
        context.output.document("spectrogram", &document, || self.to.display().to_string())?;
        Ok(Exit::Success)
    }

    fn signal(&self, config: &DecodeConfig, path: &Path) -> Result<Signal, Failure> {
        let mut signal = Signal::default();
        listen::decode(config, &Input::of(path), |block| signal.add(block, self.seconds))?;
        if signal.samples.is_empty() {
            let what = format!("{} holds no audio to draw", path.display());
            return Err(Failure::new(Exit::Data, what));
        }
        Ok(signal)
    }
}

fn draw(spectra: &[Spectra; 2], top_hz: f32, seconds: f32) -> Canvas {
    let width = MARGIN_LEFT + 2 * PANEL_WIDTH + 2 * GAP;
    let mut canvas = Canvas::new(width, MARGIN_TOP + PANEL_HEIGHT + MARGIN_BOTTOM);
    for (index, (title, spectra)) in ["BEFORE", "AFTER"].into_iter().zip(spectra).enumerate() {
        let left = MARGIN_LEFT + index * (PANEL_WIDTH + GAP);
        panel(&mut canvas, left, spectra, top_hz);
        canvas.text(left, MARGIN_TOP - 24, title);
        time_axis(&mut canvas, left, seconds);
    }
    frequency_axis(&mut canvas, top_hz);
    canvas
}

#[expect(clippy::cast_precision_loss, reason = "pixels are few")]
fn panel(canvas: &mut Canvas, left: usize, spectra: &Spectra, top_hz: f32) {
    let hz_per_row = top_hz / PANEL_HEIGHT as f32;
    for row in 0..PANEL_HEIGHT {
        let low = (PANEL_HEIGHT - 1 - row) as f32 * hz_per_row;
        for column in 0..PANEL_WIDTH {
            let level = spectra.level_db(column, low, low + hz_per_row);
            canvas.set(left + column, MARGIN_TOP + row, colour::of_level(level));
        }
    }
}

/// A step that gives about five labels over `whole`.
fn step_for(whole: f32) -> f32 {
    let rough = (whole / 5.0).max(f32::MIN_POSITIVE);
    let magnitude = 10_f32.powf(rough.log10().floor());
    let nice = [1.0, 2.0, 5.0, 10.0].into_iter().find(|nice| nice * magnitude >= rough);
    nice.unwrap_or(10.0) * magnitude
}

/// Multiples of `step` from 0 to `whole`.
fn marks(whole: f32) -> impl Iterator<Item = f32> {
    let step = step_for(whole);
    std::iter::successors(Some(0.0), move |mark| Some(mark + step))
        .take_while(move |mark| *mark <= whole * 1.001)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pixels are few and not negative"
)]
fn along(value: f32, whole: f32, pixels: usize) -> usize {
    ((value / whole) * (pixels - 1) as f32).round() as usize
}

fn time_axis(canvas: &mut Canvas, left: usize, seconds: f32) {
    for mark in marks(seconds) {
        let x = left + along(mark, seconds, PANEL_WIDTH);
        canvas.vertical(x, MARGIN_TOP + PANEL_HEIGHT, 6);
        let label = format!("{} s", tidy(mark));
        canvas.text(x.saturating_sub(canvas::text_width(&label) / 2), MARGIN_TOP + PANEL_HEIGHT + 12, &label);
    }
}

fn frequency_axis(canvas: &mut Canvas, top_hz: f32) {
    for mark in marks(top_hz) {
        let y = MARGIN_TOP + PANEL_HEIGHT - 1 - along(mark, top_hz, PANEL_HEIGHT);
        canvas.horizontal(MARGIN_LEFT - 6, y, 6);
        let label = format!("{} kHz", tidy(mark / 1000.0));
        let x = (MARGIN_LEFT - 10).saturating_sub(canvas::text_width(&label));
        canvas.text(x, y.saturating_sub(5), &label);
    }
}

/// At most two digits after the point, and none that say nothing.
fn tidy(value: f32) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_a_handful_of_round_marks() {
        let check = |whole: f32, expect: &[f32]| assert_eq!(marks(whole).collect::<Vec<_>>(), expect);
        check(24_000.0, &[0.0, 5_000.0, 10_000.0, 15_000.0, 20_000.0]);
        check(8.5, &[0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!((tidy(0.5).as_str(), tidy(20.0).as_str()), ("0.5", "20"));
    }

    #[test]
    fn the_panels_share_their_axes() {
        let signal = |rate_hz: u32| Signal { samples: vec![0.5; rate_hz as usize], rate_hz };
        let spectra = [8_000, 48_000].map(|rate_hz| Spectra::of(&signal(rate_hz), PANEL_WIDTH, 1.0));
        let canvas = draw(&spectra, 24_000.0, 1.0);
        // At 20 kHz the first file has nothing to say: the panel shows the background there.
        let row = MARGIN_TOP + PANEL_HEIGHT / 6;
        assert_eq!(canvas.get(MARGIN_LEFT + PANEL_WIDTH / 2, row), colour::of_level(f32::NEG_INFINITY));
    }
}
