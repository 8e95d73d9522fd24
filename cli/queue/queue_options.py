"""Options that the commands of the queue share."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.completion import complete_job
from cli.context import note
from core.errors import UsageError

if TYPE_CHECKING:
    from cache.store import Store

#: What a label may be called, so that it can be typed, grouped by and put into a metric.
_LABEL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,62}")
_LONGEST_LABEL = 256

LabelsFlag = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="NAME=TEXT", help="A label such as show=sands; may be repeated."),
]
JobsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="JOB...",
        help="Ids, starts of ids, media files' names, or 'last'.",
        show_default=False,
        autocompletion=complete_job,
    ),
]


class PriorityName(StrEnum):
    """As `jobs.queue_view.Priority`, which `segue --help` has no time to import."""

    LOW = "low"
    NORMAL = "normal"
    RUSH = "rush"


def parse_labels(said: list[str] | None) -> dict[str, str]:
    """``["show=sands"]`` -> ``{"show": "sands"}``. Raises UsageError."""
    labels: dict[str, str] = {}
    for text in said or ():
        name, equals, value = text.partition("=")
        if not equals or not _LABEL_NAME.fullmatch(name):
            raise UsageError(f"'{text}' is not a label", "write it as --label show=sands")
        if len(value) > _LONGEST_LABEL or not value.isprintable():
            raise UsageError(f"the label {name} is too long or holds what cannot be printed", "shorten its text")
        if labels.setdefault(name, value) != value:
            raise UsageError(f"the label {name} is given twice", "give each label once")
    return labels


def remark_on_coordinator(store: Store) -> bool:
    """Says when nobody takes orders up, and how to start somebody; they are safe on disk either way. True if said."""
    from jobs.presence import coordinator_lives, read_coordinator

    if coordinator_lives(store):
        return False
    noted = read_coordinator(store)
    since = f" since {noted.at[:19].replace('T', ' ')} UTC" if noted else ""
    start = "'segue up' starts one here, 'segue coordinator' one for a fleet"
    note(f"no coordinator runs on this store{since}: jobs wait, nothing is lost; {start}")
    return True
