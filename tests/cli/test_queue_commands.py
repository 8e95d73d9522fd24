"""Commands of the queue without a coordinator: orders on disk, and views written by hand."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from segue_cli import ROOT, Segue
from spoken import SPEECH

from cache.store import Store
from cli.queue import follow
from core.keys import canonical_json
from jobs.presence import note_coordinator
from jobs.queue_view import Priority, QueueView, write_view
from jobs.submissions import OrderKind, file_order, pending_orders
from jobs.webhooks import OUTBOX, EventEnd, EventOutcome, make_event_id, write_outcome
from pipeline.incidents import Death, Incidents
from pipeline.job import PLAN_VERSION
from pipeline.report import JobState


@pytest.fixture
def media(tmp_path: Path) -> Path:
    copied = tmp_path / "talk.flac"
    copied.write_bytes(SPEECH.read_bytes())
    return copied


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "home") as opened:
        yield opened


def submit(segue: Segue, media: Path, *more: str) -> str:
    done = segue("submit", media, "--to", "es", "--from", "en", "--out", "out", "--json", *more)
    assert done.code == 0, done.stderr
    (job,) = done.json["jobs"]
    return str(job["id"])


def apply_orders(store: Store) -> list[OrderKind]:
    """What a coordinator does with orders, without doing anything about them."""
    orders = pending_orders(store)
    for order in orders:
        file_order(store, order)
    return [order.kind for order in orders]


def show(store: Store, job_id: str, state: JobState, **changes: object) -> QueueView:
    """The view of a job as a coordinator would write it."""
    from jobs.queue_listing import job_view

    apply_orders(store)
    view = job_view(store, job_id, ())
    assert view is not None
    view = replace(view, state=state, waiting_for="", **changes)  # type: ignore[arg-type]
    write_view(store, view)
    return view


def test_submit_writes_an_order_and_prints_the_job(segue: Segue, media: Path, store: Store) -> None:
    done = segue("submit", media, "--to", "es", "--label", "show=sands", "--priority", "rush")
    assert done.code == 0
    (line,) = done.stdout.splitlines()
    job_id, state, name = line.split()
    assert (state, name) == ("queued", "talk.flac")
    assert "no coordinator" in done.stderr
    (order,) = pending_orders(store)
    assert (order.job_id, order.kind) == (job_id, OrderKind.SUBMIT)
    assert order.submission is not None
    assert (order.submission.labels, order.submission.priority) == ({"show": "sands"}, "rush")


def test_nothing_is_remarked_while_a_coordinator_lives(segue: Segue, media: Path, store: Store) -> None:
    note_coordinator(store, "redis://:secret@host:6379/0")
    assert "coordinator" not in segue("submit", media, "--to", "es").stderr
    assert b"secret" not in (store.home / "state" / "coordinator.state").read_bytes()


def test_submitting_again_is_the_same_job_and_adds_nothing(segue: Segue, media: Path, store: Store) -> None:
    first = submit(segue, media)
    assert submit(segue, media) == first
    assert apply_orders(store) == [OrderKind.SUBMIT]
    assert submit(segue, media) == first
    show(store, first, JobState.RUNNING)
    again = segue("submit", media, "--to", "es", "--from", "en", "--out", "out", "--json").json["jobs"][0]
    assert (again["id"], again["state"]) == (first, "running")
    assert pending_orders(store) == ()
    assert submit(segue, media, "--owner", "somebody else") != first


def test_another_place_is_one_more_delivery_of_the_same_job(segue: Segue, media: Path, store: Store) -> None:
    first = submit(segue, media)
    done = segue("submit", media, "--to", "es", "--from", "en", "--out", "elsewhere", "--json")
    assert done.json["jobs"][0]["id"] == first
    folders = [order.submission.delivery.folder.name for order in pending_orders(store) if order.submission]
    assert folders == ["out", "elsewhere"]
    assert len(segue("jobs", "--json").json["jobs"]) == 1


@pytest.mark.parametrize("state", [JobState.PARTIAL, JobState.FAILED, JobState.CANCELLED])
def test_submitting_what_ended_with_gaps_asks_for_it_again(
    segue: Segue, media: Path, store: Store, state: JobState
) -> None:
    job_id = submit(segue, media)
    show(store, job_id, state)
    assert submit(segue, media) == job_id
    assert len(pending_orders(store)) == 1
    assert submit(segue, media) == job_id
    assert len(pending_orders(store)) == 1


def test_what_is_done_and_unchanged_is_said_to_be_done(segue: Segue, media: Path, store: Store, tmp_path: Path) -> None:
    ran = segue("run", media, "--to", "es", "--from", "en", "--out", "out", "--json").json["jobs"][0]
    done = segue("submit", media, "--to", "es", "--from", "en", "--out", "out", "--json")
    (job,) = done.json["jobs"]
    assert (job["id"], job["state"], job["outputs"]) == (ran["id"], "done", ran["outputs"])
    assert pending_orders(store) == ()
    assert segue("wait", job["id"]).code == 0
    (tmp_path / "out" / "talk.es.srt").unlink()
    assert segue("submit", media, "--to", "es", "--from", "en", "--out", "out", "--json").json["jobs"][0]["state"] == (
        "queued"
    )


def test_bad_files_are_reported_and_the_others_are_submitted(
    segue: Segue, media: Path, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "notes.mp4").write_text("no media", encoding="utf-8")
    (tmp_path / "empty.mp4").write_bytes(b"")
    # What is named and not there is bad usage: nothing is submitted before the command is right.
    assert segue("submit", "none.mp4", media, "--to", "es").code == 2
    assert pending_orders(store) == ()
    done = segue("submit", "notes.mp4", "empty.mp4", media, "--to", "es", "--json")
    assert done.code == 3
    states = {Path(job["media"]).name: (job["state"], bool(job["reason"])) for job in done.json["jobs"]}
    bad = ("failed", True)
    assert states == {"notes.mp4": bad, "empty.mp4": bad, "talk.flac": ("queued", False)}
    assert len(pending_orders(store)) == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--label", "nothing"], "--label show=sands"),
        (["--label", "a=1", "--label", "a=2"], "given twice"),
        (["--notify", "ftp://example.org/x?token=secret"], "http"),
        (["--priority", "soon"], "rush"),
        (["--to", "klingonese"], "klingonese"),
        (["--transcriber", "whisperr"], "whisperr"),
    ],
)
def test_bad_options_exit_with_2_and_order_nothing(
    segue: Segue, media: Path, store: Store, arguments: list[str], expected: str
) -> None:
    done = segue("submit", media, *arguments)
    assert done.code == 2
    assert expected in done.stderr
    assert "secret" not in done.stderr
    assert pending_orders(store) == ()


def test_a_manifest_is_submitted_row_by_row(segue: Segue, media: Path, tmp_path: Path) -> None:
    (tmp_path / "b.flac").write_bytes(SPEECH.read_bytes() + b"\0")
    (tmp_path / "list.csv").write_text("media,to\ntalk.flac,es\nb.flac,ja\n", encoding="utf-8")
    done = segue("submit", "list.csv", "--json")
    assert done.code == 0, done.stderr
    assert len({job["id"] for job in done.json["jobs"]}) == 2
    assert segue("status", "last", "--json").json["id"] == done.json["jobs"][-1]["id"]


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


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (JobState.DONE, 0),
        (JobState.PARTIAL, 3),
        (JobState.FAILED, 3),
        (JobState.CANCELLED, 3),
        (JobState.RUNNING, 75),
        (JobState.QUEUED, 75),
    ],
)
def test_the_exit_code_of_wait_says_how_a_job_ended(
    segue: Segue, media: Path, store: Store, state: JobState, code: int
) -> None:
    job_id = submit(segue, media)
    show(store, job_id, state, reason="because")
    done = segue("wait", job_id, "--timeout", "0", "--json")
    assert done.code == code
    assert [(job["id"], job["state"], job["reason"]) for job in done.json["jobs"]] == [(job_id, state, "because")]


def test_wait_is_as_bad_as_the_worst_of_its_jobs(segue: Segue, media: Path, store: Store, tmp_path: Path) -> None:
    (tmp_path / "b.flac").write_bytes(SPEECH.read_bytes() + b"\0")
    ids = [submit(segue, media), submit(segue, tmp_path / "b.flac")]
    show(store, ids[0], JobState.DONE)
    show(store, ids[1], JobState.PARTIAL)
    assert segue("wait", *ids).code == 3
    segue("retry", ids[1])
    assert segue("wait", *ids, "--timeout", "0").code == 75


def started(segue: Segue, *arguments: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SEGUE_")}
    env = clean | {"SEGUE_HOME": str(segue.folder / "home"), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-P", "-m", "cli.main", *arguments]
    return subprocess.Popen(command, cwd=segue.folder, env=env, stdout=subprocess.PIPE, text=True)


def test_watch_tells_of_changes_until_the_job_ends(segue: Segue, media: Path, store: Store) -> None:
    job_id = submit(segue, media)
    with started(segue, "watch", job_id, "--json") as watching:
        assert watching.stdout is not None
        assert '"queued"' in watching.stdout.readline()
        show(store, job_id, JobState.RUNNING)
        assert '"running"' in watching.stdout.readline()
        show(store, job_id, JobState.FAILED, reason="no speech")
        assert '"no speech"' in watching.stdout.readline()
    assert watching.returncode == 3


def test_leaving_watch_leaves_the_job_alone(segue: Segue, media: Path, store: Store) -> None:
    job_id = submit(segue, media)
    with started(segue, "watch", job_id, "--json") as watching:
        assert watching.stdout is not None
        watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
    assert watching.returncode == 75
    assert [order.kind for order in pending_orders(store)] == [OrderKind.SUBMIT]


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


def test_whoever_waits_is_told_again_that_nobody_takes_the_job_up(
    segue: Segue, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(segue, media)
    monkeypatch.setattr(follow, "_REMIND_EVERY_S", 0.0)
    waited = segue("wait", job_id, "--timeout", "0.6")
    assert waited.code == 75
    assert waited.stderr.count("no coordinator runs on this store: jobs wait, nothing is lost; 'segue up'") > 1


def test_whoever_waits_is_told_what_a_job_waits_for(
    segue: Segue, media: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(segue, media)
    apply_orders(store)
    note_coordinator(store, "redis://somewhere:6379/0")
    view = QueueView(
        job_id, JobState.QUEUED, Priority.NORMAL, "ann", {}, (media,), "", waiting_for="no worker serves it"
    )
    write_view(store, view)
    monkeypatch.setattr(follow, "_REMIND_EVERY_S", 0.0)
    waited = segue("wait", job_id, "--timeout", "0.1", "--json")
    assert waited.json["jobs"][0]["state"] == "queued"
    assert "still waiting for talk.flac: queued: no worker serves" in waited.stderr


def test_a_coordinator_that_was_killed_on_this_machine_is_missed_at_once(
    segue: Segue, media: Path, store: Store
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    noted = {"at": datetime.now(UTC).isoformat(), "pid": gone.pid, "host": socket.gethostname(), "url_of_broker": ""}
    store.replace_state(("state", "coordinator.state"), canonical_json(noted))
    assert "no coordinator runs on this store since" in segue("submit", media, "--to", "es").stderr


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
