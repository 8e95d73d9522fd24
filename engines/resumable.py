"""Large downloads that survive a kill.

The hub's library continues a transfer that was cut while its process lives, but begins again in the next process. So
large files are fetched here first, into a file that stays, verified, and put where the library's cache keeps contents
by digest; the library then finds them there. If its cache should change, it downloads by itself: slower, never wrong.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from core.keys import Digest, is_digest
from engines.digests import content_digest

if TYPE_CHECKING:
    from pathlib import Path

#: Smaller files are left to the library.
LARGE_BYTES = 8_000_000


class _StatedSize:
    """A file that takes no more bytes than were stated: a hub that sends on and on must not fill the disk."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file, self._most = file, most

    def write(self, data: bytes) -> int:
        if self._file.tell() + len(data) > self._most:
            raise OSError("the hub sends more than it said")
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def fetch_large_file(repository: str, name: str, endpoint: str | None, cache_dir: Path, seconds: float) -> None:
    """Puts one large file's verified content into the hub's cache, from where an earlier process stopped.

    Does nothing for small files, for files whose digest the hub does not state, and while another process fetches the
    same one. Raises what the hub's library raises, and OSError.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import http_get, repo_folder_name
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    url = hf_hub_url(repository, name, endpoint=endpoint)
    stated = get_hf_file_metadata(url, timeout=seconds)
    if stated.size is None or stated.size < LARGE_BYTES or not is_digest(stated.etag):
        return
    digest = Digest(str(stated.etag))
    folder = cache_dir / repo_folder_name(repo_id=repository, repo_type="model") / "blobs"
    whole, part = folder / digest, folder / f"{digest}.segue-part"
    if whole.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        if whole.exists():  # Another process finished it before the lock was ours.
            part.unlink(missing_ok=True)
            return
        have = os.fstat(file.fileno()).st_size
        if have > stated.size:
            file.truncate(0)
            have = 0
        if have < stated.size:
            http_get(
                url,
                cast("BinaryIO", _StatedSize(file, stated.size)),
                resume_size=have,
                headers=build_hf_headers(),
                expected_size=stated.size,
                displayed_filename=name,
            )
        file.flush()
        os.fsync(file.fileno())
        if content_digest(part) == digest:
            part.rename(whole)
        else:
            part.unlink()
