"""People are shared once: what a stage carries is the same wherever it is shown."""

from __future__ import annotations

import pytest
from job_bench import Bench
from msgspec import structs
from spoken import SPEECH

from accounting.job import ReportRules, job_report
from accounting.sharing.people import PeopleRules
from cache.store import Store
from journals.facts import AttemptStarted
from journals.lines import AttemptStartedLine
from ledger.price_book.price_files import shipped_book


def test_stage_table_job_total_and_verdict_agree_on_people_to_the_nano_unit(bench: Bench) -> None:
    done = bench.run_one(SPEECH, to=("es", "ja"), node_price="0.30 USD", fake_delay_ms=7)
    rules = ReportRules(people=PeopleRules("5-8", "7.000000001 USD", "0.001 machine hours"))
    # The fake engines of the bench are taken for real ones: work of fake engines carries no people.
    started = AttemptStartedLine.fact

    def as_real(line: AttemptStartedLine, process: str) -> AttemptStarted:
        return structs.replace(started(line, process), fake=False, provider="real")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AttemptStartedLine, "fact", as_real)
        report = job_report(Store.open(bench.folder / "home"), str(done.job_id), shipped_book(), rules)
    people, spent, judged = report.people, report.spent, report.verdict
    assert people.amount is not None
    assert {"transcribe", "translate"} <= set(people.by_stage)
    table = spent.by_bucket_and_stage["people"]
    assert {stage: share.point for stage, share in people.by_stage.items()} == table
    assert sum(amount.nano for amount in table.values()) == spent.by_bucket["people"].nano == people.amount.point.nano
    assert judged.found is not None
    sides = {}
    for stage, one in judged.found.by_stage.items():
        api = judged.against[stage].amount
        assert api is not None
        assert one.difference is not None
        sides[stage] = api.nano - one.difference.point.nano
    assert sides["translate"] == spent.by_stage["translate"].nano
    assert sides["transcribe"] == spent.total.nano - spent.by_stage["translate"].nano
    assert sum(sides.values()) == spent.total.nano
