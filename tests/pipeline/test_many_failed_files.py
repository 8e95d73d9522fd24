"""Ten thousand files that are none: each is noted, and none waits for the disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from job_bench import Bench

from cache.filesystem import Filesystem
from pipeline.jobs import list_jobs
from pipeline.report import JobState


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each time that somebody waited for the disk."""
    seen: list[str] = []
    for name in ("fsync", "fsync_directory"):
        real = getattr(Filesystem, name)

        def counted(disk: Filesystem, subject: int | str, name: str = name, real: object = real) -> None:
            seen.append(name)
            real(disk, subject)  # type: ignore[operator]

        monkeypatch.setattr(Filesystem, name, counted)
    return seen


def listed(tmp_path: Path, count: int) -> list[Path]:
    """A manifest's worth of files that are missing, and as many that are no media."""
    broken = [tmp_path / f"broken{count}-{number}.mp4" for number in range(count)]
    for number, path in enumerate(broken):
        path.write_bytes(b"junk %d " % number * 100)
    manifest = tmp_path / f"missing{count}.csv"
    manifest.write_text("media\n" + "".join(f"gone{count}-{number}.mp4\n" for number in range(count)))
    return [manifest, *broken]


def test_files_that_fail_are_noted_without_waiting_for_the_disk(bench: Bench, tmp_path: Path, waits: list[str]) -> None:
    bench.run(*listed(tmp_path, 1))
    few = len(waits)
    report = bench.run(*listed(tmp_path, 40))
    assert len(waits) - few <= few
    assert [result.state for result in report.files] == [JobState.FAILED] * 80
    # The missing ones are problems of the manifest, which the command line notes.
    noted = {result.media.name for folder in list_jobs(bench.runtime().store) for _, result in folder.results()}
    assert {f"broken40-{number}.mp4" for number in range(40)} <= noted


def test_a_note_that_a_power_cut_left_empty_is_missing_and_no_damage(bench: Bench, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"junk")
    bench.run(broken)
    store = bench.runtime().store
    (note,) = store.home.glob("jobs/*/delivery-*.state")
    note.write_bytes(b"")
    assert [list(folder.results()) for folder in list_jobs(store)] == [[]]
    assert not list(store.home.glob("quarantine/*"))
    bench.run(broken)
    assert [result.state for folder in list_jobs(store) for _, result in folder.results()] == [JobState.FAILED]
