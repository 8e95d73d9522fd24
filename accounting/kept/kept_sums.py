"""The sums of machines that are over, kept on the disk between two questions.

They are no truth: whatever of them cannot be shown to hold still is folded anew, and anybody may delete them. One file
a pricing has what machines came to; one file a machine has the keys of its units.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import TypeVar

import msgspec
from msgspec import Struct

from accounting.fleet_ledger import PricingRules
from accounting.kept.code_digest import code_digest
from accounting.kept.machine_sums import KeptMachine, Units
from cache.store import Store
from cache.survey import FileCount
from core.errors import StoreError
from core.keys import digest_bytes, digest_value
from ledger.price_book.prices import PriceBook
from pipeline.jobs import LEDGER_STATE

#: Instead of the time of a folder that may change once more without another time.
JUST_NOW = -1
_NAME_DIGITS = 32
_Kept = TypeVar("_Kept")


class SumsIndex(Struct, frozen=True):
    """What was kept the last time somebody asked, under one price book and its rules."""

    #: The code that made it.
    code: str
    #: Digest of each job's demand, as all machines below were folded with.
    jobs: dict[str, str]
    #: When each folder of records last changed, or `JUST_NOW`.
    shards: dict[str, int]
    #: Machines that are over, by session.
    machines: dict[str, KeptMachine]


class KeptSums:
    """Reads and writes them."""

    def __init__(self, store: Store, book: PriceBook, rules: PricingRules) -> None:
        self._store = store
        # Rates are not in the name: each machine says which it rests on.
        named = [book.digest, rules.said, sorted(rules.own_engines), rules.by_day, rules.exchange.currency]
        pricing = digest_value(named)
        self._parts = (*LEDGER_STATE, f"sums-{pricing[:_NAME_DIGITS]}.state")
        self.units = cache(self._read_units)

    def read(self) -> SumsIndex:
        """What was kept; empty where nothing was, or by another Segue."""
        found = self._decoded(self._parts, SumsIndex)
        same = found is not None and found.code == code_digest()
        return found if found is not None and same else self.index({}, {}, {})

    def index(self, jobs: dict[str, str], shards: dict[str, int], machines: dict[str, KeptMachine]) -> SumsIndex:
        """What is to be kept."""
        return SumsIndex(code_digest(), jobs, shards, machines)

    def _read_units(self, session: str) -> Units | None:
        return self._decoded(_units_parts(session), Units)

    def write(self, index: SumsIndex, units: dict[str, Units]) -> None:
        """Keeps them, with the units of those machines that are new or changed.

        A disk that is full or only to be read from: the next one who asks folds again.
        """
        with suppress(StoreError):
            for session, each in units.items():
                self._store.replace_state(_units_parts(session), msgspec.msgpack.encode(each), durable=False)
            self._store.replace_state(self._parts, msgspec.msgpack.encode(index), durable=False)

    def _decoded(self, parts: tuple[str, ...], kind: type[_Kept]) -> _Kept | None:
        data = self._store.read_state(parts)
        try:
            return None if data is None else msgspec.msgpack.decode(data, type=kind)
        except msgspec.DecodeError:
            return None


def count_kept_sums(store: Store) -> FileCount:
    """How many files they are, and how large."""
    sizes = [size for size, _ in store.file_stamps(LEDGER_STATE).values()]
    return FileCount(len(sizes), sum(sizes))


def _units_parts(session: str) -> tuple[str, ...]:
    return (*LEDGER_STATE, f"units-{digest_bytes(session.encode())[:_NAME_DIGITS]}.state")
