"""Flipped bytes and cut files under SEGUE_HOME: never a crash, never a wrong output; the next run mends it."""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from segue_cli import SegueHere
from segue_process import Ended, Job, Place, read_outputs, run_job, run_segue

SEED = int(os.environ.get("CRASH_SEED", "20261"))
INTERRUPTED = 75
Harm = Callable[[bytes, random.Random], bytes]


def flip(data: bytes, chance: random.Random) -> bytes:
    """One byte is another one."""
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ chance.randint(1, 255)]) + data[at + 1 :]


def cut(data: bytes, chance: random.Random) -> bytes:
    """The end is missing, at most all of it."""
    return data[: chance.randrange(len(data))]


def state_files(home: Path) -> list[Path]:
    """Every file of the store, in a fixed order, without what is in quarantine already."""
    found = (path for path in sorted(home.rglob("*")) if path.is_file() and path.stat().st_size)
    return [path for path in found if path.relative_to(home).parts[0] != "quarantine"]


@pytest.fixture
def segue(finished: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> SegueHere:
    """The command in this process, over the finished job: one start of Python for each file would take longer."""
    return SegueHere(finished.base, monkeypatch, capsys)


def one_of_each(home: Path) -> list[Path]:
    """The first file of every folder of the store, and of every kind of record."""
    found: dict[object, Path] = {}
    for path in state_files(home):
        place = path.relative_to(home)
        kind = re.search(rb'"kind":"([a-z]+)"', path.read_bytes()[:4096]) if place.parts[0] == "objects" else None
        found.setdefault(kind[1] if kind else (place.parts[:2], path.suffix), path)
    return list(found.values())


def harmed(files: list[Path], home: Path, harm: Harm) -> Iterator[str]:
    """Harms one file after the other; the caller runs the command after each."""
    chance = random.Random(SEED)
    for path in files:
        if path.exists():
            path.write_bytes(harm(path.read_bytes(), chance))
            yield path.relative_to(home).as_posix()


def run_here(segue: SegueHere, job: Job, place: Place) -> Ended:
    done = segue(*job.arguments(place), SEGUE_OWNER="tests")
    return Ended(done.code, done.stdout, done.stderr)


def assert_mended(ended: Ended, place: Place, reference: dict[str, bytes], what: str) -> None:
    assert ended.code == 0, f"{what}: {ended.err}{ended.out}"
    assert "Traceback" not in ended.err, what
    assert "defect" not in ended.err, what
    assert read_outputs(place.out) == reference, what


@pytest.mark.timeout(280)
@pytest.mark.parametrize(
    ("harm", "choose"), [pytest.param(flip, state_files, marks=pytest.mark.long), (cut, one_of_each)]
)
def test_a_damaged_file_is_made_again_whichever_it_is(
    harm: Harm,
    choose: Callable[[Path], list[Path]],
    finished: Place,
    segue: SegueHere,
    short_job: Job,
    short_reference: dict[str, bytes],
) -> None:
    """One byte of every file in turn; the end of one file of each kind."""
    seen = []
    for what in harmed(choose(finished.home), finished.home, harm):
        shutil.rmtree(finished.out)
        assert_mended(run_here(segue, short_job, finished), finished, short_reference, what)
        seen.append(what)
    assert len(seen) >= 12, seen


def test_everything_damaged_at_once_but_the_identity_is_made_again(
    finished: Place, short_job: Job, short_reference: dict[str, bytes]
) -> None:
    chance = random.Random(SEED)
    for path in state_files(finished.home):
        if not path.name.startswith("store.json"):
            path.write_bytes(flip(path.read_bytes(), chance))
    shutil.rmtree(finished.out)
    assert_mended(run_job(short_job, finished), finished, short_reference, "everything")


def test_damaged_audio_is_decoded_again_in_the_middle_of_a_job(
    finished: Place, short_job: Job, short_reference: dict[str, bytes]
) -> None:
    """Without its records the job needs the audio, and finds out only while it reads it."""
    for blob in (finished.home / "blobs").iterdir():
        data = blob.read_bytes()
        blob.write_bytes(data[:100_000] + bytes([data[100_000] ^ 1]) + data[100_001:])
    for record in (path for path in (finished.home / "objects").rglob("*") if path.is_file()):
        if b'"kind":"analysis"' not in record.read_bytes():
            record.unlink()
    shutil.rmtree(finished.out)
    assert_mended(run_job(short_job, finished), finished, short_reference, "audio")


def test_a_lost_identity_with_a_lost_copy_is_said_and_nothing_is_touched(finished: Place, short_job: Job) -> None:
    for name in ("store.json", "store.json.copy"):
        (finished.home / name).write_bytes(b"{}")
    before = {path: path.read_bytes() for path in state_files(finished.home)}
    ended = run_job(short_job, finished)
    assert ended.code == INTERRUPTED
    assert "store.json" in ended.err
    assert "Traceback" not in ended.err
    assert {path: path.read_bytes() for path in state_files(finished.home)} == before


def test_verify_finds_a_flipped_byte_and_the_next_run_mends_it(
    finished: Place, short_job: Job, short_reference: dict[str, bytes]
) -> None:
    record = next(path for path in sorted((finished.home / "objects").rglob("*")) if path.is_file())
    record.write_bytes(flip(record.read_bytes(), random.Random(SEED)))
    assert run_segue(["cache", "verify"], finished).code == 3
    shutil.rmtree(finished.out)
    assert_mended(run_job(short_job, finished), finished, short_reference, "verified")
    assert run_segue(["cache", "verify"], finished).code == 0
