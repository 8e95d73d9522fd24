"""What every engine promises, whatever its role and provider, as checks over one that is open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from core.specs import EngineSpec
from engines import roles
from engines.engine import Engine, EngineChoice, Result
from engines.probe import ProbeRequest, Tone
from engines.resources import EngineResources
from engines.transcribe.interface import Clip, ClipSegment, LanguageGuess, LanguageQuestion, Transcript
from engines.translate.interface import Line, Translation, TranslationTask

METERS = {"requests", "input_tokens", "output_tokens", "unanswered", "audio_ms", "characters"}


@dataclass(frozen=True)
class Opened:
    """A provider ready to be asked."""

    role: str
    choice: EngineChoice
    resources: EngineResources
    engine: Engine


@dataclass(frozen=True)
class Kind:
    """One kind of request that a role takes, and what it answers with."""

    requests: Sequence[Any]
    answer: type


def _noise(number: int) -> Any:
    return np.random.default_rng(number).standard_normal(16_000).astype(np.float32) * 0.1


def _clip(number: int) -> Clip:
    spans = tuple(ClipSegment(low, high, 800) for low, high in pairwise((0, 400, 1000)))
    return Clip(f"clip-{number}", _noise(number), spans, "en")


#: Role -> the kinds of request that its engines take.
KINDS: dict[str, tuple[Kind, ...]] = {
    "transcriber": (
        Kind([_clip(number) for number in range(3)], Transcript),
        Kind([LanguageQuestion(f"question-{number}", _noise(number)) for number in range(3)], LanguageGuess),
    ),
    "translator": (
        Kind(
            [
                TranslationTask(f"task-{number}", "en", "es", (Line("a", text), Line("b", "Please wait.")))
                for number, text in enumerate(("The train leaves at seven.", "It rains again.", "Good morning."))
            ],
            Translation,
        ),
    ),
    "prober": (Kind([ProbeRequest(f"text-{number}", "A tone.", -40) for number in range(3)], Tone),),
}


def says_what_it_is(opened: Opened) -> None:
    """Freezing again gives the same spec, which survives JSON; the module says where the work happens."""
    spec = roles.freeze(opened.role, opened.choice, opened.resources)
    assert spec == opened.engine.spec == EngineSpec.from_json(spec.as_json())
    assert (spec.provider, bool(spec.model), bool(spec.revision)) == (opened.choice.provider, True, True)
    assert opened.engine.remote is roles.is_remote(opened.role, spec.provider)
    assert spec.fake is roles.is_fake(opened.role, spec.provider)
    assert opened.engine.batch_size >= 1
    roles.check_here(opened.role, spec, opened.resources)


def answers_each_request_once(opened: Opened) -> None:
    """In any order, alone or together; usage is counts of known meters."""
    for kind in KINDS[opened.role]:
        results = list(opened.engine.run(kind.requests))
        assert sorted(result.id for result in results) == sorted(request.id for request in kind.requests)
        for result in results:
            assert isinstance(result.value, kind.answer), result
            assert not result.reason
            _check_usage(result)
        alone = [next(iter(opened.engine.run([request]))) for request in kind.requests]
        assert sorted(results, key=_by_id) == sorted(alone, key=_by_id)


def gives_nothing_for_nothing(opened: Opened) -> None:
    """No requests, no results."""
    assert list(opened.engine.run([])) == []


def begins_nothing_once_told_to_stop(opened: Opened) -> None:
    """What it has begun is answered or named as left, the rest is not mentioned; then it works again.

    An engine that computes its batch as a whole does not ask, and answers everything.
    """
    for kind in KINDS[opened.role]:
        asked: list[bool] = []

        def stopping(asked: list[bool] = asked) -> bool:
            asked.append(True)
            return True

        results = list(opened.engine.run(kind.requests, stopping))
        names = [result.id for result in results]
        assert len(set(names)) == len(names)
        assert set(names) <= {request.id for request in kind.requests}
        assert all(isinstance(result.value, kind.answer) or not result.reason for result in results)
        assert asked or len(results) == len(kind.requests)
        assert opened.engine.remote <= bool(asked), "an engine elsewhere costs whether anybody waits or not: it asks"
        assert len(list(opened.engine.run(kind.requests))) == len(kind.requests)


def says_what_its_parts_did_once(opened: Opened) -> None:
    """`usage` counts what was done since it was last asked."""
    list(opened.engine.run(KINDS[opened.role][0].requests))
    first, second = opened.engine.usage(), opened.engine.usage()
    assert all(type(count) is int and count >= 0 for count in (*first.values(), *second.values()))
    assert set(second) <= set(first)
    assert bool(first) == bool(second) or len(second) < len(first)


def _check_usage(result: Result) -> None:
    assert set(result.usage) <= METERS
    assert all(type(count) is int and count >= 0 for count in result.usage.values())


def _by_id(result: Result) -> str:
    return result.id


CHECKS: tuple[Callable[[Opened], None], ...] = (
    says_what_it_is,
    gives_nothing_for_nothing,
    answers_each_request_once,
    begins_nothing_once_told_to_stop,
    says_what_its_parts_did_once,
)
