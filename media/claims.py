"""What a file says of itself, held against its size before it is read: a small file cannot hold days of sound."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

from core.errors import MediaError
from media.containers import LENGTH_STATING_DEMUXERS
from media.sources import shown
from media.tracks import MediaInfo

#: Most audio that one file may hold.
LONGEST_MS = 48 * 3600 * 1000
#: Any file may hold this much, whatever its size: a pause in the timestamps takes no bytes.
_FREE_MS = 30 * 60_000
#: Fewest bits that a second of sound takes over a whole file. Speech codecs that send next to nothing in pauses (Opus,
#: AMR, Speex with DTX) come to 250 and more with their container, FLAC of digital silence at 8 kHz to 220.
_FEWEST_BITS = 200
#: What nearly every recording takes; a file with less of it comes after the others, beyond some minutes.
_USUAL_BITS = 4000
_USUAL_FREE_MS = 5 * 60_000
#: Most bytes that a second takes: uncompressed 8K video is 3 GB; and what any file may hold beside (pictures, fonts).
_MOST_BYTES_A_SECOND = 4 << 30
_FREE_BYTES = 2 << 30
#: A file of this size of which less than a hundredth was ever written is no recording.
_SPARSE_BYTES = 1 << 30
_MOST_EXTENTS = 10_000


def plausible_ms(size_bytes: int) -> int:
    """The most sound that a file of this size may hold."""
    return min(LONGEST_MS, _FREE_MS + size_bytes * 8000 // _FEWEST_BITS)


def is_thin(path: Path, ms: int) -> bool:
    """True once a file has given so much sound that a second of it takes fewer bits than nearly all recordings do."""
    try:
        size_bytes = path.stat().st_size
    except OSError:
        return False  # Gone by now: whoever reads it says so.
    return ms > _USUAL_FREE_MS + size_bytes * 8000 // _USUAL_BITS


def expected_ms(info: MediaInfo) -> int:
    """How much sound will come out, as far as the file can be believed; the most that may when it does not say."""
    return min(info.duration_ms or LONGEST_MS, plausible_ms(info.size_bytes))


def check_claims(info: MediaInfo) -> None:
    """Raises MediaError for a file that cannot be what it says, before anything reads the whole of it."""
    subject = shown(info.path)
    stated_ms = info.duration_ms if info.container in LENGTH_STATING_DEMUXERS else 0
    if stated_ms > LONGEST_MS:
        raise too_long(subject)
    if stated_ms > plausible_ms(info.size_bytes):
        raise too_thin(subject, info.size_bytes)
    if stated_ms and info.size_bytes > _FREE_BYTES + stated_ms * _MOST_BYTES_A_SECOND // 1000:
        raise MediaError(
            f"{subject}: states {stated_ms / 1000:.0f} s but has {info.size_bytes / 1e9:.0f} GB: that is no media",
            "copy or download it again, or cut it with ffmpeg",
        )


def check_written(path: Path, handle: BinaryIO) -> None:
    """Raises MediaError for a huge file that is nearly all hole: even looking for its chunks would read all of it."""
    size = os.fstat(handle.fileno()).st_size
    if size > _SPARSE_BYTES and _written_bytes(handle, size) < size // 100:
        handle.seek(0)
        raise MediaError(
            f"{shown(path)}: hardly any of its {size / 1e9:.0f} GB was ever written",
            "wait until the copy or download is complete, then run again",
        )
    handle.seek(0)


def too_long(subject: str, max_ms: int = LONGEST_MS) -> MediaError:
    """For a file with more sound than any may have."""
    return MediaError(
        f"{subject}: holds more than {max_ms / 3_600_000:g} hours of audio, the most that one file may",
        "cut it into shorter files",
    )


def too_thin(subject: str, size_bytes: int) -> MediaError:
    """For a file that holds, or states, more sound than fits into its bytes."""
    hours = plausible_ms(size_bytes) / 3_600_000
    return MediaError(
        f"{subject}: states or holds more than {hours:.1f} hours of audio in {size_bytes / 1e6:.1f} MB, "
        "less than any recording takes",
        "if it is one all the same, convert it to WAV and give that",
    )


def _written_bytes(handle: BinaryIO, size: int) -> int:
    """Bytes that are not holes; all of them where the file system does not say."""
    written = at = 0
    try:
        for _ in range(_MOST_EXTENTS):
            if at >= size:
                break
            start = os.lseek(handle.fileno(), at, os.SEEK_DATA)
            at = os.lseek(handle.fileno(), start, os.SEEK_HOLE)
            written += at - start
        else:
            return size
    except (OSError, AttributeError) as error:
        # No data behind ``at``: the rest is one hole.
        return written if getattr(error, "errno", None) == errno.ENXIO else size
    return written
