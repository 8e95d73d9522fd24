"""A provider's bill beside the ledger, as a person reads it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accounting.bills.bill import MachineCheck, Reconciliation
from accounting.bills.bill_file import OtherCost
from cli.money.ledger_bill import print_reconciliation
from ledger.entries import Period

CENT = 10_000_000


def check(
    name: str,
    billed: int | None,
    booked: int,
    *,
    unpriced: bool = False,
    refunds: int = 0,
    resources: tuple[str, ...] = (),
) -> MachineCheck:
    """Amounts in cents."""
    sessions = () if name == "stranger" else ("node",)
    cents = None if billed is None else billed * CENT
    return MachineCheck(name, sessions, "USD", cents, booked * CENT, unpriced, refunds * CENT, resources)


def shown(capsys: pytest.CaptureFixture[str], *checks: MachineCheck, others: tuple[OtherCost, ...] = ()) -> list[str]:
    near = tuple(each for each in others if each.category)
    far = tuple(each for each in others if not each.category)
    print_reconciliation(Reconciliation("b" * 64, Period.month("2026-10"), checks, near, far, {}))
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_each_machine_says_how_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(
        capsys,
        check("even", 500, 500),
        check("apart", 500, 400),
        check("stranger", 500, 0),
        check("absent", None, 400),
        check("rateless", 500, 0, unpriced=True),
        check("returned", 400, 400, refunds=-100),
        check("twins", 400, 400, resources=("/a/vm", "/b/vm")),
    )
    assert lines[0] == f"2026-10-01 up to 2026-11-01, UTC; bill {'b' * 16}"
    assert "even 5.0000 USD 5.0000 0.000000 reconciled" in lines
    assert "apart 5.0000 USD 4.0000 1.0000 differs" in lines
    assert any(line.startswith("stranger") and line.endswith("not in the ledger") for line in lines)
    assert any(line.startswith("absent - USD 4.0000") and line.endswith("not on the bill") for line in lines)
    assert any(line.startswith("rateless") and line.endswith("unpriced in the ledger") for line in lines)
    assert any(line.endswith("reconciled; -1.0000 of it refunds and corrections") for line in lines)
    assert any(line.endswith("reconciled; 2 machines of this name") for line in lines)
    assert not any("Other costs" in line for line in lines)


def test_other_costs_are_listed_apart_from_the_machines(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(
        capsys,
        check("even", 500, 500),
        others=(
            OtherCost("s1", "speech", "Storage", "USD", Decimal("0.0491"), 2),
            OtherCost("111111111111", "", "Data Transfer", "USD", Decimal(3), 1),
            OtherCost("", "", "", "EUR", Decimal("7.5"), 4),
        ),
    )
    assert "Storage, beside the machines in speech 0.049100 USD 2 lines" in lines
    assert "Data Transfer, beside the machines in 111111111111 3.0000 USD 1 line" in lines
    assert "everything elsewhere 7.5000 EUR 4 lines" in lines
