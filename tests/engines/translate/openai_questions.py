"""The openai translator before a scripted endpoint, and the tasks that it is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from scripted_endpoint import Behaviour, ScriptedEndpoint

from engines.engine import EngineChoice
from engines.resources import EngineResources
from engines.translate import openai
from engines.translate.chat import Patience
from engines.translate.interface import Line, Translation, TranslationTask
from engines.translate.retry import RetryPolicy

SECRET = "sk-very-secret-0123456789"


FAST = Patience(connect_s=1.0, read_s=0.5, retry=RetryPolicy(attempts=3, timeout_attempts=2, backoff_ms=5))


TEXTS = ("Ask what you can do for your country.", "The conference is now locked.", "You have 25 new messages.")


def resources(url: str, **changes: object) -> EngineResources:
    return replace(EngineResources(models_dir=Path("unused"), url=url, concurrency=4), **changes)


def task(*texts: str, name: str = "t", target: str = "es", **changes: object) -> TranslationTask:
    lines = tuple(Line(f"cue-{index}", text) for index, text in enumerate(texts or TEXTS))
    return replace(TranslationTask(name, "en", target, lines), **changes)


@contextmanager
def translator(*script: Behaviour, **changes: object) -> Iterator[tuple[openai.OpenAITranslator, ScriptedEndpoint]]:
    with ScriptedEndpoint(*script) as endpoint:
        place = resources(endpoint.url, **changes)
        spec = openai.freeze(EngineChoice("openai"), place)
        engine = openai.open_engine(spec, place, FAST)
        try:
            yield engine, endpoint
        finally:
            engine.close()


def translated(engine: openai.OpenAITranslator, wanted: TranslationTask) -> Translation:
    (result,) = engine.run([wanted])
    assert isinstance(result.value, Translation), result
    assert [line.id for line in result.value.lines] == [line.id for line in wanted.lines]
    return result.value
