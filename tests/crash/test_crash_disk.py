"""Full, read-only and vanished disks: a clear line, exit code 75, no wrong output, and a later run that continues."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from books import find_breaches, read_books, session_names
from moments import Moment, Phase, await_moment
from segue_process import FAKES, Ended, Job, Place, SegueProcess, read_outputs, run_job

INTERRUPTED = 75
INCOMPLETE = 3


@contextlib.contextmanager
def small_disk(where: Path, size_kb: int) -> Iterator[Path]:
    """A tmpfs of that size; skips the test where it may not be mounted."""
    where.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k,mode=755", "segue-tests", str(where)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a small tmpfs cannot be mounted here (needs root)")
    try:
        yield where
    finally:
        subprocess.run(["umount", "--lazy", str(where)], check=False)


def remount(where: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(where)], check=True)


def fill(folder: Path, spare_bytes: int = 0) -> None:
    """Leaves no more than ``spare_bytes`` of room; the command may be writing meanwhile."""
    for name in ("filler", "filler-2"):
        with contextlib.suppress(OSError):
            (folder / name).write_bytes(bytes(max(0, shutil.disk_usage(folder).free - spare_bytes)))


def assert_clear(ended: Ended, *words: str) -> None:
    """Interrupted, with one line that says it, and no traceback."""
    assert ended.code == INTERRUPTED, ended.err
    assert "Traceback" not in ended.err
    assert "defect" not in ended.err
    said = [line for line in ended.err.splitlines() if any(word in line for word in words)]
    assert len(said) == 1, ended.err


def assert_continued(
    job: Job, place: Place, sessions: list[str], reference: dict[str, bytes], interrupted: list[str]
) -> None:
    """The next run gets through, with the reference's outputs, and nothing finished was computed again."""
    assert run_job(job, place).code == 0
    assert read_outputs(place.out) == reference
    order = sessions + [name for name in session_names(place.home) if name not in sessions]
    assert find_breaches(read_books(place.home, order), frozenset(interrupted)) == []


@pytest.mark.parametrize(
    ("wanted", "spare_kb"),
    [(2, 0), *(pytest.param(*each, marks=pytest.mark.long) for each in ((1, 0), (4, 12), (6, 140)))],
)
def test_a_disk_that_fills_up_interrupts_and_more_room_continues(
    long_job: Job,
    undelayed_job: Job,
    long_reference: dict[str, bytes],
    place: Place,
    wanted: int,
    spare_kb: int,
) -> None:
    with small_disk(place.home, 16_000):
        slow = replace(long_job, settings={**long_job.settings, "SEGUE_FAKE_DELAY_MS": "250"})
        with SegueProcess.of(slow, place) as process:
            await_moment(Moment(Phase.COMPUTING, wanted, 0.05), process, place)
            fill(place.home, spare_kb * 1024)
            ended = process.wait()
        assert_clear(ended, "no room", "MB free")
        assert read_outputs(place.out) == {} if place.out.exists() else True
        first = session_names(place.home)
        remount(place.home, "size=32000k")
        assert_continued(undelayed_job, place, first, long_reference, first)


def test_a_disk_without_room_for_the_audio_says_how_much_is_needed(long_job: Job, place: Place) -> None:
    with small_disk(place.home, 4_000):
        ended = run_job(long_job, place)
        assert_clear(ended, "MB are needed")
        assert not list((place.home / "blobs").glob("*"))


def test_a_full_output_disk_costs_no_finished_work(
    short_job: Job, short_reference: dict[str, bytes], place: Place
) -> None:
    with small_disk(place.out, 64):
        fill(place.out)
        ended = run_job(short_job, place)
        assert ended.code in (INTERRUPTED, INCOMPLETE), ended.err
        assert "Traceback" not in ended.err
        assert "defect" not in ended.err
        assert str(place.out) in ended.err + ended.out
        assert all(
            short_reference[name] == data for name, data in read_outputs(place.out).items() if name[:6] != "filler"
        )
        first = session_names(place.home)
        remount(place.out, "size=4000k")
        for name in ("filler", "filler-2"):
            (place.out / name).unlink(missing_ok=True)
        assert run_job(short_job, place).code == 0
        assert read_outputs(place.out) == short_reference
        assert session_names(place.home) == first


def test_a_read_only_home_is_said_at_once(short_job: Job, short_reference: dict[str, bytes], place: Place) -> None:
    with small_disk(place.home, 16_000):
        remount(place.home, "ro")
        assert_clear(run_job(short_job, place), "read-only")
        assert not place.out.exists()
        remount(place.home, "rw")
        assert run_job(short_job, place).code == 0
        assert read_outputs(place.out) == short_reference


def test_a_home_that_turns_read_only_is_continued_when_it_is_mended(
    long_job: Job, undelayed_job: Job, long_reference: dict[str, bytes], place: Place
) -> None:
    with small_disk(place.home, 32_000):
        slow = replace(long_job, settings={**long_job.settings, "SEGUE_FAKE_DELAY_MS": "150"})
        with SegueProcess.of(slow, place) as process:
            await_moment(Moment(Phase.COMPUTING, 3, 0.05), process, place)
            retry_while_busy(lambda: remount(place.home, "ro"))
            ended = process.wait()
        assert_clear(ended, "read-only")
        first = session_names(place.home)
        remount(place.home, "rw")
        assert_continued(undelayed_job, place, first, long_reference, first)


def retry_while_busy(act: Callable[[], None]) -> None:
    """A mount with a file open for writing cannot turn read-only just then."""
    for _ in range(200):
        with contextlib.suppress(subprocess.CalledProcessError):
            act()
            return
        time.sleep(0.01)
    pytest.skip("the disk was never free of open files")


def test_a_home_that_is_a_file_is_said_at_once(short_job: Job, place: Place) -> None:
    place.home.write_text("not a folder")
    ended = run_job(short_job, place)
    assert ended.code in (2, INTERRUPTED), ended.err
    assert str(place.home) in ended.err
    assert "Traceback" not in ended.err


def test_a_foreign_folder_is_not_taken_for_a_vanished_store(long_job: Job, place: Place) -> None:
    """Something else is mounted over home in the middle of a run."""
    slow = replace(long_job, settings={**long_job.settings, "SEGUE_FAKE_DELAY_MS": "200"})
    with SegueProcess.of(slow, place) as process:
        await_moment(Moment(Phase.COMPUTING, 2, 0.05), process, place)
        place.home.rename(place.base / "elsewhere")
        place.home.mkdir()
        ended = process.wait()
    assert_clear(ended, "vanished")
    assert list(place.home.iterdir()) == [], "nothing is created in its place"
    assert not place.out.exists() or read_outputs(place.out) == {}


def test_a_removed_home_is_said_and_a_new_run_starts_over(
    long_job: Job, undelayed_job: Job, long_reference: dict[str, bytes], place: Place
) -> None:
    slow = replace(long_job, settings={**FAKES, "SEGUE_FAKE_DELAY_MS": "200", "SEGUE_BATCH_SIZE": "2"})
    with SegueProcess.of(slow, place) as process:
        await_moment(Moment(Phase.COMPUTING, 3, 0.05), process, place)
        place.home.rename(place.base / "removed")
        shutil.rmtree(place.base / "removed")
        ended = process.wait()
    assert_clear(ended, "vanished")
    assert not place.home.exists(), "nothing is created in its place"
    assert run_job(undelayed_job, place).code == 0
    assert read_outputs(place.out) == long_reference


def test_no_mount_is_left_behind(place: Place) -> None:
    with contextlib.suppress(pytest.skip.Exception), small_disk(place.home, 1_000):
        assert os.path.ismount(place.home)
    assert not os.path.ismount(place.home)
