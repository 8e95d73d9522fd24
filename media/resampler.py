"""Frames of one format to two channels (one for mono) of 16 kHz float samples, by libavfilter."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.filter import Graph

from core.audio import SAMPLE_RATE

#: Layouts that libswresample's own downmix knows; speech sits in the centre there. Others get equal weights.
_KNOWN_LAYOUTS = frozenset((
    "mono", "stereo", "2.1", "3.0", "3.0(back)", "3.1", "4.0", "4.1", "quad", "quad(side)", "5.0", "5.0(side)", "5.1",
    "5.1(side)", "6.0", "6.0(front)", "hexagonal", "6.1", "6.1(back)", "6.1(front)", "7.0", "7.0(front)", "7.1",
    "7.1(wide)", "7.1(wide-side)",
))  # fmt: skip
#: Peak that a quiet mix of many channels is raised to, as a fraction of full scale.
_MIX_PEAK = 0.7

Stereo = npt.NDArray[np.float32]


class Form(NamedTuple):
    """What a graph is made for; frames of another form need another graph."""

    sample_format: str
    layout: str
    channels: int
    rate: int

    @classmethod
    def of(cls, frame: AudioFrame) -> Form:
        return cls(frame.format.name, frame.layout.name, frame.layout.nb_channels, frame.sample_rate)


class Resampler:
    """Frames in, pieces of shape (n, 2) out, each with its start in samples of the output's rate."""

    def __init__(self, form: Form, time_base: Fraction) -> None:
        self.form = form
        self._graph = Graph()
        self._source = self._graph.add_abuffer(
            sample_rate=form.rate, format=form.sample_format, layout=form.layout, time_base=time_base
        )
        at = self._source
        for name, arguments in _filters(form):
            node = self._graph.add(name, arguments)
            at.link_to(node)
            at = node
        self._sink = self._graph.add("abuffersink")
        at.link_to(self._sink)
        self._graph.configure()
        #: Weights that can never clip make one voice among many channels quiet: the most that it may be raised by.
        self._gain = float(form.channels) if form.channels > 2 else 1.0

    def push(self, frame: AudioFrame | None) -> Iterator[tuple[int | None, Stereo]]:
        """What comes out for one more frame, at most one piece; for None what was held back."""
        self._source.push(frame)
        while True:
            try:
                out = self._sink.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            assert isinstance(out, AudioFrame)
            # aresample's own clock counts samples of its output.
            yield out.pts, self._stereo(out)
            if frame is not None:
                return

    def _stereo(self, out: AudioFrame) -> Stereo:
        width = 1 if self.form.channels == 1 else 2
        # No copy: the plane keeps the frame, and so its memory, alive.
        plane = memoryview(out.planes[0])
        samples: Stereo = np.frombuffer(plane, np.float32, out.samples * width).reshape(-1, width)
        if width == 1:
            samples = np.broadcast_to(samples, (len(samples), 2))
        return samples if self._gain == 1.0 else self._raised(samples)

    def _raised(self, samples: Stereo) -> Stereo:
        samples = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
        peak = float(np.abs(samples).max(initial=0.0))
        # Only ever lowered: what was quiet at first is not made louder than what comes later.
        self._gain = min(self._gain, max(1.0, _MIX_PEAK / peak)) if peak > 0 else self._gain
        raised: Stereo = samples * np.float32(self._gain)
        return raised


def in_samples(pts: int, time_base: Fraction) -> int:
    """A timestamp in samples of the output's rate."""
    return (pts * time_base.numerator * SAMPLE_RATE * 2 + time_base.denominator) // (2 * time_base.denominator)


def _filters(form: Form) -> Iterator[tuple[str, str]]:
    if form.layout not in _KNOWN_LAYOUTS and form.channels > 2:
        # Numbered channels work for every layout, also those that libswresample cannot mix by itself.
        sides = (range(0, form.channels, 2), range(1, form.channels, 2))
        weight = math.floor(1e6 / len(sides[0])) / 1e6
        mix = "|".join(f"c{n}=" + "+".join(f"{weight}*c{c}" for c in side) for n, side in enumerate(sides))
        yield "pan", f"stereo|{mix}"
    yield "aresample", f"{SAMPLE_RATE}:dither_method=none:rematrix_maxval=1:lfe_mix_level=0.25"
    yield "aformat", f"sample_fmts=flt:channel_layouts={'mono' if form.channels == 1 else 'stereo'}"
