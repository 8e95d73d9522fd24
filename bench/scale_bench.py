"""Commands that look at a whole store, over 200,000 objects, against a bare walk over the same files in the same run.

    python bench/scale_bench.py [--jobs 2000] [--units 100] [--rounds 3] [--store FOLDER] [--traced] [--json]

The store is made first (not timed; `bench/scale_store.py`), or found in FOLDER from an earlier run. Each command is a
process of its own, from its start to its end. The bare walks are what the disk and Python take at least: names and
sizes of all files (`walk`), and also every byte read and hashed (`read`). Reported are the seconds of the fastest
round, the ratio to the bare walk of the same round, and the largest resident memory. `--traced` also counts the system
calls on files that each command makes (needs strace): on a network disk each of them is a round trip.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.scale_store import StoreSize, fill_store
from cache.store import Store

PROCESSES = 2
_JOB = "{job}"
_FILE_CALLS = "openat,newfstatat,lstat,stat,fstat,statx,getdents64,read,pread64,close,access,readlink"


@dataclass(frozen=True)
class Measured:
    """A command that is timed."""

    arguments: tuple[str, ...]
    #: The bare walk that it is compared with.
    bare: str
    #: Seconds that it may take with 200,000 objects on two cores; 0 where nothing is promised.
    limit_s: float = 0.0


COMMANDS = (
    Measured(("status",), "walk", 2.0),
    Measured(("status", _JOB), "walk"),
    Measured(("jobs", "--limit", "0"), "walk"),
    Measured(("cache", "stats"), "walk", 20.0),
    Measured(("cache", "verify"), "read", 20.0),
    Measured(("cache", "gc", "--dry-run"), "walk", 20.0),
    Measured(("ledger", _JOB), "walk"),
)


def files_below(folder: Path) -> Iterator[os.DirEntry[str]]:
    """All files below, by the barest way."""
    folders = [str(folder)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    yield entry


def walk(folder: Path) -> int:
    """Names and sizes of all files below."""
    return sum(entry.stat(follow_symlinks=False).st_size for entry in files_below(folder))


def read(folder: Path) -> int:
    """Every byte below, hashed."""
    total = 0
    for entry in files_below(folder):
        with open(entry.path, "rb", buffering=0) as file:  # noqa: PTH123 - the barest way
            data = file.read()
        hashlib.sha256(data).digest()
        total += len(data)
    return total


BARE: dict[str, Callable[[Path], int]] = {"walk": walk, "read": read}


def make_store(folder: Path, size: StoreSize) -> Path:
    """The store's home in the folder, filled by several processes unless it is there already."""
    home, done = folder / "home", folder / "made"
    said = f"{size.jobs} {size.units}"
    if done.exists() and done.read_text(encoding="ascii") == said:
        return home
    if home.exists():
        raise SystemExit(f"{folder} holds another store than the one that is asked for")
    folder.mkdir(parents=True, exist_ok=True)
    Store.open(home).close()
    parts = [
        multiprocessing.Process(target=fill_store, args=(home, size, part, PROCESSES)) for part in range(PROCESSES)
    ]
    for process in parts:
        process.start()
    for process in parts:
        process.join()
    if any(process.exitcode for process in parts):
        raise SystemExit("the store could not be made")
    done.write_text(said, encoding="ascii")
    return home


def run(arguments: list[str], home: Path, prefix: tuple[str, ...] = ()) -> tuple[float, int]:
    """(seconds, largest resident memory in MiB) of one command."""
    environment = {**os.environ, "SEGUE_HOME": str(home), "SEGUE_TRANSCRIBER": "fake", "SEGUE_TRANSLATOR": "fake"}
    began = time.perf_counter()
    process = subprocess.Popen(
        [*prefix, sys.executable, "-m", "cli.main", *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).resolve().parent.parent,
    )
    assert process.stderr is not None
    words = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 3):
        raise SystemExit(f"segue {' '.join(arguments)} ended with {process.returncode}: {words.decode()[-300:]}")
    return seconds, usage.ru_maxrss // 1024


def file_calls(arguments: list[str], home: Path) -> int:
    """System calls on files that the command makes below home."""
    with tempfile.NamedTemporaryFile("r", suffix=".trace") as trace:
        options = ("strace", "-f", "-y", "-qq", "-o", trace.name, "-e", f"trace={_FILE_CALLS}")
        run(arguments, home, options)
        pattern = re.compile(re.escape(str(home)))
        return sum(1 for line in trace if pattern.search(line))


def measure(home: Path, rounds: int, traced: bool) -> dict[str, dict[str, float]]:
    """Figures by command."""
    job = min(path.name for path in (home / "jobs").iterdir() if not (path / "orders.jsonl").exists())
    table: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        bare = {}
        for name, action in BARE.items():
            began = time.perf_counter()
            action(home)
            bare[name] = time.perf_counter() - began
            row = table.setdefault(f"bare {name}", {"seconds": bare[name]})
            row["seconds"] = min(row["seconds"], bare[name])
        for command in COMMANDS:
            seconds, peak = run([part.replace(_JOB, job) for part in command.arguments], home)
            row = table.setdefault(" ".join(command.arguments), {"seconds": seconds, "limit_s": command.limit_s})
            if seconds <= row["seconds"]:
                row |= {"seconds": seconds, "ratio": seconds / bare[command.bare]}
            row["peak_mib"] = max(peak, row.get("peak_mib", 0))
    if traced:
        for command in COMMANDS:
            calls = file_calls([part.replace(_JOB, job) for part in command.arguments], home)
            table[" ".join(command.arguments)]["file_calls"] = calls
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description="Commands that look at a whole store, over many objects.")
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--units", type=int, default=100, help="records of a job")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--store", type=Path, help="folder to make the store in, or to find it from an earlier run")
    parser.add_argument("--traced", action="store_true", help="count system calls on files as well (strace)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = options.store or Path(tempfile.mkdtemp(prefix="scale-bench-"))
    try:
        home = make_store(folder.absolute(), StoreSize(options.jobs, options.units))
        table = measure(home, options.rounds, options.traced)
    finally:
        if options.store is None:
            shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps(table, indent=2))
    else:
        print(f"{options.jobs} jobs of {options.units} records, fastest of {options.rounds} rounds")
        print(f"{'':26}{'seconds':>9}{'ratio':>8}{'MiB':>7}{'file calls':>12}")
        for name, row in table.items():
            ratio = f"{row['ratio']:.1f}" if "ratio" in row else ""
            calls = f"{row['file_calls']:.0f}" if "file_calls" in row else ""
            print(f"{name:26}{row['seconds']:9.2f}{ratio:>8}{row.get('peak_mib', 0):7.0f}{calls:>12}")
    late = [name for name, row in table.items() if 0 < row.get("limit_s", 0) < row["seconds"]]
    print(f"within their limits: {'yes' if not late else 'NO: ' + ', '.join(late)}")
    return 1 if late else 0


if __name__ == "__main__":
    raise SystemExit(main())
