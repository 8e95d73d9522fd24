"""A storm over a whole fleet: nodes vanish, the broker restarts and forgets, and afterwards the books are read."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fleet import Fleet, FleetBooks
from long_speech import write_speech
from segue_process import FAKES, Job, Place, read_outputs, run_job
from storm_ledger import LedgerToll, read_ledger

from cache.store import Store
from pipeline.report import JobState


@dataclass(frozen=True)
class StormPlan:
    """What a storm does. The same plan and seed do the same, as far as processes allow it."""

    seed: int
    jobs: int = 20
    workers: int = 4
    #: Seconds between two kills, on average.
    kill_every_s: float = 4.0
    #: Kills at most; None for as long as there is work.
    kills: int | None = None
    restarts: int = 2
    flushes: int = 1
    #: Time an engine takes for a unit.
    unit_ms: int = 300
    #: Engine time that a message aims at.
    batch_seconds: int = 3
    #: SIGKILL for the coordinator, too.
    coordinator_kills: int = 1
    patience_s: float = 600.0


@dataclass
class FleetToll:
    """What a storm came to."""

    kills: int = 0
    restarts: int = 0
    flushes: int = 0
    coordinator_kills: int = 0
    jobs: int = 0
    units: int = 0
    attempts: int = 0
    lossy_attempts: int = 0
    recomputed_units: int = 0
    recomputed_ms: int = 0
    seconds: float = 0.0
    #: Batches that may have been lost: kills + flushes x workers.
    allowed: int = 0
    computed_again: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    not_done: list[str] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)
    #: The ledger of the storm, read when every process has ended.
    ledger: LedgerToll = field(default_factory=LedgerToll)

    @property
    def sound(self) -> bool:
        """True when everything held."""
        return not (self.computed_again or self.differing or self.not_done or self.breaches or self.ledger.breaches)

    def lines(self) -> list[str]:
        """What is printed."""
        return [
            f"{self.jobs} jobs, {self.units} units (fake engines), {self.seconds:.0f} s; killed: {self.kills} workers, "
            f"{self.coordinator_kills} coordinators; broker restarted {self.restarts} x, flushed {self.flushes} x",
            f"outputs that differ from an undisturbed run: {len(self.differing)}; jobs not done: {len(self.not_done)}",
            f"finished units computed again: {len(self.computed_again)}",
            f"batches with lost work: {self.lossy_attempts} of {self.attempts}, allowed {self.allowed}; units computed "
            f"more than once: {self.recomputed_units} ({self.recomputed_ms / 1000:.0f} s of speech)",
            *self.ledger.lines(),
            *self.ledger.breaches[:5],
            *self.computed_again[:5],
            *self.not_done[:5],
            *self.differing[:5],
            *self.breaches[:5],
        ]


def write_media(folder: Path, jobs: int) -> list[Path]:
    """As many inputs, no two alike."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        write_speech(folder / f"talk {number + 1}.wav", 1, 1 - 0.7 * number / max(jobs, 2)) for number in range(jobs)
    ]


def undisturbed(media: Sequence[Path], base: Path) -> dict[str, bytes]:
    """The outputs of `segue run` over the same media, in peace."""
    base.mkdir(parents=True, exist_ok=True)
    place = Place(base)
    ended = run_job(Job(tuple(media), settings=FAKES, counted=False, patience_s=600), place)
    assert ended.code == 0, ended.err
    return read_outputs(place.out)


class FleetStorm:
    """One storm. `run` starts a fleet, disturbs it until its jobs have ended, and reads the books."""

    def __init__(self, plan: StormPlan, base: Path) -> None:
        self.plan, self.base = plan, base
        self.chance = random.Random(plan.seed)
        self.toll = FleetToll(jobs=plan.jobs)

    def run(self) -> FleetToll:
        plan, toll = self.plan, self.toll
        media = write_media(self.base / "media", plan.jobs)
        expected = undisturbed(media, self.base / "reference")
        settings = {
            "SEGUE_FAKE_DELAY_MS": str(plan.unit_ms),
            "SEGUE_BATCH_SECONDS": str(plan.batch_seconds),
        }
        started = time.monotonic()
        with Fleet(self.base / "fleet", settings) as fleet:
            jobs = fleet.submit(media)
            fleet.start(plan.workers)
            self._disturb(fleet, jobs)
            views = fleet.wait(jobs, plan.patience_s)
            toll.seconds = time.monotonic() - started
            toll.not_done = [
                f"{job[:12]} is {view.state}: {view.reason}"
                for job, view in views.items()
                if view.state is not JobState.DONE
            ]
            found = read_outputs(fleet.place.out)
            toll.differing = sorted(
                name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
            )
            with fleet.store() as store:
                self._read_books(FleetBooks.read(store))
        with Store.open(Place(self.base / "fleet").home, create=False) as store:
            toll.ledger = read_ledger(store)
        return toll

    def _disturb(self, fleet: Fleet, jobs: Sequence[str]) -> None:
        """Kills and replaces until the work is done; the broker's troubles come spread over the middle."""
        plan, toll = self.plan, self.toll
        total = len(jobs)
        # When so many jobs have ended, in thousandths of them.
        events = [("restart", 200 + 500 * number // max(plan.restarts, 1)) for number in range(plan.restarts)]
        events += [("flush", 400 + 300 * number // max(plan.flushes, 1)) for number in range(plan.flushes)]
        events += [("coordinator", 300 + 300 * number // 2) for number in range(plan.coordinator_kills)]
        events.sort(key=lambda event: event[1])
        next_kill = time.monotonic() + self._gap()
        end = time.monotonic() + plan.patience_s
        with fleet.store() as store:
            from pipeline.submissions import open_jobs, order_names

            while time.monotonic() < end:
                left = len(open_jobs(store)) + len(order_names(store))
                if not left:
                    return
                while events and (total - left) * 1000 // total >= events[0][1]:
                    self._play(events.pop(0)[0], fleet)
                if time.monotonic() >= next_kill and (plan.kills is None or toll.kills < plan.kills):
                    self._kill(fleet)
                    next_kill = time.monotonic() + self._gap()
                time.sleep(0.05)

    def _gap(self) -> float:
        return self.plan.kill_every_s * self.chance.uniform(0.5, 1.5)

    def _kill(self, fleet: Fleet) -> None:
        victim = self.chance.choice(fleet.workers)
        if not victim.running:
            self.toll.breaches.append(f"a worker left by itself: {victim.words()[-400:]}")
        fleet.lose(victim)
        fleet.start_worker()
        self.toll.kills += 1

    def _play(self, event: str, fleet: Fleet) -> None:
        if event == "restart":
            fleet.broker.restart()
            self.toll.restarts += 1
        elif event == "flush":
            fleet.broker.flush()
            self.toll.flushes += 1
        else:
            fleet.coordinators.pop().kill()
            fleet.start_coordinator()
            self.toll.coordinator_kills += 1

    def _read_books(self, books: FleetBooks) -> None:
        toll, lossy = self.toll, books.lossy()
        toll.units = len(books.made)
        toll.attempts = len(books.attempts)
        toll.lossy_attempts = len(lossy)
        toll.recomputed_units, toll.recomputed_ms = books.recomputed_units(), books.recomputed_ms()
        toll.computed_again = books.computed_again()
        # A restart without persistence is a flush as well.
        toll.allowed = toll.kills + (toll.flushes + toll.restarts) * self.plan.workers
        if len(lossy) > toll.allowed:
            toll.breaches.append(f"{len(lossy)} batches lost work, {toll.allowed} are allowed")
