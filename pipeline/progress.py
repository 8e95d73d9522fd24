"""What a run tells whoever watches it: a screen, plain lines, or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pipeline.report import FileResult
    from pipeline.work import JobWork


class Watcher(Protocol):
    """Called from several threads; must return at once and never raise."""

    def note(self, line: str) -> None:
        """Something a person should read once: a download, a fallback, a warning."""

    def decoding(self, media: Path, done_ms: int, total_ms: int) -> None:
        """A file is being decoded and searched for speech."""

    def opened(self, media: Path, work: JobWork) -> None:
        """A job's plan is there, and what the store already has of it."""

    def advanced(self, stage: str, audio_ms: int, *, failed: bool) -> None:
        """One unit was computed, or failed."""

    def finished(self, result: FileResult) -> None:
        """One input file is through."""


class Silence:
    """The watcher that does not watch."""

    def note(self, line: str) -> None:
        """Ignored."""

    def decoding(self, media: Path, done_ms: int, total_ms: int) -> None:
        """Ignored."""

    def opened(self, media: Path, work: JobWork) -> None:
        """Ignored."""

    def advanced(self, stage: str, audio_ms: int, *, failed: bool) -> None:
        """Ignored."""

    def finished(self, result: FileResult) -> None:
        """Ignored."""
