"""What is left of a job: its ready set, rebuilt from the store at any time and advanced as results arrive.

A pure function of plan, records and recorded failures: every slot that the stages name is settled by a record, by a
recorded failure or by its stage's shortcut, waits for slots that it needs, or is ready. Presence in the store
schedules; what is read is verified by the store, and a record that turns out damaged is simply missing again.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cache.envelope import BlobRef, Record
from cache.store import Store
from core.keys import Key
from pipeline.job import Plan
from pipeline.stages import STAGES, find_stage, stage_named
from pipeline.stages.reading import language_of
from pipeline.stages.stage import Done, Failed, Inputs, Need, OnFailure, Results, Settled, Slot, Stage, Unit


@dataclass
class StageCount:
    """How far one stage of one job is, in units and in speech."""

    total: int = 0
    done: int = 0
    #: Found in the store when the job was opened.
    cached: int = 0
    failed: int = 0
    total_ms: int = 0
    done_ms: int = 0
    cached_ms: int = 0
    #: Done without an engine and without a record.
    shortcuts: int = 0


@dataclass
class JobWork:
    """One job's progress through its stages. Not thread-safe: its owner serialises access."""

    plan: Plan
    store: Store
    #: Recorded failures: unit key -> one line.
    failed: dict[Key, str]
    #: What is known of each slot that is settled.
    results: dict[Slot, Settled] = field(default_factory=dict)
    #: By stage, of the stages that have units in this job.
    counts: dict[str, StageCount] = field(default_factory=dict)
    #: The key of every slot that this job has asked the store for.
    units: dict[Slot, Key] = field(default_factory=dict)
    #: All of these keys.
    keys: set[Key] = field(default_factory=set)
    #: The blobs that the records found name, by key, of those that name any.
    blobs: dict[Key, tuple[BlobRef, ...]] = field(default_factory=dict)
    #: Units whose inputs are there and whose outputs are not, in the order in which they became ready.
    _ready: dict[Slot, Unit] = field(default_factory=dict)
    #: Slots that wait, and for how many others.
    _waiting: dict[Slot, int] = field(default_factory=dict)
    #: Slot -> those that wait for it.
    _needed_by: dict[Slot, list[Slot]] = field(default_factory=dict)
    #: Slot -> those that can do without it.
    _tolerated_by: dict[Slot, list[Slot]] = field(default_factory=dict)
    #: Slots that were settled and whose consequences are still to be drawn.
    _news: deque[Slot] = field(default_factory=deque)
    #: Stages that this job has.
    _active: tuple[Stage, ...] = ()
    #: By stage: those whose first slots were taken up; units and milliseconds that are known; slots not settled yet.
    _begun: set[str] = field(default_factory=set)
    _known: defaultdict[str, tuple[int, int]] = field(default_factory=lambda: defaultdict(lambda: (0, 0)))
    _pending: Counter[str] = field(default_factory=Counter)
    #: True while records found are from before this opening.
    _opening: bool = True

    @classmethod
    def open(cls, plan: Plan, store: Store, failed: Mapping[Key, str]) -> JobWork:
        """The job's ready set as the disk shows it now."""
        work = cls(plan, store, dict(failed))
        work._active = tuple(stage for stage in STAGES if stage.active(plan.settings))
        work.counts = {stage.name: StageCount() for stage in work._active if stage.role}
        for stage in work._active:
            work._begun.add(stage.name)
            work._add(stage, None)
            work._spread()
        work._opening = False
        return work

    # -- what to do next -------------------------------------------------------------------------------------

    @property
    def language(self) -> str:
        """The language that is spoken; empty while it is not known."""
        return language_of(self.results)

    def ready(self) -> tuple[Unit, ...]:
        """Units that can be run now."""
        return tuple(self._ready.values())

    @property
    def finished(self) -> bool:
        """True when nothing is left to wait for: every unit is done or has failed."""
        return not self._ready and not self._waiting

    @property
    def has_failures(self) -> bool:
        """True when something is missing from the outputs; a voter that failed while others decided is not."""
        return any(
            not any(isinstance(self.results.get(each), Done) for each in self._tolerated_by.get(slot, ()))
            for slot, settled in self.results.items()
            if isinstance(settled, Failed) and slot.stage in self.counts
        )

    # -- results ---------------------------------------------------------------------------------------------

    def settle(self, unit: Unit, record: Record) -> None:
        """Takes a unit's committed record into account."""
        if self._take(unit):
            self._note_done(unit.slot, record)
            self._spread()

    def fail(self, unit: Unit, reason: str) -> None:
        """Takes a unit's failure into account; what can do without it goes on."""
        if self._take(unit):
            self.failed[unit.key] = reason
            self._note(unit.slot, Failed(reason))
            self._spread()

    def _take(self, unit: Unit) -> bool:
        """Takes a unit out of the ready ones; False for what is settled, or was asked for when its slot read something
        else: the job has been planned anew since."""
        ready = self._ready.get(unit.slot)
        if ready is None or ready.key != unit.key:
            return False
        del self._ready[unit.slot]
        return True

    # -- building --------------------------------------------------------------------------------------------

    def _add(self, stage: Stage, changed: Slot | None) -> None:
        """Takes up the slots that the stage names, but for those that are known already."""
        for slot in stage.slots(self.plan, self.results, changed):
            if slot not in self.results and slot not in self._ready and slot not in self._waiting:
                if slot.stage in self.counts:
                    known = self._known[slot.stage]
                    self._known[slot.stage] = known[0] + 1, known[1] + stage.weight(self.plan, slot)
                self._pending[slot.stage] += 1
                self._enter(stage, slot)

    def _enter(self, stage: Stage, slot: Slot) -> None:
        """Puts a new slot in line behind those that it needs."""
        unmet = 0
        for need in stage.needs(self.plan, slot):
            if find_stage(need.slot.stage) is None and need.slot not in self.results:
                self.results[need.slot] = Failed(f"this Segue has no stage {need.slot.stage}")
            if need.on_failure is OnFailure.TOLERATED:
                self._tolerated_by.setdefault(need.slot, []).append(slot)
            if need.slot not in self.results:
                unmet += 1
                self._needed_by.setdefault(need.slot, []).append(slot)
        if unmet:
            self._waiting[slot] = unmet
        else:
            self._resolve(stage, slot)

    def _resolve(self, stage: Stage, slot: Slot) -> None:
        """A slot whose inputs are known is settled, or ready."""
        found = settle_or_key(stage, self.plan, slot, self.results)
        if not isinstance(found, Unit):
            if isinstance(found, Done) and slot.stage in self.counts:
                self.counts[slot.stage].shortcuts += 1
            self._note(slot, found)
            return
        self.units[slot] = found.key
        self.keys.add(found.key)
        if found.key in self.failed:
            self._note(slot, Failed(self.failed[found.key]))
            return
        record = self.store.get(found.key)
        if record is None:
            self._ready[slot] = found
        else:
            self._note_done(slot, record, cached=self._opening)

    def _note_done(self, slot: Slot, record: Record, *, cached: bool = False) -> None:
        if record.blobs:
            self.blobs[record.key] = record.blobs
        self._note(slot, Done(stage_named(slot.stage).decode(record.payload)), cached=cached)

    def _note(self, slot: Slot, settled: Settled, *, cached: bool = False) -> None:
        self.results[slot] = settled
        self._pending[slot.stage] -= 1
        self._news.append(slot)
        count = self.counts.get(slot.stage)
        if count is None:
            return
        if isinstance(settled, Failed):
            count.failed += 1
            return
        weight = stage_named(slot.stage).weight(self.plan, slot)
        count.done += 1
        count.done_ms += weight
        if cached:
            count.cached += 1
            count.cached_ms += weight

    def _spread(self) -> None:
        """Draws the consequences of what was settled: new slots, and slots that waited for it."""
        while self._news:
            changed = self._news.popleft()
            for stage in self._active:
                if changed.stage in stage.follows:
                    self._add(stage, changed)
            for slot in self._needed_by.pop(changed, ()):
                self._waiting[slot] -= 1
                if not self._waiting[slot]:
                    del self._waiting[slot]
                    self._resolve(stage_named(slot.stage), slot)
        for stage in self._active:
            if stage.name in self.counts:
                self._count_all(stage)

    def _count_all(self, stage: Stage) -> None:
        """How many units there are; about how many, as long as results may add some."""
        count, (units, audio_ms) = self.counts[stage.name], self._known[stage.name]
        more_units, more_ms = (0, 0) if self._is_closed(stage) else stage.expected(self.plan)
        count.total, count.total_ms = max(units, more_units), max(audio_ms, more_ms)

    def _is_closed(self, stage: Stage) -> bool:
        """True when nothing can add a slot to the stage any more."""
        return all(
            name in self._begun and not self._pending[name] and self._is_closed(stage_named(name))
            for name in stage.follows
            if name != stage.name
        ) and not (stage.name in stage.follows and self._pending[stage.name])


def inputs_of(needs: Iterable[Need], results: Results) -> Inputs | Failed:
    """What a slot reads, by slot; the failure that blocks it where there is one. All of it must be settled."""
    inputs: dict[Slot, Any] = {}
    for need in needs:
        settled = results[need.slot]
        if isinstance(settled, Failed) and need.on_failure is OnFailure.BLOCKING:
            return settled
        inputs[need.slot] = settled.value if isinstance(settled, Done) else None
    return inputs


def settle_or_key(stage: Stage, plan: Plan, slot: Slot, results: Results) -> Settled | Unit:
    """What becomes of a slot whose needs are settled: its result where no engine is needed, else its unit."""
    inputs = inputs_of(stage.needs(plan, slot), results)
    if isinstance(inputs, Failed):
        return inputs
    settled = stage.shortcut(plan, slot, inputs)
    if settled is not None:
        return settled
    spec = stage.spec(plan.settings, slot)
    key = stage.key(plan, slot, inputs, spec)
    return Unit(slot, plan.job_id, key, spec, stage.weight(plan, slot), inputs)


class Resolver:
    """Finds one job's units by their slots alone, from the plan and the records that they read.

    What it has read once it keeps: make one for each batch.
    """

    def __init__(self, plan: Plan, store: Store, failed: Mapping[Key, str]) -> None:
        self._plan, self._store, self._failed = plan, store, failed
        self._results: dict[Slot, Settled] = {}

    def unit(self, slot: Slot) -> Unit | None:
        """The unit of a slot; None while it cannot be ready, and where no engine is needed for it.

        A slot that the plan does not have has none.
        """
        stage = find_stage(slot.stage)
        if stage is None or not stage.active(self._plan.settings) or not 0 <= slot.window < len(self._plan.windows):
            return None
        found = self._find(stage, slot) if stage.has(self._plan, slot) else None
        return found if isinstance(found, Unit) else None

    def _find(self, stage: Stage, slot: Slot) -> Settled | Unit | None:
        for need in stage.needs(self._plan, slot):
            if need.slot not in self._results and not self._settle(need.slot):
                return None
        return settle_or_key(stage, self._plan, slot, self._results)

    def _settle(self, slot: Slot) -> bool:
        """Reads what a slot's result is; False while it has none."""
        stage = find_stage(slot.stage)
        if stage is None:
            return False
        found = self._find(stage, slot)
        if isinstance(found, Unit):
            record = None if found.key in self._failed else self._store.get(found.key)
            if found.key in self._failed:
                found = Failed(self._failed[found.key])
            else:
                found = Done(stage.decode(record.payload)) if record else None
        if found is None:
            return False
        self._results[slot] = found
        return True
