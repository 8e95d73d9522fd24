"""The frozen store: where it lies, and the amounts that a Segue reads in it."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

from accounting.facts import FactReader
from accounting.fleet_ledger import PricingRules
from accounting.job import ReportRules, job_report
from accounting.months import read_period, replay_month
from accounting.sharing.idle import IdleRule, with_shared_idle
from cache.store import Store
from ledger.entries import Period
from ledger.price_book.price_files import shipped_book
from ledger.totals import Dimension

HERE = Path(__file__).resolve().parent
ARCHIVE, EXPECTED = HERE.parent / "data" / "store-1.tar.xz", HERE.parent / "data" / "store-1.json"
#: An instant long after everything in it: whoever is silent is dead.
LATER = 1_830_000_000_000
MONTHS = ("2026-10", "2026-11")


def unpack(folder: Path) -> Path:
    """The store, somewhere else; its path."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder / "store"


def amounts_of(home: Path) -> dict[str, Any]:
    """Nano-units by month, rule and dimension, and of each job: entries, not verdicts."""
    store, book, rules = Store.open(home), shipped_book(), PricingRules(now=LATER)
    found: dict[str, Any] = {}
    for month in MONTHS:
        ledger = read_period(store, book, rules, Period.month(month))
        for rule in IdleRule:
            shared = with_shared_idle(ledger, rule)
            for dimension in (Dimension.BUCKET, Dimension.JOB, Dimension.OWNER, Dimension.NODE, Dimension.LANGUAGE):
                sums = {
                    name: {currency: [one.nano, one.ms] for currency, one in each.items()}
                    for name, each in shared.by(dimension).items()
                }
                found[f"{month} {rule.value} {dimension.value}"] = sums
    jobs = sorted({name for key, sums in found.items() if key.endswith("fleet job") for name in sums if name})
    for name in jobs:
        for rule in IdleRule:
            report = job_report(store, name, book, ReportRules(rules, idle=rule))
            found[f"job {name} {rule.value}"] = {
                "total": report.spent.total.nano,
                "by_bucket": {bucket: amount.nano for bucket, amount in report.spent.by_bucket.items()},
                "elsewhere": {amount.currency: amount.nano for amount in report.spent.elsewhere},
            }
    found["closed"] = replay_month(store, MONTHS[0], None).digest
    found["facts"] = sum(len(each.facts) for each in FactReader(store).processes)
    return found
