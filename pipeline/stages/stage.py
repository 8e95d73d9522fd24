"""What a stage says of itself. A stage is one file beside this one and one entry in `STAGES`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import msgspec

from cache.envelope import Retention
from core.keys import Key, make_key
from core.specs import EngineSpec
from pipeline.job import JobSettings, Plan

if TYPE_CHECKING:
    from cache.store import Store
    from pipeline.views import OpenViews

_PLACE = re.compile(r"([0-9]{1,8})(?:/([A-Za-z0-9-]{0,35})(?:/([0-9]{1,3}))?)?")


class Slot(NamedTuple):
    """The place of one unit in its job: stable, and all that a message needs to say of it."""

    stage: str
    #: Index of the window that it covers.
    window: int = 0
    #: Target language, where a stage has a unit for each; else empty.
    language: str = ""
    #: Number of the take, from 0, where a stage makes several and chooses one.
    take: int = 0

    @property
    def place(self) -> str:
        """The slot without its stage: ``12``, ``12/es``, ``12/es/1``."""
        tail = f"/{self.language}/{self.take}" if self.take else f"/{self.language}" if self.language else ""
        return f"{self.window}{tail}"

    @classmethod
    def parse(cls, stage: str, place: str) -> Slot | None:
        """The slot whose `place` that is; None for text that no slot writes."""
        found = _PLACE.fullmatch(place)
        slot = cls(stage, int(found[1]), found[2] or "", int(found[3] or 0)) if found else None
        return slot if slot is not None and slot.place == place else None

    def describe(self) -> str:
        """A name for messages: ``translate es, window 12``."""
        language = f" {self.language}" if self.language else ""
        take = f", take {self.take + 1}" if self.take else ""
        return f"{self.stage}{language}, window {self.window + 1}{take}"


class OnFailure(Enum):
    """What it means for a slot that one which it needs has failed."""

    #: It goes on without it; the failure is a gap in the outputs.
    GAP = "gap"
    #: It goes on without it; where it succeeds, nothing is missing.
    TOLERATED = "tolerated"
    #: It fails as well, for the same reason.
    BLOCKING = "blocking"


class ChargedBy(Enum):
    """What APIs that do a stage's work count."""

    #: Length of the sound; each window is heard once.
    AUDIO = "audio"
    #: Tokens or characters of the text.
    TEXT = "text"
    #: No API does it.
    NOTHING = "nothing"


@dataclass(frozen=True)
class Need:
    """Another slot whose result a slot reads."""

    slot: Slot
    on_failure: OnFailure = OnFailure.GAP


@dataclass(frozen=True)
class Done:
    """A slot's result."""

    value: Any


@dataclass(frozen=True)
class Failed:
    """Why a slot has no result, in one line."""

    reason: str


@dataclass(frozen=True)
class StageOption:
    """A setting, and a flag of the commands about a job, that a stage adds. What is said becomes part of the job."""

    #: As a setting is named: ``whole_media`` would be SEGUE_WHOLE_MEDIA and --whole-media.
    name: str
    #: ``str``, ``bool`` or ``int``.
    type: type
    default: Any
    help: str
    #: Not shown in help texts: for stages that are there for tests.
    hidden: bool = False


@dataclass(frozen=True)
class NewBlob:
    """A part of a result that is too large for a payload. It is in the store before its record is."""

    #: What it is to the record: one short word, such as ``audio``.
    name: str
    data: bytes
    retention: Retention = Retention.RESULT


class StageJob(Protocol):
    """A job as `Stage.outputs` sees it."""

    @property
    def plan(self) -> Plan: ...

    @property
    def store(self) -> Store: ...

    @property
    def results(self) -> Results: ...

    @property
    def units(self) -> Mapping[Slot, Key]:
        """The keys of the records, by slot."""


@dataclass(frozen=True)
class StageUsage:
    """What batches of one stage took."""

    #: Windows in them.
    units: int = 0
    #: Engine time.
    ms: int = 0
    #: What it cost; None as soon as one of them has no price.
    nano: int | None = 0
    #: What each of them says that it used, by meter.
    usage: tuple[Mapping[str, int], ...] = ()


@dataclass(frozen=True)
class Spared:
    """What a stage did not take; None where that was not measured or has no price."""

    #: Engine time.
    ms: Fraction | None
    #: In nano-units of the currency of what was measured.
    nano: Fraction | None
    #: Where the figures are from, in words.
    basis: str


Settled = Done | Failed
#: Results by slot, as far as they are known.
Results = Mapping[Slot, Settled]
#: What a slot needs, by slot: the value, or None where that slot failed and the need allows it.
Inputs = Mapping[Slot, Any]


@dataclass(frozen=True)
class Unit:
    """One record that is wanted: a slot whose inputs are there and whose output is not."""

    slot: Slot
    job_id: str
    key: Key
    #: The engine that the job was frozen with for it.
    spec: EngineSpec
    #: Length of the speech that it covers: how much work it is, for batches, progress and estimates.
    audio_ms: int
    inputs: Inputs = field(default_factory=dict, compare=False, repr=False)

    @property
    def stage(self) -> str:
        return self.slot.stage

    @property
    def window(self) -> int:
        return self.slot.window

    @property
    def language(self) -> str:
        return self.slot.language

    def describe(self) -> str:
        """A name for messages: ``translate es, window 12``."""
        return self.slot.describe()


class Stage:
    """One kind of work. Subclasses say what differs from the defaults here; they hold no state.

    What raises NotImplementedError is what a stage with an engine must say; one without never comes to it.

    A stage without a role is computed by no engine: each of its slots is settled by `shortcut`, and nothing of it is
    recorded, queued or shown.
    """

    #: As it stands in keys, records, queues and facts.
    name: ClassVar[str]
    #: Raised when the meaning or payload of its records changes; old ones are then simply not found.
    version: ClassVar[int] = 1
    #: The role of the engine that computes it (`engines.roles`); empty for none.
    role: ClassVar[str] = ""
    #: The stage that it prepares, with which it is served, shown and accounted; empty when it stands for itself.
    part_of: ClassVar[str] = ""
    #: Views of the source that `request` reads.
    views: ClassVar[tuple[str, ...]] = ()
    #: Stages whose results add slots to this one.
    follows: ClassVar[tuple[str, ...]] = ()
    #: What APIs that do its work count, and the meters in which an engine elsewhere reports its usage.
    charged_by: ClassVar[ChargedBy] = ChargedBy.NOTHING
    meters: ClassVar[tuple[str, ...]] = ("requests", "audio_ms")
    #: An engine of this machine does its units one after the other, and can be left between two of them.
    divisible: ClassVar[bool] = False
    #: Engine milliseconds for 1,000 ms of speech, until something has been measured.
    usual_pace: ClassVar[int] = 500
    #: What people call its work: ``transcription``. Said by stages whose work APIs charge for.
    noun: ClassVar[str] = ""
    #: The API of the price book that it is compared with where nobody names one: ``openai/whisper-1``.
    usual_api: ClassVar[str] = ""
    #: Settings and flags that it adds.
    options: ClassVar[tuple[StageOption, ...]] = ()
    #: The option that switches it on; empty for a stage that every Segue has.
    switch: ClassVar[str] = ""
    #: Takes of one unit at most.
    attempts: ClassVar[int] = 1
    #: The msgspec struct that its payloads are.
    payload: ClassVar[Any] = None

    # -- which units there are -------------------------------------------------------------------------------

    def active(self, settings: JobSettings) -> bool:
        """Whether a job has this stage at all; asked before its engines are known."""
        return not self.switch or bool(settings.options.get(self.switch))

    def slots(self, plan: Plan, results: Results, changed: Slot | None) -> Iterable[Slot]:
        """The slots there are: those known from the plan (``changed`` is None), or those that one result adds.

        Naming a slot twice is harmless.
        """
        raise NotImplementedError

    def has(self, plan: Plan, slot: Slot) -> bool:
        """Whether a slot that a message names can be one of this job's. Its window is one of the plan's."""
        return not slot.language and not slot.take

    def expected(self, plan: Plan) -> tuple[int, int]:
        """About how many slots there will be and their weight in all, as long as results may add some."""
        return 0, 0

    def spec(self, settings: JobSettings, slot: Slot) -> EngineSpec:
        """The engine of a slot, as the job was frozen with it. Raises KeyError for a job that has none."""
        return settings.engines[self.role]

    def weight(self, plan: Plan, slot: Slot) -> int:
        """How much work a slot is: milliseconds of speech."""
        return plan.windows[slot.window].window.audio_ms

    # -- what a unit reads and is ----------------------------------------------------------------------------

    def needs(self, plan: Plan, slot: Slot) -> tuple[Need, ...]:
        """The slots whose results this one reads. Raises IndexError for a slot that the plan does not have."""
        return ()

    def shortcut(self, plan: Plan, slot: Slot, inputs: Inputs) -> Settled | None:
        """A result that takes neither an engine nor a record; None where an engine has to be asked."""
        return None

    def parts(self, plan: Plan, slot: Slot, inputs: Inputs) -> dict[str, Any]:
        """Everything beside the engine that changes the output, as JSON; times are relative to the slot."""
        raise NotImplementedError

    def key(self, plan: Plan, slot: Slot, inputs: Inputs, spec: EngineSpec) -> Key:
        """The name of the slot's record: a digest of everything that changes the output, and of nothing else."""
        return make_key(self.name, self.version, engine=spec.as_json(), **self.parts(plan, slot, inputs))

    def request(self, plan: Plan, unit: Unit, views: OpenViews) -> Any:
        """What the engine is given; its id is the unit's key."""
        raise NotImplementedError

    def check(self, request: Any, value: Any) -> Any:
        """The engine's answer as the stage promises it; called once for each."""
        return value

    # -- records ---------------------------------------------------------------------------------------------

    def pack(self, value: Any) -> Any:
        """The payload struct of a value."""
        raise NotImplementedError

    def unpack(self, payload: Any) -> Any:
        """The value in a payload struct."""
        raise NotImplementedError

    def encode(self, value: Any) -> bytes:
        """A value as the bytes of its record."""
        return msgspec.json.encode(self.pack(value), order="sorted")

    def decode(self, payload: bytes) -> Any:
        """The value in a record. Raises ValueError for bytes that this stage did not write."""
        try:
            return self.unpack(msgspec.json.decode(payload, type=self.payload))
        except msgspec.DecodeError as error:
            raise ValueError(f"a record of stage {self.name} makes no sense: {error}") from error

    def blobs(self, value: Any) -> tuple[NewBlob, ...]:
        """What of a value is kept beside its record; the record names it."""
        return ()

    # -- what is delivered -----------------------------------------------------------------------------------

    def suffixes(self, settings: JobSettings) -> tuple[str, ...]:
        """What the names of all files end in that `outputs` may give for such a job: known before anything is spent."""
        return ()

    def outputs(self, job: StageJob) -> Mapping[str, bytes]:
        """Files that a job with this stage delivers beside its subtitles: what their names end in -> content.

        Raises BlobDamagedError when a blob is gone.
        """
        return {}

    # -- what it costs ---------------------------------------------------------------------------------------

    def expected_usage(self, units: Sequence[Unit]) -> dict[str, int]:
        """What a remote engine may use for these units, by meter."""
        return {"requests": len(units), "audio_ms": sum(unit.audio_ms for unit in units)}

    def characters(self, slot: Slot, inputs: Inputs) -> int:
        """Length of the text that a slot of a stage `ChargedBy.TEXT` is given."""
        return 0

    def spared_by_silence(self, plan: Plan, results: Results, took: Mapping[str, StageUsage]) -> Spared | None:
        """What the whole media would have taken beyond what its speech took; None where it is not given the sound.

        ``took``: what this stage and those that are part of it took, by name.
        """
        return None
