"""A fact as its line says it: one schema for whoever writes the line and whoever reads it.

Names and values are those on the disk: instants are ISO 8601 with milliseconds and a zone, seconds are texts with three
decimals. What a line leaves out has its default; names that are not ours are ignored, and so are kinds of facts that
cost nothing. Whose journal it is, the file's name says: `AttemptLine` and `NodeLine` are told it when they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, TypedDict, TypeVar, get_args

from msgspec import UNSET, Meta, Struct, UnsetType, convert, field, to_builtins
from msgspec.json import Decoder

from cache.journal import decode_body
from journals.facts import (
    MOST_USED,
    AttemptEnded,
    AttemptStarted,
    Beat,
    EngineLoaded,
    EngineTried,
    Fact,
    FactError,
    PriceChanged,
    ProcessEnded,
    ProcessStarted,
    SessionClosed,
    UnitUse,
    believable_counts,
    parse_instant,
    parse_seconds,
)

Count = Annotated[int, Meta(ge=0, le=MOST_USED)]
_NOTHING = frozenset[str]()


class JournalLine(Struct, frozen=True, kw_only=True, gc=False, tag_field="fact"):
    """What every line has."""

    #: When.
    at: str

    def entry(self) -> dict[str, Any]:
        """The line as a journal is given it."""
        found: dict[str, Any] = to_builtins(self)
        return found


class ProcessStartedLine(JournalLine, frozen=True, kw_only=True, tag="process_started"):
    """The first line of a process's journal."""

    #: Process session.
    session: str = ""
    #: Node session; the process session for an embedded run.
    node: str
    #: Worker; empty for an embedded run.
    worker: str
    #: Number of the operating system's process.
    pid: int = 0

    def fact(self, process: str) -> ProcessStarted:
        return ProcessStarted(process, self.node, self.worker, parse_instant(self.at))


class ProcessEndedLine(JournalLine, frozen=True, kw_only=True, tag="process_ended"):
    """The last line of a process's journal."""

    def fact(self, process: str) -> ProcessEnded:
        return ProcessEnded(process, parse_instant(self.at))


class UnitLine(Struct, frozen=True, gc=False):
    """One unit of a batch, as `AttemptStartedLine` has it."""

    #: Key of the unit's record.
    key: str
    #: Speech in it.
    audio_ms: Count
    #: Its language, where it has one.
    language: str = ""


class AttemptStartedLine(JournalLine, frozen=True, kw_only=True, tag="attempt_started"):
    """A batch was about to be given to an engine."""

    #: Attempt.
    attempt: str
    #: Stage.
    stage: str
    #: The engine in one line: provider, model, arithmetic.
    engine: str = ""
    #: Who would charge for it.
    provider: str = ""
    #: The provider's name for the model.
    model: str = ""
    #: Whether the engine only pretends.
    fake: bool = False
    #: Whether the engine is called over the network.
    remote: bool = False
    #: What a remote engine was expected to use, by meter; `believable_counts` of it count.
    estimated: Any = field(default_factory=dict)
    #: The batch, in order.
    units: tuple[UnitLine, ...]
    #: The job that each unit was taken up for; empty when nobody says.
    jobs: tuple[str, ...] = ()

    def fact(self, process: str) -> AttemptStarted:
        units, jobs = self.units, self.jobs or ("",) * len(self.units)
        if len(jobs) != len(units):
            raise FactError(f"attempt {self.attempt!r} names {len(jobs)} jobs for {len(units)} units")
        return AttemptStarted(
            self.attempt,
            process,
            self.stage,
            parse_instant(self.at),
            self.engine,
            self.provider,
            self.fake,
            self.remote,
            tuple([UnitUse(unit.key, unit.audio_ms, job) for unit, job in zip(units, jobs, strict=True)]),
            believable_counts(self.estimated),
        )


class AttemptEndedLine(JournalLine, frozen=True, kw_only=True, tag="attempt_ended"):
    """The engine returned."""

    #: Attempt.
    attempt: str
    #: Seconds inside the engine, by a monotonic clock.
    engine_seconds: str
    #: Results it gave.
    yielded: Count
    #: What it used, by meter; `believable_counts` of it count.
    usage: Any
    #: Keys of units that the engine was stopped before; not there for none.
    left: tuple[str, ...] | UnsetType = UNSET

    def fact(self, process: str) -> AttemptEnded:
        left = frozenset(self.left) if self.left else _NOTHING
        took, used = parse_seconds(self.engine_seconds), believable_counts(self.usage)
        return AttemptEnded(self.attempt, parse_instant(self.at), took, self.yielded, used, left)


class EngineLoadedLine(JournalLine, frozen=True, kw_only=True, tag="engine_loaded"):
    """An engine was loaded."""

    #: Stage.
    stage: str
    #: The engine in one line.
    engine: str
    #: How long it took.
    seconds: str
    #: Whether the engine only pretends; None in lines from before it was said.
    fake: bool | None = None

    def fact(self, process: str) -> EngineLoaded:
        at, took = parse_instant(self.at), parse_seconds(self.seconds)
        return EngineLoaded(process, self.stage, self.engine, at, took, self.fake)


class EngineTriedLine(JournalLine, frozen=True, kw_only=True, tag="engine_tried"):
    """A finished unit was computed again only to see whether the engine works."""

    #: Stage.
    stage: str
    #: Speech in the unit.
    audio_ms: Count = 0
    #: How long it took.
    seconds: str

    def fact(self, process: str) -> EngineTried:
        return EngineTried(process, self.stage, parse_instant(self.at), parse_seconds(self.seconds))


class BeatLine(JournalLine, frozen=True, kw_only=True, tag="beat"):
    """The machine was alive."""

    #: Worker that beat.
    worker: str = ""
    #: How busy the GPUs were, in percent; None where the driver does not say.
    gpu_util: int | None = None
    #: Memory in use on all GPUs, in MiB.
    gpu_mem_mib: int | None = None
    #: SHA-256 of documents that the writer knew, by path below home; not there for none.
    documents: dict[str, str] | UnsetType = UNSET

    def fact(self, session: str) -> Beat:
        return Beat(session, parse_instant(self.at), self.worker)


class SessionClosedLine(JournalLine, frozen=True, kw_only=True, tag="session_closed"):
    """A worker left the machine in order."""

    #: Why, in words.
    reason: str
    #: Worker that left.
    worker: str = ""

    def fact(self, session: str) -> SessionClosed:
        return SessionClosed(session, parse_instant(self.at), self.reason, self.worker)


class PriceChangedLine(JournalLine, frozen=True, kw_only=True, tag="price_changed"):
    """From here on the machine costs another price."""

    #: Price an hour; empty: the book is to be asked again.
    price: str
    #: Worker that was told so.
    worker: str = ""

    def fact(self, session: str) -> PriceChanged:
        return PriceChanged(session, parse_instant(self.at), self.price)


class EndSeenLine(JournalLine, frozen=True, kw_only=True, tag="process_ended"):
    """A supervisor saw one of its processes end."""

    #: Process session.
    process: str

    def fact(self, _session: str) -> ProcessEnded:
        return ProcessEnded(self.process, parse_instant(self.at))


class JobFiles(TypedDict):
    """The files of a job's folder that a line knows."""

    documents: dict[str, str] | UnsetType
    orders: tuple[int, str] | UnsetType


class JobLine(JournalLine, frozen=True, kw_only=True):
    """A line of a journal of a job's wants. It knows whose the job was and what it was labelled."""

    #: Job.
    job: str = ""
    #: SHA-256 of the job's plans, by path below home; not there for none.
    documents: dict[str, str] | UnsetType = UNSET
    #: How many orders there were about the job, and the digest over their lines; not there for none.
    orders: tuple[int, str] | UnsetType = UNSET


class JobWantedLine(JobLine, frozen=True, kw_only=True, tag="job_wanted"):
    """A job's units are wanted from now on."""


class JobEndedLine(JobLine, frozen=True, kw_only=True, tag="job_ended"):
    """A job wants nothing more."""

    #: Keys of the units it wanted.
    keys: tuple[str, ...]


class JobAskedLine(JobLine, frozen=True, kw_only=True, tag="job_asked"):
    """A job was asked for and had all it needs."""


#: A line of a process's own journal.
AttemptLine = (
    AttemptStartedLine | AttemptEndedLine | ProcessStartedLine | ProcessEndedLine | EngineLoadedLine | EngineTriedLine
)
#: A line of a journal in a machine's folder.
NodeLine = BeatLine | SessionClosedLine | PriceChangedLine | EndSeenLine
#: A line of a journal of a job's wants.
DemandLine = JobWantedLine | JobEndedLine

_Kinds = TypeVar("_Kinds")
_ATTEMPT: Decoder[AttemptLine] = Decoder(AttemptLine)
_NODE: Decoder[NodeLine] = Decoder(NodeLine)
_DEMAND: Decoder[DemandLine] = Decoder(DemandLine)


def read_attempt_line(line: bytes) -> AttemptLine | None:
    """A line of a process's journal, as JSON text; None for a kind that costs nothing. Raises FactError."""
    return _read(_ATTEMPT, line)


def read_node_line(line: bytes) -> NodeLine | None:
    """As `read_attempt_line`, of a journal in a machine's folder."""
    return _read(_NODE, line)


def read_demand_line(line: bytes) -> DemandLine | None:
    """As `read_attempt_line`, of a journal of a job's wants."""
    return _read(_DEMAND, line)


def sound_facts(
    read: Callable[[bytes], AttemptLine | NodeLine | None], owner: str, bodies: Iterable[bytes], errors: list[str]
) -> Iterator[tuple[AttemptLine | NodeLine, Fact]]:
    """The lines of the journal of a process or a machine (its ``owner``), each with its fact.

    ``errors`` is told what is wrong with a line that is not what it says.
    """
    for body in bodies:
        try:
            line = read(body)
            fact = None if line is None else line.fact(owner)
        except FactError as error:
            errors.append(str(error))
            continue
        if line is not None and fact is not None:
            yield line, fact


def _read(decoder: Decoder[_Kinds], line: bytes) -> _Kinds | None:
    try:
        return decoder.decode(line)
    except (ValueError, RecursionError):
        return _read_odd(decoder, line)


def _read_odd(decoder: Decoder[_Kinds], line: bytes) -> _Kinds | None:
    """A line that is of another kind, that is not what it says, or that only the standard library decodes."""
    kinds = [kind.__struct_config__.tag for kind in get_args(decoder.type)]
    try:
        entry = decode_body(line)
        if isinstance(entry, dict) and "fact" in entry and entry["fact"] not in kinds:
            return None
        return convert(entry, decoder.type)
    except ValueError as error:
        raise FactError(f"a line of a journal is not what it says: {error}") from error
