"""Names of queues: one for each engine of each stage of each store, so that a worker takes only what it serves."""

from __future__ import annotations

from core.keys import digest_value
from core.specs import EngineSpec
from jobs.submissions import Priority
from pipeline.stages import engine_stages, stage_named

#: Raised when workers of this version and older ones must not share queues.
_SCHEME = "segue1"
#: How many digits of a store's id and of an engine's digest are enough in a name.
STORE_DIGITS = 12
_ENGINE_DIGITS = 16

#: kombu's steps: the lists that a queue consists of, most urgent first.
PRIORITY_STEPS = {Priority.RUSH: 0, Priority.NORMAL: 3, Priority.LOW: 6}
#: Between the name of a queue and its step; no name of ours contains it.
STEP_SEPARATOR = ":"


def engine_digest(spec: EngineSpec) -> str:
    """64 hexadecimal digits for an engine: what workers and messages call it."""
    return digest_value(spec.as_json())


def queue_name(store_id: str, stage: str, spec: EngineSpec) -> str:
    """``segue1.<store>.<stage>.<engine>``: only workers that serve this engine, at this version of the stage."""
    served = digest_value({"spec": spec.as_json(), "version": stage_named(stage).version})
    return f"{queue_prefix(store_id)}{stage}.{served[:_ENGINE_DIGITS]}"


def queue_prefix(store_id: str) -> str:
    """How the names of all queues of a store begin."""
    return f"{_SCHEME}.{store_id[:STORE_DIGITS]}."


def is_queue_of(store_id: str, name: str) -> bool:
    """True for a name that `queue_name` may have made for this store."""
    stage, _, engine = name.removeprefix(queue_prefix(store_id)).partition(".")
    return (
        name.startswith(queue_prefix(store_id))
        and stage in {each.name for each in engine_stages()}
        and len(engine) == _ENGINE_DIGITS
        and engine.isalnum()
    )


def step_keys(queue: str) -> tuple[str, ...]:
    """The broker's lists of a queue, most urgent first. kombu takes from the right end of each."""
    return tuple(f"{queue}{STEP_SEPARATOR}{step}" if step else queue for step in PRIORITY_STEPS.values())


def queue_of_key(key: str) -> str:
    """The queue that a list belongs to."""
    return key.rsplit(STEP_SEPARATOR, 1)[0]
