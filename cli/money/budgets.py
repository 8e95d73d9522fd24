"""What `--budget` means: the cap, and the prices that it cannot do without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli.context import note
from cli.exits import Exit
from core.errors import UsageError

if TYPE_CHECKING:
    from accounting.budget import RunBudget
    from accounting.fleet_ledger import FleetLedger
    from accounting.owner_budgets import OwnerBudget
    from accounting.spending import Prices
    from pipeline.inputs.requests import Request
    from pipeline.runtime import Runtime, Settings


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


def month_budgets(settings: Settings, ledger: FleetLedger) -> tuple[OwnerBudget, ...]:
    """How far owners' budgets are spent; none where these books are not of one month. Raises UsageError."""
    from accounting.owner_budgets import caps_of, owner_budgets
    from accounting.periods import month_of

    caps = caps_of(settings.budgets, settings.currency)
    if ledger.period is None or month_of(ledger.period.start) != ledger.period:
        return ()
    return owner_budgets(ledger, caps, settings.budget_alert)


def exit_of(budgets: Sequence[OwnerBudget]) -> Exit:
    """The exit code of `segue ledger --check`."""
    from accounting.owner_budgets import BudgetState

    states = {one.state for one in budgets}
    if states & {BudgetState.ALERT, BudgetState.SPENT}:
        return Exit.OVER_BUDGET
    return Exit.INCOMPLETE if BudgetState.UNKNOWN in states else Exit.DONE


def check_owner(runtime: Runtime) -> None:
    """Says that the owner of new jobs has spent the month's budget, or refuses. Raises UsageError."""
    settings = runtime.settings
    if settings.owner not in settings.budgets:
        return
    from dataclasses import replace

    from accounting.exchange_rates import exchange_of
    from accounting.months import read_period, with_people
    from accounting.owner_budgets import BudgetState
    from accounting.periods import month_of, now_ms
    from accounting.sharing.idle import IdleRule, with_shared_idle
    from cli.money.ledger_options import PriceFlags, currency_of, people_rules, rules_of

    book, rules = rules_of(runtime, PriceFlags())
    rules = replace(rules, now=now_ms(), exchange=exchange_of(settings))
    ledger = read_period(runtime.store, book, rules, month_of(now_ms()))
    currency = rules.exchange.currency or currency_of(runtime, ledger.totals.whole())
    ledger, _ = with_people(ledger, people_rules(runtime), currency)
    ledger = with_shared_idle(ledger, IdleRule(settings.idle_rule))
    for budget in month_budgets(settings, ledger):
        if budget.owner == settings.owner and budget.state is not BudgetState.WITHIN:
            if settings.budget_refuse and budget.state is BudgetState.SPENT:
                raise UsageError(budget.line, "raise it in [budgets], or unset SEGUE_BUDGET_REFUSE")
            note(budget.line)


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
