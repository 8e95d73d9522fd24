"""The same facts give the same entries, to the nano-unit, whatever the house is built like.

``facts.json`` holds four fleets in plain words. ``studio`` was written by hand: spot machines over the end of a month,
prices that change, a death with work in flight, a machine that AWS takes within its first hour, shared and doubled
work, a machine without a price, APIs with unanswered requests, and a run by itself. ``late`` is what is learned of it
after the month was closed. The others were drawn by ``tests/support/fleet_simulation.py``, seeds 7 and 16.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from golden_entries import all_entries, command_amounts
from golden_files import EXPECTED


def compare(name: str, found: str) -> None:
    wanted = (EXPECTED / name).read_text(encoding="utf-8")
    changes = difflib.unified_diff(wanted.split("\n"), found.split("\n"), "recorded", "now", lineterm="", n=0)
    assert found == wanted, "\n".join(list(changes)[:200])


def test_the_same_facts_give_the_same_entries() -> None:
    compare("entries.json", all_entries())


def test_the_commands_say_the_same_amounts_of_a_store_with_these_facts(tmp_path: Path) -> None:
    compare("ledger.json", command_amounts(tmp_path))
