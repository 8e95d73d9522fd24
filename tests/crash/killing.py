"""Killing a job at random moments until it is through, and what must hold afterwards."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from dataclasses import dataclass, field

from books import Books, find_breaches, find_call_breaches, read_books, session_names
from moments import Moment, Phase, Spread, await_moment, draw_moment
from segue_process import Ended, Job, Place, SegueProcess, leftovers, read_outputs, run_job

DONE = 0


@dataclass
class Toll:
    """What one storm or several together came to."""

    kills: int = 0
    runs: int = 0
    jobs: int = 0
    phases: Counter[str] = field(default_factory=Counter)
    recomputed_ms: int = 0
    #: Sum over the kills of the batch that was in flight; what may be recomputed at most.
    in_flight_ms: int = 0
    largest_batch_ms: int = 0
    largest_loss_ms: int = 0
    #: Temporary files that kills left beside the outputs.
    leftovers: int = 0
    differing: list[str] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)

    def add(self, other: Toll) -> None:
        """Takes another storm's numbers in."""
        self.kills += other.kills
        self.runs += other.runs
        self.jobs += other.jobs
        self.phases.update(other.phases)
        self.recomputed_ms += other.recomputed_ms
        self.in_flight_ms += other.in_flight_ms
        self.largest_batch_ms = max(self.largest_batch_ms, other.largest_batch_ms)
        self.largest_loss_ms = max(self.largest_loss_ms, other.largest_loss_ms)
        self.leftovers += other.leftovers
        self.differing += other.differing
        self.breaches += other.breaches


class Storm:
    """One job in one place, killed until it is through; then checked against the reference."""

    def __init__(self, job: Job, place: Place, reference: dict[str, bytes]) -> None:
        self.job, self.place, self.reference = job, place, reference
        self.toll = Toll(jobs=1)
        #: Journals in the order in which their processes ran.
        self.sessions: list[str] = []
        self.killed: set[str] = set()

    def kill_at(self, moment: Moment) -> Ended | None:
        """Starts the command and kills it at the moment; how it ended when it was through before that."""
        with SegueProcess.of(self.job, self.place) as process:
            await_moment(moment, process, self.place)
            was_killed = process.kill()
            ended = process.wait()
        self._enter(was_killed=was_killed)
        if not was_killed:
            return self._checked(ended)
        self.toll.kills += 1
        self.toll.phases[moment.phase] += 1
        return None

    def finish(self) -> Ended:
        """Runs the command to its end."""
        ended = run_job(self.job, self.place)
        self._enter(was_killed=False)
        return self._checked(ended)

    def kill_until_done(self, chance: random.Random, spread: Spread, most: int) -> None:
        """Kills at random moments until a run gets through, at most ``most`` times; then lets it finish."""
        while self.toll.kills < most:
            planned = any((self.place.home / "jobs").glob("*/plan-*"))
            if self.kill_at(draw_moment(chance, spread, planned=planned)) is not None:
                break
        self.finish()

    def kill_delivery(self, chance: random.Random, times: int) -> None:
        """Takes outputs away from the finished job and kills the runs that write them again."""
        for _ in range(times):
            shutil.rmtree(self.place.out, ignore_errors=True)
            self.kill_at(Moment(Phase.ASSEMBLING, 1, chance.uniform(0, 0.03)))
        before = session_names(self.place.home)
        self.finish()
        if session_names(self.place.home) != before:
            self.toll.breaches.append("delivering a finished job again called an engine")

    def settle(self) -> Toll:
        """What the storm came to. The last run must have got through."""
        if self.toll.breaches:
            # A run failed; its books may not even be there.
            return self.toll
        books = read_books(self.place.home, self.sessions)
        self.toll.breaches += find_breaches(books, frozenset(self.killed))
        if self.job.counted:
            self.toll.breaches += find_call_breaches(books, self.place.calls)
        self._measure(books)
        found = read_outputs(self.place.out)
        self.toll.differing += [
            name for name in sorted({*found, *self.reference}) if found.get(name) != self.reference.get(name)
        ]
        self.toll.leftovers = len(leftovers(self.place.out))
        return self.toll

    def _measure(self, books: Books) -> None:
        last = {attempt.session: attempt for attempt in books.attempts}
        self.toll.recomputed_ms = books.recomputed_ms()
        self.toll.in_flight_ms = sum(last[name].audio_ms for name in self.killed if name in last)
        self.toll.largest_batch_ms = max((attempt.audio_ms for attempt in books.attempts), default=0)
        self.toll.largest_loss_ms = max((sum(books.lost(each).values()) for each in books.attempts), default=0)
        if self.toll.recomputed_ms > self.toll.in_flight_ms:
            self.toll.breaches.append("more was recomputed than was in flight")

    def _enter(self, *, was_killed: bool) -> None:
        self.toll.runs += 1
        new = [name for name in session_names(self.place.home) if name not in self.sessions]
        self.sessions += new
        if was_killed:
            self.killed.update(new)

    def _checked(self, ended: Ended) -> Ended:
        if ended.code != DONE:
            self.toll.breaches.append(f"a run that nobody killed ended with {ended.code}: {ended.err.strip()[-300:]}")
        return ended
