"""Writing a file that may exist already, outside the store: all of the new one or all of the old one, never a mix."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from cache import names
from cache.faults import faults
from cache.filesystem import Filesystem


def replace_atomically(path: Path, data: bytes, filesystem: Filesystem | None = None) -> None:
    """Writes ``data`` to ``path``, durable when this returns; readers see the old file or the new one.

    The folder must exist. Raises DiskFullError or StoreError and leaves the old file as it was.
    """
    disk = filesystem or Filesystem()
    folder = str(path.parent)
    temp = f"{folder}/{names.TEMP_PREFIX}{secrets.token_hex(8)}-{os.getpid():x}"
    with faults(f"writing {path.name}", folder):
        fd = disk.create(temp)
        try:
            try:
                disk.write(fd, data)
                disk.fsync(fd)
            finally:
                disk.close(fd)
            disk.replace(temp, str(path))
        except BaseException:
            with suppress(OSError):
                disk.unlink(temp)
            raise
        disk.fsync_directory(folder)
