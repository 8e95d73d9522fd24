"""From what a person names to a list of files, each with its own place in the outputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from media.inputs import expand_inputs


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def places(root: Path, *names: str) -> list[str]:
    return [str(file.relative) for file in expand_inputs([root / name for name in names]).files]


def test_folders_are_searched_to_the_bottom_in_a_fixed_order(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.mkv", "b/1.mp4", "a/x/deep.MP3", "z.wav", "notes.txt", ".hidden.mp4", ".git/a.mp4", "a/e.srt")
    assert places(tmp_path, ".") == ["z.wav", "a/x/deep.MP3", "b/1.mp4", "b/2.mkv"]


def test_files_of_one_name_in_two_folders_keep_apart(tmp_path: Path) -> None:
    touch(tmp_path, "a/ep1.mp4", "b/ep1.mp4", "c/other.mp4")
    assert places(tmp_path, "a", "b") == ["a/ep1.mp4", "b/ep1.mp4"]
    assert places(tmp_path, "a/ep1.mp4", "b/ep1.mp4") == ["a/ep1.mp4", "b/ep1.mp4"]
    assert places(tmp_path, "a", "c") == ["ep1.mp4", "other.mp4"]
    assert places(tmp_path, ".") == ["a/ep1.mp4", "b/ep1.mp4", "c/other.mp4"]


def test_files_that_differ_in_suffix_only_have_stems_of_their_own(tmp_path: Path) -> None:
    touch(tmp_path, "ep1.mp4", "ep1.mkv", "ep1.mp4.mp4", "ep2.mp4")
    files = expand_inputs([tmp_path]).files
    stems = {file.relative.name: str(file.stem) for file in files}
    assert stems == {"ep1.mkv": "ep1.mkv", "ep1.mp4": "ep1.mp4", "ep1.mp4.mp4": "ep1.mp4.mp4", "ep2.mp4": "ep2"}


def test_a_folder_that_is_named_like_a_file_is_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "ep1.mp4/inside.mp4")
    assert places(tmp_path, "ep1.mp4") == ["inside.mp4"]
    assert places(tmp_path, ".") == ["ep1.mp4/inside.mp4"]


def test_a_named_file_is_taken_whatever_its_suffix_and_once(tmp_path: Path) -> None:
    touch(tmp_path, "sound.dat", ".hidden.mp4")
    assert places(tmp_path, "sound.dat", "sound.dat", ".hidden.mp4") == ["sound.dat", ".hidden.mp4"]


def test_what_is_missing_or_empty_is_a_problem_and_the_rest_goes_on(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "empty/readme.txt")
    inputs = expand_inputs([tmp_path / "gone\n.mp4", tmp_path / "a.mp4", tmp_path / "empty"])
    assert [file.path for file in inputs.files] == [tmp_path / "a.mp4"]
    gone, empty = inputs.problems
    assert gone.message.endswith("gone\\n.mp4: there is no such file or folder")
    assert empty.message.endswith("empty: holds no media files")


def test_segues_own_copies_and_the_output_folder_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "ep1.mp4", "ep1.subtitled.mp4", "out/ep1.mp4")
    inputs = expand_inputs([tmp_path], exclude=[tmp_path / "out"])
    assert [str(file.relative) for file in inputs.files] == ["ep1.mp4"]


def test_links_are_followed_but_never_round_in_circles(tmp_path: Path) -> None:
    touch(tmp_path, "in/a/ep1.mp4", "elsewhere/ep2.mp4")
    (tmp_path / "in/a/loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/self").symlink_to(tmp_path / "in/self")
    (tmp_path / "in/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/broken.mp4").symlink_to(tmp_path / "nowhere")
    assert places(tmp_path, "in") == ["broken.mp4", "a/ep1.mp4", "link/ep2.mp4"]


def test_ten_thousand_files_are_all_found_in_order(tmp_path: Path) -> None:
    for number in range(100):
        folder = tmp_path / f"{number:03}"
        folder.mkdir()
        for episode in range(100):
            (folder / f"{episode:03}.mp4").touch()
    inputs = expand_inputs([tmp_path])
    assert len(inputs.files) == 10_000
    assert [file.relative for file in inputs.files] == sorted(file.relative for file in inputs.files)
    assert inputs.problems == ()


def test_a_folder_that_cannot_be_looked_into_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "locked/a.mp4")

    def refuse(_path: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("media.inputs.os.scandir", refuse)
    inputs = expand_inputs([tmp_path / "locked"])
    assert inputs.files == ()
    assert "cannot be looked into: Permission denied" in inputs.problems[0].message
