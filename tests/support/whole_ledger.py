"""Every machine of a store in one ledger; the program folds months and jobs, each from what it needs."""

from __future__ import annotations

from accounting.facts import FactReader
from accounting.fleet_ledger import FleetLedger, PricingRules, fold_facts
from cache.store import Store
from ledger.closing import Period
from ledger.price_book.prices import PriceBook


def read_fleet_ledger(
    store: Store, book: PriceBook, *, rules: PricingRules | None = None, period: Period | None = None
) -> FleetLedger:
    """The ledger of every machine of the store, under ``book``. Raises StoreError, ConservationError."""
    reader = FactReader(store)
    return fold_facts(reader.facts(reader.sessions()), book, rules or PricingRules(), period)
