"""A storm over a whole fleet: nodes vanish, the broker restarts and forgets, and afterwards the books are read."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from fleet import Fleet, FleetBooks
from fleet_machines import MachinePark
from long_speech import write_speech
from own_model_server import OwnModelServer
from segue_process import FAKES, Job, Place, read_outputs, run_job
from storm_ledger import LedgerToll, read_ledger

from cache.store import Store
from pipeline.report import JobState


class Strike(StrEnum):
    """How work is disturbed."""

    #: SIGKILL for one worker and its engine; its machine lives on and starts it again.
    WORKER = "worker"
    #: A machine is gone with all its workers, and another comes in its place.
    MACHINE = "machine"
    #: As before, and its cloud says so some time before.
    NOTICE = "notice"


#: In this order; whom they meet is left to chance.
_STRIKES = (Strike.WORKER, Strike.NOTICE, Strike.WORKER, Strike.MACHINE)
#: Seconds from a notice to the end of a machine.
_NOTICE_S = 30.0
#: The workers of one machine: one hears and one translates, beside a model server, as on a card that both share.
_SHARED = (("--stages", "transcribe"), ("--stages", "translate"))
_ALONE = ((),)


@dataclass(frozen=True)
class StormPlan:
    """What a storm does. The same plan and seed do the same, as far as processes allow it."""

    seed: int
    jobs: int = 20
    workers: int = 4
    #: Seconds between two strikes, on average.
    kill_every_s: float = 4.0
    #: Strikes at most; None for as long as there is work.
    strikes: int | None = None
    restarts: int = 2
    flushes: int = 1
    #: Time an engine takes for a unit.
    unit_ms: int = 500
    #: Engine time that a message aims at.
    batch_seconds: int = 3
    #: SIGKILL for the coordinator, too.
    coordinator_kills: int = 1
    patience_s: float = 600.0


@dataclass
class FleetToll:
    """What a storm came to."""

    strikes: int = 0
    #: Workers that were killed without a word.
    kills: int = 0
    #: Machines that were told to go.
    notices: int = 0
    #: Machines that were there, all in all.
    machines: int = 0
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
            f"{self.jobs} jobs, {self.units} units (fake Whisper, own model server), {self.seconds:.0f} s; "
            f"killed: {self.kills} workers, {self.coordinator_kills} coordinators; "
            f"{self.notices} of {self.machines} machines told to go; "
            f"broker restarted {self.restarts} x, flushed {self.flushes} x",
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


def undisturbed(media: Sequence[Path], base: Path, settings: Mapping[str, str] = FAKES) -> dict[str, bytes]:
    """The outputs of `segue run` over the same media, in peace."""
    base.mkdir(parents=True, exist_ok=True)
    place = Place(base)
    ended = run_job(Job(tuple(media), settings=settings, counted=False, patience_s=600), place)
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
        # Whisper is a fake, and the translator a server of one's own that all machines call.
        with OwnModelServer(plan.unit_ms / 1000) as server:
            engines = {**FAKES, **server.settings}
            expected = undisturbed(media, self.base / "reference", engines)
            settings = {
                **engines,
                "SEGUE_FAKE_DELAY_MS": str(plan.unit_ms),
                "SEGUE_BATCH_SECONDS": str(plan.batch_seconds),
            }
            began = time.time_ns() // 1_000_000
            self._rage(media, settings, expected)
        with Store.open(Place(self.base / "fleet").home, create=False) as store:
            toll.ledger = read_ledger(store, began, time.time_ns() // 1_000_000)
        return toll

    def _rage(self, media: Sequence[Path], settings: Mapping[str, str], expected: Mapping[str, bytes]) -> None:
        plan, toll = self.plan, self.toll
        started = time.monotonic()
        with ExitStack() as stack:
            fleet = Fleet(self.base / "fleet", settings)
            park = stack.enter_context(MachinePark(fleet))
            stack.enter_context(fleet)
            jobs = fleet.submit(media)
            fleet.start_coordinator()
            for number in range(0, plan.workers, 2):
                park.start(_SHARED if number + 1 < plan.workers else _ALONE)
            self._disturb(fleet, park, jobs)
            views = fleet.wait(jobs, plan.patience_s)
            toll.seconds = time.monotonic() - started
            toll.machines = park.number
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

    def _disturb(self, fleet: Fleet, park: MachinePark, jobs: Sequence[str]) -> None:
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
            from jobs.submissions import open_jobs, order_names

            while time.monotonic() < end:
                left = len(open_jobs(store)) + len(order_names(store))
                if not left:
                    return
                while events and (total - left) * 1000 // total >= events[0][1]:
                    self._play(events.pop(0)[0], fleet)
                toll.kills += park.sweep()
                if time.monotonic() >= next_kill and (plan.strikes is None or toll.strikes < plan.strikes):
                    self._strike(park)
                    next_kill = time.monotonic() + self._gap()
                time.sleep(0.05)

    def _gap(self) -> float:
        return self.plan.kill_every_s * self.chance.uniform(0.5, 1.5)

    def _strike(self, park: MachinePark) -> None:
        toll = self.toll
        strike = _STRIKES[toll.strikes % len(_STRIKES)]
        machine = self.chance.choice(park.machines)
        toll.breaches += [
            f"a worker left by itself: {worker.words()[-400:]}" for worker in machine.workers if not worker.running
        ]
        if strike is Strike.WORKER:
            park.lose_worker(machine, self.chance.randrange(len(machine.workers)))
            toll.kills += 1
        elif strike is Strike.MACHINE:
            toll.kills += len(machine.workers)
            park.lose(machine)
        else:
            park.tell(machine, _NOTICE_S)
            toll.notices += 1
        toll.strikes += 1

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
