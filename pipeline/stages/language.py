"""The job's language: as it was said, else decided by several windows spread over it, so that no jingle decides it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pipeline.job import Plan, PlannedWindow
from pipeline.stages.detect import detection_slots, voting_weight
from pipeline.stages.stage import Done, Failed, Inputs, Need, OnFailure, Results, Settled, Slot, Stage

UNDECIDED = "the language could not be decided; say it with --from"


class SpokenLanguage(Stage):
    """One slot: the language of the whole job, BCP 47."""

    name = "spoken-language"

    def slots(self, plan: Plan, results: Results, changed: Slot | None) -> Iterable[Slot]:
        return (LANGUAGE,)

    def needs(self, plan: Plan, slot: Slot) -> tuple[Need, ...]:
        if plan.settings.source_language:
            return ()
        return tuple(Need(each, OnFailure.TOLERATED) for each in detection_slots(plan))

    def shortcut(self, plan: Plan, slot: Slot, inputs: Inputs) -> Settled:
        language = plan.settings.source_language
        if not language:
            guesses = {each.window: guess for each, guess in inputs.items() if guess is not None}
            language = decide_language(plan.windows, guesses)
        return Done(language) if language else Failed(UNDECIDED)


LANGUAGE = Slot(SpokenLanguage.name)


def language_in(results: Results) -> str:
    """The language that is spoken; empty while it is not known."""
    found = results.get(LANGUAGE)
    return found.value if isinstance(found, Done) else ""


def decide_language(windows: Sequence[PlannedWindow], guesses: Mapping[int, tuple[str, int]]) -> str:
    """The language with the most weight behind it; empty when nobody could say.

    ``guesses`` maps a window's index to (BCP 47 language, probability in thousandths). Ties go to the earlier name,
    so that the result depends on nothing but the guesses.
    """
    votes: defaultdict[str, int] = defaultdict(int)
    for index, (language, probability) in guesses.items():
        if language:
            votes[language] += max(voting_weight(windows[index]), 1) * probability
    return min(votes, key=lambda language: (-votes[language], language)) if votes else ""
