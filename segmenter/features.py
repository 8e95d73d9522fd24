"""What the combiner is shown: both detectors and the sound itself, frame by frame, with their surroundings.

Frames are 20 ms. One stretch of audio (a chunk with some of what comes before and after) is turned into one matrix; the
matrix depends on nothing else. Levels are relative to the stretch's own floor and peak, so gain hardly matters.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.audio import SAMPLE_RATE
from segmenter.detectors import GATE_FRAME, SILERO_FRAME, SileroJudge, WebRtcGate

Floats = npt.NDArray[np.float32]

FRAME_MS = 20
FRAME = GATE_FRAME
GATE_MODES = (1, 3)
_FFT = 512
#: Edges of the bands, in Hz.
_BANDS = (80, 250, 500, 1000, 2000, 4000, 7600)
#: Level that the loud parts of a stretch are brought to before the detectors hear it (dB, 0 is full scale).
_TARGET_DB = -38.0
_MOST_GAIN_DB = 22.0
_LEAST_GAIN_DB = -30.0
#: The gate keeps a frame from Silero only when it hears nothing this many frames around it.
_GATE_REACH = 15
#: Silero's log odds are divided by this to be a feature.
_LOGIT_SCALE = np.float32(4)


class Analyser:
    """Turns stretches of audio into feature matrices."""

    def __init__(self) -> None:
        self._gate = WebRtcGate(GATE_MODES)
        self._judge = SileroJudge()

    def features(self, samples: npt.NDArray[np.int16]) -> Floats:
        """Shape (frames, features) for the whole 20 ms frames of ``samples``; columns as in `context_features`."""
        return context_features(self.frame_features(samples))

    def frame_features(self, samples: npt.NDArray[np.int16]) -> Floats:
        """Shape (frames, `len(FRAME_FEATURES)`): what each frame is by itself."""
        frames = len(samples) // FRAME
        audio = samples[: frames * FRAME].astype(np.float32) / np.float32(32768)
        audio -= np.float32(audio.mean(dtype=np.float64)) if frames else np.float32(0)
        level = _frame_levels(audio)
        floor, peak = np.percentile(level, 10), np.percentile(level, 95)
        gain = np.float32(10 ** (np.clip(_TARGET_DB - 10 * peak, _LEAST_GAIN_DB, _MOST_GAIN_DB) / 20))
        scaled: Floats = np.clip(audio * gain, -1, 1).astype(np.float32, copy=False)
        power = _power_spectra(scaled)
        bands = _band_levels(power)
        decisions = self._gate.decide(np.round(scaled * 32767).astype(np.int16))
        logits = self._silero(scaled, decisions[:, 0] > 0)
        relative = bands - np.percentile(bands, 10, axis=0).astype(np.float32)
        columns = [
            logits / _LOGIT_SCALE,
            *decisions.T,
            level - floor,
            level - peak,
            *relative.T,
            _flatness(power),
            _harmonicity(power),
            _flux(bands),
            np.full(frames, peak - floor),
        ]
        return np.stack(columns, axis=1).astype(np.float32)

    def _silero(self, scaled: Floats, heard: npt.NDArray[np.bool_]) -> Floats:
        """Silero's log odds at the middle of each 20 ms frame."""
        near = np.convolve(heard, np.ones(2 * _GATE_REACH + 1), "same")[: len(heard)] > 0.5
        count = -(-len(scaled) // SILERO_FRAME)
        padded = np.pad(scaled, (0, count * SILERO_FRAME - len(scaled)))
        middle = np.minimum((np.arange(count) * SILERO_FRAME + SILERO_FRAME // 2) // FRAME, len(heard) - 1)
        logits = self._judge.logits(padded, near[middle])
        at = (np.arange(len(heard)) + 0.5) * FRAME / SILERO_FRAME - 0.5
        return np.interp(at, np.arange(count), logits).astype(np.float32)


FRAME_FEATURES = (
    "silero", "webrtc1", "webrtc3", "over_floor", "under_peak",
    *(f"band{low}" for low in _BANDS[:-1]),
    "flatness", "harmonicity", "flux", "range",
)  # fmt: skip


def silero_probabilities(features: Floats) -> Floats:
    """What Silero alone thought of each row of a feature matrix; shape (frames,), 0 to 1."""
    return np.asarray(1 / (1 + np.exp(-features[:, 0] * _LOGIT_SCALE)), np.float32)


def _frame_levels(audio: Floats) -> Floats:
    """Log10 energy of each frame."""
    frames = audio.reshape(-1, FRAME)
    return np.asarray(np.log10(np.einsum("ij,ij->i", frames, frames) / FRAME + 1e-9), np.float32)


def _power_spectra(audio: Floats) -> Floats:
    """Shape (frames, 257): power of 32 ms around the middle of each 20 ms frame."""
    side = (_FFT - FRAME) // 2
    padded = np.pad(audio, (side, side))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::FRAME]
    spectrum = np.fft.rfft(windows * np.hanning(_FFT).astype(np.float32), axis=1)
    return np.asarray(spectrum.real**2 + spectrum.imag**2, np.float32)


def _band_levels(power: Floats) -> Floats:
    edges = np.array(_BANDS) * _FFT // SAMPLE_RATE
    return np.asarray(np.log10(np.add.reduceat(power, edges, axis=1)[:, : len(_BANDS) - 1] + 1e-6), np.float32)


def _flatness(power: Floats) -> Floats:
    """Log ratio of geometric to arithmetic mean between 250 and 4000 Hz: 0 for noise, negative for voices."""
    part = power[:, 8:128] + 1e-7
    return np.asarray(np.log10(part).mean(axis=1) - np.log10(part.mean(axis=1)), np.float32)


def _harmonicity(power: Floats) -> Floats:
    """Highest normalised autocorrelation at lags of 70 to 400 Hz."""
    shaped = power.copy()
    shaped[:, :3] = 0
    correlation = np.fft.irfft(shaped, axis=1)
    lags = correlation[:, SAMPLE_RATE // 400 : SAMPLE_RATE // 70]
    return np.asarray(lags.max(axis=1) / (correlation[:, 0] + 1e-7), np.float32)


def _flux(bands: Floats) -> Floats:
    """How much louder the bands are than two frames before."""
    earlier = np.concatenate([bands[:1], bands[:1], bands[:-2]]) if len(bands) > 2 else bands
    return np.asarray(np.maximum(bands - earlier, 0).mean(axis=1), np.float32)


#: (first, last) frames of the windows that surround a frame; means are taken over each.
_WINDOWS = ((-3, 3), (-12, -1), (1, 12), (-50, -13), (13, 50))
#: Frame features whose surroundings count.
_AVERAGED = ("silero", "webrtc1", "webrtc3", "over_floor", "under_peak", "flatness", "harmonicity", "flux")
_PEAKED = ("silero", "over_floor", "harmonicity")


def context_features(frames: Floats) -> Floats:
    """Frame features with the means and peaks of their surroundings; shape (frames, features)."""
    averaged = frames[:, [FRAME_FEATURES.index(name) for name in _AVERAGED]]
    peaked = frames[:, [FRAME_FEATURES.index(name) for name in _PEAKED]]
    columns = [frames]
    for first, last in _WINDOWS:
        columns.append(_window_mean(averaged, first, last))
        columns.append(_window_peak(peaked, first, last))
    return np.concatenate(columns, axis=1)


def _window_mean(values: Floats, first: int, last: int) -> Floats:
    """Mean over frames first..last around each; what lies outside repeats the end."""
    side = max(-first, last) + 1
    padded = np.pad(values.astype(np.float64), ((side, side), (0, 0)), mode="edge")
    total = np.cumsum(padded, axis=0)
    count = len(values)
    sums = total[side + last : side + last + count] - total[side + first - 1 : side + first - 1 + count]
    return (sums / (last - first + 1)).astype(np.float32)


def _window_peak(values: Floats, first: int, last: int) -> Floats:
    """Highest over frames first..last around each; what lies outside repeats the end."""
    side = max(-first, last) + 1
    padded = np.pad(values, ((side, side), (0, 0)), mode="edge")
    count = len(values)
    width, have = last - first + 1, 1
    highest = padded
    while have < width:  # doubling: the maximum over `have` frames, then over twice as many
        step = min(have, width - have)
        highest = np.maximum(highest[:-step], highest[step:])
        have += step
    return highest[side + first : side + first + count]
