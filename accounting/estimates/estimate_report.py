"""What can be said of media before anything is spent, ready to be shown: times, amounts and where they are from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger.api import Basis, Counterfactual
from ledger.exchange import Exchanged
from ledger.speed import Spread


@dataclass(frozen=True)
class FileEstimate:
    """One media file."""

    media: Path
    #: Why nothing can be said of it; empty when it can.
    problem: str = ""
    duration_ms: int = 0
    speech_ms: int = 0
    segments: tuple[int, ...] = ()
    #: Speech of each window.
    windows: tuple[int, ...] = ()
    #: Stage -> (units, units to compute, speech of these in ms).
    units: Mapping[str, tuple[int, int, int]] | None = None
    #: Whether captions were given, so that nothing is transcribed.
    captions: bool = False

    def of(self, stage: str) -> tuple[int, int, int]:
        """Its units of a stage; found ones are counted as well."""
        return (self.units or {}).get(stage, (0, 0, 0))

    def as_json(self) -> dict[str, Any]:
        """Lengths in ms."""
        units = self.units or {}
        return {
            "media": str(self.media),
            "problem": self.problem,
            "duration_ms": self.duration_ms,
            "speech_ms": self.speech_ms,
            "skipped_ms": self.duration_ms - self.speech_ms,
            "segments": len(self.segments),
            "windows": len(self.windows),
            "units": {stage: {"total": each[0], "compute": each[1]} for stage, each in units.items()},
        }


@dataclass(frozen=True)
class StageEstimate:
    """What one stage takes here."""

    stage: str
    engine: str
    #: Speech to compute, once for each language.
    audio_ms: int
    #: Engine time in ms; None when this engine was never measured here.
    engine_ms: Spread | None
    #: Loading the engine once, in ms; None when that was never measured.
    load_ms: Spread | None
    #: Batches it was measured on.
    batches: int
    fake: bool
    #: What it was measured on; empty when it never was, and where nothing is left to compute.
    measured_on: str = ""
    #: Whether that is not what it will run on: the range is then as wide as with one batch.
    other_hardware: bool = False

    def as_json(self) -> dict[str, Any]:
        """Times in ms; null where nothing was measured."""
        return {
            "stage": self.stage,
            "engine": self.engine,
            "fake": self.fake,
            "audio_ms": self.audio_ms,
            "engine_ms": None if self.engine_ms is None else self.engine_ms.as_json(),
            "load_ms": None if self.load_ms is None else self.load_ms.as_json(),
            "measured_batches": self.batches,
            "measured_on": self.measured_on,
            "other_hardware": self.other_hardware,
        }


@dataclass(frozen=True)
class TextEstimate:
    """What APIs would count of a stage whose work is text."""

    stage: str
    #: By meter, over all files.
    usage: Mapping[str, Spread]
    #: Where it is from, in words.
    rests_on: str


@dataclass(frozen=True)
class ApiEstimate:
    """One API's charge for one stage, sent in one way."""

    #: With the figure to show.
    like: Counterfactual
    #: Nano-units; None where it is unpriced.
    amount: Spread | None

    def as_json(self) -> dict[str, Any]:
        """As a counterfactual of the ledger, with a range for its amount."""
        return {**self.like.as_json(), "amount": None if self.amount is None else self.amount.as_json()}


@dataclass(frozen=True)
class ApiSum:
    """All stages at the cheapest API each, sent in one way."""

    #: Stage -> its charge, in one currency.
    parts: Mapping[str, ApiEstimate]
    #: The currency.
    currency: str
    #: Stages of which no API has a price in it: the sum is then unknown.
    missing: tuple[str, ...]

    @property
    def amount(self) -> Spread | None:
        """The sum, end by end; None where a stage has no price."""
        known = [one.amount for one in self.parts.values() if one.amount is not None]
        return None if self.missing or not known else sum(known[1:], known[0])

    @property
    def names(self) -> str:
        """``transcribe: openai whisper-1, translate: deepl v2``."""
        return ", ".join(f"{stage}: {one.like.provider} {one.like.model}" for stage, one in self.parts.items())

    def as_json(self) -> dict[str, Any]:
        """The amount in nano-units; null where it is unknown."""
        return {
            "amount": None if self.amount is None else self.amount.as_json(),
            "currency": self.currency,
            "by_stage": {stage: f"{one.like.provider}/{one.like.model}" for stage, one in self.parts.items()},
            "without_price": list(self.missing),
        }


@dataclass(frozen=True)
class Estimate:
    """Everything that can be said before anything is spent."""

    files: tuple[FileEstimate, ...]
    stages: tuple[StageEstimate, ...]
    apis: tuple[ApiEstimate, ...]
    #: For each stage whose work is text; empty where there is none.
    texts: tuple[TextEstimate, ...]
    #: ``0.149 USD`` an hour; empty when nobody says.
    node_rate: str
    #: What the work costs here in nano-units of `currency`: busy and loading time, and API fees; None: unpriced.
    here: Spread | None
    #: ISO 4217 code; empty while `here` is None.
    currency: str
    #: Why `here` is None; one line each.
    unpriced: tuple[str, ...]
    #: What will run it: a GPU's name, or ``cpu`` and which machine's.
    hardware: str = ""
    #: The exchange rates that it rests on.
    exchanged: Exchanged = field(default_factory=Exchanged)

    @property
    def usage(self) -> dict[str, Spread]:
        """Tokens and characters of all stages together, by meter."""
        total: dict[str, Spread] = {}
        for text in self.texts:
            for meter, spread in text.usage.items():
                total[meter] = total[meter] + spread if meter in total else spread
        return total

    @property
    def usage_rests_on(self) -> str:
        """Where the usage is from, in words."""
        return "; ".join(dict.fromkeys(text.rests_on for text in self.texts))

    @property
    def usable(self) -> tuple[FileEstimate, ...]:
        """Files that can be run."""
        return tuple(file for file in self.files if not file.problem)

    @property
    def unmeasured_loads(self) -> tuple[str, ...]:
        """Engines whose loading was never measured, so that `here` is without it."""
        return tuple(each.engine for each in self.stages if each.engine_ms is not None and each.load_ms is None)

    def api_bill(self, basis: Basis, currency: str = "USD") -> ApiSum:
        """One API bill for everything: of each stage the cheapest whose price was read at its source, and is sold."""
        currency = self.currency or currency
        offered = [api for api in self.apis if api.like.basis is basis]
        parts: dict[str, ApiEstimate] = {}
        for api in offered:
            amount, stage = api.like.amount, api.like.stage
            if api.amount is None or amount is None or amount.currency != currency:
                continue
            if api.like.verified and not api.like.retired:
                held = parts.get(stage)
                if held is None or held.amount is None or api.amount.point < held.amount.point:
                    parts[stage] = api
        stages = dict.fromkeys(api.like.stage for api in offered)
        return ApiSum(parts, currency, tuple(stage for stage in stages if stage not in parts))

    @property
    def done(self) -> bool:
        """Whether nothing is left to compute."""
        return bool(self.usable) and not any(file.of(each.stage)[1] for file in self.usable for each in self.stages)

    @property
    def without(self) -> tuple[str, ...]:
        """What `here` is without: loading where an engine's was never measured, and what is never in it."""
        if self.done:
            return ()
        return (*(("loading",) if self.unmeasured_loads else ()), "idle", "boot", "people")

    def as_json(self) -> dict[str, Any]:
        """The object that `segue estimate --json` prints; amounts in nano-units."""
        files = self.usable
        return {
            "media": [file.as_json() for file in self.files],
            "duration_ms": sum(file.duration_ms for file in files),
            "speech_ms": sum(file.speech_ms for file in files),
            "skipped_ms": sum(file.duration_ms - file.speech_ms for file in files),
            "stages": [stage.as_json() for stage in self.stages],
            "usage": {meter: spread.as_json() for meter, spread in self.usage.items()},
            "usage_rests_on": self.usage_rests_on,
            "here": {
                "hardware": self.hardware,
                "node_rate": self.node_rate,
                "currency": self.currency,
                "amount": None if self.here is None else self.here.as_json(),
                "unpriced": list(self.unpriced),
                "without": list(self.without),
            },
            "apis": [api.as_json() for api in self.apis],
            "api_bill": {
                basis.value: self.api_bill(basis).as_json() for basis in (Basis.SPEECH_ONLY, Basis.WHOLE_FILE)
            },
            "exchange": self.exchanged.as_json(),
        }
