"""What the machines of a storm must cost: reckoned from their papers by other means than the ledger's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Context, Decimal
from itertools import pairwise
from typing import Any

from fleet_machines import KINDS

from cache.store import Store
from ledger.price_book.prices import Confidence, Meter, PriceBook, PriceRow
from worker.notices.metadata import Cloud

CURRENCY = "USD"
#: Spot prices that follow each other during a storm, and how long each holds (ms).
STEPS = (Decimal("0.1578"), Decimal("0.2113"), Decimal("0.16005"))
STEP_MS = 7_013
#: Shortest time in seconds that a cloud bills; each bills by the second.
_MINIMUM_S = {"aws": 60, "gcp": 60}
_HOUR_S = 3600
_FREE_S = _HOUR_S - 120
#: Between two beats: a machine that is silent for longer had ended.
BEAT_MS = 10_000
_EXACT = Context(prec=60)


def price_at(began: int, at: int) -> Decimal:
    """The spot price of the clouds whose machines do not say theirs; ``began`` is the storm's first instant (ms)."""
    return STEPS[max(at - began, 0) // STEP_MS % len(STEPS)]


def steps_after(began: int, until: int) -> list[int]:
    """First instants of the prices up to ``until``; the first of them holds since long before the storm."""
    return list(range(began, until, STEP_MS))


def storm_prices(began: int, until: int) -> PriceBook:
    """The book of a storm: spot rows of two clouds that follow each other again and again while it rages."""
    rows = []
    for cloud in (Cloud.AWS, Cloud.GCP):
        kind = KINDS[cloud]
        for number, start in enumerate(steps_after(began, until)):
            rows.append(
                PriceRow(
                    id=f"{cloud}/{kind.size}/{number}",
                    provider=str(cloud),
                    meter=Meter.NODE_HOUR,
                    sku=kind.size,
                    unit_price=price_at(began, start),
                    per=1,
                    currency=CURRENCY,
                    effective_from=start if number else began - _HOUR_S * 24_000,
                    effective_to=None,
                    observed_at=date(2026, 11, 22),
                    source_url="https://prices.test/storm",
                    confidence=Confidence.MEASURED,
                    region=kind.region,
                    spot=True,
                    billing_increment=Decimal(1),
                    minimum_quantity=Decimal(_MINIMUM_S[str(cloud)]),
                )
            )
    return PriceBook((tuple(rows),))


@dataclass(frozen=True)
class MachinePapers:
    """What one machine's folder says, as plain JSON."""

    session: str
    opening: dict[str, Any]
    facts: tuple[dict[str, Any], ...]

    @property
    def cloud(self) -> str:
        """Whose machine it is."""
        return str(self.opening["cloud"])

    @property
    def start(self) -> int:
        """When it began to cost money."""
        return _ms(self.opening["booted"])

    @property
    def own_steps(self) -> list[tuple[int, Decimal]]:
        """(since, price) as its own workers were told; empty when nobody told them."""
        told = [(self.start, str(self.opening["price"]))]
        told += [(_ms(fact["at"]), fact["price"]) for fact in self.facts if fact["fact"] == "price_changed"]
        return sorted((at, Decimal(text.split()[0])) for at, text in told if text)

    @property
    def last(self) -> int:
        """Its last beat or close; without any, its opening."""
        return max((_ms(fact["at"]) for fact in self.facts), default=_ms(self.opening["at"]))

    def taken_by_aws(self, end: int) -> bool:
        """Whether AWS said itself that it takes the machine, within its first hour, and it ended in order."""
        closes = [fact for fact in self.facts if fact["fact"] == "session_closed"]
        said = any(fact["reason"].startswith("aws:") for fact in closes)
        in_order = any(_ms(fact["at"]) == end for fact in closes)
        return self.cloud == "aws" and said and in_order and end - self.start < _FREE_S * 1000


def read_papers(store: Store) -> Iterator[MachinePapers]:
    """Every machine of a store."""
    for session in store.children(("nodes",)):
        data = store.read_document(("nodes", session, "opened.json"))
        names = [name for name in store.children(("nodes", session)) if name.endswith(".jsonl")]
        facts = [fact for name in names for fact in store.read_journal(("nodes", session, name)).entries]
        assert data is not None, f"machine {session} has no opening"
        yield MachinePapers(session, json.loads(data), tuple(facts))


def expected_bill(papers: MachinePapers, end: int, began: int) -> tuple[int, int]:
    """(nano-units, first instant that is not billed) of a machine that ended at ``end``."""
    lived = (Decimal(end - papers.start) / 1000).to_integral_value(ROUND_CEILING)
    until = papers.start + int(max(lived, Decimal(_MINIMUM_S.get(papers.cloud, 0)))) * 1000
    if papers.taken_by_aws(end):
        return 0, until
    listed = [papers.start, *steps_after(began, until)[1:]]
    steps = papers.own_steps or sorted((at, price_at(began, at)) for at in listed)
    cuts = sorted({papers.start, until, *(at for at, _ in steps if papers.start < at < until)})
    total = 0
    for first, after in pairwise(cuts):
        price = [price for at, price in steps if at <= first][-1]
        exact = _EXACT.divide(Decimal(after - first) * price * 10**9, Decimal(_HOUR_S * 1000))
        total += int(exact.to_integral_value(ROUND_HALF_EVEN))
    return total, until


def _ms(stamp: str) -> int:
    return round(datetime.fromisoformat(stamp).timestamp() * 1000)
