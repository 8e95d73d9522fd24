"""What a job did not have to do: silence, units that were there already, and what a resume did not repeat."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from core.money import Money
from ledger.entries import Bucket, Entry
from ledger.facts import AttemptEnded, AttemptStarted
from pipeline.books_report import Avoided
from pipeline.books_workload import Fates, JobContent
from pipeline.stages import Stage

#: Longest window of plans that do not say theirs, in ms.
WINDOW_MS = 29_000
#: The encoder's part of what a window of speech takes, where nothing measured it. `bench/silence_bench.py` found 0.41
#: and 0.51 with base in int8 on a CPU; other models and devices differ, which is why a measured pass comes first.
ENCODER_PART = Fraction(2, 5)

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

    def measured(self, stage: str, engine: str, currency: str) -> Measured:
        """What all ended batches of an engine took together; nothing of a batch that a death took."""
        units, ms, nano, unknown = 0, 0, 0, False
        for name, end in self.ended.items():
            attempt = self.attempts.get(name)
            if attempt is None or attempt.stage != stage or attempt.engine != engine:
                continue
            units += len(attempt.units)
            ms += end.engine_ms
            paid = self._nano.get(name, {}).get(currency)
            unknown = unknown or (paid is None and end.engine_ms > 0)
            nano += paid or 0
        return Measured(units, ms, None if unknown else nano)


@dataclass(frozen=True)
class Measured:
    """What batches of one stage took."""

    #: Windows in them.
    units: int
    #: Engine time.
    ms: int
    #: What it cost; None as soon as one of them has no price.
    nano: int | None


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
    """Media that no engine was given, and what the windows cost that it would have taken.

    Whisper's encoder hears 30 s whatever is in them, and its decoder writes as much text with silence around the
    speech as without. So what skipping saves is a pass of the encoder for each window that the plan does without,
    not the engine's time for as much speech (`bench/silence_bench.py` measures it).
    """
    plan = content.plan
    spec = plan.settings.transcriber
    if spec is None:
        return None
    media_ms = max(plan.media.duration_ms - content.speech_ms, 0)
    without = windows_without_skipping(plan.media.duration_ms, plan.settings.segmenter)
    share = f"{media_ms} of {plan.media.duration_ms} ms of media were given to no engine"
    windows = f"{len(plan.windows)} windows instead of {without}"
    heard, detected = (
        computed.measured(stage.value, spec.describe(), currency) for stage in (Stage.TRANSCRIBE, Stage.DETECT)
    )
    if not heard.units:
        why = f"{share}, {windows}; no batch of {spec.describe()} was measured"
        return Avoided("silence", media_ms, 0, None, None, False, why)
    passes = encoder_pass(heard, detected)
    spared = max(without - len(plan.windows), 0)
    nano = None if passes.nano is None else Money(round(spared * passes.nano), currency)
    basis = f"{share}, {windows}; at {round(passes.ms)} ms a window, {passes.basis}"
    return Avoided("silence", media_ms, 0, round(spared * passes.ms), nano, False, basis)


def windows_without_skipping(duration_ms: int, segmenter: Mapping[str, Any]) -> int:
    """How many windows of the plan's greatest length cover the media end to end."""
    params = segmenter.get("params")
    length = params.get("max_window_ms") if isinstance(params, Mapping) else None
    return -(-duration_ms // (length if type(length) is int and length > 0 else WINDOW_MS))


@dataclass(frozen=True)
class EncoderPass:
    """What one pass of a transcriber's encoder costs."""

    #: Engine time.
    ms: Fraction
    #: What it cost; None without a price.
    nano: Fraction | None
    #: Where the figure is from, in words.
    basis: str


def encoder_pass(heard: Measured, detected: Measured) -> EncoderPass:
    """Measured where a language was decided by vote, which is a pass and hardly more; else a part of a window's time.

    Windows that voted are not encoded again, so both stages together are what hearing took. ``heard`` has units.
    """
    voted = detected.units > 0 and detected.ms > 0
    basis = "as language detection took" if voted else f"{ENCODER_PART} of what this job's windows took (assumed)"

    def one(hearing: int, voting: int) -> Fraction:
        window = Fraction(hearing + voting, heard.units)
        return min(Fraction(voting, detected.units), window) if voted else window * ENCODER_PART

    nano = None if heard.nano is None or detected.nano is None else one(heard.nano, detected.nano)
    return EncoderPass(one(heard.ms, detected.ms), nano, basis)


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
