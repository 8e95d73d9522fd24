"""What a simulated machine must have cost, reckoned another way than the ledger does: with decimals."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Context, Decimal
from itertools import pairwise

from fleet_simulation import BEAT_MS, HOUR, MONTH_EDGE, Machine

_EXACT = Context(prec=80)
_Listed = tuple[str | None, str | None, str, int | Decimal, int]
#: (price before the month's edge, price after it, currency, increment s, minimum s) by cloud and spot.
_LISTED: dict[tuple[str, bool | None], _Listed] = {
    ("aws", True): ("0.1578", "0.2113", "USD", 1, 60),
    ("aws", None): ("0.526", "0.526", "USD", 1, 60),
    ("azure", True): ("0.149", "0.204", "USD", 1, 0),
    ("gcp", False): ("1.4", "1.4", "USD", 3600, 0),
    ("hetzner", False): (None, "0.2949", "EUR", 1, 0),
    ("", None): (None, None, "", Decimal("0.001"), 0),
}


def possible_ends(machine: Machine, last_fact: int) -> tuple[int, int]:
    """(earliest, latest) instant at which the facts allow the machine to have ended; ``last_fact`` is the last sign of
    life beside beats and closes. A close that nothing came after is the end; a death is before a beat was missed."""
    signs = max([*machine.beats.values(), last_fact, machine.opened.at])
    if machine.close is not None and machine.close.at >= signs:
        return machine.close.at, machine.close.at
    left = {"w0"} if machine.close is not None else set()
    due = [beat + BEAT_MS for worker, beat in machine.beats.items() if worker not in left and beat + BEAT_MS > signs]
    return signs, min(due, default=signs)


def expected_bill(machine: Machine, end: int) -> tuple[dict[str, int], int, int]:
    """(nano-units by currency, billed ms, billed ms that have a price) of one machine."""
    opened = machine.opened
    before, after, currency, increment, minimum = _listed(machine)
    lived = Decimal(end - opened.at) / 1000
    billed = Decimal(0)
    if lived:
        billed = max((lived / increment).to_integral_value(ROUND_CEILING) * increment, Decimal(minimum))
    until = opened.at + int(billed * 1000)
    borders = sorted({opened.at, until, *(c.at for c in machine.changes if opened.at < c.at < until)})
    if not opened.price and opened.at < MONTH_EDGE < until:
        borders = sorted({*borders, MONTH_EDGE})
    if before == after and not opened.price:
        borders = [opened.at, until]
    sums: dict[str, int] = {}
    priced = 0
    for start, stop in pairwise(borders):
        price, unit = (before if start < MONTH_EDGE else after), currency
        if opened.price:
            told = [opened.price, *(c.price for c in machine.changes if c.at <= start)][-1]
            price, unit = told.split()
        if price is None:
            continue
        exact = _EXACT.divide(Decimal(stop - start) * Decimal(price) * 10**9, Decimal(HOUR))
        nano = 0 if _free(machine, end) else int(exact.to_integral_value(ROUND_HALF_EVEN))
        sums[unit] = sums.get(unit, 0) + nano
        priced += stop - start
    return sums, until - opened.at, priced


def _listed(machine: Machine) -> _Listed:
    return _LISTED[machine.opened.cloud, machine.opened.spot]


def _free(machine: Machine, end: int) -> bool:
    close = machine.close
    if machine.opened.cloud != "aws" or not machine.opened.spot or close is None or close.at != end:
        return False
    return close.reason.startswith("aws") and end - machine.opened.at < 58 * 60_000
