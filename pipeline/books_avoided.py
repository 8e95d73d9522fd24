"""What a job did not have to do: silence, units that were there already, and what a resume did not repeat."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction

from core.money import Money
from ledger.entries import Bucket, Entry
from ledger.facts import AttemptEnded, AttemptStarted
from pipeline.books_report import Avoided
from pipeline.books_workload import Fates, JobContent
from pipeline.stages import Stage

_WORK = frozenset({Bucket.BUSY, Bucket.LOST, Bucket.DUPLICATE})


class Computed:
    """What attempts took and cost, unit by unit: an attempt's time is shared by its units' speech."""

    def __init__(
        self, attempts: Mapping[str, AttemptStarted], ended: Mapping[str, AttemptEnded], entries: Iterable[Entry]
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
        """(engine ms, nano-units of ``currency`` or None) of one unit of an attempt."""
        audio = sum(unit.audio_ms for unit in attempt.units)
        mine = next((unit.audio_ms for unit in attempt.units if unit.key == key), 0)
        share = Fraction(mine, audio) if audio else Fraction(1, max(len(attempt.units), 1))
        end = self.ended.get(attempt.attempt)
        ms = end.engine_ms if end is not None else self._ms.get(attempt.attempt, 0)
        nano = self._nano.get(attempt.attempt, {}).get(currency)
        return ms * share, None if nano is None else nano * share

    def rate(self, stage: str, engine: str, currency: str) -> tuple[Fraction, Fraction | None] | None:
        """(engine ms, nano-units or None) that a ms of speech takes this engine; None when it never ended a batch.

        The nano-units are None as soon as one of its batches has no price.
        """
        audio, ms, nano = 0, 0, 0
        unknown = False
        for name, end in self.ended.items():
            attempt = self.attempts.get(name)
            if attempt is None or attempt.stage != stage or (engine and attempt.engine != engine):
                continue
            audio += sum(unit.audio_ms for unit in attempt.units)
            ms += end.engine_ms
            paid = self._nano.get(name, {}).get(currency)
            unknown = unknown or (paid is None and end.engine_ms > 0)
            nano += paid or 0
        if not audio:
            return None
        return Fraction(ms, audio), None if unknown else Fraction(nano, audio)


def avoided_by(
    content: JobContent,
    fates: Fates,
    computed: Computed,
    made_by: Mapping[str, str],
    wanted_at: Sequence[int],
    currency: str,
) -> tuple[Avoided, ...]:
    """The kinds that apply. ``wanted_at`` are the instants at which the job began to be worked on."""
    found = [_silence(content, computed, currency), _cache(fates, computed, made_by, currency)]
    found.append(_resume(fates, computed, made_by, wanted_at, currency))
    return tuple(each for each in found if each is not None)


def _silence(content: JobContent, computed: Computed, currency: str) -> Avoided | None:
    """Media that no engine was given, at the rate at which this job's own engine took what it was given."""
    spec = content.plan.settings.transcriber
    if spec is None:
        return None
    media_ms = max(content.plan.media.duration_ms - content.speech_ms, 0)
    rate = computed.rate(Stage.TRANSCRIBE.value, spec.describe(), currency)
    share = f"{media_ms} of {content.plan.media.duration_ms} ms of media were given to no engine"
    if rate is None:
        why = f"{share}; no batch of {spec.describe()} was measured"
        return Avoided("silence", media_ms, 0, None, None, False, why)
    ms, nano = rate
    amount = None if nano is None else Money(round(media_ms * nano), currency)
    basis = f"{share}; at the measured rate of {spec.describe()} on this job's speech"
    return Avoided("silence", media_ms, 0, round(media_ms * ms), amount, False, basis)


def _cache(fates: Fates, computed: Computed, made_by: Mapping[str, str], currency: str) -> Avoided | None:
    if not fates.cached:
        return None
    basis = "computed before this job wanted them; as measured where they were computed"
    return _units("cache", sorted(fates.cached), computed, made_by, currency, basis)


def _resume(
    fates: Fates, computed: Computed, made_by: Mapping[str, str], wanted_at: Sequence[int], currency: str
) -> Avoided | None:
    """What was finished when the job was taken up again, once for each time."""
    again: list[str] = []
    for at in sorted(set(wanted_at))[1:]:
        for key in sorted(fates.paid):
            attempt = computed.attempts.get(made_by.get(key, ""))
            if attempt is not None and attempt.at < at:
                again.append(key)
    if not again:
        return None
    times = len(set(wanted_at)) - 1
    basis = f"finished before the job was taken up again ({times} times); as measured when they were computed"
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
