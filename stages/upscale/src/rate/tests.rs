use super::*;

fn rate(hz: u32) -> SampleRate {
    SampleRate::new(hz).unwrap()
}

/// The whole of `x` through one converter, in pieces of `piece` frames.
fn convert(x: &[f32], from: u32, to: u32, piece: usize) -> Vec<f32> {
    let mut resampler = Resampler::new(rate(from), rate(to), 1);
    let mut y = Vec::new();
    for piece in x.chunks(piece) {
        y.extend(resampler.push(vec![piece.to_vec()]).remove(0));
    }
    y.extend(resampler.finish().into_iter().flatten());
    y
}

fn sine(hz: f64, rate: u32, frames: usize) -> Vec<f32> {
    (0..frames)
        .map(|n| (0.5 * (std::f64::consts::TAU * hz * n as f64 / f64::from(rate)).sin()) as f32)
        .collect()
}

/// Signal over error, in dB, away from the ends.
fn snr_db(got: &[f32], want: &[f32]) -> f64 {
    let margin = got.len() / 4;
    let pairs = got.iter().zip(want).skip(margin).take(got.len() - 2 * margin);
    let (signal, error) = pairs.fold((0.0, 0.0), |(signal, error), (&g, &w)| {
        (signal + f64::from(w).powi(2), error + (f64::from(g) - f64::from(w)).powi(2))
    });
    10.0 * (signal / error.max(1e-30)).log10()
}

/// Every pair of rates that matters, with the least signal over error that its sines must reach.
const PAIRS: [(u32, u32, f64); 12] = [
    (8_000, 48_000, 105.0),
    (11_025, 48_000, 105.0),
    (16_000, 48_000, 105.0),
    (22_050, 48_000, 105.0),
    (24_000, 48_000, 105.0),
    (44_100, 48_000, 105.0),
    (48_000, 48_000, 105.0),
    (88_200, 48_000, 105.0),
    (96_000, 48_000, 105.0),
    (192_000, 48_000, 105.0),
    (44_101, 48_000, 90.0),
    (768_000, 44_100, 90.0),
];

#[test]
fn a_sine_anywhere_in_the_kept_band_comes_out_as_the_same_sine_without_delay() {
    for (from, to, least) in PAIRS {
        for part in [0.01, 0.1, 0.3, 0.6, 0.85] {
            let hz = part * f64::from(from.min(to)) / 2.0;
            let y = convert(&sine(hz, from, from as usize / 2), from, to, 1_000);
            let snr = snr_db(&y, &sine(hz, to, y.len()));
            assert!(snr >= least, "{from} → {to}, {hz} Hz: {snr:.1} dB");
        }
    }
}

#[test]
fn what_lies_above_the_new_nyquist_frequency_is_gone() {
    for (from, to) in
        [(96_000, 48_000), (192_000, 48_000), (48_000, 44_100), (44_100, 8_000), (48_000, 44_101)]
    {
        let hz = f64::from(to) / 2.0 * 1.03;
        let y = convert(&sine(hz, from, from as usize / 2), from, to, 997);
        let peak = y[y.len() / 4..y.len() * 3 / 4].iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
        assert!(peak < 0.5e-4, "{from} → {to}: an alias of {peak}");
    }
}

#[test]
fn an_impulse_stays_where_it_was() {
    for (from, to) in
        [(8_000, 48_000), (16_000, 48_000), (44_100, 48_000), (96_000, 48_000), (44_101, 48_000)]
    {
        // A frame whose time is a whole number of output frames.
        let at = from as usize / 4 - from as usize / 4 % (from / fft_gcd(from, to)) as usize;
        let mut x = vec![0.0; from as usize];
        x[at] = 1.0;
        let y = convert(&x, from, to, 480);
        let peak = (0..y.len()).max_by(|&a, &b| y[a].abs().total_cmp(&y[b].abs())).unwrap();
        assert_eq!(peak as u64, at as u64 * u64::from(to) / u64::from(from), "{from} → {to}");
    }
}

fn fft_gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { fft_gcd(b, a % b) }
}

#[test]
fn the_number_of_output_frames_is_the_ceiling_for_every_length_and_rate() {
    for (from, to) in
        [(1, 48_000), (7, 48_000), (8_000, 48_000), (44_100, 48_000), (44_101, 48_000), (767_999, 48_000)]
    {
        for frames in [1_usize, 2, 5, 511, 512, 513, 1_000] {
            if from < 100 && frames > 5 {
                continue;
            }
            let y = convert(&vec![0.25; frames], from, to, 300);
            let want = (frames as u64 * u64::from(to)).div_ceil(u64::from(from));
            assert_eq!(y.len() as u64, want, "{frames} frames, {from} → {to}");
            assert!(y.iter().all(|s| s.is_finite()));
        }
    }
}

#[test]
fn a_resumed_converter_continues_bit_for_bit() {
    for (from, to) in
        [(16_000, 48_000), (44_100, 48_000), (96_000, 44_100), (44_101, 48_000), (48_000, 48_000)]
    {
        let x: Vec<f32> = sine(0.07 * f64::from(from), from, from as usize / 2)
            .iter()
            .zip(sine(0.31 * f64::from(from), from, from as usize / 2))
            .map(|(a, b)| a + b)
            .collect();
        let whole = convert(&x, from, to, 700);
        for wanted in [0_u64, 1, 5_000, 12_345, 20_000] {
            let start = Resampler::new(rate(from), rate(to), 1).restart_frame(wanted);
            // A later part of the stream is fed from wherever an input happened to begin.
            for start in [start, start.saturating_sub(123)] {
                let mut resumed = Resampler::resume(rate(from), rate(to), 1, start);
                let first = resumed.next_output();
                assert!(first <= wanted, "{from} → {to}: frame {wanted} is lost");
                let mut y = resumed.push(vec![x[start as usize..].to_vec()]).remove(0);
                y.extend(resumed.finish().into_iter().flatten());
                assert!(y == whole[first as usize..], "{from} → {to}: restart for {wanted}");
            }
        }
    }
}

#[test]
fn streams_that_take_turns_on_a_thread_get_what_each_gets_alone() {
    let rates =
        [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 88_200, 96_000, 192_000, 8_000, 44_100];
    let clips: Vec<Vec<f32>> =
        rates.iter().zip(1..).map(|(&hz, part)| sine(f64::from(100 * part), hz, hz as usize / 2)).collect();
    let alone: Vec<Vec<f32>> =
        rates.iter().zip(&clips).map(|(&hz, clip)| convert(clip, hz, 48_000, clip.len())).collect();
    let mut streams: Vec<_> =
        rates.iter().map(|&hz| (Resampler::new(rate(hz), rate(48_000), 1), Vec::new())).collect();
    for turn in 0..10 {
        for ((resampler, y), clip) in streams.iter_mut().zip(&clips) {
            let piece = clip.chunks(clip.len() / 10).nth(turn).unwrap();
            y.extend(resampler.push(vec![piece.to_vec()]).remove(0));
        }
    }
    for (((mut resampler, mut y), clip), alone) in streams.into_iter().zip(&clips).zip(&alone) {
        let rest = clip.chunks(clip.len() / 10).nth(10).unwrap_or_default();
        y.extend(resampler.push(vec![rest.to_vec()]).remove(0));
        y.extend(resampler.finish().into_iter().flatten());
        assert_eq!(y, *alone, "{:?}", resampler.input);
    }
}
