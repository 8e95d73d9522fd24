"""How the lines of one task are asked for until each is translated or given up. Knows no endpoint and no model.

Round 1 asks for all lines, round 2 for those that were bad with what was wrong, then each that is still bad is
asked for alone. What remains bad ends empty and flagged; what is only doubtful keeps its text and its flag. Lines that
an endpoint refuses together are asked for in halves, so that those which it does not refuse are translated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from engines.translate.checks import (
    BAD,
    Problem,
    complaint_of,
    flag_of,
    line_problem,
    reply_problems,
    same_answers,
)
from engines.translate.interface import Line, TranslatedLine, Translation, TranslationTask, token_usage
from engines.translate.reply import Reply, clean_text

UNTRANSLATED = "untranslated"


@dataclass(frozen=True)
class Question:
    """Some lines of a task to be translated in one go."""

    task: TranslationTask
    #: Number in the task, from 1, as text -> line; never empty. Callers' ids are not shown to models: they must not
    #: change what a model says.
    lines: Mapping[str, Line]
    #: Number -> what was wrong with the last answer.
    complaints: Mapping[str, str] = field(default_factory=dict)
    #: 0 for the first round, 1 for the second, 2 for a line alone.
    round: int = 0
    #: False where the lines are refused with what stands around them: they are asked for without.
    with_context: bool = True


@dataclass(frozen=True)
class ModelAnswer:
    """What an engine said to a question."""

    reply: Reply
    #: By meter.
    usage: Mapping[str, int] = field(default_factory=token_usage)
    #: Flags for every line of this answer (``no-examples``).
    flags: tuple[str, ...] = ()


class LinesRefusedError(Exception):
    """The engine does not take these lines together, even without context: one is filtered, or they are too long."""

    def __init__(self, usage: Mapping[str, int]) -> None:
        super().__init__(usage)
        self.usage = usage


class Ask(Protocol):
    """Puts one question to an engine. Raises UnitError when this task cannot be done, EngineError for the engine,
    LinesRefusedError when fewer lines might be."""

    def __call__(self, question: Question) -> ModelAnswer: ...


@dataclass
class _Draft:
    """The best text so far for one line."""

    text: str = ""
    problem: Problem | None = Problem.MISSING
    flags: tuple[str, ...] = ()
    #: Asking again is of no use.
    given_up: bool = False

    @property
    def rank(self) -> int:
        """0 good, 1 doubtful, 2 bad."""
        return 0 if self.problem is None else 2 if self.problem in BAD else 1


def translate_task(task: TranslationTask, ask: Ask) -> tuple[Translation, Mapping[str, int]]:
    """Asks until every line of the task is good, doubtful or given up; then the result and what it took, by meter."""
    numbered = {str(index): line for index, line in enumerate(task.lines, start=1)}
    drafts = {number: _draft_without_words(line) for number, line in numbered.items()}
    usage: Mapping[str, int] = token_usage()
    for round_number in (0, 1):
        lines = {number: line for number, line in numbered.items() if _is_asked(drafts[number])}
        if lines:
            question = Question(task, lines, _complaints(drafts, lines, round_number), round_number)
            usage = _ask_once(question, ask, drafts, usage)
            _doubt_same_answers(task, numbered, drafts)
    for number, line in numbered.items():
        if drafts[number].rank == 2 and _is_asked(drafts[number]):
            alone = {number: line}
            usage = _ask_once(Question(task, alone, _complaints(drafts, alone, 2), 2), ask, drafts, usage)
    _doubt_same_answers(task, numbered, drafts)
    return Translation(tuple(_final(line, drafts[number]) for number, line in numbered.items())), usage


def _is_asked(draft: _Draft) -> bool:
    return draft.problem is not None and not draft.given_up


def _doubt_same_answers(task: TranslationTask, lines: Mapping[str, Line], drafts: dict[str, _Draft]) -> None:
    sources = {number: line.text for number, line in lines.items()}
    texts = {
        number: draft.text for number, draft in drafts.items() if draft.text and any(map(str.isalnum, sources[number]))
    }
    for number in same_answers(sources, texts, task.target_language):
        if drafts[number].problem not in BAD - {Problem.MERGED, Problem.EXTRA}:
            drafts[number] = replace(drafts[number], problem=Problem.SAME)


def _draft_without_words(line: Line) -> _Draft:
    """A line with no letter or digit (``♪``, ``...``) is its own translation and costs nothing."""
    if any(character.isalnum() for character in line.text):
        return _Draft()
    return _Draft(text=line.text.strip(), problem=None)


def _complaints(drafts: Mapping[str, _Draft], lines: Mapping[str, Line], round_number: int) -> dict[str, str]:
    if round_number == 0:
        return {}
    problems = {number: drafts[number].problem for number in lines}
    return {number: complaint_of(problem) for number, problem in problems.items() if problem is not None}


def _ask_once(question: Question, ask: Ask, drafts: dict[str, _Draft], usage: Mapping[str, int]) -> Mapping[str, int]:
    try:
        answer = ask(question)
    except LinesRefusedError as refusal:
        usage = add_usage(usage, refusal.usage)
        numbers = list(question.lines)
        if len(numbers) == 1:
            drafts[numbers[0]] = _Draft(problem=Problem.REFUSED, given_up=True)
            return usage
        middle = len(numbers) // 2
        for half in (numbers[:middle], numbers[middle:]):
            lines = {number: question.lines[number] for number in half}
            usage = _ask_once(replace(question, lines=lines, with_context=False), ask, drafts, usage)
        return usage
    for number, draft in judge(question, answer).items():
        if draft.rank <= drafts[number].rank:
            drafts[number] = draft
    return add_usage(usage, answer.usage)


def judge(question: Question, answer: ModelAnswer) -> dict[str, _Draft]:
    """A draft for each line of the question: its cleaned text, and the worst that is wrong with it."""
    task, reply = question.task, answer.reply
    texts = {
        number: clean_text(text, question.lines[number].text, task.target_language, number)
        for number, text in reply.texts.items()
    }
    between = reply_problems(question.lines, texts)
    # Another number means that lines were split or counted differently; a stray "note" means nothing.
    split_up = any(name.isdigit() for name in reply.extra)
    drafts = {}
    for number, line in question.lines.items():
        if number in reply.doubled:
            drafts[number] = _Draft(problem=Problem.EXTRA)
        elif number not in texts:
            drafts[number] = _Draft()
        else:
            problem = line_problem(line.text, texts[number], task)
            if problem not in BAD:
                problem = between.get(number) or (Problem.EXTRA if split_up else problem)
            drafts[number] = _Draft(texts[number], problem, answer.flags)
    return drafts


def _final(line: Line, draft: _Draft) -> TranslatedLine:
    problem = draft.problem
    if problem is None:
        return TranslatedLine(line.id, draft.text, draft.flags)
    flags = draft.flags + ((flag_of(problem),) if flag_of(problem) else ())
    # A text that answered a line asked for alone is that line's, whatever else was in the reply.
    if problem in BAD and problem not in {Problem.EXTRA, Problem.MERGED}:
        return TranslatedLine(line.id, "", (UNTRANSLATED, *flags))
    if not draft.text:
        return TranslatedLine(line.id, "", (UNTRANSLATED,))
    return TranslatedLine(line.id, draft.text, flags)


def add_usage(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Both together, meter by meter."""
    return {meter: one.get(meter, 0) + other.get(meter, 0) for meter in {**one, **other}}
