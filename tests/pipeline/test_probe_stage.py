"""A stage that nobody but its own file knows: run, resumed, counted, kept, purged. `tests/fleet` runs it on a fleet."""

from __future__ import annotations

import io
import json
import time
import wave
from pathlib import Path

import pytest
from job_bench import Bench
from spoken import SAMPLE
from spoken import SPEECH as SPEECH_FILE
from typer.testing import CliRunner

from cache.envelope import BlobRef, Retention
from cache.removal import DAY_S
from cache.store import Store
from cli.main import app
from core.errors import StoreError
from jobs.purging import purge
from jobs.retention import collect
from pipeline.job import SPEECH
from pipeline.job_summary import summary_of
from pipeline.jobs import JobFolder
from pipeline.stages import STAGES
from pipeline.stages.stage import Done, Slot
from pipeline.work import JobWork

ON = {"fake_stages": True, "probe_limit": 30}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def run(bench: Bench, **changes: object) -> JobFolder:
    result = bench.run_one(SAMPLE, to=("es", "ja"), stage_options=ON, **changes)
    assert result.state == "done", result.reason
    assert result.job_id is not None
    return JobFolder(Store.open(bench.folder / "home"), result.job_id)


def without_outputs(bench: Bench) -> dict[str, bytes]:
    """Removes what was delivered, so that a run has to look at the job again; what it was."""
    before = bench.outputs()
    for name in before:
        (bench.out / name).unlink()
    return before


def work_of(folder: JobFolder) -> JobWork:
    plan = folder.read_plan()
    assert plan is not None
    return JobWork.open(plan, folder.store, folder.failures())


def probed(work: JobWork) -> dict[Slot, Done]:
    return {slot: found for slot, found in work.results.items() if slot.stage == "probe" and isinstance(found, Done)}


def test_its_units_come_late_one_for_each_language_and_a_second_take_where_the_first_does_not_fit(bench: Bench) -> None:
    work = work_of(run(bench))
    found = probed(work)
    assert {slot.language for slot in found} == {"es", "ja"}
    firsts = {slot for slot in found if slot.take == 0}
    assert {(slot.window, slot.language) for slot in firsts} == {
        (slot.window, slot.language) for slot in work.units if slot.stage == "translate"
    }
    assert {slot for slot in found if slot.take == 1} == {
        slot._replace(take=1) for slot in firsts if not found[slot].value.fits
    }
    assert any(slot.take for slot in found)
    count = work.counts["probe"]
    assert (count.total, count.done, count.cached) == (len(found),) * 3


def test_it_delivers_a_file_of_its_own_from_the_blobs_of_the_chosen_takes(bench: Bench) -> None:
    found = probed(work_of(run(bench)))
    for language in ("es", "ja"):
        chosen = {slot.window: each.value.text for slot, each in sorted(found.items()) if slot.language == language}
        with wave.open(io.BytesIO(bench.outputs()[f"sample.{language}.probe.wav"])) as reader:
            assert reader.getnframes() == 160 * sum(len(text) for text in chosen.values()) > 0


def test_without_its_switch_a_job_has_nothing_of_it_and_is_the_job_it_always_was(bench: Bench) -> None:
    plain = bench.run_one(SAMPLE, to=("es", "ja"))
    assert "probe" not in bench.computed()
    assert not [name for name in bench.outputs() if "probe" in name]
    folder = run(bench)
    assert plain.job_id != folder.job_id
    # What the jobs have in common is computed once.
    assert bench.computed()["transcribe"] == len(work_of(folder).plan.windows)


def test_a_run_that_was_ended_at_one_of_its_units_goes_on_there(bench: Bench) -> None:
    folder = run(bench)
    whole, computed = without_outputs(bench), bench.computed()["probe"]
    lost = [key for slot, key in work_of(folder).units.items() if slot.stage == "probe" and slot.take == 1]
    folder.store.purge(keys=lost, dry_run=False)
    assert run(bench).job_id == folder.job_id
    assert bench.computed()["probe"] == computed + len(lost)
    assert bench.outputs() == whole


def test_a_record_whose_blob_is_gone_is_computed_again(bench: Bench) -> None:
    folder = run(bench)
    whole, computed = without_outputs(bench), bench.computed()["probe"]
    slot, key = next((slot, key) for slot, key in work_of(folder).units.items() if slot.stage == "probe")
    head = folder.store.head(key)
    assert head is not None
    (blob,) = head.blobs
    assert (blob.name, blob.retention) == ("tone", Retention.RESULT)
    folder.store.purge(blobs=[blob.digest], dry_run=False)
    assert slot in {unit.slot for unit in work_of(folder).ready()}
    run(bench)
    assert bench.computed()["probe"] == computed + 1
    assert bench.outputs() == whole


def test_gc_keeps_its_blobs_and_purge_takes_them(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run(bench)
    store = folder.store
    heads = [store.head(key) for slot, key in work_of(folder).units.items() if slot.stage == "probe"]
    tones = {blob.digest for head in heads if head is not None for blob in head.blobs}
    later = time.time() + 30 * DAY_S
    monkeypatch.setattr("jobs.retention.time.time", lambda: later)
    collect(store, dry_run=False, views=True)
    assert all(store.has_blob(digest) for digest in tones)
    plan = folder.read_plan()
    assert plan is not None
    assert not store.has_blob(plan.view(SPEECH))
    purge(store, [folder.job_id], outputs=False)
    assert not any(store.has_blob(digest) for digest in tones)


def test_status_estimate_and_ledger_count_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"HOME": tmp_path / "home", "TRANSCRIBER": "fake", "TRANSLATOR": "fake"}.items():
        monkeypatch.setenv(f"SEGUE_{name}", str(value))
    monkeypatch.setenv("SEGUE_FAKE_STAGES", "1")

    def segue(*arguments: str) -> dict[str, object]:
        done = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
        value: dict[str, object] = json.loads(done.stdout)
        return value

    asked = [str(SAMPLE), "--to", "es"]
    estimated = json.dumps(segue("estimate", *asked))
    assert '"probe"' in estimated
    segue("run", *asked, "--out", str(tmp_path / "out"))
    assert '"probe"' in json.dumps(segue("status", "last"))
    assert '"probe"' in json.dumps(segue("ledger", "last"))


def test_a_stage_that_is_gone_is_a_plain_failure_and_no_crash(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run(bench)
    monkeypatch.setattr("pipeline.work.STAGES", tuple(stage for stage in STAGES if stage.name != "probe"))
    work = work_of(folder)
    assert "probe" not in work.counts
    assert work.finished


def test_outputs_that_need_a_lost_blob_say_so(bench: Bench) -> None:
    folder = run(bench)
    work = work_of(folder)
    slot, key = next((slot, key) for slot, key in work.units.items() if slot.stage == "probe" and slot.take == 1)
    head = folder.store.head(key)
    assert head is not None
    folder.store.purge(blobs=[blob.digest for blob in head.blobs], dry_run=False)
    stage = next(stage for stage in STAGES if stage.name == "probe")
    with pytest.raises(StoreError, match=slot.describe()):
        stage.outputs(work)


def tone_of(folder: JobFolder, take: int = 1) -> tuple[Slot, BlobRef]:
    slot, key = next(
        (slot, key) for slot, key in work_of(folder).units.items() if (slot.stage, slot.take) == ("probe", take)
    )
    head = folder.store.head(key)
    assert head is not None
    return slot, head.blobs[0]


def damage(folder: JobFolder) -> None:
    path = folder.store.home / "blobs" / tone_of(folder)[1].digest
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


def test_a_blob_that_was_damaged_on_disk_costs_its_own_file_and_is_made_anew(bench: Bench, tmp_path: Path) -> None:
    folder = run(bench)
    whole = without_outputs(bench)
    damage(folder)
    other = tmp_path / "other.mp4"
    other.write_bytes(SAMPLE.read_bytes() + b"\0")
    report = bench.run(SAMPLE, other, to=("es", "ja"), stage_options=ON)
    assert [str(file.state) for file in report.files] == ["failed", "done"]
    assert "run the same command again" in report.files[0].reason
    assert not report.stopped
    run(bench)
    assert {name: data for name, data in bench.outputs().items() if name.startswith("sample.")} == whole


def test_a_finished_job_is_not_opened_anew_for_damage_in_what_it_delivered(bench: Bench) -> None:
    bench.run_one(SAMPLE, to=("es", "ja"), stage_options=ON, formats=("ass",))
    folder = run(bench)
    damage(folder)
    assert run(bench).job_id == folder.job_id


def test_a_file_that_is_not_ours_is_refused_before_anything_is_spent(bench: Bench) -> None:
    bench.out.mkdir(parents=True)
    (bench.out / "sample.ja.probe.wav").write_bytes(b"somebody's")
    result = bench.run_one(SAMPLE, to=("es", "ja"), stage_options=ON)
    assert result.state == "failed"
    assert "sample.ja.probe.wav exists and Segue did not write it" in result.reason
    assert bench.computed() == {}


def test_the_names_of_its_files_are_known_before(bench: Bench) -> None:
    work = work_of(run(bench))
    for stage in STAGES:
        assert set(stage.outputs(work)) <= set(stage.suffixes(work.plan.settings))


def test_its_file_beside_a_job_without_it_is_out_of_date_and_the_flag_would_renew_it(bench: Bench) -> None:
    run(bench)
    left = bench.run_one(SAMPLE, to=("es",)).left_behind
    assert {(each.path.name, each.why, each.renewal) for each in left if each.path.suffix == ".wav"} == {
        ("sample.es.probe.wav", "of an earlier run", "--fake-stages"),
        ("sample.ja.probe.wav", "of an earlier run", ""),
    }


def test_a_record_that_was_just_read_is_not_opened_again_for_the_summary(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    head = Store.head
    monkeypatch.setattr(Store, "head", lambda store, key: opened.append(key) or head(store, key))
    folder = run(bench)
    work = work_of(folder)
    chosen = {slot[:3]: key for slot, key in sorted(work.units.items()) if slot.stage == "probe"}
    # Those whose tones are delivered, and the analysis, which is no unit.
    assert sorted(opened) == sorted([*chosen.values(), work.plan.analysis])
    data = folder.read_plan_data()
    assert data is not None
    named = {ref.digest for ref in summary_of(folder, data, {}).blobs}
    assert named == {ref.digest for key in work.keys for ref in head(folder.store, key).blobs} | set(
        work.plan.views.values()
    )


@pytest.mark.parametrize("lost", ["record", "blob", "plan"])
def test_what_verify_found_damaged_is_made_again_by_the_next_run_of_a_finished_job(bench: Bench, lost: str) -> None:
    def run_again(media: Path = SAMPLE) -> JobFolder:
        result = bench.run_one(media, to=("es",), stage_options=ON)
        assert (result.state, result.job_id is None) == ("done", False)
        return JobFolder(Store.open(bench.folder / "home"), str(result.job_id))

    folder, other = run_again(), run_again(SPEECH_FILE)
    plan = folder.read_plan()
    assert plan is not None
    work, before = JobWork.open(plan, folder.store, {}), bench.computed()
    key = next(key for slot, key in work.units.items() if slot.stage == "probe")
    places = {
        "record": f"objects/{key[:2]}/{key}",
        "blob": f"blobs/{work.blobs[key][0].digest}",
        "plan": f"jobs/{folder.job_id}/plan-1.json",
    }
    path = folder.store.home / places[lost]
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])
    assert folder.store.verify().damaged
    opened: list[str] = []
    known = JobFolder.read_plan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JobFolder, "read_plan", lambda folder: opened.append(folder.job_id) or known(folder))
        run_again(SPEECH_FILE)
        assert run_again().job_id == folder.job_id
    assert path.is_file()
    assert other.job_id not in opened
    assert bench.computed() == before | ({} if lost == "plan" else {"probe": before["probe"] + 1})
    # Mended, it costs nothing again, though quarantine still holds what was damaged.
    opened.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JobFolder, "read_plan", lambda folder: opened.append(folder.job_id) or known(folder))
        run_again()
    assert opened == ([folder.job_id] if lost == "plan" else [])
