"""Every stage whose work APIs charge for is in comparisons and estimates, however many count the same thing."""

from __future__ import annotations

from itertools import permutations

import pytest
from job_bench import Bench
from spoken import SPEECH

from accounting.estimates.estimate import estimate
from accounting.job import job_report
from accounting.spending import Prices
from accounting.verdicts.workload import read_content
from cache.store import Store
from cli.money.estimate import _print_apis
from ledger.price_book.price_files import parse_toml, shipped_book
from pipeline import stages
from pipeline.inputs.requests import RunOptions, gather
from pipeline.jobs import JobFolder
from pipeline.runtime import Runtime, Settings
from pipeline.stages.stage import StageUsage
from pipeline.stages.transcribe import Transcribe
from pipeline.stages.translate import Translate


class Describe(Transcribe):
    """A second stage that hears."""

    name = "describe"
    noun = "description"


class Shorten(Translate):
    """A second stage that writes."""

    name = "shorten"
    noun = "shortening"


ROW = """
[[price]]
id = "acme/{stage}"
provider = "acme"
sku = "to-{stage}"
stage = "{stage}"
meter = "{meter}"
unit_price = "0.01"
per = 1
currency = "USD"
effective_from = "2020-01-01"
source_url = "https://acme.test/prices"
observed_at = "2026-01-01"
confidence = "list"
"""


TWINS = {"transcribe": "describe", "translate": "shorten"}


@pytest.fixture
def _two_of_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    more = (*stages.STAGES, Describe(), Shorten())
    monkeypatch.setattr(stages, "STAGES", more)
    monkeypatch.setattr(stages, "_BY_NAME", {stage.name: stage for stage in more})
    monkeypatch.setattr("pipeline.work.STAGES", more)


def _book() -> Prices:
    meters = {
        "transcribe": "audio_second",
        "describe": "audio_second",
        "translate": "character",
        "shorten": "character",
    }
    rows = "".join(ROW.format(stage=stage, meter=meter) for stage, meter in meters.items())
    return Prices(shipped_book().with_rows(parse_toml(rows, "acme.toml")))


@pytest.mark.usefixtures("_two_of_a_kind")
def test_a_second_stage_that_is_charged_alike_has_invoices_of_its_own(bench: Bench) -> None:
    result = bench.run_one(SPEECH)
    assert result.job_id is not None
    report = job_report(Store.open(bench.folder / "home"), result.job_id, _book().book)
    found = {
        (one.stage, one.basis): (one.usage, one.amount) for one in report.counterfactuals if one.provider == "acme"
    }
    assert {stage for stage, _ in found} == {"transcribe", "describe", "translate", "shorten"}
    for (stage, basis), invoice in found.items():
        # Each its own work once, and none the work of both.
        assert invoice == found[TWINS.get(stage, stage), basis]
    (silence,) = (one for one in report.avoided if one.kind == "silence")
    assert silence.basis.count("windows instead of") == 2


@pytest.mark.usefixtures("_two_of_a_kind")
def test_an_estimate_has_every_stage_that_apis_charge_for(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(home=bench.folder / "home", owner="tester", transcriber="fake", translator="fake")
    runtime = Runtime(settings, lambda _line: None)
    requests = gather([SPEECH], RunOptions(targets=("es", "ja"), source_language="en")).requests
    found = estimate(requests, runtime, _book())
    amounts = {(api.like.stage, api.like.basis): api.amount for api in found.apis if api.like.provider == "acme"}
    assert {stage for stage, _ in amounts} == {"transcribe", "describe", "translate", "shorten"}
    for (stage, basis), amount in amounts.items():
        assert amount == amounts[TWINS.get(stage, stage), basis]
    assert [text.stage for text in found.texts] == ["translate", "shorten"]
    assert found.usage["characters"].point == 2 * found.texts[0].usage["characters"].point > 0
    _print_apis(found)
    said = capsys.readouterr().out
    headings = ("transcription by API", "description by API", "translation by API, by character")
    for words in (*headings, "shortening by API, by character", "translation is taken to", "shortening is taken to"):
        assert words in said


def test_the_stage_that_is_compared_first_is_declared_and_not_the_first_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stages, "STAGES", (Shorten(), *stages.STAGES))
    assert stages.main_stages()[0].name == "shorten"
    assert stages.compared_first() == "transcribe"
    monkeypatch.setattr(stages, "STAGES", (Shorten(),))
    assert stages.compared_first() == ""


def test_what_votes_took_is_told_from_other_parts_of_their_stage(bench: Bench) -> None:
    job_id = bench.run_one(SPEECH).job_id
    content = read_content(JobFolder(Store.open(bench.folder / "home"), str(job_id)))
    assert content is not None
    took = {"warm": StageUsage(9, 5), "transcribe": StageUsage(2, 1_000), "detect": StageUsage(1, 300)}
    for names in permutations(took):
        spared = Transcribe().spared_by_silence(
            content.plan, content.work.results, {name: took[name] for name in names}
        )
        assert spared is not None
        assert spared.basis.endswith("at 300 ms a window, as language detection took")
