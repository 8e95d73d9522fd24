"""What every transcriber promises.

To add a provider: write one file beside this one with a class that fulfils `Transcriber` and a function
``freeze(choice, resources) -> EngineSpec``; add one line to the dict in ``factory.py``; run the contract tests in
``tests/contract/test_transcribers.py`` over it. Nothing else in Segue needs to know.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from core.specs import EngineSpec
from core.text import Dropped, Word


@dataclass(frozen=True)
class TranscriberChoice:
    """What a person asked for, before it is frozen: empty strings mean the default for this device."""

    provider: str
    model: str = ""
    compute_type: str = ""
    #: Output-affecting options, sorted (name, value) pairs of text.
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ClipSegment:
    """Where one segment of speech lies inside a clip, in milliseconds of the clip."""

    start_ms: int
    end_ms: int
    #: The detector's mean speech probability over it, in thousandths.
    score: int


@dataclass(frozen=True)
class Clip:
    """One window of audio: its segments end to end, at most 29 s."""

    #: The caller's name for it; results carry it back.
    id: str
    #: shape (n,), 16 kHz mono, float32 in [-1, 1].
    samples: npt.NDArray[np.float32]
    #: The segments that were joined, in order; they cover the clip.
    segments: tuple[ClipSegment, ...]
    #: BCP 47 primary language of the speech (``en``); empty only in `detect_languages`.
    language: str = ""


@dataclass(frozen=True)
class LanguageGuess:
    """What language one clip seems to be in."""

    clip_id: str
    #: ISO 639 code as Whisper uses it (``en``, ``ja``, ``yue``).
    language: str
    #: Probability in thousandths.
    probability: int


@dataclass(frozen=True)
class Transcript:
    """The words of one clip; times are milliseconds of the clip, in order, without overlap."""

    clip_id: str
    words: tuple[Word, ...]
    dropped: tuple[Dropped, ...] = ()
    #: ``retried`` when the sequential retry was used, ``low-confidence`` when a person should look.
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClipFailure:
    """One clip that could not be transcribed; the others of the batch are not concerned."""

    clip_id: str
    #: One line for a person.
    reason: str


class Transcriber(Protocol):
    """Turns clips into words. Loading happens in the constructor; `close` gives the memory back."""

    @property
    def spec(self) -> EngineSpec:
        """What this engine is; the same spec gives the same text for the same clip, whatever the batch."""

    @property
    def batch_size(self) -> int:
        """How many clips are best given to `transcribe` at once on this device."""

    def detect_languages(self, clips: Sequence[Clip]) -> list[LanguageGuess]:
        """One guess a clip, in order."""

    def transcribe(self, clips: Sequence[Clip]) -> Iterator[Transcript | ClipFailure]:
        """Yields exactly one result for each clip, in any order, each as soon as it is final.

        A clip depends on itself only: never on the other clips of the call. Out of memory halves the batch and
        goes on. Raises EngineError only when the engine itself can do nothing more.
        """

    def close(self) -> None:
        """Frees the model. Calling it twice is harmless."""
