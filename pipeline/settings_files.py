"""Settings files and how far each is trusted: the user's own may say everything, the working directory's very little.

A folder of media is somebody else's: its ``segue.toml`` must neither run a program nor send anything anywhere. So each
setting is refused there unless it is declared `Harmless` where it is defined.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from core.errors import SettingsError, summed_up

SETTINGS_FILE = "segue.toml"
#: Names the file to read in place of the user's own.
CONFIG_VARIABLE = "SEGUE_CONFIG"
#: A settings file is a screenful; whatever is larger is none.
_MOST_BYTES = 1 << 20
#: As the command line calls it.
_FIELD_OF = {"from": "source"}


class Trust(IntEnum):
    """Whose word a setting is."""

    #: The working directory's file: whoever filled the folder.
    FOLDER = 0
    #: Flags, environment, the file that ``SEGUE_CONFIG`` names, the file in the user's configuration folder.
    USER = 1


@dataclass(frozen=True)
class Harmless:
    """Declares a setting that the working directory's file may say: it changes what comes out, and nothing else."""

    #: The value is a path, and must lie in that folder.
    inside: bool = False


@dataclass(frozen=True)
class GoesTo:
    """Declares a secret that is sent to, or kept from all but, the address in another setting."""

    address: str


@dataclass(frozen=True)
class SettingsFile:
    """One file that was read."""

    path: Path
    trust: Trust
    #: By the names of settings.
    values: Mapping[str, Any]

    def describe(self, in_force: Collection[str]) -> str:
        """``segue.toml in this folder: bilingual (not to: ...)``: what it says, first what is in force."""
        place = f"{self.path.name} in this folder" if self.trust is Trust.FOLDER else str(self.path)
        others = sorted(set(self.values) - set(in_force))
        idle = f" (not {', '.join(summed_up(others))}: said elsewhere, which wins)" if others else ""
        return f"{place}: {', '.join(summed_up(sorted(in_force))) or 'nothing'}{idle}"


def own_file() -> Path | None:
    """The file in the user's configuration folder, there or not; None for a user without a home."""
    # Only a path from the root counts, says the XDG specification: others would depend on the working directory.
    base = os.environ.get("XDG_CONFIG_HOME", "")
    if base.startswith("/"):
        return Path(base, "segue", SETTINGS_FILE)
    try:
        return Path.home() / ".config" / "segue" / SETTINGS_FILE
    except RuntimeError:
        return None


def read_settings_files(fields: Mapping[str, FieldInfo]) -> tuple[SettingsFile, ...]:
    """The settings files in force, the stronger first. Raises SettingsError for what may not be said or read."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named and not Path(named).is_file():
        raise SettingsError(f"{CONFIG_VARIABLE} names {named}, which is not a file", "correct it or unset it")
    own = Path(named) if named else own_file()
    found = []
    if own is not None and _is_there(own):
        _refuse_open_file(own)
        found.append(SettingsFile(own, Trust.USER, _known(_read(own), own, fields)))
    here = Path.cwd() / SETTINGS_FILE
    if _is_there(here) and not (found and here.samefile(own or here)):
        values = _known(_read(here), here, fields)
        found.append(SettingsFile(here, Trust.FOLDER, _allowed(values, here, fields)))
    return tuple(found)


def refuse_leaks(trusts: Mapping[str, Trust], fields: Mapping[str, FieldInfo]) -> None:
    """A secret goes only to an address from a source at least as trusted as its own. Raises SettingsError.

    ``trusts`` has the settings that somebody said, with whose word each is.
    """
    for name, field in fields.items():
        for mark in field.metadata:
            if not isinstance(mark, GoesTo) or name not in trusts or mark.address not in trusts:
                continue
            if trusts[mark.address] < trusts[name]:
                raise SettingsError(
                    f"{name} is not sent to an address that a less trusted source says ({mark.address})",
                    f"say {mark.address} where {name} is said",
                )


def _is_there(path: Path) -> bool:
    """False as well where this user may not look: a service may run with somebody else's ``HOME``."""
    try:
        return path.exists()
    except OSError:
        return False


def _refuse_open_file(path: Path) -> None:
    """What everybody may write is nobody's word. A group may: many systems give each user one of their own."""
    if path.stat().st_mode & stat.S_IWOTH:
        raise SettingsError(f"{path} can be written by everybody, so it is not read", f"run: chmod o-w '{path}'")


def _read(path: Path) -> dict[str, Any]:
    """The file's table, the source language under its setting's name."""
    try:
        if not path.is_file():
            raise SettingsError(f"{path} is not a file", "remove it, or make it a file of settings")
        with path.open("rb") as handle:
            data = handle.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise SettingsError(f"{path} is too large for a file of settings", "it must be TOML of at most 1 MB")
        values = tomllib.loads(data.decode("utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}", "give this user access to it") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: {_line(error)}", "it must be valid TOML") from error
    twice = [name for name, field in _FIELD_OF.items() if name in values and field in values]
    if twice:
        raise SettingsError(f"{path} says both {twice[0]} and {_FIELD_OF[twice[0]]}", "keep one of them")
    return {_FIELD_OF.get(name, name): value for name, value in values.items()}


def _line(error: Exception) -> str:
    return summed_up([" ".join(str(error).split())])[0]


def _known(values: dict[str, Any], path: Path, fields: Collection[str]) -> dict[str, Any]:
    unknown = sorted(set(values) - set(fields))
    if unknown:
        are = "is no setting" if len(unknown) == 1 else "are no settings"
        raise SettingsError(f"{path}: {_names(unknown)} {are}", "see 'segue settings' for every name")
    return values


def _allowed(values: dict[str, Any], path: Path, fields: Mapping[str, FieldInfo]) -> dict[str, Any]:
    """What the working directory's file may say, paths in full. Raises SettingsError that names the rest."""
    marks = {name: mark for name in values for mark in fields[name].metadata if isinstance(mark, Harmless)}
    refused = sorted(set(values) - set(marks))
    if refused:
        place = own_file() or f"a file that {CONFIG_VARIABLE} names"
        raise SettingsError(
            f"{path} may not say {_names(refused)}: a folder of media may be somebody else's",
            f"say it by flag, by SEGUE_{refused[0].upper()}, or in {place}",
        )
    return {
        name: _inside(name, value, path) if marks[name].inside and isinstance(value, str) else value
        for name, value in values.items()
    }


def _inside(name: str, value: str, file: Path) -> Path:
    """The path that a value names, links followed. Raises SettingsError when it leads out of the file's folder."""
    folder = file.parent.resolve()
    try:
        place = (folder / value).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise SettingsError(f"{file}: {name}: {_line(error)}", "name a path in that folder") from error
    if not place.is_relative_to(folder):
        raise SettingsError(
            f"{file}: {name} leads out of that folder",
            f"say it by flag or by SEGUE_{name.upper()}, or name a path in it",
        )
    return place


def _names(names: list[str]) -> str:
    return ", ".join("".join(char if char.isprintable() else "?" for char in name) for name in summed_up(names))
