"""`segue wait` and `segue watch`, and views written by hand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from queue_views import apply_orders, show, submit
from segue_cli import ROOT, Segue
from spoken import SPEECH

from cache.store import Store
from cli.queue import follow
from jobs.presence import note_coordinator
from jobs.queue_view import Priority, QueueView, write_view
from jobs.submissions import OrderKind, pending_orders
from pipeline.report import JobState


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
