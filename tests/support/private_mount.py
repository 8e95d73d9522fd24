"""A worker with a mount table of its own, so that its disk can be taken from it and from nobody else."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

#: Put in front of a command: the mounts that are made in it are its own.
PRIVATE = ("unshare", "--mount", "--propagation", "private")


@cache
def may_mount() -> bool:
    """True where this process may make private mounts (root, and a kernel that lets it)."""
    tools = all(shutil.which(tool) for tool in ("unshare", "nsenter", "mount", "umount"))
    return tools and subprocess.run([*PRIVATE, "true"], check=False, capture_output=True).returncode == 0


class PrivateMount:
    """A folder as one process (and its children) sees it; the process was started behind `PRIVATE`."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._pid, self._folder = pid, str(folder)

    def make_read_only(self) -> None:
        """Reads go on, every write is refused."""
        self._run("mount", "--bind", self._folder, self._folder)
        self._run("mount", "-o", "remount,bind,ro", self._folder)

    def take_away(self) -> None:
        """The mount point is there, and empty."""
        self._run("mount", "-t", "tmpfs", "-o", "size=1m", "nothing", self._folder)

    def give_back(self) -> None:
        """Undoes either."""
        self._run("umount", "-l", self._folder)

    def _run(self, *command: str) -> None:
        subprocess.run(
            ["nsenter", "--target", str(self._pid), "--mount", *command], check=True, capture_output=True, text=True
        )
