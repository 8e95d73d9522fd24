"""What is still being computed while the ledger is asked: it is no loss yet, and no result either."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ledger.entries import Bucket, LedgerEntry, Unpriced

#: Meter of machine time without a price.
_NODE_TIME = "node_ms"


@dataclass(frozen=True)
class UnderWay:
    """Batches that had not ended when the ledger was asked: what they took counts as useful until more is known."""

    #: How many.
    batches: int
    #: Node time that they took so far, and that is counted as useful, in ms.
    node_ms: int
    #: What it costs so far, as far as it has a price: nano-units by currency.
    amounts: Mapping[str, int]

    @classmethod
    def merged(cls, parts: Iterable[UnderWay | None]) -> UnderWay | None:
        """What parts that have no batch in common come to; None when nothing is under way in any."""
        found = [part for part in parts if part is not None]
        amounts: dict[str, int] = {}
        for part in found:
            amounts.update({name: amounts.get(name, 0) + nano for name, nano in part.amounts.items()})
        return cls(sum(part.batches for part in found), sum(part.node_ms for part in found), amounts) if found else None

    def as_json(self) -> dict[str, Any]:
        """Amounts in nano-units."""
        return {"batches": self.batches, "node_ms": self.node_ms, "amounts": dict(self.amounts)}


def under_way_of(
    entries: Iterable[LedgerEntry], unpriced: Iterable[Unpriced], open_now: Collection[str]
) -> UnderWay | None:
    """Of the attempts in ``open_now``, what these entries count as useful; None when nothing is."""
    mine = [entry for entry in entries if entry.attempt in open_now and entry.bucket is Bucket.BUSY]
    times = [
        usage
        for usage in unpriced
        if usage.attempt in open_now and usage.bucket is Bucket.BUSY and usage.meter == _NODE_TIME
    ]
    names = {entry.attempt for entry in mine} | {usage.attempt for usage in times}
    if not names:
        return None
    ms = sum(entry.unit_ms for entry in mine) + sum(usage.quantity for usage in times)
    amounts: dict[str, int] = {}
    for entry in mine:
        amounts[entry.currency] = amounts.get(entry.currency, 0) + entry.nano
    return UnderWay(len(names), ms, amounts)
