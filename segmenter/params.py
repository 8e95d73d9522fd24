"""Everything that moves a cut, in one frozen value that keys can hash."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.errors import EngineMissingError
from core.keys import Digest, digest_chunks

#: Raised whenever the same samples and parameters would give other cuts.
ALGORITHM_VERSION = 1
#: The longest segment, and the longest joined audio of a window: Whisper sees 30 s, and 2 s are left for rounding.
MAX_SEGMENT_MS = 28_000

SILERO_ASSET = "assets/silero_vad_v6.onnx"
WEIGHTS_PATH = Path(__file__).parent / "combiner.npz"
WEBRTC_PACKAGES = ("webrtcvad-wheels", "webrtcvad")


@dataclass(frozen=True)
class SegmenterParams:
    """Thresholds are thousandths of speech probability; times are milliseconds."""

    #: A run of frames becomes speech when one of them reaches this probability.
    enter_threshold: int = 700
    #: It stays speech as long as frames reach this one.
    stay_threshold: int = 180
    #: Kept before and after the frames that are speech, before the edge is moved to the quietest moment in reach.
    pad_ms: int = 20
    #: Pauses shorter than this are kept inside a segment.
    min_gap_ms: int = 300
    #: Shorter speech is left out.
    min_speech_ms: int = 120
    #: How far an edge may move outwards to the quietest millisecond.
    edge_reach_ms: int = 20
    #: The longest segment.
    max_segment_ms: int = MAX_SEGMENT_MS
    #: Longer segments are cut where they have a clear pause.
    split_after_ms: int = 12_000
    #: A segment is cut no sooner than this after its start.
    min_split_ms: int = 4_000
    #: Audio around each segment that engines are given with it.
    context_ms: int = 340
    #: A window may end once it has this much joined audio.
    min_window_ms: int = 22_000
    #: The most joined audio in a window, context included; Whisper hears 30 s.
    max_window_ms: int = 29_000
    #: Leaves nothing out: windows of the greatest length end to end, pauses included.
    whole_media: bool = False

    def as_json(self) -> dict[str, Any]:
        """A JSON object without floats that names every parameter and every detector by version or digest.

        Raises EngineMissingError when a detector is not installed.
        """
        params = asdict(self)
        if not self.whole_media:
            # Jobs that skip silence keep the names they had before there was a choice.
            del params["whole_media"]
        return {"params": params, "detectors": dict(detector_identities())}


@lru_cache(maxsize=1)
def detector_identities() -> tuple[tuple[str, int | str], ...]:
    """(name, version or digest) of each thing that decides; read from disk once a process."""
    return (
        ("algorithm", ALGORITHM_VERSION),
        ("silero", _digest_file(silero_path())),
        ("webrtcvad", _webrtc_version()),
        ("combiner", _digest_file(WEIGHTS_PATH)),
    )


def silero_path() -> Path:
    """The Silero ONNX file that faster-whisper ships, found without importing it (that takes seconds)."""
    spec = importlib.util.find_spec("faster_whisper")
    if spec is not None and spec.origin is not None:
        path = Path(spec.origin).parent / SILERO_ASSET
        if path.is_file():
            return path
    raise EngineMissingError(
        f"the Silero speech detector ({SILERO_ASSET} of faster-whisper) is not installed",
        "install the locked requirements again: make setup",
    )


def _webrtc_version() -> str:
    for package in WEBRTC_PACKAGES:
        try:
            return f"{package} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    raise EngineMissingError("the WebRTC speech detector is not installed", "install webrtcvad-wheels: make setup")


def _digest_file(path: Path) -> Digest:
    return digest_chunks([path.read_bytes()])
