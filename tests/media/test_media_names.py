"""Names of outputs: only a medium's suffix is cut off, and what is too long is cut so that no two meet."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from media import names
from media.inputs import expand_inputs
from media.mux import muxed_path
from media.names import fitting_path, longest_name, without_suffix


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("ep1.mp4", "ep1"),
        ("EP1.MKV", "EP1"),
        ("Mr. Robot", "Mr. Robot"),
        ("Mr. Robot.mkv", "Mr. Robot"),
        ("Show S01E02 1.5x", "Show S01E02 1.5x"),
        ("talk.final.v2", "talk.final.v2"),
        ("talk.final.v2.wav", "talk.final.v2"),
        (".hidden", ".hidden"),
        (".hidden.mp4", ".hidden"),
        (".mp4", ".mp4"),
        ("a.tar.gz", "a.tar.gz"),
        ("ends with a dot.", "ends with a dot."),
    ],
)
def test_only_a_suffix_of_media_is_cut_off(tmp_path: Path, name: str, stem: str) -> None:
    assert without_suffix(Path(name)) == Path(stem)
    (tmp_path / name).touch()
    (file,) = expand_inputs([tmp_path / name]).files
    assert file.stem == Path(stem)


def test_names_that_meet_without_their_suffix_keep_it(tmp_path: Path) -> None:
    for name in ("ep1.mp4", "ep1.wav", "ep1", "Mr. Robot", "Mr. Robot.mkv"):
        (tmp_path / name).touch()
    files = expand_inputs(
        [tmp_path / name for name in ("Mr. Robot", "Mr. Robot.mkv", "ep1", "ep1.mp4", "ep1.wav")]
    ).files
    assert {file.path.name: str(file.stem) for file in files} == {
        "ep1": "ep1",
        "ep1.mp4": "ep1.mp4",
        "ep1.wav": "ep1.wav",
        "Mr. Robot": "Mr. Robot",
        "Mr. Robot.mkv": "Mr. Robot.mkv",
    }


@pytest.mark.parametrize("stem", ["n" * 245, "番" * 80, "é" * 120, "a" * 300])
@pytest.mark.parametrize("room", [255, 143])
def test_a_name_is_cut_to_what_the_file_system_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stem: str, room: int
) -> None:
    monkeypatch.setattr(names, "longest_name", lambda _folder: room)
    endings = (".json", ".es.srt", ".partial.json", ".partial.en+zh-Hans.vtt")
    for ending in endings:
        path = fitting_path(tmp_path, stem, ending)
        path.touch()
        assert len(os.fsencode(path.name)) <= room
        assert path == fitting_path(tmp_path, stem, ending)
        assert path != fitting_path(tmp_path, stem[:-1] + "x", ending)
        assert path.name.endswith(ending)
    assert len(list(tmp_path.iterdir())) == len(endings)


def test_short_names_are_as_they_were_and_copies_are_cut_too(tmp_path: Path) -> None:
    assert fitting_path(tmp_path, "ep1", ".es.srt") == tmp_path / "ep1.es.srt"
    assert muxed_path(Path("Mr. Robot"), tmp_path) == tmp_path / "Mr. Robot.subtitled.mkv"
    assert len(os.fsencode(muxed_path(Path("n" * 251 + ".mp4"), tmp_path).name)) <= longest_name(tmp_path / "new")
