"""The language of a job."""

from __future__ import annotations

import pytest
from job_bench import Bench
from spoken import SAMPLE

from core.speech import Segment, Span, Window
from pipeline.job import PlannedWindow
from pipeline.stages.detect import VOTERS, choose_voters
from pipeline.stages.language import decide_language


def windows(*lengths_and_scores: tuple[int, int]) -> list[PlannedWindow]:
    made, at = [], 0
    for index, (seconds, score) in enumerate(lengths_and_scores):
        segment = Segment(index, at, at + seconds * 1000, score)
        made.append(PlannedWindow(Window(index, (segment,), (Span(segment.start_ms, segment.end_ms),)), "0" * 64))
        at += seconds * 1000 + 500
    return made


def test_a_jingle_in_another_language_does_not_decide() -> None:
    planned = windows((28, 900), *[(20, 900)] * 9)
    voters = choose_voters(planned)
    guesses = {index: ("ko" if index == 0 else "de", 950 if index == 0 else 700) for index in voters}
    assert decide_language(planned, guesses) == "de"


def test_unsure_speech_weighs_less_than_sure_speech() -> None:
    planned = windows((20, 200), (20, 950))
    assert decide_language(planned, {0: ("cy", 900), 1: ("en", 800)}) == "en"


def test_voters_are_spread_over_the_whole_media() -> None:
    voters = choose_voters(windows(*[(20, 900)] * 100))
    assert len(voters) == VOTERS
    assert [voter // 20 for voter in voters] == [0, 1, 2, 3, 4]


def test_of_each_part_the_surest_window_is_asked() -> None:
    planned = windows(*[(20, 950) if index % 4 == 3 else (20, 300) for index in range(20)])
    assert all(voter % 4 == 3 for voter in choose_voters(planned))


def test_few_windows_are_all_asked() -> None:
    assert choose_voters(windows((3, 500), (4, 500))) == (0, 1)


@pytest.mark.parametrize("guesses", [{}, {0: ("en", 0)}])
def test_no_evidence_gives_no_error(guesses: dict[int, tuple[str, int]]) -> None:
    assert decide_language(windows((5, 500)), guesses) in ("", "en")


def test_the_voted_language_is_in_the_document_and_is_not_voted_on_again(bench: Bench) -> None:
    result = bench.run_one(SAMPLE, source_language="")
    assert result.language == bench.document("sample")["language"] == "en"
    votes = bench.computed()["detect"]
    bench.run_one(SAMPLE, source_language="", to=("ja",))
    assert bench.computed()["detect"] == votes
