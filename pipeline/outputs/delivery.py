"""Where a file's outputs go, and who may overwrite what there.

Segue overwrites only what it wrote itself and nobody has changed since: it keeps the digest of every output it wrote.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cache.store import Store
from core.errors import DiskFullError, SegueError
from core.keys import canonical_json, digest_bytes
from media.names import fitting_path, longest_name
from pipeline.job import JobSettings
from pipeline.stages import suffixes_of

#: Subtitle formats written by default; `<stem>.json` always comes with them.
DEFAULT_FORMATS = ("srt", "vtt")
PARTIAL = ".partial"
_TEMPORARY = ".segue-tmp"
#: An output is written within seconds; what is older than this belongs to nobody.
_LEFTOVER_AGE_S = 600


class OutputError(SegueError):
    """An output cannot be written where it was asked for; the job's records are safe."""


@dataclass(frozen=True)
class Delivery:
    """One delivery: the outputs of this file, there, in these formats."""

    media: Path
    #: Folder that the outputs go to, the input's own sub-folders included.
    folder: Path
    #: Name of the outputs before the first suffix.
    stem: str
    formats: tuple[str, ...] = DEFAULT_FORMATS
    bilingual: bool = False
    mux: bool = False
    #: True overwrites files that Segue did not write.
    force: bool = False

    def path(self, suffix: str, *, partial: bool = False) -> Path:
        """``<folder>/<stem>[.partial].<suffix>``, the stem cut where the file system does not take as long a name."""
        return fitting_path(self.folder, self.stem, f"{PARTIAL if partial else ''}.{suffix}")

    def as_json(self) -> dict[str, object]:
        """What is noted beside the job, so that `export` and `status` find it by the file's name."""
        return {
            "media": str(self.media),
            "folder": str(self.folder),
            "stem": self.stem,
            "formats": list(self.formats),
            "bilingual": self.bilingual,
            "mux": self.mux,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, object], *, force: bool = False) -> Delivery:
        """The delivery that `as_json` wrote; ``force`` is never kept with a result, only with a request."""
        formats = value["formats"]
        assert isinstance(formats, list)
        return cls(
            media=Path(str(value["media"])),
            folder=Path(str(value["folder"])),
            stem=str(value["stem"]),
            formats=tuple(str(name) for name in formats),
            bilingual=bool(value["bilingual"]),
            mux=bool(value["mux"]),
            force=force,
        )

    def check(self, settings: JobSettings, store: Store) -> None:
        """Refuses, before anything is spent, what could not be delivered in the end. Raises OutputError.

        As long as the spoken language is not known, its files are looked at when they are written.
        """
        source, targets = settings.source_language, settings.target_languages
        nearest = self.folder
        while not nearest.exists() and nearest != nearest.parent:
            nearest = nearest.parent
        if not nearest.is_dir():
            raise OutputError(
                f"{self.media}: {nearest} is a file, so no outputs can be put there", "choose another --out"
            )
        room = longest_name(nearest)
        for part in self.folder.relative_to(nearest).parts:
            if len(os.fsencode(part)) > room:
                raise OutputError(
                    f"{self.media}: a folder's name is longer than {nearest} takes ({room} bytes): {part}",
                    "choose another --out, or rename the folder",
                )
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise OutputError(f"{self.media}: {nearest} cannot be written to", "choose another folder with --out")
        names = [name for name in (source, *targets) if name]
        if self.bilingual and source:
            names.extend(f"{source}+{target}" for target in targets if target != source)
        subtitles = (f"{name}.{format_}" for name in names for format_ in self.formats)
        suffixes = ["json", *subtitles, *suffixes_of(settings)]
        for path in (self.path(suffix) for suffix in suffixes):
            self._refuse_foreign(path, store)

    def _refuse_foreign(self, path: Path, store: Store) -> None:
        if self.force or not os.path.lexists(path):
            return
        if path.is_dir():
            raise OutputError(f"{path} is a folder", "move it away, or choose another --out")
        if not is_ours(path, self.media, store):
            raise OutputError(
                f"{path} exists and Segue did not write it for {self.media.name} (or it was edited since)",
                "move it away, choose another --out, or overwrite it with --force",
            )


def write_outputs(delivery: Delivery, outputs: Mapping[Path, bytes], store: Store) -> tuple[Path, ...]:
    """Writes what differs from what is there; returns all paths, in order. Raises OutputError, DiskFullError.

    Nothing is written when one of the files is not ours to overwrite.
    """
    changed = {path: data for path, data in outputs.items() if not holds(path, data)}
    for path in changed:
        delivery._refuse_foreign(path, store)
    for path, data in changed.items():
        _note_ours(path, delivery.media, digest_bytes(data), store)
        write_file(path, data)
    return tuple(outputs)


def outputs_of_media(media: Path, store: Store, besides: Collection[Path] = ()) -> list[Path]:
    """Everything that was ever delivered or exported for this media ``besides`` these, there or not."""
    folder = _notes_of(media)
    known = {note_parts(path, media)[-1] for path in besides}
    found = (store.read_state((*folder, name)) for name in store.children(folder) if name not in known)
    return sorted(Path(json.loads(data)["path"]) for data in found if data is not None)


@lru_cache(maxsize=1024)
def sweep(folder: Path) -> None:
    """Removes what killed processes left half written in a folder of outputs; looked for once a process."""
    limit = time.time() - _LEFTOVER_AGE_S
    for leftover in folder.glob(f".*{_TEMPORARY}"):
        with suppress(OSError):
            if leftover.stat().st_mtime < limit:
                leftover.unlink()


def remove_stale(paths: Sequence[Path], media: Path, store: Store) -> None:
    """Removes earlier outputs of ``media`` that no longer hold, as far as they are ours and unchanged."""
    for path in paths:
        if path.is_file() and is_ours(path, media, store):
            path.unlink(missing_ok=True)


def write_file(path: Path, data: bytes) -> None:
    """Puts a whole file in place at once: readers see the old one or the new one. Raises OutputError."""
    # Not made from the name itself: a long name with a suffix is longer than a file system takes.
    temporary = path.with_name(f".{digest_bytes(os.fsencode(path.name))[:16]}.{os.getpid()}{_TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        with temporary.open("wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        kind = DiskFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else OutputError
        raise kind(
            f"{path} cannot be written: {error.strerror}", "free space or choose another --out, then run the same again"
        ) from error


def holds(path: Path, data: bytes) -> bool:
    """True when a file with exactly this content is there."""
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False


def _notes_of(media: Path) -> tuple[str, ...]:
    """The folder of the notes of one media file's outputs: nobody has to look through those of all the others."""
    name = digest_bytes(os.fsencode(media.absolute()))[:32]
    return "state", "outputs", name[:2], name


def note_parts(path: Path, media: Path) -> tuple[str, ...]:
    """Where the store keeps its note of an output."""
    return (*_notes_of(media), f"{digest_bytes(os.fsencode(path.absolute()))[:32]}.state")


def is_ours(path: Path, media: Path, store: Store) -> bool:
    """True while the file is as Segue wrote it for this media. Raises OutputError when it cannot be read."""
    data = store.read_state(note_parts(path, media))
    if data is None:
        return False
    noted = json.loads(data)
    if "stamp" in noted:
        status = path.stat()
        return bool(noted["stamp"] == [status.st_size, status.st_mtime_ns])
    try:
        return digest_bytes(path.read_bytes()) in noted["digests"]
    except OSError as error:
        raise OutputError(f"{path} cannot be read: {error.strerror}", "correct its permissions") from error


def _note_ours(path: Path, media: Path, digest: str, store: Store) -> None:
    """Noted before the file is written, with what is there now: a crash in between leaves both recognisable."""
    noted = store.read_state(note_parts(path, media))
    known = json.loads(noted)["digests"] if noted else []
    digests = [*[each for each in known if each != digest][-1:], digest]
    value = {"path": str(path.absolute()), "digests": digests}
    store.replace_state(note_parts(path, media), canonical_json(value))


@dataclass(frozen=True)
class MuxNote:
    """What is known of a muxed copy that Segue wrote."""

    #: Digest of what it was made from.
    inputs: str
    #: True while the file is as it was written.
    intact: bool


def note_mux(path: Path, media: Path, inputs: str, store: Store) -> None:
    """Notes a muxed copy by its size and time: hashing gigabytes again would cost more than making them."""
    status = path.stat()
    stamp = [status.st_size, status.st_mtime_ns]
    value = {"path": str(path.absolute()), "inputs": inputs, "stamp": stamp}
    store.replace_state(note_parts(path, media), canonical_json(value))


def read_mux_note(path: Path, media: Path, store: Store) -> MuxNote | None:
    """What was noted of the copy at ``path``; None when there is no such file or note."""
    data = store.read_state(note_parts(path, media))
    if data is None or not path.is_file():
        return None
    noted, status = json.loads(data), path.stat()
    return MuxNote(noted.get("inputs", ""), noted.get("stamp") == [status.st_size, status.st_mtime_ns])
