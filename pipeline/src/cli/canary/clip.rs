//! The clip that is sent: a rising tone, known at every moment, so that what comes back can be judged at any rate.

use crate::cli::Failure;
use crate::cli::listen::decode_reader;
use std::f64::consts::PI;
use treble_core::PcmBlock;
use treble_decode::DecodeConfig;

/// Its rate: low enough that there is a band to restore, so that the model runs where there is one.
const RATE_HZ: u32 = 16_000;
/// Its length in seconds.
const SECONDS: f64 = 1.0;
/// Where the tone begins and ends; below the band of every codec and of every filter's slope.
const FROM_HZ: f64 = 300.0;
const TO_HZ: f64 = 3_000.0;
const AMPLITUDE: f64 = 0.5;
/// Seconds at both ends that are not judged: filters begin and end there.
const MARGIN: f64 = 0.05;
/// The least that the tone must stand above everything else. Resampling alone leaves over 60 dB, a lossy codec some 20; a
/// wrong, shifted, or missing piece leaves under 5.
pub(super) const LEAST_SNR_DB: f64 = 10.0;
/// How much longer or shorter the result may be, in seconds.
const LENGTH_SLACK: f64 = 0.03;

/// The tone at `time`, in seconds.
fn tone(time: f64) -> f64 {
    let rise = (TO_HZ - FROM_HZ) / (2.0 * SECONDS);
    AMPLITUDE * (2.0 * PI * (FROM_HZ + rise * time) * time).sin()
}

/// The clip as a WAV file: 16 bit, mono.
pub(super) fn wav() -> Vec<u8> {
    let frames = (f64::from(RATE_HZ) * SECONDS) as u32;
    let bytes = frames * 2;
    let mut file = Vec::with_capacity(44 + bytes as usize);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + bytes).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend_from_slice(&RATE_HZ.to_le_bytes());
    file.extend_from_slice(&(RATE_HZ * 2).to_le_bytes());
    file.extend_from_slice(b"\x02\0\x10\0data");
    file.extend_from_slice(&bytes.to_le_bytes());
    for frame in 0..frames {
        let sample = tone(f64::from(frame) / f64::from(RATE_HZ)) * f64::from(i16::MAX);
        file.extend_from_slice(&(sample.round() as i16).to_le_bytes());
    }
    file
}

/// How far the tone stands above all that differs from it in `file`, in dB; or what is wrong with `file`.
pub(super) fn judge(config: &DecodeConfig, media_type: &str, file: &[u8]) -> Result<f64, String> {
    let mut heard = Heard::default();
    decode_reader(config, &mut &*file, media_type, "the result", |block| heard.take(block))
        .map_err(|failure: Failure| failure.to_string())?;
    heard.judge()
}

/// The first channel of what was decoded.
#[derive(Debug, Default)]
struct Heard {
    rate_hz: u32,
    samples: Vec<f32>,
}

impl Heard {
    fn take(&mut self, block: &PcmBlock) {
        self.rate_hz = block.spec().rate.hz();
        if let Some(plane) = block.planes().first() {
            self.samples.extend_from_slice(plane);
        }
    }

    fn judge(&self) -> Result<f64, String> {
        if self.samples.is_empty() {
            return Err("nothing can be heard".to_owned());
        }
        let rate = f64::from(self.rate_hz);
        let seconds = self.samples.len() as f64 / rate;
        if (seconds - SECONDS).abs() > LENGTH_SLACK {
            return Err(format!("it plays {seconds:.3} s, not {SECONDS:.3}"));
        }
        let judged = |time: &f64| (MARGIN..SECONDS - MARGIN).contains(time);
        let heard =
            (0_u32..).zip(&self.samples).map(|(frame, sample)| (f64::from(frame) / rate, f64::from(*sample)));
        let (mut signal, mut noise) = (0.0, 0.0);
        for (time, sample) in heard.filter(|(time, _)| judged(time)) {
            let meant = tone(time);
            signal += meant * meant;
            noise += (sample - meant) * (sample - meant);
        }
        let snr_db = 10.0 * (signal / noise.max(1e-12)).log10();
        if snr_db < LEAST_SNR_DB {
            return Err(format!(
                "the tone stands {snr_db:.1} dB above what is no tone, not {LEAST_SNR_DB:.0}"
            ));
        }
        Ok(snr_db)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(file: &[u8]) -> Result<f64, String> {
        judge(&DecodeConfig::default(), "audio/wav", file)
    }

    #[test]
    fn the_clip_itself_is_the_tone() {
        assert!(judged(&wav()).unwrap() > 80.0);
    }

    #[test]
    fn what_is_shifted_shortened_silent_or_spoilt_is_refused() {
        let good = wav();
        let mut shifted = good.clone();
        shifted[44..].rotate_right(2 * 40);
        assert!(judged(&shifted).unwrap_err().contains("dB above"));
        let mut silent = good.clone();
        silent[44..].fill(0);
        assert!(judged(&silent).unwrap_err().contains("dB above"));
        let mut spoilt = good.clone();
        spoilt[16_000..24_000].fill(0x55);
        assert!(judged(&spoilt).unwrap_err().contains("dB above"));
        let mut short = good[..44 + 16_000].to_vec();
        short[4..8].copy_from_slice(&(36_u32 + 16_000).to_le_bytes());
        short[40..44].copy_from_slice(&16_000_u32.to_le_bytes());
        assert!(judged(&short).unwrap_err().contains("plays 0.500 s"));
        assert!(judged(b"no audio at all").is_err());
    }

    #[test]
    fn the_tone_is_judged_at_any_rate() {
        let samples = (0..48_000).map(|frame| tone(f64::from(frame) / 48_000.0) as f32).collect();
        assert!(Heard { rate_hz: 48_000, samples }.judge().unwrap() > 100.0);
    }
}
