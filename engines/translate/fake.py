"""A translator that knows no language: each line's words in reverse behind a mark, for tests and for trying Segue out.

Every text says that it is fake, so that nobody takes it for a translation: ``[es fake] country your for do``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence

from core.errors import EngineError
from core.keys import Digest, digest_value
from core.specs import EngineSpec
from engines.engine import EngineChoice, Result, Stopping, never
from engines.resources import EngineResources
from engines.transcribe.fake import DEATH_STATUS, is_chosen, parse_faults, play_lasting_faults
from engines.translate.interface import TranslatedLine, Translation, TranslationTask, token_usage
from engines.translate.prompt import relevant_glossary

DEFAULT_MODEL = "fake-reverser"
#: Changes when the same line would get another text.
_REVISION = 1
_BATCH_SIZE = 8


def freeze(choice: EngineChoice, resources: EngineResources) -> EngineSpec:
    """The fake's spec. Raises SettingsError for any option: it has none."""
    del resources
    choice.refuse_options("the fake translator")
    return EngineSpec("fake", choice.model or DEFAULT_MODEL, digest_value({"fake-translator": _REVISION}))


def open_engine(spec: EngineSpec, resources: EngineResources) -> FakeTranslator:
    """Ready at once. Raises SettingsError when ``resources.fake_faults`` cannot be read."""
    return FakeTranslator(spec, resources)


class FakeTranslator:
    """Deterministic lines; the faults of ``resources.fake_faults`` on request.

    ``fail:<n>``: tasks whose digest is a multiple of n fail, always the same ones. ``crash:<n>``: the n-th task of
    this engine raises EngineError. ``die:<n>``: the n-th task ends the process at once, as SIGKILL would.
    ``kill:<n>``: tasks whose digest is a multiple of n do so each time they are computed. ``hang:<n>``: such tasks are
    never finished, and nothing after them.
    """

    remote = False

    def __init__(self, spec: EngineSpec, resources: EngineResources) -> None:
        self.spec = spec
        self._delay_s = resources.fake_delay_ms / 1000
        self._faults = parse_faults(resources.fake_faults)
        self.batch_size = resources.batch_size or _BATCH_SIZE
        self._begun = 0

    def run(self, requests: Sequence[TranslationTask], stopping: Stopping = never) -> Iterator[Result]:
        for task in requests:
            yield self._translate(task)
            if stopping():
                return

    def usage(self) -> Mapping[str, int]:
        return {}

    def close(self) -> None:
        """Nothing to give back."""

    def _translate(self, task: TranslationTask) -> Result:
        self._begun += 1
        if self._begun == self._faults.get("die"):
            os._exit(DEATH_STATUS)
        if self._begun == self._faults.get("crash"):
            raise EngineError("the fake translator crashed", "it was told to by its faults")
        digest = task_digest(task)
        play_lasting_faults(self._faults, digest)
        if self._delay_s:
            time.sleep(self._delay_s)
        if is_chosen(digest, self._faults.get("fail")):
            return Result(task.id, None, "the fake translator was told to fail on this task", token_usage())
        lines = tuple(TranslatedLine(line.id, fake_text(line.text, task)) for line in task.lines)
        words = sum(len(line.text.split()) for line in task.lines)
        return Result(task.id, Translation(lines), usage=token_usage(1, words, words))


def task_digest(task: TranslationTask) -> Digest:
    """Digest of what a task's translation depends on; callers' ids are not in it."""
    return digest_value(
        {
            "languages": [task.source_language, task.target_language],
            "lines": [line.text for line in task.lines],
            "context": [list(task.before), list(task.after)],
            "glossary": [list(pair) for pair in relevant_glossary(task.glossary, [line.text for line in task.lines])],
        }
    )


def fake_text(text: str, task: TranslationTask) -> str:
    """The line with glossary terms replaced and its words in reverse, behind a mark."""
    for term, wanted in relevant_glossary(task.glossary, [text]):
        text = text.replace(term, wanted)
    return " ".join([f"[{task.target_language} fake]", *reversed(text.split())])
