"""What is found of a closed month later, kept as long as the closings and the month's entries are the same.

The whole month need not be folded to see that nothing came: the digest over the kept sums' entries tells.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Struct

from accounting.closing import CLOSED, LEDGER, all_closed, pricing_json, read_book, read_pricing, stands_for
from accounting.kept.code_digest import code_digest
from accounting.kept.period_totals import read_totals
from accounting.periods import month_text
from cache.store import Stamp, Store
from core.errors import StoreError
from ledger.closing import late_entries
from ledger.entries import LedgerEntry, Period
from pipeline.jobs import LEDGER_STATE


class _KeptLate(Struct, frozen=True):
    """What was found of one month, and what that rests on."""

    #: The code that made it.
    code: str
    #: Size and time of every closing.
    closings: dict[str, Stamp]
    #: First instant of the month that the differences are entered into.
    following: int
    #: How the month was priced, as its closing has it.
    pricing: dict[str, Any]
    #: Digest of its price book.
    book: str
    #: Digest over the month's entries as they come out now.
    digest: str | None
    #: The differences.
    entries: tuple[LedgerEntry, ...]


def read_late(store: Store, month: Period, following: Period, now: int) -> tuple[LedgerEntry, ...]:
    """What must be entered into ``following`` of a closed month, as of ``now``. Raises StoreError."""
    name = month_text(month.start)
    stamps = {file: stamp for file, stamp in store.file_stamps((LEDGER,)).items() if file.startswith(CLOSED)}
    parts = (*LEDGER_STATE, f"late-{name}.state")
    kept = _read(store, parts)
    known = kept is not None and (kept.code, kept.closings, kept.following) == (code_digest(), stamps, following.start)
    if kept is not None and known and kept.digest is not None:
        pricing = read_pricing(kept.pricing, now)
        if read_totals(store, read_book(store, kept.book), pricing, month).digest == kept.digest:
            return kept.entries
    closed = all_closed(store)
    (closing,) = (each for each in closed if each.month == name)
    stood, pricing = stands_for(closing, closed), read_pricing(pricing_json(closing.rules), now)
    ledger = read_totals(store, read_book(store, stood.book), pricing, month)
    found = tuple(late_entries(stood, ledger.entries, following))
    with suppress(StoreError):
        new = _KeptLate(
            code_digest(), stamps, following.start, pricing_json(closing.rules), stood.book, ledger.digest, found
        )
        store.replace_state(parts, msgspec.json.encode(new), durable=False)
    return found


def _read(store: Store, parts: tuple[str, ...]) -> _KeptLate | None:
    data = store.read_state(parts)
    try:
        return None if data is None else msgspec.json.decode(data, type=_KeptLate)
    except msgspec.DecodeError:
        return None
