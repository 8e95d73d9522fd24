"""A translation endpoint that does not answer, when nobody needs its answer any more."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from own_model_server import OwnModelServer
from segue_cli import SegueHere
from spoken import SPEECH


@pytest.mark.usefixtures("impatient")
def test_what_was_translated_before_is_written_again_without_its_endpoint_and_nothing_else(
    segue: SegueHere, tmp_path: Path
) -> None:
    with OwnModelServer(0.0) as server:
        segue.env.update(server.settings)
        asked = ("run", SPEECH, "--to", "es", "--from", "en", "--out", "out")
        assert segue(*asked).code == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    shutil.rmtree(tmp_path / "out")
    again = segue(*asked, "--json")
    assert (again.code, again.json["jobs"][0]["state"]) == (0, "done")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert "it is not needed, since all of its work was done before" in again.stderr
    # Anything that it would have to translate is refused before anything is spent, as ever.
    more = segue("run", SPEECH, "--to", "es,ja", "--from", "en", "--out", "out")
    assert more.code == 2
    assert "nobody answers at" in more.stderr
