"""What `--budget` means: the cap, and the prices that it cannot do without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accounting.budget import RunBudget
    from accounting.spending import Prices
    from pipeline.inputs.requests import Request
    from pipeline.runtime import Runtime


def open_budget(text: str, runtime: Runtime, requests: Sequence[Request]) -> RunBudget:
    """The account of a run with a budget. Raises UsageError where anything that it will pay for has no price."""
    from accounting.budget import RunBudget, budget_of
    from accounting.spending import Prices
    from pipeline.inputs.requests import roles_of

    settings = runtime.settings
    cap = budget_of(text, settings.node_price, settings.currency)
    roles = dict.fromkeys(role for request in requests for role in roles_of(request.options))
    prices = Prices.of(settings)
    account = RunBudget.open(cap, runtime, prices, tuple(roles))
    _note_rate(prices, settings.node_price, cap.currency)
    return account


def _note_rate(prices: Prices, node_rate: str, currency: str) -> None:
    """Says by which rate the machine's price is converted, and whether it is old."""
    from accounting.periods import now_ms
    from cli.context import note
    from core.money import quote
    from ledger.exchange import UsedRate, day_of

    exchange, now = prices.exchange.into(currency), now_ms()
    said = quote(node_rate)[1]
    conversion = None if said == currency else exchange.find(said, now)
    if conversion is not None:
        told = exchange.told((), now, [UsedRate(conversion, day_of(now), day_of(now))])
        for line in (*(f"the budget is counted at {line}" for line in told.lines), *told.old):
            note(line)


def submitted_budget(text: str, node_rate: str, runtime: Runtime) -> str:
    """``--budget`` of a submission as it is kept: ``2.5 USD``; empty for none. Raises MoneyError, UsageError."""
    from accounting.budget import budget_of, check_node_rate
    from accounting.spending import Prices

    if not text:
        return ""
    cap = budget_of(text, node_rate, runtime.settings.currency)
    if node_rate:
        prices = Prices.of(runtime.settings)
        check_node_rate(node_rate, cap, prices)
        _note_rate(prices, node_rate, cap.currency)
    return str(cap)
