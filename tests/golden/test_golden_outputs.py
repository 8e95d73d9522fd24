"""What the house delivers with fake engines is what it delivered before it was rebuilt, to the byte.

``python tests/golden/record.py`` writes the expected files again; a difference in them is for a person to explain.
"""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest
from golden_files import EXPECTED, decoders_differ
from golden_jobs import JOBS
from golden_recorder import record


@pytest.mark.parametrize("name", JOBS)
def test_the_same_inputs_give_the_same_outputs(tmp_path: Path, name: str) -> None:
    found = record(JOBS[name], tmp_path)
    if decoders_differ(name, tmp_path / "work"):
        pytest.skip("this machine decodes the media to other samples than the one that recorded")
    wanted = (EXPECTED / f"{name}.txt").read_bytes().decode()
    changes = difflib.unified_diff(wanted.split("\n"), found.split("\n"), "recorded", "now", lineterm="", n=1)
    assert found == wanted, "\n".join(list(changes)[:200])


def test_every_recorded_job_is_run() -> None:
    assert {path.stem for path in EXPECTED.glob("*.txt")} == set(JOBS)
