"""The facts of each machine put together, each once, whatever the order and however often they were told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from journals.facts import (
    AttemptEnded,
    AttemptStarted,
    Beat,
    EngineLoaded,
    EngineTried,
    Fact,
    PriceChanged,
    ProcessEnded,
    ProcessStarted,
    SessionClosed,
    SessionOpened,
)
from ledger.billing import SessionEnd

#: A worker that has missed so many beats is taken for dead.
BEATS_MISSED = 3

FactKey = tuple[str, ...] | tuple[str | int, ...]


@dataclass
class NodeTimeline:
    """Everything known of one machine; in embedded runs without a node session, of one process."""

    #: Node session, or the process where there is none.
    session: str
    #: The opening; None when no such fact was found.
    opened: SessionOpened | None = None
    #: Last beat of each worker.
    beats: dict[str, int] = field(default_factory=dict)
    #: First beat of all; None without any.
    first_beat: int | None = None
    #: Last close of each worker.
    closes: dict[str, SessionClosed] = field(default_factory=dict)
    #: Price steps.
    prices: list[PriceChanged] = field(default_factory=list)
    #: Processes by name.
    processes: dict[str, ProcessStarted] = field(default_factory=dict)
    #: When somebody saw a process end.
    process_ends: dict[str, int] = field(default_factory=dict)
    #: Attempts.
    started: list[AttemptStarted] = field(default_factory=list)
    #: Loads.
    loads: list[EngineLoaded] = field(default_factory=list)
    #: Trials.
    tries: list[EngineTried] = field(default_factory=list)
    #: Last own fact of each process.
    last_fact: dict[str, int] = field(default_factory=dict)
    #: First own fact of each process.
    first_fact: dict[str, int] = field(default_factory=dict)

    #: When results of a process's open attempts were due.
    expected: dict[str, list[int]] = field(default_factory=dict)

    def note(self, process: str, first: int, last: int) -> None:
        """The process was alive from ``first`` to ``last``."""
        if first <= self.first_fact.get(process, first):
            self.first_fact[process] = first
        if last >= self.last_fact.get(process, last):
            self.last_fact[process] = last

    def opening(self) -> SessionOpened:
        """The opening; for a machine that never wrote one, a machine of which only its first sign of life is known."""
        if self.opened is not None:
            return self.opened
        return SessionOpened(self.session, self.first_sign() or 0)

    def first_sign(self) -> int | None:
        """First instant at which the machine is known to have been at work."""
        if self.first_fact:
            return min(self.first_fact.values())
        return (
            self.first_beat if self.first_beat is not None else min((c.at for c in self.closes.values()), default=None)
        )

    def end(self, beat_ms: int, now: int | None = None) -> SessionEnd:
        """When the machine ended: the last close, where nothing was heard after it, else `death_between`; ``now`` for
        a machine that has not missed its beats yet."""
        closes = sorted((close.at, close.reason) for close in self.closes.values())
        signs = [*self.beats.values(), *self.last_fact.values(), self.opening().at]
        last = max(signs)
        if closes and closes[-1][0] >= last:
            at = closes[-1][0]
            # Several workers of one machine close for one reason; the cloud's word is the one that has consequences.
            reasons = sorted(reason for _, reason in closes if reason.startswith("aws:")) or [closes[-1][1]]
            return SessionEnd(at, estimated=False, reason=reasons[0])
        if now is not None and any(self.beating(worker, now, beat_ms) for worker in self.beats):
            return SessionEnd(max(now, last), estimated=True)
        # A worker that has left owes no beats.
        left = {worker: close.at for worker, close in self.closes.items()}
        due = [beat + beat_ms for worker, beat in self.beats.items() if left.get(worker, -1) < beat]
        due += [at for process, owed in self.expected.items() if not self._gone(process, left) for at in owed]
        return SessionEnd(death_between(last, due), estimated=True)

    def beating(self, worker: str, now: int, beat_ms: int) -> bool:
        """Whether a worker is taken for alive at ``now``: it has not left, and its last beats were not all missed."""
        beat, close = self.beats.get(worker), self.closes.get(worker)
        return beat is not None and (close is None or close.at < beat) and now < beat + BEATS_MISSED * beat_ms

    def running(self, process: str, now: int, beat_ms: int) -> bool:
        """Whether an open attempt of this process may still come to its end."""
        return self.beating(self.worker_of(process), now, beat_ms) and not self._gone(process, {})

    def _gone(self, process: str, left: Mapping[str, int]) -> bool:
        """Whether a process is known to have been gone before its machine was: seen, replaced, or left."""
        started = self.processes.get(process)
        if process in self.process_ends or started is None:
            return True
        return started.worker in left or self._replaced(started) is not None

    def _replaced(self, started: ProcessStarted) -> int | None:
        """When the worker's next process began: it has one at a time, so that this one was dead by then."""
        if not started.worker:
            return None
        others = self.processes.values()
        return min((each.at for each in others if each.worker == started.worker and each.at > started.at), default=None)

    def worker_of(self, process: str) -> str:
        """The worker that a process belongs to."""
        started = self.processes.get(process)
        return started.worker if started else ""

    def process_death(self, process: str, end: SessionEnd, beat_ms: int) -> int:
        """When a process that left an attempt open died: seen by a survivor, or replaced by its worker's next one, or
        with its worker, or with its machine; whichever is first."""
        if process in self.process_ends:
            return min(self.process_ends[process], end.at)
        found = [end.at]
        started = self.processes.get(process)
        if started is None or not started.worker:
            return end.at
        mine = [name for name, other in self.processes.items() if other.worker == started.worker]
        found += [at for at in [self._replaced(started)] if at is not None]
        close = self.closes.get(started.worker)
        last = max(self.last_fact.get(name, started.at) for name in mine)
        beat = self.beats.get(started.worker)
        if close is not None and close.at >= max(last, beat or last):
            found.append(close.at)
        elif beat is not None and beat + beat_ms <= end.at:
            # The machine lived on without this worker.
            found.append(death_between(max(beat, last), [beat + beat_ms, *self.expected.get(process, ())]))
        return min(found)


def death_between(last: int, due: Iterable[int]) -> int:
    """The middle between the last sign of life and the first sign that should have come and did not: a beat, a result.

    Deaths do not know of beats, so each instant between the two is as likely as the other, and the middle is right on
    average. When nothing else was heard or due, that is half a beat interval after the last beat. Without anything due
    it is the last sign.
    """
    missed = [at for at in due if at > last]
    return (last + min(missed)) // 2 if missed else last


@dataclass
class Timelines:
    """All facts, each once."""

    #: Machines by session.
    timelines: dict[str, NodeTimeline]
    #: Ends by attempt.
    ends: dict[str, AttemptEnded]
    #: What is wrong with the facts, one line each, sorted.
    errors: tuple[str, ...]


def gather(facts: Iterable[Fact]) -> Timelines:
    """Puts the facts together. The same fact again is nothing; with another payload it is an error, listed by name.

    Which payload of several then holds must not depend on the order of reading: it is the least by its text.
    """
    kept: dict[FactKey, Fact] = {}
    beats: dict[tuple[str, str], tuple[int, int]] = {}
    twice: set[str] = set()
    for fact in facts:
        if type(fact) is Beat:
            # A beat says nothing but its instant, and there are more of them than of anything else.
            place = (fact.session, fact.worker)
            at = fact.at
            first, last = beats.get(place, (at, at))
            if not first < at < last:
                beats[place] = min(first, at), max(last, at)
            continue
        key = fact_key(fact)
        other = kept.setdefault(key, fact)
        if other is not fact and other != fact:
            twice.add(_named(key))
            kept[key] = min(other, fact, key=_payload)
    errors = [f"{name} is there twice, and differs" for name in twice]
    return _arrange(kept.values(), beats, errors)


def fact_key(fact: Fact) -> FactKey:
    """What must not be there twice with different payloads."""
    match fact:
        case AttemptEnded():
            return "attempt_ended", fact.attempt
        case AttemptStarted():
            return "attempt_started", fact.attempt
        case ProcessStarted():
            return "process_started", fact.process
        case ProcessEnded():
            return "process_ended", fact.process
        case EngineLoaded():
            return "engine_loaded", fact.process, fact.stage, fact.engine, fact.at
        case EngineTried():
            return "engine_tried", fact.process, fact.stage, fact.at
        case SessionOpened():
            return "session_opened", fact.session
        case SessionClosed():
            return "session_closed", fact.session, fact.worker, fact.at
        case PriceChanged():
            return "price_changed", fact.session, fact.at
        case Beat():
            return "beat", fact.session, fact.worker, fact.at


def _named(key: FactKey) -> str:
    return " ".join(str(part) for part in key if part != "")


def _payload(fact: Fact) -> str:
    """A text that is the same for equal facts: mappings by name."""
    fields = {name: getattr(fact, name) for name in fact.__struct_fields__}
    for name, value in fields.items():
        if isinstance(value, Mapping):
            fields[name] = sorted(value.items())
    return repr(fields)


def _arrange(facts: Iterable[Fact], beats: Mapping[tuple[str, str], tuple[int, int]], errors: list[str]) -> Timelines:
    timelines: dict[str, NodeTimeline] = {}
    ends: dict[str, AttemptEnded] = {}
    homes: dict[str, str] = {}
    late: list[Fact] = []

    def timeline(session: str) -> NodeTimeline:
        found = timelines.get(session)
        if found is None:
            found = timelines[session] = NodeTimeline(session)
        return found

    for (session, worker), (first, last) in beats.items():
        mine = timeline(session)
        mine.beats[worker] = last
        mine.first_beat = first if mine.first_beat is None else min(mine.first_beat, first)
    for fact in facts:
        match fact:
            case AttemptEnded():
                ends[fact.attempt] = fact
            case AttemptStarted():
                late.append(fact)
            case SessionOpened():
                timeline(fact.session).opened = fact
            case SessionClosed():
                closes = timeline(fact.session).closes
                held = closes.get(fact.worker)
                if held is None or (held.at, held.reason) < (fact.at, fact.reason):
                    closes[fact.worker] = fact
            case PriceChanged():
                timeline(fact.session).prices.append(fact)
            case ProcessStarted():
                homes[fact.process] = fact.session or fact.process
                mine = timeline(homes[fact.process])
                mine.processes[fact.process] = fact
                mine.note(fact.process, fact.at, fact.at)
            case _:
                late.append(fact)
    for fact in late:
        assert isinstance(fact, AttemptStarted | EngineLoaded | EngineTried | ProcessEnded)
        if fact.process not in homes:
            # Its first line is lost: the work stays in the books as a machine that nobody can price.
            homes[fact.process] = fact.process
            errors.append(f"process {fact.process} does not say whose it is")
        _place(timeline(homes[fact.process]), fact, ends)
    known = {attempt.attempt for each in timelines.values() for attempt in each.started}
    errors += [f"attempt {name} ended and never started" for name in ends.keys() - known]
    errors += [f"session {each.session} was never opened" for each in timelines.values() if _unopened(each)]
    return Timelines(timelines, ends, tuple(sorted(errors)))


def _place(timeline: NodeTimeline, fact: Fact, ends: Mapping[str, AttemptEnded]) -> None:
    match fact:
        case AttemptStarted():
            timeline.started.append(fact)
            end = ends.get(fact.attempt)
            timeline.note(fact.process, fact.at, fact.at if end is None else max(end.at, fact.at + end.engine_ms))
        case EngineLoaded():
            timeline.loads.append(fact)
            timeline.note(fact.process, fact.at - fact.seconds_ms, fact.at)
        case EngineTried():
            timeline.tries.append(fact)
            timeline.note(fact.process, fact.at - fact.tried_ms, fact.at)
        case ProcessEnded():
            timeline.process_ends[fact.process] = fact.at


def _unopened(timeline: NodeTimeline) -> bool:
    """A process without a node session is a machine of its own, and needs no opening."""
    return timeline.opened is None and timeline.session not in timeline.first_fact
