"""The fake transcriber and its faults."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.errors import EngineError, SettingsError
from engines.engine import EngineChoice
from engines.resources import EngineResources
from engines.roles import freeze, open_engine
from engines.transcribe.fake import DEATH_STATUS
from engines.transcribe.interface import Clip, ClipSegment, LanguageQuestion


def engine(faults: str = "", model: str = "", options: tuple[tuple[str, str], ...] = ()):
    resources = EngineResources(models_dir=Path("unused"), fake_faults=faults)
    return open_engine(
        "transcriber", freeze("transcriber", EngineChoice("fake", model, options=options), resources), resources
    )


def clips(count: int) -> list[Clip]:
    return [
        Clip(
            str(number),
            np.random.default_rng(number).standard_normal(48_000).astype(np.float32) * 0.1,
            (ClipSegment(0, 1000, 800), ClipSegment(1000, 3000, 800)),
            "en",
        )
        for number in range(count)
    ]


def test_words_say_that_they_are_fake_and_lie_inside_their_segments():
    result = next(engine().run(clips(1))).value
    assert result.words[0].text == " fake"
    assert sum(word.end_ms <= 1000 for word in result.words) >= 2
    assert all(word.end_ms <= 1000 or word.start_ms >= 1000 for word in result.words)
    assert result.words[-1].text[-1] in ".?"


def test_another_model_writes_other_words():
    assert list(engine().run(clips(1))) != list(engine(model="fake-2").run(clips(1)))


def test_the_language_is_an_option():
    question = LanguageQuestion("q", clips(1)[0].samples)
    assert next(engine().run([question])).value.language == "en"
    assert next(engine(options=(("language", "ja"),)).run([question])).value.language == "ja"


def test_the_same_clips_always_fail():
    def failing(batch: list[Clip]) -> set[str]:
        return {r.id for r in engine("fail:3").run(batch) if r.value is None and r.reason}

    failed = failing(clips(30))
    assert 0 < len(failed) < 30
    assert failing(clips(30)[::-1]) == failed


def test_out_of_memory_lowers_the_batch_and_changes_nothing_else():
    small = engine("oom:3")
    assert sorted(small.run(clips(8)), key=str) == sorted(engine().run(clips(8)), key=str)
    assert small.batch_size <= 3


def test_a_crash_comes_at_the_nth_clip():
    results = engine("crash:3").run(clips(5))
    assert [next(results).id, next(results).id] == ["0", "1"]
    with pytest.raises(EngineError):
        next(results)


def test_death_ends_the_process_at_once(tmp_path: Path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import test_transcribe_fake as here\n"
        "for result in here.engine('die:3').run(here.clips(5)): print(result.id, flush=True)\n"
    )
    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", code, here], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (DEATH_STATUS, ["0", "1"])


@pytest.mark.parametrize("faults", ["fail", "fail:0", "burn:1", "oom:-1"])
def test_malformed_faults_and_options_are_refused(faults: str):
    with pytest.raises(SettingsError):
        engine(faults)
    with pytest.raises(SettingsError):
        engine(options=(("speed", "1"),))
