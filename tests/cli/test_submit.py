"""`segue submit` without a coordinator."""

from __future__ import annotations

import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from queue_views import apply_orders, show, submit
from segue_cli import Segue
from spoken import SPEECH

from cache.store import Store
from core.keys import canonical_json
from jobs.presence import note_coordinator
from jobs.submissions import OrderKind, pending_orders
from pipeline.report import JobState


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


def test_a_coordinator_that_was_killed_on_this_machine_is_missed_at_once(
    segue: Segue, media: Path, store: Store
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    noted = {"at": datetime.now(UTC).isoformat(), "pid": gone.pid, "host": socket.gethostname(), "url_of_broker": ""}
    store.replace_state(("state", "coordinator.state"), canonical_json(noted))
    assert "no coordinator runs on this store since" in segue("submit", media, "--to", "es").stderr
