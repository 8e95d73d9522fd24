"""A store that holds token counts which cannot be true says what it can, for good."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_model_server import OwnModelServer
from segue_cli import SegueHere
from spoken import SPEECH

import engines.translate.openai
from engines.translate.interface import Translation, TranslationTask
from engines.translate.rounds import Ask, translate_task
from journals.facts import believable_counts

CLAIMED = {"input_tokens": 10**30, "output_tokens": -7}
CAPTIONS = (
    "1\n00:00:00,500 --> 00:00:02,000\nWhere is the station?\n\n2\n00:00:02,500 --> 00:00:04,000\nIt rains again.\n"
)


def test_counts_that_cannot_be_true_are_as_if_not_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lines.srt").write_text(CAPTIONS, encoding="utf-8")
    segue = SegueHere(tmp_path, monkeypatch, capsys)

    def believed(task: TranslationTask, ask: Ask) -> tuple[Translation, dict[str, int]]:
        return translate_task(task, ask)[0], {"requests": 1, **CLAIMED}

    with OwnModelServer(0.0) as server:
        # As it was written down when such claims were believed.
        monkeypatch.setattr(engines.translate.openai, "translate_task", believed)
        captions = ("--transcript", "lines.srt", "--from", "en", "--to", "es", "--out", "out")
        settings = {**server.settings, "SEGUE_OWN_ENGINES": ""}
        assert segue("run", SPEECH, *captions, **settings).code == 0
        monkeypatch.undo()
        estimate = segue("estimate", SPEECH, "--from", "en", "--to", "es", "--json", **settings)
        assert estimate.code == 0, estimate.stderr
    ledger = segue("ledger", "last", "--json")
    assert ledger.code == 0, ledger.stderr
    by_token = [one for one in ledger.json["counterfactuals"] if "unpriced: input tokens" in one["note"]]
    assert by_token
    assert all(one["amount"] is None and set(one["usage"]) == {"requests"} for one in by_token)
    assert segue("ledger", "last").code == 0
    assert segue("ledger", "verify").code == 0
    assert segue("ledger").code == 0


@pytest.mark.parametrize("count", [-7, 10**30, 3.5, "12", True, None, [1], {}, float("nan"), float("inf")])
def test_a_meter_that_holds_no_plausible_count_is_left_out_when_read(count: object) -> None:
    assert believable_counts({"input_tokens": count, "output_tokens": 12, "attempt": "a"}) == {"output_tokens": 12}


@pytest.mark.parametrize("raw", [None, 7, "x", [1], ["a", 1]])
def test_usage_that_is_no_object_of_counts_is_none(raw: object) -> None:
    assert believable_counts(raw) == {}
