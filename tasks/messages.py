"""What a message says, and the only way to read one: strictly. It is a hint about where to look, never the truth."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import SegueError
from core.keys import Key, is_digest
from jobs.submissions import Priority
from pipeline.lookup import UnitRef
from pipeline.stages import engine_stages
from pipeline.stages.stage import Slot

#: Version of the message; a worker refuses every other one, and the coordinator sends the units again to somebody else.
MESSAGE_VERSION = 2
#: Units that one message may name.
MAX_UNITS = 4096
#: Bytes of a whole message as it lies in the broker: the longest message that `MAX_UNITS` allows, and a little room.
MAX_MESSAGE_BYTES = 5 << 18
#: No number in a message is as large; one that is was not written by us.
_MAX_NUMBER = 1 << 40
_MAX_WINDOW = 1 << 24

_FIELDS = frozenset({"v", "store", "batch", "stage", "engine", "priority", "units", "predicted_ms"})
_BATCH = re.compile(r"[0-9a-f]{32}")
_JOB = re.compile(r"[0-9a-f]{24}")


class MessageRefusedError(SegueError):
    """A message that this worker must not act on: foreign, malformed, too large, of another version or store."""


@dataclass(frozen=True)
class BatchMessage:
    """Units of one stage and engine that somebody should compute."""

    #: Id of the store that the units belong to.
    store: str
    #: 32 hexadecimal digits; also the id of the Celery task.
    batch: str
    stage: str
    #: Digest of the engine's spec and the stage's version; see `tasks.queues.engine_digest`.
    engine: str
    priority: Priority
    units: tuple[UnitRef, ...]
    #: Engine time that the coordinator expects.
    predicted_ms: int

    def as_kwargs(self) -> dict[str, Any]:
        """The JSON object that `parse_message` reads back."""
        return {
            "v": MESSAGE_VERSION,
            "store": self.store,
            "batch": self.batch,
            "stage": self.stage,
            "engine": self.engine,
            "priority": str(self.priority),
            "units": [[unit.job_id, unit.slot.place, unit.key, unit.round, unit.audio_ms] for unit in self.units],
            "predicted_ms": self.predicted_ms,
        }


def make_batch_id() -> str:
    """A new batch id: 32 hexadecimal digits."""
    return os.urandom(16).hex()


def is_batch_id(value: object) -> bool:
    """True for what `make_batch_id` makes."""
    return isinstance(value, str) and _BATCH.fullmatch(value) is not None


def parse_message(kwargs: Any, store_id: str) -> BatchMessage:
    """The message in a task's arguments. Raises MessageRefusedError for everything that `as_kwargs` cannot write."""
    if not isinstance(kwargs, Mapping):
        raise _refused("it is not an object")
    if kwargs.get("v") != MESSAGE_VERSION or isinstance(kwargs.get("v"), bool):
        raise _refused(f"its version is {_shown(kwargs.get('v'))}, not {MESSAGE_VERSION}")
    if set(kwargs) != _FIELDS:
        raise _refused("its fields are not those of a batch")
    if kwargs["store"] != store_id:
        raise _refused(f"it is for another store, {_shown(kwargs['store'])}")
    if not is_batch_id(kwargs["batch"]):
        raise _refused(f"its batch id is {_shown(kwargs['batch'])}")
    if not is_digest(kwargs["engine"]):
        raise _refused(f"its engine is {_shown(kwargs['engine'])}")
    stage = kwargs["stage"]
    if not isinstance(stage, str) or stage not in {each.name for each in engine_stages()}:
        raise _refused(f"its stage is {_shown(stage)}")
    units = kwargs["units"]
    if not isinstance(units, (list, tuple)) or not 1 <= len(units) <= MAX_UNITS:
        raise _refused(f"it does not name 1 to {MAX_UNITS} units")
    return BatchMessage(
        store=store_id,
        batch=kwargs["batch"],
        stage=stage,
        engine=kwargs["engine"],
        priority=_member(Priority, kwargs["priority"], "priority"),
        units=tuple(_parse_unit(unit, stage) for unit in units),
        predicted_ms=_number(kwargs["predicted_ms"], "predicted time", _MAX_NUMBER),
    )


def _parse_unit(value: Any, stage: str) -> UnitRef:
    if not isinstance(value, (list, tuple)) or len(value) != 5:
        raise _refused(f"a unit is {_shown(value)}")
    job_id, place, key, round_, audio_ms = value
    # This id becomes the name of a folder: nothing but hexadecimal digits, so it cannot lead out of the store.
    if not isinstance(job_id, str) or not _JOB.fullmatch(job_id):
        raise _refused(f"a job id is {_shown(job_id)}")
    if not is_digest(key):
        raise _refused(f"a unit's key is {_shown(key)}")
    slot = Slot.parse(stage, place) if isinstance(place, str) else None
    if slot is None or slot.window >= _MAX_WINDOW:
        raise _refused(f"a unit's place is {_shown(place)}")
    return UnitRef(
        job_id=job_id,
        slot=slot,
        key=Key(key),
        round=_number(round_, "round", _MAX_WINDOW),
        audio_ms=_number(audio_ms, "length", _MAX_NUMBER),
    )


def _member(kind: Any, value: object, name: str) -> Any:
    if not isinstance(value, str) or value not in {str(member) for member in kind}:
        raise _refused(f"its {name} is {_shown(value)}")
    return kind(value)


def _number(value: object, name: str, limit: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
        raise _refused(f"a {name} is {_shown(value)}")
    return value


def _shown(value: object) -> str:
    """A stranger's value in one short line."""
    if isinstance(value, (str, int, float, bool, type(None))):
        text = ascii(value[:40] if isinstance(value, str) else value)
        return text if len(text) <= 60 else text[:60] + "..."
    return f"a {type(value).__name__}"


def _refused(reason: str) -> MessageRefusedError:
    return MessageRefusedError(f"message refused: {reason}")
