"""What engines produce: words, lines of text, and what was thrown away and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """One word with its place in time. Text keeps the leading space that the model wrote, if any."""

    start_ms: int
    end_ms: int
    text: str
    #: The model's own probability, in thousandths, 0-1000.
    probability: int


@dataclass(frozen=True)
class Dropped:
    """Text that an engine wrote and Segue did not believe (for instance, a hallucination over music)."""

    start_ms: int
    end_ms: int
    text: str
    #: Short reason: ``no-speech``, ``repetition``, ``low-probability``, ``compression``.
    reason: str
