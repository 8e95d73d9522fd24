"""Lines that a person needs to read once: a model's licence, a choice made for want of a hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.models import announce_once
from pipeline.runtime import Runtime, Settings


def say(home: Path, line: str, heard: list[str]) -> None:
    """One command that has this line to say."""
    runtime = Runtime(Settings(home=home), heard.append)
    announce = runtime.resources.announce_once
    assert announce is not None
    for _ in range(2):
        announce_once(announce, line)


def test_a_line_is_said_once_a_store_and_not_by_every_command(tmp_path: Path) -> None:
    heard: list[str] = []
    for home in ("a", "a", "b", "a"):
        say(tmp_path / home, "the licence of a model", heard)
    say(tmp_path / "a", "the licence of another model", heard)
    assert heard == ["the licence of a model", "the licence of a model", "the licence of another model"]


def test_a_process_that_dies_before_it_has_spoken_leaves_the_line_to_the_next(tmp_path: Path) -> None:
    class DiedError(Exception):
        pass

    def die(_line: str) -> None:
        raise DiedError

    with pytest.raises(DiedError):
        Runtime(Settings(home=tmp_path), die)._announce_once("the licence of a model")
    heard: list[str] = []
    say(tmp_path, "the licence of a model", heard)
    assert heard == ["the licence of a model"]


def test_without_a_store_the_line_is_said_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    heard: list[str] = []
    say(tmp_path / "file" / "home", "the licence of a model", heard)
    assert heard == ["the licence of a model"]
