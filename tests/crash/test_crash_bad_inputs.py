"""Bad input never costs the batch: everything odd at once, together with good files, in one real run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from long_speech import RATE, sample_pcm, write_wav
from segue_process import FAKES, ROOT, Ended, Place, SegueProcess, run_segue

from media.builds import find_ffmpeg

INCOMPLETE = 3
PLAYLIST = "#EXTM3U\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n"
CONCAT = "ffconcat version 1.0\nfile '{}'\n"
GOOD_NAMES = (
    "with some spaces.mp4",
    "'single' \"double\" `back`.mp4",
    "new\nline.mp4",
    "-leading-dash.mp4",
    "--to.mp4",
    "Привет 日本語 🎬.mp4",
    "percent %d %03d $HOME; echo.mp4",
)


def write_bad_files(folder: Path, sample: Path) -> dict[str, str]:
    """Makes every file that cannot be used; returns name -> a word its line must have."""
    (folder / "zero bytes.mp4").write_bytes(b"")
    (folder / "really text.mp4").write_text("This is a shopping list.\n" * 400)
    (folder / "cut short.mp4").write_bytes(sample.read_bytes()[:4000])
    (folder / "folder.mp4").mkdir()
    (folder / "list.m3u8").write_text(PLAYLIST.format(sample))
    (folder / "list renamed.mp4").write_text(PLAYLIST.format(sample))
    (folder / "concat.mp4").write_text(CONCAT.format(sample))
    (folder / "remote.mp4").write_text(PLAYLIST.format("http://127.0.0.1:9/x.ts"))
    (folder / "dangling.mp4").symlink_to(folder / "nowhere.mp4")
    os.mkfifo(folder / "pipe.mp4")
    ffmpeg = str(find_ffmpeg().path)
    silent_film = [ffmpeg, "-v", "error", "-i", str(sample), "-an", "-c:v", "copy", str(folder / "no sound.mp4")]
    subprocess.run(silent_film, check=True, stdin=subprocess.DEVNULL)
    return {
        "zero bytes.mp4": "empty",
        "really text.mp4": "",
        "cut short.mp4": "",
        "folder.mp4": "",
        "list.m3u8": "",
        "list renamed.mp4": "",
        "concat.mp4": "",
        "remote.mp4": "",
        "dangling.mp4": "link",
        "pipe.mp4": "pipe",
        "no sound.mp4": "audio",
    }


def write_odd_files(folder: Path, sample: Path) -> list[str]:
    """Makes files that are odd and can be used; returns their names."""
    sound = sample_pcm()[: 12 * RATE]
    write_wav(folder / "blink.wav", sound[RATE : RATE + RATE // 20])
    write_wav(folder / "silence.wav", np.zeros(5 * RATE))
    write_wav(folder / "twelve.wav", np.repeat(sound, 12), channels=12)
    for name in GOOD_NAMES:
        shutil.copy(sample, folder / name)
    return ["blink.wav", "silence.wav", "twelve.wav", *GOOD_NAMES]


@pytest.fixture
def mixed(place: Place, sample: Path) -> tuple[Ended, dict[str, dict[str, Any]], dict[str, str], list[str]]:
    """One run over everything: (how it ended, result by name, bad names with their words, good names)."""
    folder = place.base / "in"
    folder.mkdir()
    bad, good = write_bad_files(folder, sample), write_odd_files(folder, sample)
    shutil.copy(sample, folder / "good.mp4")
    good.append("good.mp4")
    names = [name for pair in zip([*bad, *bad], good, strict=False) for name in pair]
    names = list(dict.fromkeys([*names, *bad, *good]))
    arguments = ["run", "--to", "es", "--out", str(place.out), "--json", "--", *(str(folder / name) for name in names)]
    ended = run_segue(arguments, place)
    assert ended.code == INCOMPLETE, ended.err
    return ended, {Path(job["media"]).name: job for job in ended.jobs}, bad, good


def test_every_bad_file_gets_a_line_and_every_good_one_is_done(
    mixed: tuple[Ended, dict[str, dict[str, Any]], dict[str, str], list[str]], place: Place
) -> None:
    ended, by_name, bad, good = mixed
    assert "Traceback" not in ended.err
    assert "defect" not in ended.err
    assert set(by_name) == {*bad, *good}
    for name, word in bad.items():
        job = by_name[name]
        assert job["state"] == "failed", job
        assert job["outputs"] == []
        assert name in job["reason"], job
        assert word in job["reason"], job
        assert "\n" not in job["reason"]
    for name in good:
        assert by_name[name]["state"] == "done", by_name[name]
        assert all(Path(path).is_file() for path in by_name[name]["outputs"])
        assert len(by_name[name]["outputs"]) >= 3
    assert by_name["silence.wav"]["speech_ms"] == 0
    assert by_name["twelve.wav"]["speech_ms"] > 0
    assert not list(place.base.glob("*.srt")), "outputs stay in --out"


def test_relative_names_with_leading_dashes_are_files_after_two_dashes(place: Place, sample: Path) -> None:
    shutil.copy(sample, place.base / "-i.mp4")
    ended = run_segue(["run", "--to", "es", "--json", "--out", str(place.out), "--", "-i.mp4"], place)
    assert ended.code == 0, ended.err
    assert ended.jobs[0]["state"] == "done"


DROP = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")


def run_as_nobody(arguments: list[str], place: Place) -> Ended:
    """The command as a user who owns nothing; root reads what has no permissions."""
    with SegueProcess(arguments, place, FAKES, command=[*DROP, sys.executable, "-P", "-m", "cli.main"]) as process:
        return process.wait()


def open_to_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    for parent in folder.parents:
        if parent.owner() == folder.owner() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)


def can_drop(place: Place) -> bool:
    """True where nobody can start Python, and Python Python: decoding is a process of its own."""
    start = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    with SegueProcess(["-c", start], place, FAKES, command=[*DROP, sys.executable]) as process:
        return process.wait().code == 0


def test_a_file_without_permission_is_named_and_the_others_go_on(place: Place, sample: Path) -> None:
    folder = place.base / "in"
    folder.mkdir()
    for name in ("closed.mp4", "good.mp4"):
        shutil.copy(sample, folder / name)
    runner: Callable[[list[str], Place], Ended] = run_segue
    if os.geteuid() == 0:
        open_to_all(place.base)
        if shutil.which("setpriv") is None or not can_drop(place):
            pytest.skip("root reads everything, and nobody cannot start Python here")
        runner = run_as_nobody
    (folder / "closed.mp4").chmod(0)
    media = [str(folder / name) for name in ("closed.mp4", "good.mp4")]
    ended = runner(["run", "--to", "es", "--out", str(place.out), "--json", *media], place)
    assert ended.code == INCOMPLETE, ended.err
    closed, good = ended.jobs
    assert (closed["state"], good["state"]) == ("failed", "done"), ended.out
    assert "closed.mp4" in closed["reason"]
    assert "permission" in closed["reason"]
    assert "Traceback" not in ended.err


def test_a_manifest_with_bad_rows_names_each_row_and_does_nothing(place: Place, sample: Path) -> None:
    manifest = place.base / "list.csv"
    manifest.write_text(f"media,to\n{sample},es\nmissing.mp4,es\n{sample},12\n")
    ended = run_segue(["run", str(manifest), "--out", str(place.out)], place)
    assert ended.code == 2, ended.err
    assert "row 3" in ended.err
    assert "row 4" in ended.err
    assert not place.out.exists()
    assert ROOT.exists()
