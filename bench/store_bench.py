"""What a commit costs beside the disk's own price: the store against a bare loop, in one run on one disk.

The bare loop writes, fsyncs, publishes (link, then unlink of the temporary name) and fsyncs the directory for each
file: what any program must do that wants the same promise, without checksums, names or bookkeeping. It runs over one
directory, which is the easiest for it and so the hardest to keep up with, and over 256, as the store's layout has.

    python bench/store_bench.py [--records 1000] [--rounds 5] [--folder DIR] [--json]

Each round runs every contender once, in an order that changes from round to round; the ratios are medians over rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cache.store import Record, Store
from core.keys import Key, digest_bytes

PAYLOAD_BYTES = 2048
GROUP_SIZES = (1, 8, 32, 128)
FLOOR = 0.7
Contender = Callable[[Path, list[Record]], None]


def _bare(folder: Path, record: Record) -> None:
    temp, target = f"{folder}/.tmp-{record.key}", f"{folder}/{record.key}"
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    os.write(fd, record.payload)
    os.fsync(fd)
    os.close(fd)
    os.link(temp, target)
    Path(temp).unlink()
    fd = os.open(folder, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def bare_one_directory(home: Path, records: list[Record]) -> None:
    for record in records:
        _bare(home, record)


def bare_sharded(home: Path, records: list[Record]) -> None:
    for record in records:
        _bare(home / record.key[:2], record)


def store_groups(size: int) -> Contender:
    def run(home: Path, records: list[Record]) -> None:
        with Store.open(home, create=False) as store:
            for start in range(0, len(records), size):
                store.put_many(records[start : start + size])

    return run


def make_records(count: int, seed: int) -> list[Record]:
    source = random.Random(seed)
    records = []
    for _ in range(count):
        payload = source.randbytes(PAYLOAD_BYTES)
        records.append(Record(Key(digest_bytes(payload)), "bench", payload, {"attempt": "a" * 32}))
    return records


def prepare(name: str, home: Path) -> None:
    """What exists before the clock starts: an empty store, or the bare loop's folders."""
    if name.startswith("store"):
        Store.open(home).close()
        return
    home.mkdir()
    if name == "bare, 256 directories":
        for number in range(256):
            (home / f"{number:02x}").mkdir()


def measure(count: int, rounds: int, folder: Path) -> dict[str, list[float]]:
    """Records a second of each contender, one figure a round."""
    contenders: dict[str, Contender] = {
        "bare, one directory": bare_one_directory,
        "bare, 256 directories": bare_sharded,
        **{f"store, groups of {size}": store_groups(size) for size in GROUP_SIZES},
    }
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    order = list(contenders)
    for number in range(rounds + 1):
        random.Random(number).shuffle(order)
        for name in order:
            records = make_records(count, number)
            home = folder / "home"
            prepare(name, home)
            os.sync()
            begin = time.perf_counter()
            contenders[name](home, records)
            rate = count / (time.perf_counter() - begin)
            shutil.rmtree(home)
            if number:  # Round 0 warms up.
                rates[name].append(rate)
    return rates


def summarize(rates: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Median rate, and the median over rounds of its ratio to each bare loop of the same round."""
    table = {}
    for name, values in rates.items():
        table[name] = {"records_per_second": round(statistics.median(values), 1)}
        for bare, column in (("bare, one directory", "to_one_directory"), ("bare, 256 directories", "to_sharded")):
            ratios = [value / base for value, base in zip(values, rates[bare], strict=True)]
            table[name][column] = round(statistics.median(ratios), 3)
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description="Commit cost of the store against a bare durable loop.")
    parser.add_argument("--records", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to write; its disk is the one that is measured")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="store-bench-", dir=options.folder))
    try:
        table = summarize(measure(options.records, options.rounds, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps(table, indent=2))
    else:
        print(
            f"{options.records} records of {PAYLOAD_BYTES} bytes, {options.rounds} rounds; ratio to the bare loop over"
        )
        print(f"{'':24}{'records/s':>12}{'one directory':>16}{'256 directories':>18}")
        for name, row in table.items():
            print(f"{name:24}{row['records_per_second']:12.0f}{row['to_one_directory']:16.2f}{row['to_sharded']:18.2f}")
    kept = table["store, groups of 32"]["to_one_directory"] >= FLOOR
    print(f"group commit keeps at least {FLOOR} of the bare loop over one directory: {'yes' if kept else 'NO'}")
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
