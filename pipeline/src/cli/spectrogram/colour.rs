//! Levels as colours, evenly spaced for the eye.

/// Red, green, blue.
pub(super) type Colour = [u8; 3];

/// Drawn black.
const FLOOR_DB: f32 = -110.0;
/// Drawn brightest: single bins of speech and music seldom pass it.
const CEILING_DB: f32 = -20.0;

/// The map "inferno" of matplotlib (CC0) at nine points; between them it is close to linear.
const INFERNO: [Colour; 9] = [
    [0, 0, 4],
    [31, 12, 72],
    [85, 15, 109],
    [136, 34, 106],
    [186, 54, 85],
    [227, 89, 51],
    [249, 140, 10],
    [249, 201, 50],
    [252, 255, 164],
];

/// The colour of a level in dB.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the map"
)]
pub(super) fn of_level(db: f32) -> Colour {
    let part = ((db - FLOOR_DB) / (CEILING_DB - FLOOR_DB)).clamp(0.0, 1.0);
    let place = part * (INFERNO.len() - 1) as f32;
    let below = (place as usize).min(INFERNO.len() - 2);
    let rest = place - below as f32;
    let mix = |channel: usize| {
        let (low, high) = (f32::from(INFERNO[below][channel]), f32::from(INFERNO[below + 1][channel]));
        (low + (high - low) * rest).round() as u8
    };
    [mix(0), mix(1), mix(2)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn louder_is_brighter() {
        let brightness = |db: f32| of_level(db).iter().map(|channel| u32::from(*channel)).sum::<u32>();
        let levels: Vec<_> = (-12..0).map(|tens| brightness(10.0 * tens as f32)).collect();
        assert!(levels.is_sorted(), "{levels:?}");
        assert_eq!(of_level(f32::NEG_INFINITY), INFERNO[0]);
        assert_eq!(of_level(0.0), INFERNO[8]);
    }
}
