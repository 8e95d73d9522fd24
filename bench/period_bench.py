"""`segue ledger` of a month with 1,000 jobs: the first reading, the second, and after one more day.

    python bench/period_bench.py [--lines 1000000] [--machines 200] [--jobs 1000] [--folder DIR] [--json]

The store is written first (not timed; `bench/ledger_store.py`): journals, records and demand. Each reading is a process
of its own, from its start to its end. Reported are its seconds, the ratio to the first reading, and its largest
resident memory. The second reading is held to 5 s, and every reading to 1 GiB.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.ledger_store import DAYS, MonthSize, found_store, start_of, write_demand, write_machine

SECONDS_LIMIT, MEMORY_LIMIT_MIB = 5.0, 1024
_MONTH = ("ledger", "--since", "2026-11-01", "--until", "2026-12-01")


@dataclass(frozen=True)
class Reading:
    """One `segue ledger`."""

    seconds: float
    peak_mib: int
    #: What it printed.
    screen: str


def read_month(home: Path) -> Reading:
    """`segue ledger` of the month, in a process of its own."""
    environment = {**os.environ, "SEGUE_HOME": str(home), "SEGUE_TRANSCRIBER": "fake", "SEGUE_TRANSLATOR": "fake"}
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as screen:
        process = subprocess.Popen([sys.executable, "-m", "cli.main", *_MONTH], env=environment, stdout=screen)
        _, status, usage = os.wait4(process.pid, 0)
        seconds, process.returncode = time.perf_counter() - began, os.waitstatus_to_exitcode(status)
        screen.seek(0)
        printed = screen.read()
    if process.returncode:
        raise SystemExit(f"segue ledger ended with {process.returncode}")
    return Reading(round(seconds, 2), usage.ru_maxrss // 1024, printed)


def write_machines(home: Path, size: MonthSize, numbers: range, starts: list[int], processes: int) -> None:
    """These machines of the month, and the demand of their jobs."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        tasks = [(home, number, size, start) for number, start in zip(numbers, starts, strict=True)]
        worked = pool.map(write_machine, tasks, chunksize=1)
    write_demand(home, worked)
    units = sum(len(keys) for each in worked for keys in each.keys.values())
    print(f"{sum(each.lines for each in worked):,} lines, {units:,} units", flush=True)


def _apart(*about: object) -> None:
    """`write_machines` in a process of its own: a process that is begun by a large one counts as large itself."""
    process = multiprocessing.get_context("spawn").Process(target=write_machines, args=about)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit("the store could not be made")


def measure(home: Path, size: MonthSize, processes: int) -> dict[str, Reading]:
    """Writes the month, then one day more, and reads them."""
    found_store(home)
    numbers = range(size.machines)
    _apart(home, size, numbers, [start_of(number, size) for number in numbers], processes)
    # So that nothing has only just changed, as in a store that is not being written.
    time.sleep(4)
    readings = {"first": read_month(home), "second": read_month(home)}
    more = max(size.machines // DAYS, 1)
    numbers = range(size.machines + 1, size.machines + 1 + more)
    starts = [start_of(size.machines, size) + place * 1_000_000 for place in range(more)]
    _apart(home, size, numbers, starts, processes)
    readings["after one more day"] = read_month(home)
    readings["the same again"] = read_month(home)
    if readings["first"].screen != readings["second"].screen:
        raise SystemExit("the second reading says something else than the first")
    return readings


def _print(readings: dict[str, Reading], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({name: asdict(each) for name, each in readings.items()}, indent=2), flush=True)
        return
    for name, each in readings.items():
        ratio = each.seconds / readings["first"].seconds
        print(f"{name:20}{each.seconds:9.2f} s{ratio:8.3f} of the first{each.peak_mib:7} MiB", flush=True)


def main() -> int:
    """Writes, measures, prints; 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--machines", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=None, help="where to write; a temporary folder by default")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="period-bench-") as name:
        size = MonthSize(options.lines, options.machines, options.jobs)
        readings = measure(Path(name) / "home", size, options.processes)
        # Before the folder is removed, which takes minutes where there are millions of records.
        _print(readings, as_json=options.json)
    fast = readings["second"].seconds < SECONDS_LIMIT
    small = all(each.peak_mib < MEMORY_LIMIT_MIB for each in readings.values())
    print("within the limits" if fast and small else "NOT within the limits", file=sys.stderr)
    return 0 if fast and small else 1


if __name__ == "__main__":
    sys.exit(main())
