"""``segue ledger replay --what-if``: a month beside the same month at another price of its machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from cli.money.ledger_screen import BUCKET_WORDS
from cli.money.ledger_tables import aligned, number_column, print_table, wide_console
from core.money import Money
from ledger.entries import Bucket

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accounting.fleet.what_if import WhatIf


def what_if_json(found: WhatIf) -> dict[str, Any]:
    """The object that ``--json`` prints; amounts in integer nano-units by currency."""
    from accounting.fleet.what_if import totals

    paid, supposed = totals(found.paid), totals(found.supposed)
    return {
        "month": found.month,
        "closed": found.closed,
        "paid": {"total": paid, "by_bucket": _plain(found.paid)},
        "what_if": {"total": supposed, "by_bucket": _plain(found.supposed)},
        "difference": {"total": _minus(supposed, paid), "by_bucket": _plain(_differences(found))},
        "preemption": {
            "machines_taken": found.preemption.taken,
            "machines_replaced": found.preemption.replaced,
            "paid": {"total": found.preemption.total, "by_bucket": _plain(found.preemption.by_bucket)},
            "what_if": {
                "total": found.preemption_supposed.total,
                "by_bucket": _plain(found.preemption_supposed.by_bucket),
            },
        },
        "unpriced": [one.as_json() for one in found.unpriced],
        "what_if_unpriced": [one.as_json() for one in found.unpriced_supposed],
        "exchange": found.exchanged.as_json(),
    }


def print_what_if(found: WhatIf, supposed: str) -> None:
    """For people. ``supposed`` says what machines are supposed to have cost."""
    from accounting.fleet.what_if import totals

    console = wide_console()
    state = "closed" if found.closed else "not closed, as it stands now"
    console.print(f"{found.month} ({state}), what if {supposed}")
    paid, other = totals(found.paid), totals(found.supposed)
    for currency in sorted({*paid, *other}):
        console.print("")
        print_table(console, _table(found, currency))
        console.print("")
        for line in _spot_lines(found, currency, paid.get(currency, 0), other.get(currency, 0)):
            console.print(line)
    for line in found.exchanged.lines:
        console.print(f"rate     {line}", soft_wrap=True)
    for words, unpriced in (("as it was priced", found.unpriced), ("what if", found.unpriced_supposed)):
        if unpriced:
            why = "; ".join(dict.fromkeys(one.why for one in unpriced))
            console.print(f"UNPRICED {words}: {len(unpriced)} lines of usage are in no amount: {why}", style="bold red")


def _table(found: WhatIf, currency: str) -> Table:
    rows = [
        (BUCKET_WORDS[bucket], _in(found.paid, bucket, currency), _in(found.supposed, bucket, currency))
        for bucket in Bucket
        if bucket in found.paid or bucket in found.supposed
    ]
    whole = ("total", sum(row[1] for row in rows), sum(row[2] for row in rows))
    lines = [(word, paid, other, other - paid) for word, paid, other in (*rows, whole)]
    text = aligned([Money(nano, currency) for line in lines for nano in line[1:]])
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for heading in ("paid", "what if", "difference"):
        number_column(table, heading)
    for word, *amounts in lines:
        table.add_row(word, *(text(Money(nano, currency)) for nano in amounts))
    return table


def _spot_lines(found: WhatIf, currency: str, paid: int, supposed: int) -> list[str]:
    gone, gone_supposed = found.preemption, found.preemption_supposed
    cost, never = gone.total.get(currency, 0), gone_supposed.total.get(currency, 0)
    parts = ", ".join(
        f"{BUCKET_WORDS[bucket]} {Money(amounts.get(currency, 0), currency).amount(6)}"
        for bucket, amounts in gone.by_bucket.items()
    )
    stays = supposed - never
    return [
        f"preemption cost    {Money(cost, currency).amount(6)} {currency} of what was paid ({parts}): "
        f"{gone.taken} machines were taken, {gone.replaced} took their place",
        f"the price saved    {Money(supposed - paid, currency).amount(6)} {currency} for the same machine time",
        f"both together      {Money(stays - paid, currency).amount(6)} {currency} against machines that stay, "
        f"which would have cost {Money(stays, currency).amount(6)}: without {Money(never, currency).amount(6)} "
        "for what was lost, done twice or started again",
    ]


def _in(amounts: Mapping[Bucket, Mapping[str, int]], bucket: Bucket, currency: str) -> int:
    return amounts.get(bucket, {}).get(currency, 0)


def _differences(found: WhatIf) -> dict[Bucket, dict[str, int]]:
    buckets = [bucket for bucket in Bucket if bucket in found.paid or bucket in found.supposed]
    return {bucket: _minus(found.supposed.get(bucket, {}), found.paid.get(bucket, {})) for bucket in buckets}


def _minus(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) - right.get(name, 0) for name in sorted({*left, *right})}


def _plain(amounts: Mapping[Bucket, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {bucket.value: dict(found) for bucket, found in amounts.items()}
