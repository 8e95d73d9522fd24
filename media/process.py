"""Running ffmpeg as a child: no shell, no input, no terminal; its words bounded and printable; never left behind."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from core.environment import foreign_environment
from core.errors import MediaError
from media.sources import one_line

_READ_BYTES = 1 << 18
_STDERR_LINE_BYTES = 4096
_LONGEST_REASON = 200
#: The place in memory that ffmpeg writes behind each component's name; it would make every message unlike the last.
_ADDRESS = re.compile(r" @ 0x[0-9a-f]+")
#: ffmpeg's exit code after SIGINT or SIGTERM, which it catches.
_INTERRUPTED = 255


@dataclass(frozen=True)
class TimeLimits:
    """How long ffmpeg may be waited for; only waiting counts, not the time that the reader takes."""

    #: Seconds without a single byte of output.
    stall_s: float = 180.0
    #: Seconds in all.
    total_s: float = 3600.0


class FfmpegRun:
    """One running ffmpeg whose output is read in pieces. Use it as a context manager: leaving kills and reaps it."""

    def __init__(self, command: Sequence[str | os.PathLike[str]], limits: TimeLimits, subject: str) -> None:
        """Starts ``command``. ``subject`` names the file in errors."""
        self._limits = limits
        self._subject = subject
        self._waited_s = 0.0
        self._errors = _ErrorLines()
        # Its own process group: Ctrl-C must not make ffmpeg end early, for that would look like a shorter file.
        self._child = subprocess.Popen(
            [os.fspath(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=foreign_environment(),
            process_group=0,
        )
        assert self._child.stdout is not None
        assert self._child.stderr is not None
        self._output = self._child.stdout
        self._drain = threading.Thread(target=self._errors.read_all, args=(self._child.stderr,), daemon=True)
        self._drain.start()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._output, selectors.EVENT_READ)

    def __enter__(self) -> FfmpegRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self) -> bytes:
        """The next bytes of output, at least one; empty at the end. Raises MediaError when a time limit is reached."""
        left_s = min(self._limits.stall_s, self._limits.total_s - self._waited_s)
        before = time.monotonic()
        ready = left_s > 0 and self._selector.select(left_s)
        self._waited_s += time.monotonic() - before
        if not ready:
            self.close()
            raise MediaError(
                f"{self._subject}: decoding stood still or took too long ({self._waited_s:.0f} s), so it was stopped",
                "check the disk, then convert the file with ffmpeg and try again",
            )
        return os.read(self._output.fileno(), _READ_BYTES)

    def finish(self) -> int:
        """Waits for the end and returns the exit code, 0 or more. Raises MediaError when ffmpeg was killed."""
        try:
            code = self._child.wait(self._limits.stall_s)
        except subprocess.TimeoutExpired as error:
            self.close()
            raise MediaError(
                f"{self._subject}: the process that reads it did not end, so it was stopped", "try again"
            ) from error
        self._drain.join(self._limits.stall_s)
        if code < 0 or code == _INTERRUPTED:
            cause = signal.Signals(-code).name if code < 0 else "an interrupt"
            raise MediaError(
                f"{self._subject}: the process that reads it was ended by {cause} before it was done",
                "run again; if it happens again, convert the file with ffmpeg",
            )
        return code

    def close(self) -> None:
        """Kills the child if it still runs and reaps it. Calling it twice is harmless."""
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        self._selector.close()
        self._output.close()

    @property
    def complaint(self) -> str:
        """ffmpeg's first error, as one short printable line; empty when there was none."""
        return self._errors.first

    @property
    def complaint_count(self) -> int:
        """How many lines of errors ffmpeg wrote."""
        return self._errors.count


class _ErrorLines:
    """The error output of a child: counted, the first line kept."""

    def __init__(self) -> None:
        self.count = 0
        self.first = ""

    def read_all(self, stream: Any) -> None:
        """Reads to the end, so that the child never waits for us."""
        with stream:
            while line := stream.readline(_STDERR_LINE_BYTES):
                text = printable(line)
                if not text:
                    continue
                self.count += 1
                self.first = self.first or text


def printable(raw: bytes) -> str:
    """One short line without control characters from what ffmpeg wrote."""
    return one_line(_ADDRESS.sub("", raw.decode("utf-8", "replace")))[:_LONGEST_REASON]
