"""Moments at which a run is killed, spread over everything it does."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from books import session_names
from segue_process import Place, SegueProcess

#: Between two looks at the folders.
_LOOK_S = 0.001


class Phase(StrEnum):
    """What the run is doing when it is killed."""

    #: Imports, settings, opening the store.
    START_UP = "start-up"
    #: Decoding, finding speech, writing the plan.
    PLANNING = "planning"
    #: A batch is with an engine.
    COMPUTING = "computing"
    #: Right after a record became visible.
    COMMITTED = "committed"
    #: Outputs are being written.
    ASSEMBLING = "assembling"


@dataclass(frozen=True)
class Moment:
    """Wait for something to be seen on the disk, then this much longer."""

    phase: Phase
    #: How many journal lines or records are waited for.
    count: int
    after_s: float


@dataclass(frozen=True)
class Spread:
    """How long things take on this machine, so that moments fall inside them."""

    start_up_s: float
    planning_s: float
    batch_s: float


def draw_moment(chance: random.Random, spread: Spread, *, planned: bool) -> Moment:
    """Any moment, by chance; most of them while units are computed. A planned job is not planned again."""
    weights = (15, 0, 55, 20, 10) if planned else (30, 45, 20, 5, 0)
    phase = chance.choices(list(Phase), weights=weights)[0]
    longest = {
        Phase.START_UP: spread.start_up_s,
        Phase.PLANNING: spread.planning_s,
        Phase.COMPUTING: spread.batch_s,
        Phase.COMMITTED: 0.0,
        Phase.ASSEMBLING: 0.02,
    }[phase]
    return Moment(phase, chance.randint(1, 3), chance.uniform(0, longest))


def await_moment(moment: Moment, process: SegueProcess, place: Place) -> None:
    """Returns when the moment has come, or when the process has ended before it came."""
    reached = _condition(moment, place)
    while process.running and not reached():
        time.sleep(_LOOK_S)
    end = time.monotonic() + moment.after_s
    while process.running and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.01))


def _condition(moment: Moment, place: Place) -> Callable[[], bool]:
    if moment.phase is Phase.START_UP:
        return lambda: True
    if moment.phase is Phase.PLANNING:
        return lambda: any((place.home / "blobs").glob("*")) or any((place.home / "blobs").glob(".tmp-*"))
    if moment.phase is Phase.COMPUTING:
        before = set(session_names(place.home))
        return lambda: _journal_lines(place.home, before) >= moment.count
    if moment.phase is Phase.COMMITTED:
        records = count_records(place.home)
        return lambda: count_records(place.home) >= records + moment.count
    there = _count_entries(place.out)
    return lambda: _count_entries(place.out) > there


def count_records(home: Path) -> int:
    """Record files that are visible."""
    return _count_files(home / "objects")


def _count_files(folder: Path) -> int:
    number = 0
    try:
        with os.scandir(folder) as shards:
            for shard in shards:
                with os.scandir(shard.path) as entries:
                    number += sum(1 for entry in entries if not entry.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return number
    return number


def _count_entries(folder: Path) -> int:
    try:
        return sum(1 for _ in folder.iterdir())
    except FileNotFoundError:
        return 0


def _journal_lines(home: Path, before: set[str]) -> int:
    lines = 0
    for name in set(session_names(home)) - before:
        lines += (home / "attempts" / name).read_bytes().count(b'"attempt_started"')
    return lines
