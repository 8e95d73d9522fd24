"""The gates, as tables."""

from __future__ import annotations

import pytest

from engines.transcribe.gates import (
    Evidence,
    RedecodeReason,
    agreement,
    doubt,
    is_doubtful,
    is_speechless,
    missing_segments,
    suspicions,
    unbelieved,
)
from engines.transcribe.interface import ClipSegment
from engines.transcribe.loops import compression_ratio, decoder_loops, find_loops
from engines.transcribe.words import TimedWord


def timed(text: str, probability: float = 0.9, step_ms: int = 300, start_ms: int = 0) -> tuple[TimedWord, ...]:
    return tuple(
        TimedWord(" " + word, start_ms + place * step_ms, start_ms + (place + 1) * step_ms, probability)
        for place, word in enumerate(text.split())
    )


def evidence(
    text: str,
    *,
    probability: float = 0.9,
    logprob: float = -0.2,
    no_speech: float = 0.1,
    score: int = 800,
    step_ms: int = 300,
):
    words = timed(text, probability, step_ms)
    end = max(1000, words[-1].end_ms if words else 0)
    segment = ClipSegment(0, end, score)
    return Evidence(text, words, (segment,), logprob, no_speech, compression_ratio(text))


def test_plain_speech_passes_every_gate():
    assert suspicions(evidence("And so my fellow Americans, ask not what your country can do for you")) == ()


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (evidence("so we go on " * 20, step_ms=90), RedecodeReason.COMPRESSION),
        (evidence("so we go on " * 20, step_ms=90), RedecodeReason.REPETITION),
        (evidence("perhaps this", logprob=-1.2), RedecodeReason.LOW_PROBABILITY),
        (Evidence("a b c d e", timed("a b c d e", step_ms=0), (ClipSegment(0, 900, 0),), -0.1, 0, 1), "piled-words"),
        (Evidence("x" * 90, timed("x" * 90), (ClipSegment(0, 1000, 0),), -0.1, 0, 1), RedecodeReason.TEXT_RATE),
        (Evidence("あ" * 40, timed("あ" * 40), (ClipSegment(0, 1000, 0),), -0.1, 0, 1), RedecodeReason.TEXT_RATE),
        (evidence("", score=900), RedecodeReason.MISSING_SPEECH),
    ],
)
def test_each_gate_stops_what_it_is_for(case: Evidence, expected: RedecodeReason):
    assert expected in suspicions(case)


@pytest.mark.parametrize(
    ("text", "loop"),
    [
        ("no no no no", None),
        ("very very very good", None),
        ("one two three one two three one two three", None),
        ("go " * 8, (1, 8)),
        ("well the end. The end. the end the end the end.", (3, 11)),
        ("buffalo buffalo buffalo buffalo buffalo", None),
        ("... ... ... ... ... ... ... ...", None),
    ],
)
def test_a_loop_is_a_phrase_four_times_in_a_row_and_eight_words_long(text: str, loop: tuple[int, int] | None):
    assert [(found.second, found.end) for found in find_loops(text.split())] == ([] if loop is None else [loop])


SENTENCE = "Ask not what your country can do for you. "


def laid(text: str, *lengths_ms: int, probability: float = 0.9) -> tuple[TimedWord, ...]:
    """Words that take these lengths, over and over; without spaces when the text has none."""
    pieces = [" " + word for word in text.split()] if " " in text.strip() else list(text)
    words, at = [], 0
    for place, piece in enumerate(pieces):
        end = at + lengths_ms[place % len(lengths_ms)]
        words.append(TimedWord(piece, at, end, probability))
        at = end
    return tuple(words)


@pytest.mark.parametrize(
    ("words", "cut"),
    [
        pytest.param(laid(SENTENCE * 8, 300), 0, id="a sentence said eight times"),
        pytest.param(laid("one two three " * 8, 280), 0, id="counting"),
        pytest.param(laid("no " * 12, 210), 0, id="no no no"),
        pytest.param(laid("la la la hey " * 9, 200, 200, 200, 900), 0, id="a refrain with a long last note"),
        pytest.param(laid("ありがとう" * 8, 120), 0, id="Japanese without spaces"),
        pytest.param(laid("go " * 10, 300, 300, 300, 300, 4_000), 0, id="a chant across a pause"),
        pytest.param(
            laid("did you bring the tickets Maria " * 8, 300, 200, 200, 500, 0, 400),
            0,
            id="a word in the shadow of another",
        ),
        pytest.param(laid("did you bring the tickets Maria " * 8, 300, 200, 500, 0, 0, 400), 42, id="two of six words"),
        pytest.param(laid("thank you " * 40, 50), 78, id="forty sayings in four seconds"),
        pytest.param(laid("thank you " * 10, 900, 0, 0, 0), 18, id="piled into no time"),
        pytest.param(laid("I know " * 6, 200, 200, 1_800, 1_900), 10, id="sayings of very unequal length"),
        pytest.param(laid("I know " * 6, 300, probability=0.5), 10, id="words that the model does not believe"),
        pytest.param(laid("ありがとう" * 8, 60), 35, id="Japanese faster than anybody speaks"),
    ],
)
def test_a_loop_is_a_loop_only_where_there_is_not_that_much_speech(words: tuple[TimedWord, ...], cut: int):
    text = "".join(word.text for word in words)
    segment = ClipSegment(0, words[-1].end_ms, 800)
    found = suspicions(Evidence(text, words, (segment,), -0.2, 0.1, compression_ratio(text)))
    assert sum(loop.end - loop.second for loop in decoder_loops(words)) == cut
    assert (RedecodeReason.REPETITION in found) == bool(cut)
    assert cut or RedecodeReason.COMPRESSION not in found


@pytest.mark.parametrize(
    ("text", "speechless"),
    [
        (". . . .", True),
        ("Hahaha.", True),
        ("Ha-ha-ha-ha", False),
        ("jajaja!", True),
        ("笑笑笑", True),
        ("ははは", True),
        ("母", False),
        ("Ha.", False),
        ("Okay.", False),
        ("3", False),
        ("", True),
    ],
)
def test_text_without_a_word_says_nothing(text: str, speechless: bool):
    assert is_speechless(text) is speechless


@pytest.mark.parametrize(
    ("what", "probabilities", "score", "no_speech", "believed"),
    [
        # Measured with Whisper base int8; scores are those of a detector that was in doubt.
        ("you, over white noise", [0.02], 50, 0.77, False),
        ("Thank you, over music", [0.02, 0.95], 100, 0.55, False),
        ("That's what I wanted to say, over laughter", [0.28, 0.17, 0.55, 0.11, 0.43, 0.3], 500, 0.23, False),
        ("Adiós, over applause", [0.27], 100, 0.84, False),
        ("1 2 3, 30 dB too quiet", [0.21, 0.43, 0.98], 400, 0.56, True),
        ("a Mandarin phrase, hardly audible", [0.41, 0.76, 0.99, 0.91], 200, 0.85, True),
        ("Yeah, cue test, far from the microphone", [0.25, 0.21, 0.81], 600, 0.54, True),
        ("Bonjour", [0.88, 0.44], 480, 0.03, True),
        ("any words, the detector sees nothing", [0.9, 0.8], 0, 0.9, True),
    ],
)
def test_words_are_refused_only_when_several_witnesses_agree(what, probabilities, score, no_speech, believed):
    words = tuple(TimedWord(" w", i * 200, i * 200 + 200, p) for i, p in enumerate(probabilities))
    assert (doubt(words, score, no_speech) < 4) is believed, what


def test_only_the_segment_with_invented_words_is_refused():
    words = (*timed("we begin at nine", 0.9), *timed("you you", 0.05, start_ms=2000))
    segments = (ClipSegment(0, 2000, 900), ClipSegment(2000, 4000, 100))
    case = Evidence("we begin at nine you you", words, segments, -0.6, 0.9, 1.0)
    assert unbelieved(case) == [1]


def test_a_word_inside_a_good_sentence_is_not_refused_for_lying_in_a_laugh():
    before = timed("ask not", 0.95)
    after = timed("your country can do", 0.95, start_ms=2000)
    segments = (ClipSegment(0, 1000, 900), ClipSegment(1000, 2000, 300), ClipSegment(2000, 4000, 900))

    def refused(text: str) -> list[int]:
        words = (*before, *timed(text, 0.1, start_ms=1200), *after)
        return unbelieved(Evidence("", words, segments, -0.2, 0.1, 1.0))

    assert refused("what") == []
    assert refused("Thank you.") == [1]


def test_speech_without_words_is_missed_only_where_the_detector_is_sure():
    words = timed("we begin", start_ms=0)
    segments = (ClipSegment(0, 1500, 900), ClipSegment(1500, 3500, 900), ClipSegment(3500, 5500, 300))
    assert missing_segments(words, segments) == [1]


def test_a_word_stretched_over_unwritten_speech_is_noticed():
    words = (TimedWord(" so", 0, 300, 0.9), TimedWord(" stretched", 300, 6000, 0.9), TimedWord(" end", 6000, 6300, 0.9))
    assert missing_segments(words, (ClipSegment(0, 6300, 900),)) == [0]


@pytest.mark.parametrize(
    ("one", "other", "least", "most"),
    [
        ("We begin at nine.", "we begin at nine", 1.0, 1.0),
        ("Yeah, so if you've, if you're back.", "So if you're back...", 0.5, 1.0),
        ("That's what I'm talking about.", "What are you going to do now?", 0.0, 0.2),
        ("扎自己的腳", "扎自己的脚", 0.7, 0.9),
    ],
)
def test_agreement_is_the_part_of_the_words_that_two_looks_share(one: str, other: str, least: float, most: float):
    assert least <= agreement(one, other) <= most


def test_improbable_text_is_doubtful_and_no_text_is_not():
    assert is_doubtful(evidence("mumble", logprob=-0.8))
    assert not is_doubtful(evidence("clear", logprob=-0.3))
    assert not is_doubtful(evidence("", logprob=-3.0))
