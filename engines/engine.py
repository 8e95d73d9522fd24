"""What every engine promises, whatever its role: requests in, one result for each out, usage said with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.errors import SettingsError
from core.specs import EngineSpec

#: Asked by an engine between or during its requests: True means that it begins nothing more. A stop is final.
Stopping = Callable[[], bool]

#: So long a remote engine waits, after a stop, for answers that are paid for anyway: less than the 25 s that a worker
#: usually has after SIGTERM, so that there is time to commit them.
IN_FLIGHT_GRACE_S = 15.0


def never() -> bool:
    """Nobody stops it."""
    return False


@dataclass(frozen=True)
class EngineChoice:
    """What a person asked for, before it is frozen: empty strings mean the default for this device."""

    provider: str
    model: str = ""
    compute_type: str = ""
    #: Which weights an endpoint serves under that name, where a person says so.
    revision: str = ""
    #: Output-affecting options, sorted (name, value) pairs of text.
    options: tuple[tuple[str, str], ...] = ()

    def refuse_options(self, what: str, known: tuple[str, ...] = ()) -> None:
        """Raises SettingsError for an option that ``what`` does not have."""
        for name, _value in self.options:
            if name not in known:
                hint = f"it knows only: {', '.join(known)}" if known else "leave the option out"
                raise SettingsError(f"{what} has no option {name!r}", hint)


@dataclass(frozen=True)
class Result:
    """What became of one request."""

    #: The request's id.
    id: str
    #: What the role returns; None when it failed, or was begun and not brought to an end.
    value: Any | None
    #: Why it failed, one line for a person; empty beside None: it was begun and left.
    reason: str = ""
    #: What it took, by meter: ``requests``, ``input_tokens``, ``output_tokens``, ``unanswered``, ``audio_ms``.
    usage: Mapping[str, int] = field(default_factory=dict)


class Engine(Protocol):
    """Does the work of one role. Loading happens in the constructor; `close` gives the memory back."""

    @property
    def spec(self) -> EngineSpec:
        """What this engine is; the same spec gives the same value for the same request, whatever the batch."""

    @property
    def remote(self) -> bool:
        """True when the work happens elsewhere, so that it can overlap with work on this machine."""

    @property
    def batch_size(self) -> int:
        """How many requests are best given to `run` at once."""

    def run(self, requests: Sequence[Any], stopping: Stopping = never) -> Iterator[Result]:
        """Yields exactly one result for each request, in any order, each as soon as it is final.

        The requests of one call are of one type. A result depends on its request only, and a failure concerns one
        request. Raises EngineError when the engine itself can do nothing more.

        An engine that works on one request after the other, or remotely, asks ``stopping`` between or during them and
        begins nothing more once it says so. What is under way elsewhere is yielded if it comes within
        `IN_FLIGHT_GRACE_S`. Each request that was begun and has no answer is a result with neither value nor reason,
        also before an EngineError where the engine is remote; one that was not begun is not mentioned. An engine that
        computes its batch as a whole never asks.
        """

    def usage(self) -> Mapping[str, int]:
        """What the engine's parts did since it was last asked, by meter; empty for engines that do not say."""

    def close(self) -> None:
        """Frees the model or the connections. Calling it twice is harmless."""
