"""Verifying and folding a large ledger: a million lines on disk, from bytes to books, with a limit on time and memory.

    python bench/ledger_bench.py [--lines 1000000] [--machines 200] [--processes 2] [--folder DIR] [--json]

The ledger is written first (not timed): for each machine an opening, a journal of beats, and the journals of its
processes, all sealed, with anchors; and what the records say (unit, attempt, hash of the attempt's line). Timed is then
everything from the bytes: each line's checksum and chain, anchors, references, parsing, gathering, billing, sharing,
and the sums, with every machine's entries checked against its bill. The entries of one machine are dropped when they
are summed; a caller that keeps them all needs about 0.6 KiB for each. Reported are wall time, CPU time (ours,
and the whole computer's, which shows whether others were at work on it), and the largest sum of the processes' resident
memory, sampled each 50 ms.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import random
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
from msgspec import UNSET, convert, to_builtins

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cache.journal import decode_body, encode_line
from core.keys import digest_bytes
from journals.chain import Anchor, Chain, FileCheck, LogProblem, join_checks, verify_file
from journals.facts import DemandInterval, Fact
from journals.lines import (
    AttemptEndedLine,
    AttemptStartedLine,
    BeatLine,
    EngineLoadedLine,
    JournalLine,
    ProcessStartedLine,
    UnitLine,
    read_attempt_line,
    read_node_line,
)
from journals.node_session import Opening, parse_opening
from ledger.activity import Provenance
from ledger.demand import Demand
from ledger.fold import FoldRules, fold_with
from ledger.price_book.prices import Confidence, Meter, PriceBook, PriceRow
from ledger.totals import Dimension, LedgerTotals

SECONDS_LIMIT, MEMORY_LIMIT_MIB = 20.0, 1024
BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
WORKERS = 2
JOBS = 40
#: Units in a batch.
UNITS = (1, 6)
#: Share of attempts that a death takes; the worker then begins another process.
DEATHS = 0.01
ENGINE = "faster-whisper large-v3 float16"


@dataclass(frozen=True)
class Part:
    """What one machine's fold came to."""

    checks: list[FileCheck]
    totals: LedgerTotals
    entries: int
    unpriced: int
    billed: dict[str, int]
    errors: tuple[str, ...]
    documents: dict[str, str]
    references: dict[str, str]


def _at(ms: int) -> str:
    return (BEGAN + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds")


class Writer:
    """Writes one machine's folder: its journals, and its records' words."""

    def __init__(self, folder: Path, number: int, lines: int) -> None:
        self._rng = random.Random(number)
        self._session, self._folder = f"vm{number:05d}", folder / f"vm{number:05d}"
        self._left = lines
        self._anchors: list[Anchor] = []
        self._records: list[list[str | int]] = []

    def write(self) -> int:
        """Returns how many lines were written."""
        self._folder.mkdir()
        start = self._rng.randint(0, 20 * 86_400_000)
        opening = Opening(session=self._session, at=_at(start), price="0.149 USD", cloud="azure", size="NC4as")
        document = opening.encode()
        (self._folder / "opened.json").write_bytes(document)
        share, end = self._left // WORKERS, start
        for worker in range(WORKERS):
            end = max(end, self._worker(worker, start, share * 4 // 5))
        for worker in range(WORKERS):
            self._beats(worker, start, end, share - share * 4 // 5, {"opened.json": digest_bytes(document)})
        anchors = [to_builtins(anchor) for anchor in self._anchors]
        (self._folder / "anchors.json").write_text(json.dumps(anchors), encoding="ascii")
        (self._folder / "records.json").write_text(json.dumps(self._records), encoding="ascii")
        return sum(anchor.lines for anchor in self._anchors)

    def _beats(self, worker: int, start: int, end: int, count: int, documents: dict[str, str]) -> None:
        step = max((end - start) // count, 1)
        lines: list[JournalLine] = [
            BeatLine(
                at=_at(start + place * step),
                worker=f"w{worker}",
                gpu_util=90,
                gpu_mem_mib=9000,
                documents=UNSET if place else documents,
            )
            for place in range(count)
        ]
        self._journal(f"beats-{worker}.jsonl", lines)

    def _worker(self, worker: int, at: int, count: int) -> int:
        """One process after the other, each until its death; returns when the last one was through."""
        number = 0
        while count > 4:
            number += 1
            at, written = self._process(f"{self._session}-p{worker}-{number}", f"w{worker}", at + 5_000, count)
            count -= written
        return at

    def _process(self, process: str, worker: str, at: int, count: int) -> tuple[int, int]:
        rng, began = self._rng, _at(at)
        lines: list[JournalLine] = [ProcessStartedLine(session=process, node=self._session, worker=worker, at=began)]
        attempts: dict[str, list[tuple[str, int]]] = {}
        at += 20_000
        lines.append(EngineLoadedLine(stage="transcribe", engine=ENGINE, at=_at(at), seconds="15.250"))
        alive = True
        while alive and len(lines) < count - 1:
            attempt = f"{process}/transcribe/{len(lines)}"
            units = [(f"{rng.getrandbits(256):064x}", rng.randint(500, 30_000)) for _ in range(rng.randint(*UNITS))]
            lines.append(self._started(attempt, at, units))
            speech = sum(audio for _, audio in units)
            took = speech // 20 + 200
            at += took
            alive = rng.random() > DEATHS
            if alive:
                ended = AttemptEndedLine(
                    attempt=attempt,
                    at=_at(at + 20),
                    engine_seconds=f"{took // 1000}.{took % 1000:03d}",
                    yielded=len(units),
                    usage={"audio_ms": speech},
                )
                lines.append(ended)
                attempts[attempt] = [(key, at) for key, _ in units]
                at += rng.randint(0, 2_000)
        hashes = self._journal(f"{process}.jsonl", lines)
        for attempt, made in attempts.items():
            self._records += [[key, attempt, when, hashes[attempt]] for key, when in made]
        return at, len(lines)

    def _started(self, attempt: str, at: int, units: list[tuple[str, int]]) -> AttemptStartedLine:
        return AttemptStartedLine(
            attempt=attempt,
            stage="transcribe",
            at=_at(at),
            units=tuple(UnitLine(key, audio) for key, audio in units),
            engine=ENGINE,
            provider="faster-whisper",
            jobs=(f"job{self._rng.randrange(JOBS)}",) * len(units),
        )

    def _journal(self, name: str, lines: list[JournalLine]) -> dict[str, str]:
        """Hash of the line by attempt, of those that began one."""
        chain, sealed, hashes = Chain(name), [], {}
        for line in lines:
            sealed.append(encode_line(chain.seal(line.entry())))
            if isinstance(line, AttemptStartedLine):
                hashes[line.attempt] = chain.head
        (self._folder / name).write_bytes(b"".join(sealed))
        self._anchors.append(chain.anchor)
        return hashes


def _write_machine(task: tuple[Path, int, int]) -> int:
    return Writer(*task).write()


def _book() -> PriceBook:
    row = PriceRow(
        id="azure/t4",
        provider="azure",
        meter=Meter.NODE_HOUR,
        sku="NC4as",
        unit_price=Decimal("0.149"),
        per=1,
        currency="USD",
        effective_from=0,
        effective_to=None,
        observed_at=date(2026, 9, 1),
        source_url="https://prices.example/list",
        confidence=Confidence.LIST,
    )
    return PriceBook(((row,),))


def fold_machine(folder: Path) -> Part:
    """Verifies and folds one machine's folder."""
    anchors: dict[str, list[Anchor]] = {}
    for value in json.loads((folder / "anchors.json").read_bytes()):
        anchor = convert(value, Anchor)
        anchors.setdefault(anchor.file, []).append(anchor)
    by, at, references = dict[str, str](), dict[str, int](), dict[str, str]()
    epoch = (BEGAN - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    for key, attempt, when, digest in decode_body((folder / "records.json").read_bytes()):
        by[key], at[key], references[attempt] = attempt, epoch + when, digest
    document = (folder / "opened.json").read_bytes()
    facts: list[Fact] = [parse_opening(document).fact()]
    checks = [_check(path, anchors, facts, folder.name) for path in sorted(folder.glob("*.jsonl"))]
    ledger = fold_with(facts, Provenance(by, at), DEMAND, BOOK, None, FoldRules())
    billed: dict[str, int] = {}
    for bill in ledger.bills:
        billed = {name: billed.get(name, 0) + nano for name, nano in bill.totals().items()}
    entries, unpriced = len(ledger.entries), len(ledger.unpriced)
    documents = {"opened.json": digest_bytes(document)}
    # The references are joined here: a machine's records name its own attempts.
    return Part(checks, ledger.totals, entries, unpriced, billed, ledger.errors, documents, references)


def _check(path: Path, anchors: dict[str, list[Anchor]], facts: list[Fact], session: str) -> FileCheck:
    beats = path.name.startswith("beats-")
    owner = session if beats else path.stem

    def take(body: bytes) -> None:
        line = read_node_line(body) if beats else read_attempt_line(body)
        if line is not None:
            facts.append(line.fact(owner))

    return verify_file(path.name, path.read_bytes(), anchors.get(path.name, ()), take)


BOOK = _book()
DEMAND = Demand(
    DemandInterval(f"job{number}", f"owner{number % 5}", {}, 0, None, frozenset()) for number in range(JOBS)
)


def _settle() -> None:
    """A process that only builds and drops large trees gains nothing from looking for cycles all the time."""
    gc.disable()


def _fold_and_join(folder: Path) -> tuple[list[LogProblem], Part]:
    part = fold_machine(folder)
    problems = join_checks(part.checks, part.documents, [check.file for check in part.checks], part.references)
    # What was joined need not travel.
    return problems, Part([], part.totals, part.entries, part.unpriced, part.billed, part.errors, {}, {})


class Memory:
    """Largest sum of the resident memory of this process and its children."""

    def __init__(self) -> None:
        self.peak = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        me, samples, children = psutil.Process(), 0, list[psutil.Process]()
        while not self._over.wait(0.05):
            if samples % 20 == 0:
                # Looking for children reads every process of the computer; they stay the same.
                children = me.children(recursive=True)
            samples += 1
            self.peak = max(self.peak, sum(_resident(each) for each in (me, *children)))


def _own_cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    return sum(psutil.Process().cpu_times()[:4])


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def measure(folders: list[Path], processes: int) -> dict[str, Any]:
    """Verifies and folds these machines."""
    totals, problems, errors = LedgerTotals(), list[LogProblem](), list[str]()
    entries = unpriced = 0
    billed: dict[str, int] = {}
    began, own = time.monotonic(), _own_cpu()
    others = psutil.cpu_times()
    with Memory() as memory, multiprocessing.get_context("spawn").Pool(processes, _settle) as pool:
        for found, part in pool.imap_unordered(_fold_and_join, folders, chunksize=4):
            problems += found
            errors += part.errors
            totals.merge(part.totals)
            entries, unpriced = entries + part.entries, unpriced + part.unpriced
            for name, nano in part.billed.items():
                billed[name] = billed.get(name, 0) + nano
        seconds = time.monotonic() - began
        pool.close()
        pool.join()
    used = _own_cpu() - own
    machine = sum(psutil.cpu_times()[:3]) - sum(others[:3])
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(used, 2),
        "cpu_seconds_of_the_whole_computer": round(machine, 2),
        "peak_mib": memory.peak // 2**20,
        "entries": entries,
        "unpriced": unpriced,
        "problems": len(problems),
        "errors": len(errors),
        "conserved": totals.whole() == billed,
        "by_bucket": {name: sums["USD"].nano for name, sums in totals.by(Dimension.BUCKET).items()},
    }


def main() -> int:
    """Writes, measures, prints; 1 where a limit is missed or anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--machines", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=None, help="where to write; a temporary folder by default")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        home, share = Path(name), -(-options.lines // options.machines)
        with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
            tasks = [(home, number, share) for number in range(options.machines)]
            lines = sum(pool.imap_unordered(_write_machine, tasks))
        folders = sorted(home.iterdir())
        size = sum(path.stat().st_size for path in home.rglob("*.jsonl"))
        found = {"lines": lines, "journal_mib": size // 2**20, **measure(folders, options.processes)}
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        for key, value in found.items():
            print(f"{key:20} {value}")
    sound = found["problems"] == 0 and found["errors"] == 0 and found["conserved"]
    fast = found["seconds"] < SECONDS_LIMIT and found["peak_mib"] < MEMORY_LIMIT_MIB
    print("within the limits" if sound and fast else "NOT within the limits", file=sys.stderr)
    return 0 if sound and fast else 1


if __name__ == "__main__":
    sys.exit(main())
