"""A fleet that never was: machines with every misfortune, the facts they would have left, and what is true of them.

Everything comes from one seed. The truth is kept apart from the facts, so that a test can reckon it another way.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from journals.facts import (
    AttemptEnded,
    AttemptStarted,
    Beat,
    DemandInterval,
    EngineLoaded,
    EngineTried,
    Fact,
    PriceChanged,
    ProcessEnded,
    ProcessStarted,
    SessionClosed,
    SessionOpened,
    UnitUse,
)
from ledger.price_book.prices import Confidence, Meter, PriceBook, PriceRow

#: 2026-12-01T00:00:00Z, where prices change.
MONTH_EDGE = 1_796_083_200_000
BEAT_MS = 10_000
MINUTE = 60_000
HOUR = 3_600_000

TRANSCRIBER = "faster-whisper base int8"
VLLM = "openai gemma-3-27b"
API = "openai whisper-1"
LLM = "openai gpt-4o-mini"
UNKNOWN = "openai model-of-tomorrow"


def row(name: str, provider: str, meter: Meter, sku: str, price: str, **more: object) -> PriceRow:
    """A row of a book, with everything that a test does not care about."""
    fields = {
        "per": 1,
        "currency": "USD",
        "effective_from": 0,
        "effective_to": None,
        "observed_at": date(2026, 11, 1),
        "source_url": "https://prices.example/list",
        "confidence": Confidence.LIST,
        **more,
    }
    return PriceRow(id=name, provider=provider, meter=meter, sku=sku, unit_price=Decimal(price), **fields)  # type: ignore[arg-type]


def price_book() -> PriceBook:
    """Machines that cost another price after the month's edge, one that is billed by the hour, one in euros, one that
    is priced by its GPUs, and APIs for each meter."""
    old, new = {"effective_to": MONTH_EDGE}, {"effective_from": MONTH_EDGE}
    second = {"billing_increment": Decimal(1), "minimum_quantity": Decimal(60)}
    aws = {"spot": True, "region": "us-east-1", **second}
    return PriceBook(
        (
            (
                row("aws/g4dn/11", "aws", Meter.NODE_HOUR, "g4dn.xlarge", "0.1578", **aws, **old),
                row("aws/g4dn/12", "aws", Meter.NODE_HOUR, "g4dn.xlarge", "0.2113", **aws, **new),
                row("aws/g4dn/od", "aws", Meter.NODE_HOUR, "g4dn.xlarge", "0.526", **second),
                row("azure/t4/11", "azure", Meter.NODE_HOUR, "NC4as", "0.149", spot=True, **old),
                row("azure/t4/12", "azure", Meter.NODE_HOUR, "NC4as", "0.204", spot=True, **new),
                row("gcp/l4", "gcp", Meter.GPU_HOUR, "g2-standard-8", "0.7", billing_increment=Decimal(3600)),
                row("hetzner/gex", "hetzner", Meter.NODE_HOUR, "GEX44", "0.2949", currency="EUR", **new),
                row(
                    "openai/whisper-1",
                    "openai",
                    Meter.AUDIO_SECOND,
                    "whisper-1",
                    "0.006",
                    per=60,
                    minimum_quantity=Decimal(10),
                ),
                row("openai/mini/in", "openai", Meter.INPUT_TOKEN, "gpt-4o-mini", "0.15", per=1_000_000),
                row("openai/mini/out", "openai", Meter.OUTPUT_TOKEN, "gpt-4o-mini", "0.60", per=1_000_000),
            ),
        )
    )


#: Cloud, size, region, spot, GPUs.
_MACHINES = (
    ("aws", "g4dn.xlarge", "us-east-1", True, 1),
    ("aws", "g4dn.xlarge", "us-east-1", None, 1),
    ("azure", "NC4as", "westeurope", True, 1),
    ("gcp", "g2-standard-8", "europe-west4", False, 2),
    ("hetzner", "GEX44", "fsn1", False, 1),
    ("", "", "", None, 0),
)


@dataclass
class Machine:
    """What is true of one machine."""

    opened: SessionOpened
    #: When it really ended.
    death: int
    #: When a worker said that it left, and why; None for a death.
    close: SessionClosed | None
    #: Price steps, in order.
    changes: list[PriceChanged] = field(default_factory=list)
    #: Last beat of each worker.
    beats: dict[str, int] = field(default_factory=dict)
    #: (first, last instant, attempt) of whatever was active.
    spans: list[tuple[int, int, str]] = field(default_factory=list)


@dataclass
class Fleet:
    """A fleet's facts, and what is true of it."""

    facts: list[Fact] = field(default_factory=list)
    made_by: dict[str, str] = field(default_factory=dict)
    made_at: dict[str, int] = field(default_factory=dict)
    wants: list[DemandInterval] = field(default_factory=list)
    machines: list[Machine] = field(default_factory=list)


class Simulation:
    """Makes a fleet from a seed."""

    def __init__(self, seed: int, machines: int = 3, minutes: int = 75) -> None:
        self._rng = random.Random(seed)
        self._minutes = minutes
        self.fleet = Fleet()
        self._keys = [f"key{seed}-{number}" for number in range(60)]
        self._jobs = [f"job{number}" for number in range(1, 5)]
        self._count = 0
        for number in range(self._rng.randint(1, machines)):
            self._machine(f"vm{number}")
        self._embedded()
        self._want()

    def _machine(self, session: str) -> None:
        rng = self._rng
        cloud, size, region, spot, gpus = rng.choice(_MACHINES)
        # Half of them live across the month's edge.
        life = rng.randint(1, rng.choice((50_000, 15 * MINUTE, self._minutes * MINUTE)))
        start = MONTH_EDGE - rng.randint(0, 2 * life)
        price = rng.choice(("", "", "0.3333 USD", "0.1 EUR"))
        opened = SessionOpened(session, start, cloud, size, region, "", spot, ("T4",) * gpus, price)
        death = start + life
        reason = rng.choice(("", "", "aws: terminate", "aws: terminate", "nothing to do for 60 s"))
        machine = Machine(opened, death, SessionClosed(session, death, reason, "w0") if reason else None)
        if price and rng.random() < 0.6:
            currency = price.split()[1]
            for _ in range(rng.randint(1, 3)):
                at = rng.randint(start - 5, death + 5)
                machine.changes.append(PriceChanged(session, at, f"0.{rng.randint(1, 9999):04d} {currency}"))
            machine.changes = list({change.at: change for change in machine.changes}.values())
            machine.changes.sort(key=lambda change: change.at)
        self.fleet.machines.append(machine)
        workers = rng.randint(1, 3)
        for number in range(workers):
            # The first worker lives as long as the machine; others may be killed before.
            end = death if number == 0 or rng.random() < 0.6 else rng.randint(start, death)
            self._worker(machine, f"w{number}", end)
        self.fleet.facts += [opened, *machine.changes, *([machine.close] if machine.close else [])]

    def _worker(self, machine: Machine, worker: str, end: int) -> None:
        session, at = machine.opened.session, machine.opened.at
        beat = at
        while beat < end:
            self.fleet.facts.append(Beat(session, beat, worker))
            machine.beats[worker] = beat
            beat += BEAT_MS
        while at < end:
            at = self._process(machine, worker, at + self._rng.randint(0, MINUTE), end)

    def _process(self, machine: Machine, worker: str, at: int, end: int) -> int:
        """One process from ``at``; returns when it is gone."""
        rng, facts = self._rng, self.fleet.facts
        if at >= end:
            return end
        self._count += 1
        process = f"p{self._count}"
        facts.append(ProcessStarted(process, machine.opened.session, worker, at))
        at += rng.randint(1, 30_000)
        if at < end:
            engine = rng.choice((TRANSCRIBER, VLLM, "fake"))
            facts.append(EngineLoaded(process, "transcribe", engine, at, rng.randint(0, 20_000)))
        for number in range(rng.randint(1, 6)):
            if at >= end:
                return end
            at, alive = self._attempt(machine, process, number, at, end)
            if not alive:
                if rng.random() < 0.5:
                    facts.append(ProcessEnded(process, at))
                return at
        if at + 5000 < end and rng.random() < 0.2:
            facts.append(EngineTried(process, "transcribe", at + 5000, rng.randint(0, 5000)))
        return at + 5000

    def _attempt(self, machine: Machine | None, process: str, number: int, at: int, end: int) -> tuple[int, bool]:
        """One attempt; returns when it was over and whether its process still lives."""
        rng, fleet = self._rng, self.fleet
        engine = rng.choice((TRANSCRIBER, TRANSCRIBER, VLLM, API, LLM, UNKNOWN, "fake"))
        stage = rng.choice(("transcribe", "translate"))
        attempt = f"{process}/{stage}/{number}"
        speech = rng.choice((0, 1, 700, 12_345))
        units = tuple(
            UnitUse(key, speech and rng.randint(1, 30_000), rng.choice(self._jobs))
            for key in rng.sample(self._keys, rng.randint(1, 5))
        )
        provider = engine.split()[0]
        usage = _usage(rng, engine, units)
        fleet.facts.append(
            AttemptStarted(
                attempt, process, stage, at, engine, provider, engine == "fake", provider == "openai", units, usage
            )
        )
        over = at + rng.randint(1, 4 * MINUTE)
        killed = over >= end or rng.random() < 0.12
        if killed:
            over = min(over, end)
        finished = [unit for unit in units if rng.random() < (0.4 if killed else 0.95)]
        for unit in finished:
            # Whoever is first makes the record; a zombie's work is double.
            if unit.key not in fleet.made_by:
                fleet.made_by[unit.key] = attempt
                fleet.made_at[unit.key] = rng.randint(at, over)
        if not killed:
            used = {name: count * rng.choice((1, 1, 2)) for name, count in usage.items()}
            fleet.facts.append(AttemptEnded(attempt, over + rng.randint(0, 50), over - at, len(finished), used))
        if machine is not None:
            machine.spans.append((at, over, attempt))
        gap = 0 if rng.random() < 0.5 else rng.randint(0, 30_000)
        return over + (0 if killed else gap), not killed

    def _embedded(self) -> None:
        """A run on somebody's own machine, which nobody prices."""
        if self._rng.random() < 0.5:
            return
        self.fleet.facts.append(ProcessStarted("embedded", "", "", MONTH_EDGE - 5))
        self._attempt(None, "embedded", 1, MONTH_EDGE - 2, MONTH_EDGE + HOUR)

    def _want(self) -> None:
        for job in self._jobs:
            at = MONTH_EDGE + self._rng.randint(-4 * HOUR, HOUR)
            until = self._rng.choice((None, at + self._rng.randint(0, 6 * HOUR)))
            keys = frozenset(self._rng.sample(self._keys, self._rng.randint(0, 50)))
            languages = {key: self._rng.choice(("de", "pl")) for key in sorted(keys)}
            owner, labels = self._rng.choice(("ann", "bob")), {"team": self._rng.choice(("a", "b"))}
            self.fleet.wants.append(DemandInterval(job, owner, labels, at, until, keys, languages))


def _usage(rng: random.Random, engine: str, units: tuple[UnitUse, ...]) -> dict[str, int]:
    audio = sum(unit.audio_ms for unit in units)
    if engine in (API, UNKNOWN):
        return {"audio_ms": audio, "requests": rng.choice((len(units), len(units), len(units) + 2))}
    if engine in (LLM, VLLM):
        tokens = {"input_tokens": rng.randint(0, 5000), "output_tokens": rng.randint(0, 900)}
        return {"audio_ms": audio, "requests": len(units), **tokens}
    return {"audio_ms": audio}


def simulate(seed: int, machines: int = 3, minutes: int = 75) -> Fleet:
    """The fleet of this seed."""
    return Simulation(seed, machines, minutes).fleet
