"""The two detectors: WebRTC, cheap and eager, is the gate; Silero, dear and careful, judges what it lets through."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from core.audio import SAMPLE_RATE
from core.errors import EngineMissingError
from segmenter.params import silero_path

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

#: WebRTC accepts 10, 20 or 30 ms.
GATE_FRAME = 320
#: What Silero v6 hears at 16 kHz: 512 new samples after the last 64 of the frame before.
SILERO_FRAME = 512
SILERO_CONTEXT = 64
#: Given to frames that the gate kept from Silero; about the lowest logit that Silero writes.
SILENT_LOGIT = -7.0
_MOST_FRAMES_AT_ONCE = 512


class WebRtcGate:
    """WebRTC's Gaussian-mixture detector in several modes at once (0 eager - 3 strict)."""

    def __init__(self, modes: tuple[int, ...]) -> None:
        try:
            import webrtcvad
        except ImportError as error:
            raise EngineMissingError("the WebRTC speech detector is not installed", "make setup installs it") from error
        self._new = webrtcvad.Vad
        self._modes = modes

    def decide(self, samples: npt.NDArray[np.int16]) -> Floats:
        """Speech or not for each whole 20 ms frame; shape (frames, modes), 0 or 1. No state is kept between calls."""
        frames = len(samples) // GATE_FRAME
        data = samples[: frames * GATE_FRAME].astype("<i2").tobytes()
        size = 2 * GATE_FRAME
        decisions = np.zeros((frames, len(self._modes)), np.float32)
        for column, mode in enumerate(self._modes):
            is_speech = self._new(mode).is_speech
            decisions[:, column] = [is_speech(data[at : at + size], SAMPLE_RATE) for at in range(0, len(data), size)]
        return decisions


class SileroJudge:
    """Silero's recurrent network on one thread."""

    def __init__(self) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineMissingError("onnxruntime is not installed", "make setup installs it") from error
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 4
        self._session: Any = onnxruntime.InferenceSession(
            str(silero_path()), sess_options=options, providers=["CPUExecutionProvider"]
        )

    def logits(self, samples: Floats, wanted: Bools) -> Floats:
        """Log odds of speech for each whole 32 ms frame; shape (frames,).

        ``samples`` are in [-1, 1]; the network starts from rest at the first one. Frames that are not ``wanted`` are
        not shown to it and get `SILENT_LOGIT`.
        """
        frames = len(samples) // SILERO_FRAME
        out = np.full(frames, SILENT_LOGIT, np.float32)
        chosen = np.flatnonzero(wanted[:frames])
        if not len(chosen):
            return out
        padded = np.concatenate([np.zeros(SILERO_CONTEXT, np.float32), samples])
        windows = np.lib.stride_tricks.sliding_window_view(padded, SILERO_CONTEXT + SILERO_FRAME)[::SILERO_FRAME]
        state = np.zeros((1, 1, 128), np.float32)
        cell = state
        for first in range(0, len(chosen), _MOST_FRAMES_AT_ONCE):
            part = chosen[first : first + _MOST_FRAMES_AT_ONCE]
            feed = {"input": np.ascontiguousarray(windows[part]), "h": state, "c": cell}
            speech, state, cell = self._session.run(None, feed)
            probability = np.clip(speech.reshape(-1), 1e-4, 1 - 1e-4)
            out[part] = np.log(probability / (1 - probability))
        return np.clip(out, SILENT_LOGIT, -SILENT_LOGIT)
