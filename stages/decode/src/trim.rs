//! What an encoder put around the audio: priming before it, padding behind it.
//!
//! | source | priming | padding |
//! | --- | --- | --- |
//! | MP3 | LAME's tag (Symphonia trims packets) | LAME's tag |
//! | Ogg Vorbis, Ogg Opus | granule positions; pre-skip | last granule position |
//! | Opus elsewhere | pre-skip | stays: Matroska's discard padding is not exposed |
//! | MP4 | `iTunSMPB`, else the edit list | the same, else the sample table's total |
//! | CAF | packet table | packet table |
//! | ADTS, MP3 without a tag, Vorbis in Matroska | stays: nothing tells it | stays |

use crate::mp4::{self, Edit};
use crate::opus::OpusHead;
use std::ops::Range;
use symphonia::core::formats::{FormatId, Track, well_known};

/// A window of frames that are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Trim {
    /// Frames still to drop.
    pub(crate) skip: u64,
    /// Frames still to keep after those; all of them where it is unknown.
    pub(crate) keep: Option<u64>,
}

impl Trim {
    /// What `track` in `container` says, beyond what Symphonia trims itself. `file` is the spooled file, where
    /// there is one, and `opus` what the Opus header says.
    pub(crate) fn of(
        container: FormatId,
        track: &Track,
        file: Option<&[u8]>,
        opus: Option<OpusHead>,
    ) -> Self {
        if let Some(head) = opus {
            return Self { skip: head.pre_skip.into(), keep: None };
        }
        match (container, file) {
            (well_known::FORMAT_ID_ISOMP4, Some(file)) => Self::of_mp4(track, file),
            (well_known::FORMAT_ID_CAF, _) => match (track.delay, track.padding) {
                (None, None) => Self::default(),
                (delay, _) => Self { skip: delay.unwrap_or(0).into(), keep: track.num_frames },
            },
            _ => Self::default(),
        }
    }

    fn of_mp4(track: &Track, file: &[u8]) -> Self {
        let found = mp4::gapless(file, track.id);
        if let Some(comment) = found.comment {
            return Self { skip: comment.priming, keep: Some(comment.valid) };
        }
        let Some(edit) = found.edit else { return Self { skip: 0, keep: track.num_frames } };
        let rate = track.codec_params.as_ref().and_then(|params| params.audio()).and_then(|p| p.sample_rate);
        rate.map_or_else(Self::default, |rate| Self::of_edit(edit, rate, track.num_frames))
    }

    /// The edit in frames of `rate`. Its length is in ticks of the movie, which may be as coarse as a
    /// millisecond: where the sample table's `total` agrees to within a tick, the table is exact.
    fn of_edit(edit: Edit, rate: u32, total: Option<u64>) -> Self {
        let skip = rescale(edit.media_time, rate, edit.media_timescale);
        let by_table = total.map(|total| total.saturating_sub(skip));
        let by_edit = (edit.duration > 0).then(|| rescale(edit.duration, rate, edit.movie_timescale));
        let tick = rescale(1, rate, edit.movie_timescale) + 1;
        let keep = match (by_table, by_edit) {
            (Some(table), Some(edit)) if table > edit + tick => Some(edit),
            (Some(table), _) => Some(table),
            (None, edit) => edit,
        };
        Self { skip, keep }
    }

    /// The part that is kept of the next `frames` decoded frames.
    pub(crate) fn next(&mut self, frames: usize) -> Range<usize> {
        let start = usize::try_from(self.skip).unwrap_or(usize::MAX).min(frames);
        self.skip -= start as u64;
        let Some(keep) = self.keep.as_mut() else { return start..frames };
        let end = start + usize::try_from(*keep).unwrap_or(usize::MAX).min(frames - start);
        *keep -= (end - start) as u64;
        start..end
    }
}

/// `ticks` of `1 / from` seconds in units of `1 / to` seconds, rounded.
fn rescale(ticks: u64, to: u32, from: u32) -> u64 {
    let scaled = (u128::from(ticks) * u128::from(to) + u128::from(from) / 2) / u128::from(from.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_cut_out_of_runs_of_any_length() {
        let mut trim = Trim { skip: 5, keep: Some(6) };
        let kept: Vec<_> = [3, 4, 3, 9].into_iter().map(|frames| trim.next(frames)).collect();
        assert_eq!(kept, [3..3, 2..4, 0..3, 0..1]);
        assert_eq!(Trim { skip: 1, keep: None }.next(4), 1..4);
    }

    #[test]
    fn a_coarse_edit_yields_to_the_sample_table_and_a_short_one_wins() {
        let edit = Edit { media_time: 1_024, media_timescale: 44_100, duration: 600, movie_timescale: 1_000 };
        let check = |duration, total, keep| {
            assert_eq!(Trim::of_edit(Edit { duration, ..edit }, 44_100, total), Trim { skip: 1_024, keep });
        };
        check(600, Some(27_484), Some(26_460));
        check(600, Some(27_500), Some(26_476));
        check(500, Some(27_484), Some(22_050));
        check(600, None, Some(26_460));
        check(0, Some(27_484), Some(26_460));
        check(0, None, None);
    }
}
