"""What every command shares: settings from flags, the runtime they make, and how notes reach the person."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.completion import complete_job
from cli.wording import printable
from core.errors import LISTED

if TYPE_CHECKING:
    from cache.store import Store
    from pipeline.runtime import Runtime

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]
HomeFlag = Annotated[
    Path | None,
    typer.Option("--home", help="Where jobs, records and audio live. [SEGUE_HOME]", show_default=False),
]
DryRunFlag = Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted; delete nothing.")]
_A_JOB = "A job's id, the start of one, a media file's name, or 'last'."
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help=_A_JOB, autocompletion=complete_job)]
OptionalJobArgument = Annotated[str, typer.Argument(metavar="[JOB]", help=_A_JOB, autocompletion=complete_job)]


def open_runtime(flags: Mapping[str, Any], *, in_place: bool = False) -> Runtime:
    """The runtime for this command; flags that were not given are None. Raises SettingsError.

    ``in_place``: the command only looks, so that it leaves what is damaged where it is.
    """
    from pipeline.runtime import Runtime, load_settings, unknown_names

    for name in unknown_names():
        note(f"{name} is not a setting of Segue and is ignored (see 'segue settings')")
    return Runtime(load_settings(flags, note), note, in_place)


@contextmanager
def open_whole_store(flags: Mapping[str, Any]) -> Iterator[Store]:
    """The store for a command that looks at all of it: of thousands of damaged files the first are named.

    Raises SettingsError, StoreError.
    """
    told = 0

    def tell(line: str) -> None:
        nonlocal told
        told += 1
        if told <= LISTED:
            note(line)

    try:
        yield replace(open_runtime(flags), announce=tell).store
    finally:
        if told > LISTED:
            note(f"and {told - LISTED} more")


def note(line: str) -> None:
    """One line on standard error, so that pipes stay clean."""
    print(f"segue: {printable(line)}", file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """One JSON document on standard output, in plain ASCII where that cannot take the text as it is."""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    try:
        # A program may be started without any standard output.
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=1)
    print(text)


def print_error(message: str, hint: str, **more: Any) -> None:
    """What went wrong, for programs: one line, so that it also ends a stream of JSON lines."""
    print(json.dumps({"error": {"message": message, "hint": hint, **more}}))
