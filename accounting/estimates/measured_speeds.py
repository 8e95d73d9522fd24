"""How fast this store's engines were, by the hardware they ran on, and what they used: from finished attempts.

The journals are read here; what is made of the measured batches is `ledger.speed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from accounting.typed_facts import read_processes
from cache.store import Store
from journals.facts import AttemptEnded, AttemptStarted, EngineLoaded, FactError
from journals.node_session import NodeFacts, Opening, local_facts, read_opening
from ledger.speed import Measure, Speeds, measured_ms
from pipeline.stages import charged_by
from pipeline.stages.stage import ChargedBy

#: Hardware of engines that are called over the network: whose it is, nobody here knows.
ELSEWHERE = "the network"
#: Hardware of attempts whose machine left no description.
UNKNOWN = "a machine not described"


#: Hardware, stage and the engine's line.
Place = tuple[str, str, str]


@dataclass
class MeasuredSpeeds:
    """What was measured, by hardware, stage and engine."""

    #: Engine milliseconds for each millisecond of speech.
    time: dict[Place, Measure] = field(default_factory=dict)
    #: Milliseconds that one loading takes.
    load: dict[Place, Measure] = field(default_factory=dict)
    #: Tokens and characters of text, by stage, meter and engine; what runs it makes no difference.
    usage: dict[tuple[str, str, str], Measure] = field(default_factory=dict)

    @property
    def hardware(self) -> tuple[str, ...]:
        """Everything that something was measured on; the network is none."""
        return tuple(sorted({place[0] for place in (*self.time, *self.load)} - {ELSEWHERE}))

    def time_on(self, hardware: str, stage: str, engine: str) -> Measure | None:
        """This engine's measure on this hardware, else `Measure.elsewhere` of where it was measured most."""
        return _on(self.time, hardware, stage, engine)

    def load_on(self, hardware: str, stage: str, engine: str) -> Measure | None:
        """As `time_on`, for loading it once."""
        return _on(self.load, hardware, stage, engine)

    def usage_of(self, stage: str, engine: str, meter: str) -> tuple[Measure, str] | None:
        """This engine's own measure, else that of the stage's engine with the most batches; and whose it is."""
        own = self.usage.get((stage, meter, engine))
        if own is not None:
            return own, engine
        others = [(one.elsewhere(), whose) for (*what, whose), one in self.usage.items() if what == [stage, meter]]
        return max(others, key=lambda pair: (pair[0].batches, pair[1]), default=None)


def _on(measures: Mapping[Place, Measure], hardware: str, stage: str, engine: str) -> Measure | None:
    for own in (hardware, ELSEWHERE):
        if (found := measures.get((own, stage, engine))) is not None:
            return found
    others = [found for (_, *work), found in measures.items() if work == [stage, engine]]
    best = max(others, key=lambda one: (one.batches, one.hardware), default=None)
    return None if best is None else best.elsewhere()


# -- hardware ------------------------------------------------------------------------------------------------


def hardware_of(machine: NodeFacts | None) -> str:
    """What a machine computes with: ``Tesla T4``, or ``cpu`` and its size or else its host."""
    if machine is None:
        return UNKNOWN
    if machine.gpu_names:
        return machine.gpu_names[0]
    which = machine.size or machine.host
    return f"cpu of {which}" if which else "cpu"


def hardware_here() -> str:
    """This machine, as its own runs are noted."""
    return hardware_of(local_facts())


# -- measuring -----------------------------------------------------------------------------------------------


def measure_speeds(store: Store) -> MeasuredSpeeds:
    """Reads every journal of attempts once. Raises StoreError."""
    times, loads, usage = Speeds[Place](), Speeds[Place](), Speeds[Place]()
    machines: dict[str, str] = {}
    # `segue ledger` names and counts lines that cannot be read; an estimate goes on without them.
    for process in read_processes(store, []):
        if process.session not in machines:
            machines[process.session] = hardware_of(_opening(store, process.session))
        hardware = machines[process.session]
        begun: dict[str, AttemptStarted] = {}
        for fact in process.facts:
            if isinstance(fact, AttemptStarted):
                begun[fact.attempt] = fact
            elif isinstance(fact, EngineLoaded):
                loads.note((hardware, fact.stage, fact.engine), fact.seconds_ms, 1)
            elif isinstance(fact, AttemptEnded) and (started := begun.pop(fact.attempt, None)) is not None:
                audio_ms = measured_ms(started, fact)
                where = ELSEWHERE if started.remote else hardware
                times.note((where, started.stage, started.engine), fact.engine_ms, audio_ms)
                for meter, amount in _text_usage(started, fact).items():
                    usage.note((started.stage, meter, started.engine), amount, audio_ms)
    return MeasuredSpeeds(
        {place: times.measure(place, place[0]) for place in times},
        {place: loads.measure(place, place[0]) for place in loads},
        {place: usage.measure(place) for place in usage},
    )


def _opening(store: Store, session: str) -> Opening | None:
    try:
        return read_opening(store, session)
    except FactError:
        # A damaged description is the ledger's to name; what ran there was still measured.
        return None


def _text_usage(begun: AttemptStarted, ended: AttemptEnded) -> dict[str, int]:
    """What an API would have counted of a text; nothing of one that was made up."""
    if charged_by(begun.stage) is not ChargedBy.TEXT or begun.fake:
        return {}
    counts = {name: ended.usage.get(name, 0) for name in ("input_tokens", "output_tokens")}
    counts["characters"] = begun.estimated.get("characters", 0)
    return {meter: amount for meter, amount in counts.items() if amount}
