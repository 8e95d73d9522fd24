"""A file whose appearance is the notice: for plain machines, batch systems and tests."""

from __future__ import annotations

import json
from pathlib import Path

from worker.notices.metadata import MetadataError
from worker.notices.notice import Notice, NoticeSource, Sighting, notice_within

_INTERVAL_S = 0.25
#: Looks that a file without a deadline is given: whoever makes it may not have finished writing.
_UNFINISHED_LOOKS = 2
_MOST_BYTES = 4096
_LONGEST_S = 86_400.0


class FileFeed:
    """The notice file. Its content may be JSON, ``{"deadline_seconds": 20}``; else the grace period counts."""

    source = NoticeSource.FILE

    def __init__(self, path: Path, grace_seconds: int, interval: float | None = None) -> None:
        self._path, self._grace = path, grace_seconds
        self._interval = min(interval or _INTERVAL_S, _INTERVAL_S)
        self._delivered = False
        self._looks = 0

    def describe(self) -> str:
        return f"the file {self._path}"

    def look(self) -> Sighting:
        content = self._content()
        if content is None:
            self._delivered, self._looks = False, 0
        elif not self._delivered:
            self._looks += 1
            seconds = _stated_seconds(content)
            if seconds is not None or self._looks >= _UNFINISHED_LOOKS:
                self._delivered = True
                return Sighting((self._notice(self._grace if seconds is None else seconds),), pause_s=self._interval)
        return Sighting(pause_s=self._interval)

    def _content(self) -> bytes | None:
        """What is in the file; None when there is none. One that cannot be read is there all the same."""
        try:
            with self._path.open("rb") as file:
                return file.read(_MOST_BYTES).strip()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            return self._unreadable(error)

    def _unreadable(self, error: OSError) -> bytes | None:
        """No content for a file that is there; trouble that a person should hear of when not even that can be seen."""
        try:
            self._path.stat()
        except FileNotFoundError:
            return None
        except OSError:
            raise MetadataError(f"cannot look for it ({error.strerror or error})") from error
        return b""

    def _notice(self, seconds: float) -> Notice:
        return notice_within(self.source, seconds, f"the file {self._path} appeared: {seconds:.0f} s left")

    def acknowledge(self, _notice: Notice) -> bool:
        return False

    def close(self) -> None:
        """Nothing is held open."""


def _stated_seconds(content: bytes) -> float | None:
    """The seconds that the file states; None when it states none that make sense."""
    try:
        stated = json.loads(content)
    except (ValueError, RecursionError):
        return None
    seconds = stated.get("deadline_seconds") if isinstance(stated, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return None
    return float(seconds) if 0 <= seconds <= _LONGEST_S else None
