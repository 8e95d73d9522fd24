"""A month as it was paid, beside the same facts as if its machines had cost something else: on demand against spot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from msgspec.structs import replace as changed

from accounting.closing import read_book, read_closed
from accounting.facts import FactReader, openings
from accounting.fleet.preemption import preemption
from accounting.fleet_ledger import FleetLedger, PricingRules, fold_facts
from accounting.periods import now_ms
from cache.store import Store
from core.errors import UsageError
from journals.facts import Fact, PriceChanged, SessionOpened, parse_instant
from ledger.entries import Bucket, Period, Unpriced
from ledger.exchange import Exchanged
from ledger.preemption import Preemption
from ledger.price_book.prices import PriceBook

#: Nano-units by bucket and currency.
ByBucket = Mapping[Bucket, Mapping[str, int]]


@dataclass(frozen=True)
class SupposedPrice:
    """What machines are supposed to have cost."""

    #: Prices of machines, of `node_rate` too; on demand, for nobody takes such a machine away.
    book: PriceBook
    #: Price an hour of every machine; empty: the book's.
    node_rate: str = ""
    #: Whether also machines that are no spot machines are priced anew.
    everywhere: bool = False

    def facts(self, facts: Iterable[Fact]) -> tuple[Fact, ...]:
        """The facts as they would be: machines that are priced anew say no price and are no spot machines."""
        anew = {one.session for one in facts if isinstance(one, SessionOpened) and self._is_priced_anew(one)}
        found: list[Fact] = []
        for fact in facts:
            if isinstance(fact, SessionOpened) and fact.session in anew:
                found.append(changed(fact, price="", spot=False))
            elif not (isinstance(fact, PriceChanged) and fact.session in anew):
                found.append(fact)
        return tuple(found)

    def rules(self, paid: PricingRules) -> PricingRules:
        """What has no price under either book costs what it was said to."""
        return replace(paid, node_rate=self.node_rate, book_first=False) if self.node_rate else paid

    def _is_priced_anew(self, opened: SessionOpened) -> bool:
        if self.node_rate:
            return True
        # The book knows machines of clouds only.
        return bool(opened.cloud) and (self.everywhere or bool(opened.spot))


@dataclass(frozen=True)
class WhatIf:
    """A month's two prices."""

    #: ``2026-11``.
    month: str
    #: Whether the month is closed: what was learned of it later is then in neither.
    closed: bool
    #: As it was priced.
    paid: ByBucket
    #: As it is supposed.
    supposed: ByBucket
    #: What it cost that machines were taken away, as it was priced, and what the same would have been as supposed: what
    #: nobody would have paid for machines that stay.
    preemption: Preemption
    preemption_supposed: Preemption
    #: Usage that has no price in either.
    unpriced: tuple[Unpriced, ...]
    unpriced_supposed: tuple[Unpriced, ...]
    #: The exchange rates that both rest on, and what lacks one.
    exchanged: Exchanged = field(default_factory=Exchanged)


def what_if(store: Store, text: str, book: PriceBook, rules: PricingRules, supposed: SupposedPrice) -> WhatIf:
    """The month ``text`` priced twice. Raises UsageError, StoreError, MoneyError.

    As it was priced: a closed month under its own book and rules, from the facts that it knew; an open one under
    ``book`` and ``rules``, as it stands. Both are in the currency of ``rules``.
    """
    period, month = Period.month(text), read_closed(store, text)
    at = now_ms() if month is None else parse_instant(month.at)
    if month is not None:
        book, rules = read_book(store, month.closing.book), replace(month.rules, exchange=rules.exchange)
    reader = FactReader(store, None if month is None else month.heads)
    facts = reader.facts(reader.sessions())
    paid = fold_facts(facts, book, replace(rules, now=at), period)
    anew = replace(facts, facts=supposed.facts(facts.facts))
    other = fold_facts(anew, supposed.book, supposed.rules(replace(rules, now=at)), period)
    _check_currencies(_machine_currencies(paid), _machine_currencies(other))
    return WhatIf(
        month=text,
        closed=month is not None,
        paid=_by_bucket(paid),
        supposed=_by_bucket(other),
        preemption=preemption(paid, period),
        preemption_supposed=preemption(other, period, openings(facts.facts)),
        unpriced=paid.unpriced,
        unpriced_supposed=other.unpriced,
        exchanged=rules.exchange.told([*paid.entries, *other.entries], at),
    )


def _machine_currencies(books: FleetLedger) -> frozenset[str]:
    return frozenset(entry.currency for entry in books.entries if entry.bucket is not Bucket.API_FEE)


def _check_currencies(paid: frozenset[str], supposed: frozenset[str]) -> None:
    """Raises UsageError where the two cannot be set against each other."""
    strange = sorted(supposed - paid)
    if paid and strange:
        was, would = ", ".join(sorted(paid)), ", ".join(strange)
        raise UsageError(
            f"the month's machines were paid in {was}, and are supposed to cost {would}",
            "say the price in the currency that was paid",
        )


def _by_bucket(books: FleetLedger) -> ByBucket:
    found: dict[Bucket, dict[str, int]] = {}
    for entry in books.entries:
        amounts = found.setdefault(entry.bucket, {})
        amounts[entry.currency] = amounts.get(entry.currency, 0) + entry.nano
    return found


def totals(by_bucket: ByBucket) -> dict[str, int]:
    """Nano-units by currency."""
    found: dict[str, int] = {}
    for amounts in by_bucket.values():
        for currency, nano in amounts.items():
            found[currency] = found.get(currency, 0) + nano
    return dict(sorted(found.items()))
