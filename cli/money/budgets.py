"""What `--budget` means: the cap, and the prices that it cannot do without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accounting.budget import RunBudget
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
    return RunBudget.open(cap, runtime, Prices.of(settings), tuple(roles))


def submitted_budget(text: str, node_rate: str, runtime: Runtime) -> str:
    """``--budget`` of a submission as it is kept: ``2.5 USD``; empty for none. Raises MoneyError, UsageError."""
    from accounting.budget import budget_of, check_node_rate

    if not text:
        return ""
    cap = budget_of(text, node_rate, runtime.settings.currency)
    if node_rate:
        check_node_rate(node_rate, cap)
    return str(cap)
