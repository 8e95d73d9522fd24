"""What the ledger makes of the golden facts: entries, sums, invoices of APIs, and what its commands say of a store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from golden_files import EXPECTED
from golden_ledger import (
    ENTRY_COLUMNS,
    UNPRICED_COLUMNS,
    Fleet,
    entry_row,
    invoices,
    ledger_of,
    names_of,
    period_amounts,
    unpriced_row,
    write_store,
)
from golden_recorder import Command, run

FACTS = EXPECTED / "facts.json"
PRICES = Path(__file__).resolve().parent / "prices.toml"
MONTHS = ("2026-03", "2026-04")
#: What jobs used, whose invoices from APIs are recorded.
WORKLOADS: dict[str, dict[str, Any]] = {
    "film": {
        "file_ms": 5_400_000,
        "speech_ms": 3_123_457,
        "segments": [700, 2_345, 27_999, 9_001, 31_500],
        "windows": [28_000, 27_999, 12_345],
        "input_tokens": 123_457,
        "output_tokens": 45_679,
        "characters": 98_765,
        "requests": 321,
    },
    "unmeasured": {"file_ms": 61_000, "speech_ms": 0, "windows": [], "output_tokens": 7, "requests": 1},
    "silent": {"file_ms": 600_000},
}
BILL = """\
BilledCost,BillingCurrency,ChargeCategory,ChargePeriodStart,ChargePeriodEnd,ProviderName,ResourceId,ResourceType,\
ServiceCategory,ServiceName,SubAccountId,PricingCategory
0.75,USD,Usage,2026-04-01T00:00:00Z,2026-04-02T00:00:00Z,Microsoft,{vm}azure-1,Virtual machine,Compute,\
Virtual Machines,S1,Standard
-0.01,USD,Credit,2026-04-01T00:00:00Z,2026-04-02T00:00:00Z,Microsoft,{vm}azure-1,Virtual machine,Compute,\
Virtual Machines,S1,Standard
0.02,USD,Usage,2026-04-01T00:00:00Z,2026-04-02T00:00:00Z,Microsoft,,Disk,Storage,Storage,S1,Standard
""".format(vm="/subscriptions/S1/resourceGroups/Speech/providers/Microsoft.Compute/virtualMachines/")


def fleets() -> dict[str, Fleet]:
    found: dict[str, Fleet] = json.loads(FACTS.read_text(encoding="utf-8"))
    return found


def entries_of(fleet: Fleet) -> dict[str, Any]:
    """Every entry of a fleet, what has no price, and the sums of each month."""
    jobs = names_of(fleet)
    ledger = ledger_of(fleet, PRICES)
    return {
        "entries": sorted((entry_row(one, jobs) for one in ledger.entries), key=json.dumps),
        "unpriced": sorted((unpriced_row(one, jobs) for one in ledger.unpriced), key=json.dumps),
        "errors": len(ledger.errors),
        "months": {month: _sums(fleet, month) for month in MONTHS},
    }


def _sums(fleet: Fleet, month: str) -> list[str]:
    """Kind, job, owner, currency, nano and node time of what falls into a month."""
    jobs = names_of(fleet)
    rows = [
        dict(zip(ENTRY_COLUMNS, entry_row(one, jobs), strict=True)) for one in ledger_of(fleet, PRICES, month).entries
    ]
    sums: dict[tuple[str, ...], tuple[int, int]] = {}
    for row in rows:
        place = (row["kind"], row["job"], row["owner"], row["currency"])
        nano, ms = sums.get(place, (0, 0))
        sums[place] = nano + row["nano"], ms + row["node_ms"]
    return [" ".join(word or "-" for word in place) + f" {nano} {ms}" for place, (nano, ms) in sorted(sums.items())]


def all_entries() -> str:
    """The text of ``entries.json``."""
    fleet_parts = {name: entries_of(fleet) for name, fleet in fleets().items()}
    made = {
        "entry columns": ENTRY_COLUMNS,
        "unpriced columns": UNPRICED_COLUMNS,
        **fleet_parts,
        "invoices": {name: invoices(used, PRICES, "2026-04-15T00:00:00Z") for name, used in WORKLOADS.items()},
    }
    return _dump(made)


def command_amounts(folder: Path) -> str:
    """The text of ``ledger.json``: what the commands say of a store with the first fleet's facts, step by step."""
    known = fleets()
    studio, late = known["studio"], known["late"]
    jobs = names_of(studio)
    home, work = folder / "home", folder / "work"
    work.mkdir()
    shutil.copy(PRICES, work / "prices.toml")
    (work / "bill.csv").write_text(BILL, encoding="utf-8")
    write_store(studio, home)
    settings = (
        ("SEGUE_OWN_ENGINES", ",".join(studio["own_engines"])),
        ("SEGUE_ENGINEERING_HOURS", "4-8"),
        ("SEGUE_ENGINEERING_RATE", "90 USD"),
    )
    said: dict[str, Any] = {}

    def call(line: str) -> dict[str, Any]:
        code, printed = run(Command(tuple(line.split()), settings), work, home)
        found: dict[str, Any] = json.loads(printed)
        said[f"{len(said) + 1} {line.removesuffix(' --json')}"] = result = {"exit": code}
        if "spent" in found:
            amounts = period_amounts(found, jobs)
            table = f"by_{found['by']}"
            result |= amounts if table == "by_job" else {table: amounts[table]}
        else:
            result |= {name: found[name] for name in ("entries", "late", "total", "same", "agree") if name in found}
            result |= {"machines": [_machine(one) for one in found["machines"]]} if "machines" in found else {}
        return result

    march, april = "--since 2026-03-01 --until 2026-04-01", "--since 2026-04-01 --until 2026-05-01"
    prices = "--price-file prices.toml --json"
    for by in ("job", "owner", "node", "language", "engine"):
        for period in (march, april):
            call(f"ledger {period} --by {by} {prices}")
    call(f"ledger --since 2026-03-01 --until 2026-05-01 {prices}")
    call(f"ledger reconcile bill.csv {prices}")
    call(f"ledger close 2026-03 {prices}")
    write_store(late, home)
    call(f"ledger {march} {prices}")
    call(f"ledger {april} {prices}")
    call("ledger replay 2026-03 --json")
    return _dump(said)


def _machine(one: dict[str, Any]) -> dict[str, Any]:
    return {name: one[name] for name in ("machine", "currency", "billed", "booked", "residual", "refunds", "agrees")}


def _dump(value: dict[str, Any]) -> str:
    """JSON with a row on a line."""
    return _text(value, 0) + "\n"


def _text(value: Any, depth: int) -> str:
    inner = " " * (depth + 1)
    if isinstance(value, dict) and depth < 3 and value:
        parts = [f"{json.dumps(name)}: {_text(each, depth + 1)}" for name, each in value.items()]
        return "{\n" + inner + f",\n{inner}".join(parts) + f"\n{' ' * depth}" + "}"
    if isinstance(value, list) and depth < 4 and value and isinstance(value[0], list | str) and depth:
        return "[\n" + inner + f",\n{inner}".join(json.dumps(each) for each in value) + f"\n{' ' * depth}]"
    return json.dumps(value)
