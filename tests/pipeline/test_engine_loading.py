"""An engine is loaded when a unit needs it, and only then: loading it is paid for by the job."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from job_bench import Bench
from spoken import SPEECH, samples_of, write_wav

from cache.store import Store
from journals.attempts import read_attempts
from journals.lines import EngineLoadedLine


def loads(bench: Bench) -> list[str]:
    """The stages whose engine was loaded, sorted, by all runs so far."""
    lines = read_attempts(Store.open(bench.folder / "home"))
    return sorted(line.stage for line in lines if isinstance(line, EngineLoadedLine))


def test_another_language_of_the_same_media_loads_no_transcriber(bench: Bench) -> None:
    for to in ("es", "de"):
        assert bench.run_one(to=(to,), source_language="").reason == ""
    assert loads(bench) == ["transcribe", "translate", "translate"]


def test_the_same_sound_in_another_file_loads_nothing_that_its_results_do_not_need(bench: Bench) -> None:
    bench.run_one()
    again = write_wav(bench.folder / "again.wav", samples_of(SPEECH))
    bench.run_one(again)
    assert loads(bench) == ["transcribe", "translate"]
    bench.run_one(again, to=("de",))
    assert loads(bench) == ["transcribe", "translate", "translate"]


def test_views_that_were_collected_are_decoded_again_and_no_transcriber_is_loaded(bench: Bench) -> None:
    bench.run_one()
    for blob in (bench.folder / "home" / "blobs").iterdir():
        blob.unlink()
    bench.run_one(to=("de",))
    assert loads(bench) == ["transcribe", "translate", "translate"]


def test_media_in_which_nobody_speaks_loads_nothing(bench: Bench, tmp_path: Path) -> None:
    silent = write_wav(tmp_path / "silent.wav", np.zeros(16_000 * 5, np.int16))
    bench.run_one(silent)
    assert loads(bench) == []


def test_another_owner_of_the_same_work_loads_nothing(bench: Bench) -> None:
    bench.run_one(owner="anna")
    bench.run_one(owner="bert")
    assert loads(bench) == ["transcribe", "translate"]
