"""Two channels to one, without losing a voice to a channel that cancels the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.audio import ms_to_samples

Stereo = npt.NDArray[np.float32]
Pcm = npt.NDArray[np.int16]

#: How long one choice of weights holds. A voice that is inverted alone is caught in the pauses of the others.
BLOCK = ms_to_samples(250)
#: From one choice to the next.
_FADE = ms_to_samples(10)
#: A sum with less of the louder channel's energy than this cancels: two voices of their own leave 0.5, one dead channel
#: 0.25, a correlation of -0.8 leaves 0.1.
_CANCELS = 0.1
#: While channels cancel, one that is this many times as strong takes over from the other.
_STRONGER = 2.0
_FULL_SCALE = 32768.0
_SUM, _LEFT, _RIGHT = (0.5, 0.5), (1.0, 0.0), (0.0, 1.0)


class Downmix:
    """Blocks of float samples, shape (n, 2), in [-1, 1], to int16 mono: their mean, or one of two that cancel."""

    def __init__(self) -> None:
        self._weights = _SUM
        #: Samples of which one channel was taken instead of the sum.
        self.cancelled = 0

    def mix(self, block: Stereo) -> Pcm:
        """The next `BLOCK` samples as mono; the last block may be shorter."""
        energies = _energies(block)
        if not np.isfinite(energies).all():
            block = np.nan_to_num(block, nan=0.0, posinf=1.0, neginf=-1.0)
            energies = _energies(block)
        weights = _weights(energies, self._weights)
        if weights != _SUM:
            self.cancelled += len(block)
        if weights == self._weights:
            mono = block @ np.array(weights, np.float32)
        else:
            new = np.minimum(np.arange(1, len(block) + 1, dtype=np.float32) / _FADE, 1.0)[:, None]
            blend = new * np.array(weights, np.float32) + (1 - new) * np.array(self._weights, np.float32)
            mono = (block * blend).sum(axis=1)
        self._weights = weights
        pcm: Pcm = np.clip(np.rint(mono * np.float32(_FULL_SCALE)), -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)
        return pcm


def _energies(block: Stereo) -> tuple[float, float, float]:
    """The energy of the left channel, of the right one, and of their mean."""
    left, right = block.T.astype(np.float64, order="C")
    of_left, of_right = float(left @ left), float(right @ right)
    return of_left, of_right, (of_left + of_right + 2 * float(left @ right)) / 4


def _weights(energies: tuple[float, float, float], before: tuple[float, float]) -> tuple[float, float]:
    """What the two channels of a block are weighted with."""
    left, right, mean = energies
    if mean >= _CANCELS * max(left, right):
        return _SUM
    if before == _RIGHT:
        return _LEFT if left > _STRONGER * right else _RIGHT
    return _RIGHT if right > _STRONGER * left else _LEFT
