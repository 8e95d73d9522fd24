"""From what a person named (files and folders) to the list of media files, each with its place in the outputs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from media.containers import MEDIA_SUFFIXES
from media.mux import MUXED_MARK
from media.names import without_suffix
from media.sources import shown


@dataclass(frozen=True)
class InputFile:
    """One media file of a run."""

    #: Absolute.
    path: Path
    #: Its place below what was named; outputs mirror it. No two files of a run share one.
    relative: Path
    #: ``relative`` without its media suffix, or with it where ``ep1.mp4`` and ``ep1.mkv`` stand side by side; unique.
    stem: Path


@dataclass(frozen=True)
class InputProblem:
    """Something that was named and cannot be used; the rest goes on."""

    path: Path
    #: One line that names it.
    message: str
    #: What to do.
    hint: str


@dataclass(frozen=True)
class Inputs:
    """What a run works on, in order."""

    files: tuple[InputFile, ...]
    problems: tuple[InputProblem, ...]


@dataclass
class _Search:
    """Files found so far, and folders already looked into."""

    #: (absolute path, path below what was named)
    found: list[tuple[Path, Path]] = field(default_factory=list)
    problems: list[InputProblem] = field(default_factory=list)
    folders: set[tuple[int, int]] = field(default_factory=set)


def expand_inputs(paths: Sequence[Path], exclude: Collection[Path] = ()) -> Inputs:
    """The media files that ``paths`` name, folders searched to the bottom, in a fixed order, each once.

    In folders only files with a media suffix count; hidden ones and Segue's own copies are passed over, and so are the
    folders in ``exclude`` (where outputs go). A file that is named by itself is always taken. Whether a file really is
    media is seen when it is probed. Two files of the same place (``a/ep1.mp4 b/ep1.mp4``) are told apart by taking all
    places from the folder that they have in common. What is missing becomes a problem, not an error.
    """
    search = _Search()
    excluded = {os.path.realpath(path) for path in exclude}
    for path in paths:
        absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links and lose the name
        if os.path.isdir(absolute):  # noqa: PTH112 - must not raise for odd names
            _search_folder(absolute, search, excluded)
        elif os.path.lexists(absolute):
            search.found.append((absolute, Path(absolute.name)))
        else:
            search.problems.append(
                InputProblem(path, f"{shown(path)}: there is no such file or folder", "check the name and the folder")
            )
    return Inputs(_placed(search.found), tuple(search.problems))


def _search_folder(root: Path, search: _Search, excluded: Collection[str]) -> None:
    before = len(search.found)
    problems = len(search.problems)
    for path in _walk(root, search, excluded):
        search.found.append((path, path.relative_to(root)))
    if len(search.found) == before and len(search.problems) == problems:
        search.problems.append(
            InputProblem(
                root, f"{shown(root)}: holds no media files", "name a file itself to use it whatever its suffix"
            )
        )


def _walk(root: Path, search: _Search, excluded: Collection[str]) -> Iterator[Path]:
    """Media files under ``root``, a folder's files before its folders; links are followed, but no folder twice."""
    pending = [os.fspath(root)]
    while pending:
        folder = pending.pop()
        try:
            status = os.stat(folder)  # noqa: PTH116 - plain strings keep 10,000 files fast
            if (status.st_dev, status.st_ino) in search.folders or os.path.realpath(folder) in excluded:
                continue
            search.folders.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                visible = sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)
        except OSError as error:
            message = f"{shown(folder)}: cannot be looked into: {error.strerror}"
            search.problems.append(InputProblem(Path(folder), message, "check its permissions"))
            continue
        folders = [entry.path for entry in visible if _is_folder(entry)]
        pending.extend(reversed(folders))
        inside = set(folders)
        yield from (Path(entry.path) for entry in visible if entry.path not in inside and _is_media_name(entry.name))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_media_name(name: str) -> bool:
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - plain strings keep 10,000 files fast
    return suffix.lower() in MEDIA_SUFFIXES and not stem.endswith(MUXED_MARK)


def _placed(found: Sequence[tuple[Path, Path]]) -> tuple[InputFile, ...]:
    unique = dict(reversed(found))  # the first naming of a file decides its place
    ordered = [(path, unique[path]) for path in dict.fromkeys(path for path, _ in found)]
    if len({relative for _, relative in ordered}) < len(ordered):
        shared = Path(os.path.commonpath([path.parent for path, _ in ordered]))
        ordered = [(path, path.relative_to(shared)) for path, _ in ordered]
    stems = _unique_stems([relative for _, relative in ordered])
    return tuple(InputFile(path, relative, stem) for (path, relative), stem in zip(ordered, stems, strict=True))


def _unique_stems(relatives: Sequence[Path]) -> list[Path]:
    """Each place without its suffix where that is unique; where it is not, the whole name, which is."""
    stems = [without_suffix(relative) for relative in relatives]
    while True:
        counts = Counter(stems)
        clashing = [at for at, stem in enumerate(stems) if counts[stem] > 1 and stem != relatives[at]]
        if not clashing:
            return stems
        for at in clashing:
            stems[at] = relatives[at]
