"""What a job did not have to do: silence, units that were there already, and what a resume did not repeat."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction

from accounting.report import Avoided
from accounting.verdicts.workload import Fates, JobContent
from core.money import Money
from journals.facts import AttemptEnded, AttemptStarted, UnitUse
from ledger.entries import Bucket, LedgerEntry
from pipeline.stages import main_stages, with_parts
from pipeline.stages.stage import Spared, Stage, StageUsage

_WORK = frozenset({Bucket.BUSY, Bucket.LOST, Bucket.DUPLICATE})


class Computed:
    """What attempts took and cost, unit by unit: an attempt's time is shared by its units' speech."""

    def __init__(
        self, attempts: Mapping[str, AttemptStarted], ended: Mapping[str, AttemptEnded], entries: Iterable[LedgerEntry]
    ) -> None:
        self.attempts, self.ended = attempts, ended
        self._nano: dict[str, dict[str, int]] = {}
        self._ms: dict[str, int] = {}
        for entry in entries:
            if entry.attempt in attempts and entry.bucket in _WORK:
                held = self._nano.setdefault(entry.attempt, {})
                held[entry.currency] = held.get(entry.currency, 0) + entry.nano
                self._ms[entry.attempt] = self._ms.get(entry.attempt, 0) + entry.unit_ms

    def cost(self, attempt: AttemptStarted, key: str, currency: str) -> tuple[Fraction, Fraction | None]:
        """(engine ms, nano-units of ``currency`` or None) of one unit of an attempt; a unit that the engine was stopped
        before took nothing."""
        end = self.ended.get(attempt.attempt)
        begun = _begun(attempt, end)
        audio = sum(unit.audio_ms for unit in begun)
        mine = next((unit for unit in begun if unit.key == key), None)
        share = Fraction(0)
        if mine is not None:
            share = Fraction(mine.audio_ms, audio) if audio else Fraction(1, len(begun))
        ms = end.engine_ms if end is not None else self._ms.get(attempt.attempt, 0)
        nano = self._nano.get(attempt.attempt, {}).get(currency)
        return ms * share, None if nano is None else nano * share

    def measured(self, stage: str, engine: str, currency: str, keys: Collection[str]) -> StageUsage:
        """What ended batches of an engine took together: those with a unit of ``keys`` in them, or all where there is
        none. Nothing of a batch that a death took, nor of units that the engine was stopped before.
        """
        ended = [
            (attempt, end)
            for name, end in self.ended.items()
            if (attempt := self.attempts.get(name)) is not None and (attempt.stage, attempt.engine) == (stage, engine)
        ]
        own = [(attempt, end) for attempt, end in ended if any(unit.key in keys for unit in attempt.units)]
        units, ms, nano, unknown = 0, 0, 0, False
        for attempt, end in own or ended:
            units += len(_begun(attempt, end))
            ms += end.engine_ms
            paid = self._nano.get(attempt.attempt, {}).get(currency)
            unknown = unknown or (paid is None and end.engine_ms > 0)
            nano += paid or 0
        usage = tuple(end.usage for _, end in own or ended)
        return StageUsage(units, ms, None if unknown else nano, usage)


def _begun(attempt: AttemptStarted, end: AttemptEnded | None) -> tuple[UnitUse, ...]:
    """The units that the engine did not leave."""
    return tuple(unit for unit in attempt.units if end is None or unit.key not in end.left)


def avoided_by(
    content: JobContent,
    fates: Fates,
    computed: Computed,
    made_by: Mapping[str, str],
    resumed_at: Sequence[int],
    currency: str,
) -> tuple[Avoided, ...]:
    """The kinds that apply. ``resumed_at`` are the instants at which the job was taken up again after a death."""
    found = [_silence(content, computed, currency), _cache(fates, computed, made_by, currency)]
    found.append(_resume(fates, computed, made_by, resumed_at, currency))
    return tuple(each for each in found if each is not None)


def _silence(content: JobContent, computed: Computed, currency: str) -> Avoided | None:
    """Media that no engine was given, and what the stages say that giving it to them would have taken besides."""
    plan = content.plan
    spared = [found for stage in main_stages() if (found := _spared(stage, content, computed, currency)) is not None]
    if not spared:
        return None
    media_ms = max(plan.media.duration_ms - content.speech_ms, 0)
    why = "; ".join(each.basis for each in spared)
    basis = f"{media_ms} of {plan.media.duration_ms} ms of media were given to no engine, {why}"
    ms, nano = _sum(each.ms for each in spared), _sum(each.nano for each in spared)
    paid = None if nano is None else Money(round(nano), currency)
    return Avoided("silence", media_ms, 0, None if ms is None else round(ms), paid, False, basis)


def _spared(stage: Stage, content: JobContent, computed: Computed, currency: str) -> Spared | None:
    plan = content.plan
    if not stage.active(plan.settings):
        return None
    took = {
        part.name: computed.measured(part.name, plan.settings.engines[part.role].describe(), currency, content.keys)
        for part in with_parts(stage.name)
    }
    return stage.spared_by_silence(plan, content.work.results, took)


def _sum(values: Iterable[Fraction | None]) -> Fraction | None:
    """None as soon as one of them is not known."""
    total = Fraction(0)
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _cache(fates: Fates, computed: Computed, made_by: Mapping[str, str], currency: str) -> Avoided | None:
    if not fates.cached:
        return None
    basis = "computed before this job wanted them; as measured where they were computed"
    return _units("cache", sorted(fates.cached), computed, made_by, currency, basis)


def _resume(
    fates: Fates, computed: Computed, made_by: Mapping[str, str], resumed_at: Sequence[int], currency: str
) -> Avoided | None:
    """What was finished when the job was taken up again after a death, once for each time.

    Whoever stops a run, or lets a budget stop it, was not going to lose anything by it.
    """
    again: list[str] = []
    for at in resumed_at:
        for key in sorted(fates.paid):
            attempt = computed.attempts.get(made_by.get(key, ""))
            if attempt is not None and attempt.at < at:
                again.append(key)
    if not again:
        return None
    times = len(resumed_at)
    basis = f"finished before a death after which the job was taken up again ({times} times); as measured then"
    return _units("resume", again, computed, made_by, currency, basis)


def _units(
    kind: str, keys: Collection[str], computed: Computed, made_by: Mapping[str, str], currency: str, basis: str
) -> Avoided:
    ms, nano, media_ms, unknown, measured = Fraction(0), Fraction(0), 0, False, True
    for key in keys:
        attempt = computed.attempts.get(made_by.get(key, ""))
        if attempt is None:
            unknown, measured = True, False
            continue
        took, cost = computed.cost(attempt, key, currency)
        measured = measured and attempt.attempt in computed.ended
        media_ms += next((unit.audio_ms for unit in attempt.units if unit.key == key), 0)
        ms += took
        unknown = unknown or cost is None
        nano += cost or 0
    return Avoided(
        kind, media_ms, len(keys), round(ms), None if unknown else Money(round(nano), currency), measured, basis
    )
