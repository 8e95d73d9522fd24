"""The store's disk: its folders, its quarantine, and the one way in which files become visible and durable."""

from __future__ import annotations

import errno
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from cache import names
from cache.faults import GONE
from cache.filesystem import Filesystem
from cache.identity import StoreIdentity, open_identity, read_identity
from cache.publish import PutOutcome, place
from core.errors import StoreError

#: fsyncs in flight at once: journalling file systems serve those that wait together with one commit.
SYNC_THREADS = 8
#: Pauses before a file that a network disk lost track of is opened again.
_STALE_PAUSES_S = (0.0, 0.01, 0.05, 0.2)
#: Rounds of "taken by a damaged file, moved away, taken again by somebody else's" before we give up.
_PLACE_ATTEMPTS = 16
T = TypeVar("T")


class Moved(Enum):
    """What became of a file that was to go to quarantine."""

    #: It is there, or somebody else moved it: its name is free, or taken by something newer.
    AWAY = "away"
    #: It turned out to be sound, and is back in its place.
    BACK = "back"
    #: The disk did not allow it: the damaged file still has its name.
    STUCK = "stuck"


@dataclass
class Pending:
    """A file that is being written under a temporary name."""

    #: The final place, as parts below home; its last part may be unknown until the content is.
    parts: tuple[str, ...]
    temp: str
    fd: int
    #: False once the temporary name is gone.
    on_disk: bool = True
    open: bool = True
    error: OSError | None = None


class Volume:
    """One opened store's disk. Safe to use from several threads."""

    def __init__(
        self,
        home: str,
        filesystem: Filesystem,
        notice: Callable[[str], None],
        *,
        create: bool,
        in_place: bool = False,
    ) -> None:
        """``in_place``: a damaged file counts as missing and stays where it is, for whoever only looks."""
        self.home = home
        self.filesystem = filesystem
        self.notice = notice
        self.identity: StoreIdentity = open_identity(filesystem, home, create=create)
        self.token = secrets.token_hex(4)
        self._seen = self._identity_place()
        #: Folders whose own name is known to be durable.
        self._durable: set[str] = set()
        self._pool: ThreadPoolExecutor | None = None
        self._pool_lock = threading.Lock()
        self._in_place = in_place
        #: Damaged files that were left where they are, as far as they were told of.
        self._left: set[str] = set()
        for folder in (names.OBJECTS, names.BLOBS, names.QUARANTINE):
            # Copying tools leave empty folders out; whoever only looks can do without.
            if not in_place and not filesystem.exists(self.path((folder,))):
                self.ensure_directory((folder,))

    def path(self, parts: Iterable[str]) -> str:
        return f"{self.home}/{'/'.join(parts)}"

    def close(self) -> None:
        """Ends the threads. The volume can be used again; it starts new ones."""
        with self._pool_lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()

    # Folders

    def confirm(self) -> None:
        """Raises StoreError when home is no longer this store: unmounted, removed, or another one in its place."""
        try:
            here = self._identity_place()
        except OSError as error:
            if error.errno not in GONE:
                raise
            here = None
        if here == self._seen:
            return
        identity = read_identity(self.filesystem, self.home)
        if identity is None:
            raise StoreError(
                f"the store at {self.home} has vanished",
                "mount its disk again or point SEGUE_HOME at the right folder; nothing was created in its place",
            )
        if identity.id != self.identity.id:
            raise StoreError(
                f"{self.home} is now another store ({identity.id[:8]}, was {self.identity.id[:8]})",
                "mount the disk that the work began on",
            )
        self._seen = here or self._seen

    def _identity_place(self) -> tuple[int, int]:
        facts = self.filesystem.stat(f"{self.home}/{names.IDENTITY}")
        return facts.st_dev, facts.st_ino

    def ensure_directory(self, parts: Sequence[str], *, durable: bool = True) -> str:
        """The path of a folder below home, which exists and whose name is durable, if asked, when this returns."""
        if not parts:
            return self.home
        path = self.path(parts)
        if path in self._durable:
            return path
        parent = self.ensure_directory(parts[:-1])
        if tuple(parts[:-1]) == (names.OBJECTS,):
            self._learn_shards(parent)
            if path in self._durable:
                return path
        with suppress(FileExistsError):
            self.filesystem.make_directory(path)
        if not durable:
            return path
        # Also when it was there: whoever made it may not have come this far.
        self.filesystem.fsync_directory(parent)
        self._durable.add(path)
        return path

    def _learn_shards(self, objects: str) -> None:
        """One fsync for all the shards that exist, instead of one for each."""
        found = self.filesystem.names(objects)
        self.filesystem.fsync_directory(objects)
        self._durable.update(f"{objects}/{name}" for name in found if name in names.SHARDS)

    def forget_directories(self) -> None:
        """Forgets what is known to be durable: something was removed under our feet."""
        self._durable.clear()

    # Reading

    def facts(self, path: str) -> os.stat_result | None:
        """Size and times of what has this name; None when nothing has it."""
        try:
            return self.filesystem.stat(path)
        except FileNotFoundError:
            return None

    def read(self, path: str) -> bytes | None:
        """A whole file, or None when there is no such file in a store that is still there."""
        for pause in _STALE_PAUSES_S:
            try:
                return self.filesystem.read(path)
            except FileNotFoundError:
                self.confirm()
                return None
            except OSError as error:
                if error.errno != errno.ESTALE:
                    raise
                time.sleep(pause)
        return self.filesystem.read(path)

    # Writing

    def begin(self, directory: Sequence[str], label: str, *, durable: bool = True) -> Pending:
        """Opens a new temporary file in the folder of its target."""
        for attempt in range(_PLACE_ATTEMPTS):
            try:
                folder = self.ensure_directory(directory, durable=durable)
                temp = f"{folder}/{names.temp_name(label, self.token)}"
                return Pending((*directory, label), temp, self.filesystem.create(temp))
            except FileNotFoundError:
                self.confirm()
                self.forget_directories()
                if attempt == _PLACE_ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def write_file(self, parts: Sequence[str], data: bytes, *, durable: bool = True) -> Pending:
        """A new temporary file with ``data`` in it, not yet durable. Leaves nothing behind when it raises."""
        pending = self.begin(parts[:-1], parts[-1], durable=durable)
        try:
            self.filesystem.write(pending.fd, data)
        except BaseException:
            self.discard(pending)
            raise
        return pending

    def commit(self, pendings: Sequence[Pending], settle: Callable[[Pending], bool]) -> list[PutOutcome]:
        """Makes all files durable, publishes them, and makes their names durable: one round for the whole group.

        Where a name is taken, ``settle`` says whether what has it is sound (it stays) or was moved away (ours is
        published). What can be committed is committed even when another file of the group fails; then the first
        failure is raised. No temporary file is left behind.
        """
        try:
            self._in_parallel(self._sync, pendings)
            outcomes = [self._publish(pending, settle) for pending in pendings if pending.error is None]
            folders = {pending.temp.rpartition("/")[0]: None for pending in pendings if pending.error is None}
            self._in_parallel(self.filesystem.fsync_directory, list(folders))
        finally:
            for pending in pendings:
                self.discard(pending)
        for pending in pendings:
            if pending.error is not None:
                raise pending.error
        return [outcome for outcome in outcomes if outcome is not None]

    def discard(self, pending: Pending) -> None:
        """Closes and removes a temporary file, whatever state it is in."""
        if pending.open:
            pending.open = False
            with suppress(OSError):
                self.filesystem.close(pending.fd)
        if pending.on_disk:
            pending.on_disk = False
            with suppress(OSError):
                self.filesystem.unlink(pending.temp)

    def _sync(self, pending: Pending) -> None:
        # A failed fsync is final for this file: the kernel forgets the lost pages, so a second one would lie.
        try:
            self.filesystem.fsync(pending.fd)
            pending.open = False
            self.filesystem.close(pending.fd)
        except OSError as error:
            pending.error = error

    def _publish(self, pending: Pending, settle: Callable[[Pending], bool]) -> PutOutcome | None:
        target = self.path(pending.parts)
        try:
            for _ in range(_PLACE_ATTEMPTS):
                try:
                    place(self.filesystem, self.identity.publish, pending.temp, target)
                except FileExistsError:
                    if settle(pending):
                        with suppress(OSError):  # So that a gc that runs now does not take it for an old one.
                            self.filesystem.touch(target)
                        return PutOutcome.LOST_RACE
                else:
                    pending.on_disk = False
                    return PutOutcome.COMMITTED
        except OSError as error:
            pending.error = error
        else:
            pending.error = OSError(errno.EIO, "a damaged file keeps coming back", target)
        return None

    def _in_parallel(self, action: Callable[[T], None], items: Sequence[T]) -> None:
        if len(items) < 2:
            for item in items:
                action(item)
            return
        width = min(SYNC_THREADS, len(items))

        def run(start: int) -> None:
            for item in items[start::width]:
                action(item)

        with self._pool_lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(SYNC_THREADS, thread_name_prefix="store-sync")
            jobs = [self._pool.submit(run, start) for start in range(width)]
        for job in jobs:
            job.result()

    # Quarantine

    def quarantine(self, parts: Sequence[str], reason: str, sound: Callable[[str], bool]) -> Moved:
        """Moves a damaged file away, so that it counts as missing.

        Between our reading and our moving, another process may have put a sound file there: ``sound`` looks at what
        was moved, and what is sound goes back.
        """
        source = self.path(parts)
        if self._in_place:
            if source not in self._left:
                self._left.add(source)
                self.notice(f"{source} is damaged ({reason}); it counts as missing, and was left where it is")
            return Moved.STUCK
        target = f"{self.home}/{names.QUARANTINE}/{names.quarantine_name(parts, self.token)}"
        try:
            self.ensure_directory((names.QUARANTINE,))
            self.filesystem.replace(source, target)
        except FileNotFoundError:
            return Moved.AWAY
        except OSError as error:
            self.notice(f"{source} is damaged ({reason}) and cannot be moved to quarantine: {error.strerror}")
            return Moved.STUCK
        if self._is_sound(target, sound):
            try:
                place(self.filesystem, self.identity.publish, target, source)
                self.filesystem.fsync_directory(source.rpartition("/")[0])
            except FileExistsError:
                return Moved.AWAY
            return Moved.BACK
        self.notice(f"{source} was damaged ({reason}); it is in quarantine and will be made again")
        return Moved.AWAY

    @staticmethod
    def _is_sound(path: str, sound: Callable[[str], bool]) -> bool:
        try:
            return sound(path)
        except OSError:
            return False
