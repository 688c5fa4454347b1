"""Batches of segments from the cache: sources are drawn by the square root of their length, so that none drowns the rest."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from envelope.constants import FEATURE_BINS, FEATURE_EPS, HIGH_FIRST_BIN

from .augment import Levels
from .config import Recipe
from .prepare import Clip, tables

SILENCE_LEVEL = -7.2
"""Frames whose loudest band lies below this log10 power hold nothing but quantisation."""


HOLE_LEVEL = -6.8
"""Band power (log10) at which a recording of 16 bits holds nothing but quantisation."""
HEARD_LEVEL = -3.5
"""Mean low-band level of a frame in which somebody speaks: a voice leaves no band empty then, but codecs do."""
LOW_BANDS = slice(2, 40)


def domain_share(speech: float) -> dict[str, float]:
    """Share of each domain in the segments, given that of speech."""
    return {"speech": speech, "music": (1 - speech) * 2 / 3, "ambience": (1 - speech) / 3}


def holes(target: np.ndarray, speech: np.ndarray) -> np.ndarray:
    """Where a codec emptied a high band, `[batch, frames, 56]`: target levels `[batch, frames, 128]`, which rows are speech.

    Only voices are judged so: an instrument may truly be silent up there.
    """
    heard = (target[:, :, LOW_BANDS].mean(axis=2) > HEARD_LEVEL) & speech[:, None]
    high = target[:, :, HIGH_FIRST_BIN // FEATURE_BINS :]
    return heard[:, :, None] & (np.maximum(high[:, :, 0::2], high[:, :, 1::2]) < HOLE_LEVEL)


class Segments:
    """Draws segments of consecutive frames from a set of clips; `speech_share` is as in `Recipe`."""

    def __init__(self, folder: Path, clips: Iterable[Clip], frames: int, speech_share: float = Recipe.speech_share) -> None:
        self.tables = tables(folder)
        self.clips = list(clips)
        self.frames = frames
        if not self.clips:
            raise ValueError("no clips to draw from: the split or the held-back sources leave nothing")
        self.chances = self._chances(domain_share(speech_share))

    def _chances(self, share: dict[str, float]) -> np.ndarray:
        """Probability of each clip `[clips]`."""
        frames: defaultdict[str, int] = defaultdict(int)
        for clip in self.clips:
            frames[clip.source] += clip.frames
        domains = {clip.source: clip.domain for clip in self.clips}
        roots: defaultdict[str, float] = defaultdict(float)
        for source, count in frames.items():
            roots[domains[source]] += count**0.5
        chance = [
            share[clip.domain] * frames[clip.source] ** 0.5 / roots[clip.domain] * clip.frames / frames[clip.source]
            for clip in self.clips
        ]
        return np.array(chance) / sum(chance)

    def draw(self, count: int, generator: np.random.Generator) -> Levels:
        """A batch of random segments."""
        picks = generator.choice(len(self.clips), count, p=self.chances)
        starts = []
        for pick in picks:
            spare = self.clips[pick].frames - self.frames
            starts.append(int(generator.integers(min(spare, 0) - 19, max(spare, 0) + 20)))
        return self.gather(picks, np.array(starts))

    def gather(self, picks: np.ndarray, starts: np.ndarray) -> Levels:
        """Segments of clips `[batch]` from frame offsets `[batch]`, which may reach beyond the clip: silence is there."""
        clips = [self.clips[pick] for pick in picks]
        offset = starts[:, None] + np.arange(self.frames)[None, :]
        lengths = np.array([clip.frames for clip in clips])[:, None]
        inside = (offset >= 0) & (offset < lengths)
        rows = np.array([clip.start for clip in clips])[:, None] + np.clip(offset, 0, lengths - 1)
        silence = np.float32(np.log10(FEATURE_EPS))
        levels = [np.where(inside[:, :, None], table[rows].astype(np.float32), silence) for table in self.tables]
        audible = levels[1].max(axis=2) > SILENCE_LEVEL
        return Levels(
            *(torch.from_numpy(level) for level in levels),
            codec_cutoff=torch.tensor([clip.codec_cutoff for clip in clips]),
            rolloff_bin=torch.tensor([clip.rolloff_bin for clip in clips]),
            weight=torch.from_numpy((inside & audible).astype(np.float32)),
            hole=torch.from_numpy(holes(levels[1], np.array([clip.domain == "speech" for clip in clips])).astype(np.float32)),
        )
