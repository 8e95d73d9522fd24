"""What a transcriber is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.text import Dropped, Word

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class ClipSegment:
    """Where one segment of speech lies inside a clip, in milliseconds of the clip."""

    start_ms: int
    end_ms: int
    #: The detector's mean speech probability over it, in thousandths.
    score: int


@dataclass(frozen=True)
class Clip:
    """One window of audio to be transcribed: its segments end to end, at most 29 s."""

    #: The caller's name for it; results carry it back.
    id: str
    #: shape (n,), 16 kHz mono, float32 in [-1, 1].
    samples: npt.NDArray[np.float32]
    #: The segments that were joined, in order; they cover the clip.
    segments: tuple[ClipSegment, ...]
    #: BCP 47 primary language of the speech (``en``).
    language: str = ""


@dataclass(frozen=True)
class LanguageQuestion:
    """What language is spoken in this audio?"""

    #: The caller's name for it; results carry it back.
    id: str
    #: As in `Clip`.
    samples: npt.NDArray[np.float32]


@dataclass(frozen=True)
class LanguageGuess:
    """What language one clip seems to be in."""

    #: ISO 639 code as Whisper uses it (``en``, ``ja``, ``yue``).
    language: str
    #: Probability in thousandths.
    probability: int


@dataclass(frozen=True)
class Transcript:
    """The words of one clip; times are milliseconds of the clip, in order, without overlap."""

    words: tuple[Word, ...]
    dropped: tuple[Dropped, ...] = ()
    #: ``retried`` when the sequential retry was used, ``low-confidence`` when a person should look.
    flags: tuple[str, ...] = ()
