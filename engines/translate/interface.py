"""What every translator promises.

To add a provider: write one file beside this one with a class that fulfils `Translator` and a function
``freeze(choice, resources) -> EngineSpec``; add one line to the dict in ``factory.py``; run the contract tests in
``tests/contract/test_translators.py`` over it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from core.specs import EngineSpec


@dataclass(frozen=True)
class TranslatorChoice:
    """What a person asked for, before it is frozen: empty strings mean the default for this device."""

    provider: str
    model: str = ""
    #: Output-affecting options, sorted (name, value) pairs of text.
    options: tuple[tuple[str, str], ...] = ()
    #: Which weights an endpoint serves under that name, where a person says so.
    revision: str = ""


@dataclass(frozen=True)
class Line:
    """One cue's text, without line breaks."""

    #: The caller's name for it, unique in its task; results carry it back.
    id: str
    text: str


@dataclass(frozen=True)
class TranslationTask:
    """The lines of one window, and what surrounds them."""

    id: str
    #: BCP 47.
    source_language: str
    #: BCP 47, region or script where it matters (``pt-BR``, ``zh-Hans``).
    target_language: str
    lines: tuple[Line, ...]
    #: Text just before and just after, for context only: never translated, never returned.
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    #: (source term, required target term) pairs.
    glossary: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class TranslatedLine:
    """One line's translation. A line that could not be translated has empty text and the flag ``untranslated``."""

    id: str
    text: str
    #: Why a person should look: ``untranslated``, ``copied``, ``refused``, ``same-answer``, ``too-long``, ``merged``,
    #: ``glossary``, ``wrong-script``.
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Usage:
    """What the work cost in the meters of APIs."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    #: Requests that were sent and that no answer came to: they may have been served, and charged.
    unanswered: int = 0


@dataclass(frozen=True)
class Translation:
    """Exactly one translated line for each line of the task, in the task's order."""

    task_id: str
    lines: tuple[TranslatedLine, ...]
    usage: Usage = Usage()


@dataclass(frozen=True)
class TaskFailure:
    """One task that could not be translated at all; the others of the call are not concerned."""

    task_id: str
    #: One line for a person.
    reason: str
    #: What was used up for nothing.
    usage: Usage = Usage()


@dataclass(frozen=True)
class TaskLeft:
    """One task that was begun and not brought to an end, since the caller or the endpoint stopped."""

    task_id: str
    #: What was used up until then.
    usage: Usage = Usage()


class Translator(Protocol):
    """Turns tasks into translations. Loading happens in the constructor; `close` gives the memory back."""

    @property
    def spec(self) -> EngineSpec:
        """What this engine is."""

    @property
    def batch_size(self) -> int:
        """How many tasks are best given to `translate` at once."""

    @property
    def remote(self) -> bool:
        """True when the work happens elsewhere, so that it can overlap with a local stage."""

    def translate(self, tasks: Sequence[TranslationTask]) -> Iterator[Translation | TaskFailure]:
        """Yields exactly one result for each task, in any order, each as soon as it is final.

        Lines that come back missing, merged, copied, extra or running away are asked for again, then one by one,
        then flagged; a source line is never passed off as its translation. Raises EngineError only when the
        endpoint or the model can do nothing more (wrong key, gone for good).
        """

    def close(self) -> None:
        """Frees the model or the connections. Calling it twice is harmless."""


@runtime_checkable
class StoppableTranslator(Translator, Protocol):
    """A translator with several tasks under way at once, whose requests are paid for whether anybody waits or not."""

    def translate_until(
        self, tasks: Sequence[TranslationTask], stopping: Callable[[], bool], grace_s: float
    ) -> Iterator[Translation | TaskFailure | TaskLeft]:
        """As `translate`, but begins nothing more once ``stopping`` says so; it is asked all the time.

        What is under way then is yielded if it comes within ``grace_s`` seconds. Each task that was begun and has no
        result is a `TaskLeft`, also before an EngineError; a task that was not begun is not mentioned.
        """
