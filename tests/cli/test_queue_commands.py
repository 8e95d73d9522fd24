"""The other commands of the queue without a coordinator: orders on disk, and views written by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from queue_views import apply_orders, show, submit
from segue_cli import Segue
from spoken import SPEECH

from cache.store import Store
from core.keys import canonical_json
from jobs.queue_view import Priority, QueueView, write_view
from jobs.submissions import OrderKind
from jobs.webhooks import OUTBOX, EventEnd, EventOutcome, make_event_id, write_outcome
from pipeline.incidents import Death, Incidents
from pipeline.job import PLAN_VERSION
from pipeline.report import JobState


def test_jobs_lists_and_filters(segue: Segue, store: Store, tmp_path: Path) -> None:
    ids = []
    for number, owner in enumerate(("ann", "bob", "ann")):
        media = tmp_path / f"{number}.flac"
        media.write_bytes(SPEECH.read_bytes() + bytes(number))
        ids.append(submit(segue, media, "--owner", owner, "--label", f"season={number // 2}"))
    show(store, ids[1], JobState.RUNNING, units={"transcribe": (4, 1, 0, 0), "translate": (4, 1, 0, 0)}, running=2)
    listed = segue("jobs", "--json").json["jobs"]
    assert [job["id"] for job in listed] == ids[::-1]
    text = segue("jobs").stdout
    assert all(job_id[:12] in text for job_id in ids)
    assert "25 %" in text

    def found(*options: str) -> list[str]:
        return [job["id"] for job in segue("jobs", "--json", *options).json["jobs"]]

    assert found("--owner", "ann") == [ids[2], ids[0]]
    assert found("--state", "running") == [ids[1]]
    assert found("--label", "season=0") == [ids[1], ids[0]]
    assert found("--label", "season=0", "--owner", "bob", "--state", "queued") == []
    assert found("--limit", "1") == [ids[2]]
    assert "2 more" in segue("jobs", "--limit", "1").stdout


def test_status_works_before_there_is_a_plan(segue: Segue, media: Path, store: Store) -> None:
    job_id = submit(segue, media)
    for _ in range(2):
        status = segue("status", "talk.flac", "--json").json
        assert (status["id"], status["state"], status["units"], status["outputs"]) == (job_id, "queued", {}, [])
        assert status["media"] == [str(media)]
        assert status["targets"] == ["es"]
        apply_orders(store)
    assert [job["id"] for job in segue("status", "--json").json["jobs"]] == [job_id]


def test_status_shows_the_view_units_and_webhook(segue: Segue, media: Path, store: Store) -> None:
    job_id = submit(segue, media, "--notify", "https://example.org/x?token=secret")
    segue("run", media, "--to", "es", "--from", "en", "--out", "out")
    show(store, job_id, JobState.DONE)
    outcome = EventOutcome("e" * 32, job_id, "ended-1", "https://example.org", EventEnd.GIVEN_UP, 30, "2026-01-01", "x")
    write_outcome(store, outcome)
    status = segue("status", job_id[:8], "--json").json
    assert status["state"] == "done"
    assert status["units"]["translate"] == {"total": 1, "done": 1, "cached": 1, "failed": 0, "missing": 0}
    assert len(status["outputs"]) == 5
    assert "given up" in status["notified"]
    text = segue("status", job_id).stdout
    assert "given up" in text
    assert "secret" not in text


def test_one_job_s_broken_plan_keeps_nobody_from_seeing_the_others(segue: Segue, media: Path, store: Store) -> None:
    job_id = submit(segue, media)
    other = submit(segue, media, "--owner", "somebody")
    store.write_once(("jobs", other, "plan-1.json"), canonical_json({"plan_version": PLAN_VERSION}))
    store.write_once(("jobs", "ab" * 12, "plan-1.json"), b'{"plan_version": 99}')
    reasons = {job["id"]: job["reason"] for job in segue("status", "--json").json["jobs"]}
    assert reasons[job_id] == ""
    assert reasons[other] == "its plan makes no sense: KeyError: 'owner'"
    assert "version 99 cannot be read by this Segue" in reasons["ab" * 12]
    assert "makes no sense" in segue("status", other).stdout


def test_status_and_jobs_show_a_webhook_that_waits(segue: Segue, media: Path, store: Store) -> None:
    url = "https://user:secret@example.org/x?token=secret"
    job_id = submit(segue, media, "--notify", url)
    other = submit(segue, media, "--owner", "somebody")
    apply_orders(store)
    show(store, job_id, JobState.DONE)
    show(store, other, JobState.DONE)
    event_id = make_event_id(job_id, "ended-1", url)
    note = {"job": job_id, "event": "ended-1", "url": url, "at_ms": 0, "body": {}}
    store.write_once((*OUTBOX, f"{event_id}.json"), canonical_json(note))
    state = {"attempts": 3, "next_ms": 1_800_000_000_000, "last": "HTTP 500"}
    store.replace_state((*OUTBOX, f"{event_id}.state"), canonical_json(state))
    line = "ended-1 to https://example.org waits after 3 attempts: HTTP 500; tried again at 2027-01-15 08:00:00 UTC"
    assert f"webhook  {line}" in segue("status", job_id).stdout
    assert segue("status", job_id, "--json").json["untold"] == line
    assert f"webhook: {line}" in segue("jobs").stdout
    assert {job["id"]: job["untold"] for job in segue("jobs", "--json").json["jobs"]} == {job_id: line, other: ""}
    assert "webhook" not in segue("status", other).stdout


def test_cancel_retry_and_reprioritise_write_orders(segue: Segue, media: Path, store: Store) -> None:
    job_id = submit(segue, media)
    apply_orders(store)
    assert segue("reprioritise", job_id, "rush", "--json").json["ordered"] is True
    assert segue("jobs", "--json").json["jobs"][0]["priority"] == "rush"
    assert segue("reprioritise", job_id, "rush", "--json").json["ordered"] is False
    assert segue("cancel", job_id[:6]).code == 0
    assert segue("status", job_id, "--json").json["state"] == "cancelled"
    assert segue("cancel", job_id, "--json").json["ordered"] is False
    assert segue("retry", "talk").code == 0
    assert segue("status", job_id, "--json").json["state"] == "queued"
    assert apply_orders(store) == [OrderKind.REPRIORITISE, OrderKind.CANCEL, OrderKind.RETRY]
    show(store, job_id, JobState.DONE)
    assert segue("retry", job_id, "--json").json["ordered"] is False


def test_a_running_job_stays_running_until_a_coordinator_has_cancelled_it(
    segue: Segue, media: Path, store: Store
) -> None:
    job_id = submit(segue, media)
    show(store, job_id, JobState.RUNNING)
    segue("cancel", job_id)
    status = segue("status", job_id, "--json").json
    assert (status["state"], status["waiting_for"]) == ("running", "no coordinator has cancelled it yet")


@pytest.mark.parametrize("command", ["cancel", "retry", "watch", "wait", "logs"])
def test_a_job_that_nobody_knows_is_one_clear_line(segue: Segue, command: str) -> None:
    done = segue(command, "nothing")
    assert done.code == 2
    assert "no job is called 'nothing'" in done.stderr


def test_a_job_of_run_cannot_be_cancelled(segue: Segue, media: Path) -> None:
    segue("run", media, "--to", "es", "--from", "en", "--out", "out")
    done = segue("cancel", "last")
    assert done.code == 2
    assert "never submitted" in done.stderr


def test_logs_merge_what_all_writers_noted(segue: Segue, media: Path, store: Store) -> None:
    job_id = submit(segue, media)
    apply_orders(store)
    incidents = Incidents(store, job_id)
    incidents.log("coordinator", "opened", "3 windows")
    incidents.log("worker-b", "batch_done", "1 unit")
    incidents.open_round("order-1", "coordinator")
    death = Death("d" * 64, True, "SIGSEGV", "last words", 1, "worker-a")  # type: ignore[arg-type]
    incidents.note_deaths([death], "worker-a")
    segue("cancel", job_id)
    entries = segue("logs", job_id, "--json").json["entries"]
    assert [entry["event"] for entry in entries] == ["order", "opened", "batch_done", "retry", "death", "order"]
    assert {"at", "level", "event", "writer", "text"} <= set(entries[0])
    assert entries[4]["writer"] == "worker-a"
    text = segue("logs", job_id).stdout
    assert "last words" in text
    assert "SIGSEGV" in text


def test_workers_says_when_no_broker_is_known_or_none_answers(segue: Segue) -> None:
    unknown = segue("workers")
    assert unknown.code == 2
    assert "SEGUE_BROKER_URL" in unknown.stderr
    away = segue("workers", SEGUE_BROKER_URL="redis://:hush@127.0.0.1:9/0")
    assert away.code == 3
    assert "127.0.0.1:9" in away.stderr
    assert "hush" not in away.stderr


def test_help_groups_the_commands(segue: Segue) -> None:
    text = segue("--help").stdout
    for word in ("Queue", "Fleet", "submit", "reprioritise", "workers", "coordinator", "emulate-metadata"):
        assert word in text


def test_what_a_cancelled_job_has_not_done_yet_is_nothing_to_review(segue: Segue, media: Path, store: Store) -> None:
    (ran,) = segue("run", media, "--to", "es", "--from", "en", "--out", "out", "--json").json["jobs"]
    for record in (store.home / "objects").glob("*/*"):
        record.unlink()
    view = QueueView(ran["id"], JobState.FAILED, Priority.NORMAL, "ann", {}, (media,), "")
    write_view(store, view)
    assert "to review" in segue("status", "last").stdout
    write_view(store, replace(view, state=JobState.CANCELLED))
    shown = segue("status", "last").stdout
    assert "cancelled" in shown
    assert "to review" not in shown


def test_the_ledger_says_of_a_job_without_a_plan_how_it_stands(segue: Segue, media: Path, store: Store) -> None:
    job_id = submit(segue, media)
    waiting = segue("ledger", job_id, "--json").json
    assert (waiting["state"], waiting["media"]) == ("queued", ["talk.flac"])
    segue("cancel", job_id)
    for _ in range(2):
        assert segue("ledger", job_id, "--json").json["state"] == "cancelled"
        shown = segue("ledger", "talk.flac")
        assert "is cancelled and has no plan" in shown.stdout
        assert "purged" not in shown.stdout + shown.stderr
        apply_orders(store)
