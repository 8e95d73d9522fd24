"""Views: named forms of the media that a plan refers to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.planned_jobs import JobMaker, fake_runtime

from core.errors import StoreError
from core.keys import canonical_json
from pipeline.job import SPEECH, Plan, PlanVersionError
from pipeline.jobs import JobFolder


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    runtime = fake_runtime(tmp_path / "home")
    job_id = JobMaker(runtime, tmp_path).submit("film", 2)
    plan = JobFolder(runtime.store, job_id).read_plan()
    assert plan is not None
    assert runtime.store.has_blob(plan.view(SPEECH))
    return plan


def test_a_plan_names_its_views_and_reads_them_back(plan: Plan) -> None:
    more = replace(plan, views={**plan.views, "sound": plan.view(SPEECH)})
    value = json.loads(canonical_json(more.as_json()))
    assert Plan.from_json(value) == more
    assert Plan.held_in(value) == ("", more.views)


def test_a_view_that_the_job_was_planned_without_is_refused_by_name(plan: Plan) -> None:
    for asked in ("sound", ""):
        with pytest.raises(StoreError, match=f"without the view '{asked}'"):
            plan.view(asked)


def test_a_plan_of_the_version_before_views_is_refused(plan: Plan) -> None:
    value = {**plan.as_json(), "plan_version": 2, "audio": plan.view(SPEECH)}
    del value["views"]
    for read in (Plan.from_json, Plan.held_in):
        with pytest.raises(PlanVersionError, match="version 2"):
            read(value)
