"""Loudness by the millisecond, and the moments that content alone picks out.

Everything here is integer arithmetic on the samples around a moment, so that the same audio at another place in another
file gives the same levels and the same moments.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.audio import SAMPLES_PER_MS

Levels = npt.NDArray[np.uint8]

#: Level steps in a doubling of energy; one step is 0.43 dB.
STEPS_PER_OCTAVE = 7
#: Half-width of the smoothing that makes a quiet moment rather than a zero crossing.
SMOOTH_MS = 8


def millisecond_levels(samples: npt.NDArray[np.int16], before: int) -> Levels:
    """Log energy of each whole millisecond, as steps of `STEPS_PER_OCTAVE` an octave; shape (len // 16,), uint8.

    It is the energy of the difference between neighbouring samples: a constant offset vanishes and mains hum hardly
    counts. ``before`` is the sample just before the first one. Digital silence is 0.
    """
    count = len(samples) // SAMPLES_PER_MS
    wide = np.empty(count * SAMPLES_PER_MS + 1, np.int32)
    wide[0] = before
    wide[1:] = samples[: count * SAMPLES_PER_MS]
    steps = (wide[1:] - wide[:-1]).reshape(count, SAMPLES_PER_MS).astype(np.float64)
    energy = np.einsum("ij,ij->i", steps, steps)  # whole numbers below 2**53: exact in any order
    mantissa, exponent = np.frexp(energy)
    # Piecewise-linear log2: exact in binary arithmetic, unlike log2, whose last bit differs between machines.
    level = exponent * STEPS_PER_OCTAVE + np.floor((mantissa * 2 - 1) * STEPS_PER_OCTAVE).astype(np.int64)
    return np.where(energy > 0, np.clip(level, 1, 255), 0).astype(np.uint8)


def smoothed(levels: Levels) -> npt.NDArray[np.int32]:
    """Sum of the levels within `SMOOTH_MS` of each millisecond; the ends repeat. Shape as given."""
    padded = np.pad(levels.astype(np.int32), SMOOTH_MS + 1, mode="edge") if len(levels) else levels.astype(np.int32)
    if not len(levels):
        return padded
    total = np.cumsum(padded, dtype=np.int32)
    width = 2 * SMOOTH_MS + 1
    return (total[width:] - total[:-width])[: len(levels)]


def _running_minimum(values: npt.NDArray[np.int32], width: int) -> npt.NDArray[np.int32]:
    """Minimum of ``values[i : i + width]`` for each i; the end is filled with the largest integer. Shape as given."""
    count = len(values)
    blocks = -(-(count + width) // width)
    padded = np.full(blocks * width, np.iinfo(np.int32).max, np.int32)
    padded[:count] = values
    grid = padded.reshape(blocks, width)
    from_left = np.minimum.accumulate(grid, axis=1).ravel()
    from_right = np.minimum.accumulate(grid[:, ::-1], axis=1)[:, ::-1].ravel()
    return np.minimum(from_right[:count], from_left[width - 1 : width - 1 + count])


def quietest_moments(values: npt.NDArray[np.int32], reach: int) -> npt.NDArray[np.intp]:
    """Indices that are the quietest within ``reach`` on both sides (the first one of equals).

    Beyond the ends counts as loud, so an index within ``reach`` of an end is decided by what is known.
    """
    if not len(values):
        return np.zeros(0, np.intp)
    ahead = _running_minimum(values, reach + 1)
    padded = np.concatenate([np.full(reach, np.iinfo(np.int32).max, np.int32), values])
    behind = _running_minimum(padded, reach)[: len(values)]
    return np.flatnonzero((values <= ahead) & (values < behind))
