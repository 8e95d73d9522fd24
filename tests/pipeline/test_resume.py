"""What is finished stays finished: same job, other job, changed job, longer media."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from job_bench import Bench
from planned_jobs import JobMaker, fake_runtime
from spoken import SAMPLE, SPEECH, samples_of, write_wav

from cache.envelope import Record
from cache.store import Store
from core.text import Word
from engines.engine import Result
from engines.roles import open_engine
from engines.transcribe.interface import Transcript
from journals.attempts import AttemptJournal
from pipeline.batches import Outcome, run_units
from pipeline.jobs import JobFolder
from pipeline.stages import stage_named
from pipeline.work import JobWork


def test_the_same_job_again_calls_no_engine(bench: Bench) -> None:
    first = bench.run_one()
    before, outputs = bench.computed(), bench.outputs()
    again = bench.run_one()
    assert first.state == again.state == "done"
    assert first.job_id == again.job_id
    assert bench.computed() == before == {"transcribe": 1, "translate": 1}
    assert bench.outputs() == outputs


def test_deleted_outputs_are_assembled_again_without_an_engine(bench: Bench) -> None:
    bench.run_one()
    outputs, before = bench.outputs(), bench.computed()
    for name in outputs:
        (bench.out / name).unlink()
    bench.run_one()
    assert bench.outputs() == outputs
    assert bench.computed() == before


def test_resume_runs_only_missing_units(bench: Bench) -> None:
    bench.run_one(SAMPLE, to=("es", "ja"))
    before, outputs = bench.computed(), bench.outputs()
    records = sorted((bench.folder / "home" / "objects").rglob("*/*"))
    for record in records[::3]:
        record.unlink()
    for name in outputs:
        (bench.out / name).unlink()
    bench.run_one(SAMPLE, to=("es", "ja"))
    assert bench.outputs() == outputs
    again = sum(bench.computed().values()) - sum(before.values())
    assert 0 < again <= len(records[::3])


def test_a_sick_device_fails_no_unit_and_the_next_run_finishes(bench: Bench) -> None:
    sick = bench.run_one(SAMPLE, fake_faults="sick:2")
    assert sick.state == "partial"
    assert "the device failed" in sick.reason
    with Store.open(bench.folder / "home") as store:
        assert JobFolder(store, sick.job_id).failures() == {}
    assert bench.run_one(SAMPLE).state == "done"


def test_another_target_language_transcribes_nothing_again(bench: Bench) -> None:
    bench.run_one(to=("es",))
    bench.run_one(to=("es", "ja"))
    assert bench.computed() == {"transcribe": 1, "translate": 2}


def test_another_translator_model_transcribes_nothing_again(bench: Bench) -> None:
    bench.run_one()
    bench.run_one(translator_model="other")
    assert bench.computed() == {"transcribe": 1, "translate": 2}


def test_another_transcriber_model_computes_what_depends_on_it(bench: Bench) -> None:
    bench.run_one()
    bench.run_one(transcriber_model="other")
    assert bench.computed()["transcribe"] == 2


def test_a_glossary_recomputes_only_windows_in_which_its_terms_occur(bench: Bench, tmp_path: Path) -> None:
    bench.run_one(SAMPLE)
    before = bench.computed()
    absent = tmp_path / "absent.csv"
    absent.write_text("source,target\nxylophonist,xilofonista\n", encoding="utf-8")
    bench.run_one(SAMPLE, glossary=absent)
    assert bench.computed() == before
    word = bench.document("sample")["cues"][0]["text"].split()[1].strip(".,?")
    present = tmp_path / "present.csv"
    present.write_text(f"source,target\n{word},palabra\n", encoding="utf-8")
    bench.run_one(SAMPLE, glossary=present)
    assert bench.computed()["transcribe"] == before["transcribe"]
    assert bench.computed()["translate"] > before["translate"]


def test_what_does_not_change_the_output_is_not_in_a_key(bench: Bench) -> None:
    bench.run_one(SAMPLE, batch_size=1, threads=1)
    before = bench.computed()
    bench.run_one(SAMPLE, batch_size=7, threads=2, owner="somebody else", out=bench.folder / "elsewhere")
    assert bench.computed() == before


def test_appended_material_computes_only_what_is_new(bench: Bench, tmp_path: Path) -> None:
    speech = np.tile(samples_of(SAMPLE), 2)
    longer = np.concatenate([speech, samples_of(SPEECH)])
    bench.run_one(write_wav(tmp_path / "first.wav", speech), to=())
    old = bench.computed()["transcribe"]
    result = bench.run_one(write_wav(tmp_path / "longer.wav", longer), to=())
    new = bench.computed()["transcribe"] - old
    total = result.tally.units["transcribe"][0]
    # The window at the join may gain segments; every other window is found by its content.
    assert total - old <= new <= total - old + 1


def test_copies_in_other_folders_share_one_job_and_keep_their_own_outputs(bench: Bench, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "media" / name).mkdir(parents=True)
        (tmp_path / "media" / name / "ep1.flac").write_bytes(SPEECH.read_bytes())
    report = bench.run(tmp_path / "media")
    assert [result.state for result in report.files] == ["done", "done"]
    assert len({result.job_id for result in report.files}) == 1
    assert (bench.out / "a" / "ep1.es.srt").read_bytes() == (bench.out / "b" / "ep1.es.srt").read_bytes()
    assert bench.computed() == {"transcribe": 1, "translate": 1}


def test_collected_audio_is_decoded_again_when_it_is_needed(bench: Bench) -> None:
    bench.run_one(to=())
    for blob in (bench.folder / "home" / "blobs").iterdir():
        blob.unlink()
    assert bench.run_one(to=("es",)).state == "done"
    assert bench.computed() == {"transcribe": 1, "translate": 1}
    assert bench.run_one(to=("es",), transcriber_model="other").state == "done"
    assert bench.computed()["transcribe"] == 2


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_outputs_do_not_depend_on_the_batch(bench: Bench, tmp_path: Path, batch_size: int) -> None:
    bench.run_one(SAMPLE, to=("es", "ja"))
    other = Bench(tmp_path / "other")
    other.run_one(SAMPLE, to=("es", "ja"), batch_size=batch_size)
    assert other.outputs() == bench.outputs()


def test_a_result_of_before_the_job_was_planned_anew_settles_nothing(tmp_path: Path) -> None:
    """A batch elsewhere may go on while a view is decoded again, to other samples, on this machine."""
    runtime = fake_runtime(tmp_path / "home")
    folder = JobFolder(runtime.store, JobMaker(runtime, tmp_path).submit("film", 2))
    plan = folder.read_plan()
    assert plan is not None
    before = JobWork.open(plan, runtime.store, {}).ready()
    anew = replace(plan, windows=tuple(replace(each, audio=f"other {each.audio}") for each in plan.windows))
    work = JobWork.open(anew, runtime.store, {})
    work.settle(before[0], Record(before[0].key, "transcribe", stage_named("transcribe").encode(Transcript(()))))
    work.fail(before[1], "it was too long")
    assert [unit.slot for unit in work.ready()] == [unit.slot for unit in before]
    assert not work.failed


def test_of_two_who_compute_a_unit_at_once_the_record_in_the_store_counts_for_both(tmp_path: Path) -> None:
    """An engine need not say the same twice, and whoever opens the job later reads the store."""
    runtime = fake_runtime(tmp_path / "home")
    store, journal = runtime.store, AttemptJournal(runtime.store)
    plan = JobFolder(store, JobMaker(runtime, tmp_path).submit("film", 1)).read_plan()
    assert plan is not None
    (unit,) = JobWork.open(plan, store, {}).ready()
    engine = open_engine("transcriber", unit.spec, runtime.resources)
    theirs = Record(
        unit.key, "transcribe", stage_named("transcribe").encode(Transcript((Word(0, 500, "theirs", 900),)))
    )
    compute = engine.run

    def second(*arguments: Any) -> Iterator[Result]:
        store.put(theirs)
        yield from compute(*arguments)

    engine.run = second  # type: ignore[method-assign]
    settled: list[Outcome] = []
    run_units([unit], lambda _job: plan, engine, store, journal, settled.append)
    assert [outcome.record for outcome in settled] == [store.get(unit.key)]
    assert settled[0].record is not None
    assert settled[0].record.payload == theirs.payload
