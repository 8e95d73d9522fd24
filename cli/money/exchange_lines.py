"""Exchange rates on screens: which were used, which are old, and what lacks one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cli.context import note

if TYPE_CHECKING:
    from ledger.exchange import Exchanged


def exchange_lines(exchanged: Exchanged) -> Iterator[tuple[str, str]]:
    """Lines and their styles."""
    for line in exchanged.missing:
        yield f"UNPRICED {line}", "bold red"
    for line in exchanged.lines:
        yield f"rate     {line}", ""
    for line in exchanged.old:
        yield line, "yellow"


def note_exchange(exchanged: Exchanged) -> None:
    """What must be known beside a document for programs."""
    for line in (*exchanged.missing, *exchanged.old):
        note(line)
