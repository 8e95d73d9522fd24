"""In which order a run plans its inputs: as they were given, but a file that would hold up the others goes last."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from media.claims import is_thin


class PlanningStoppedError(Exception):
    """Leaves a decoding that nobody waits for any more."""


class PutOffError(Exception):
    """Leaves the decoding of a file with far more sound than its bytes let expect, as long as others wait."""


class PlanQueue:
    """The numbers of a run's inputs, each once, and again at the end where `put_off` was called for it."""

    def __init__(self, media: Sequence[Path]) -> None:
        self._media, self._waiting = media, deque(range(len(media)))
        self._put_off: set[int] = set()

    def __iter__(self) -> Iterator[int]:
        while self._waiting:
            yield self._waiting.popleft()

    def put_off(self, number: int) -> None:
        """Comes again once all others are planned; from then on nobody waits for it."""
        self._put_off.add(number)
        self._waiting.append(number)

    def look_at(self, number: int, decoded_ms: int) -> None:
        """Raises PutOffError when others should go first."""
        if self._waiting and number not in self._put_off and is_thin(self._media[number], decoded_ms):
            raise PutOffError
