"""`segue status` while, and after, another process is at a job."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from segue_cli import ROOT, Segue
from spoken import SPEECH

from cache.store import Store
from jobs.presence import RUN_GONE_S, run_sign
from jobs.status import status_of
from journals.lines import BeatLine, JobEndedLine, JobWantedLine, SessionClosedLine
from journals.node_session import Opening, boot_id
from pipeline.jobs import JobFolder, list_jobs

JOB = "ab" * 12
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def begin(tmp_path: Path) -> Callable[[], subprocess.Popen[bytes]]:
    """Begins a `segue run` that takes its time."""
    shutil.copy(SPEECH, tmp_path / "talk.flac")

    def start() -> subprocess.Popen[bytes]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SEGUE_")}
        fakes = {"SEGUE_TRANSCRIBER": "fake", "SEGUE_TRANSLATOR": "fake", "SEGUE_FAKE_DELAY_MS": "120000"}
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "cli.main", "run", "talk.flac", "--to", "es", "--from", "en"],
            cwd=tmp_path,
            env=clean | fakes | {"SEGUE_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    return start


def wait_until_running(home: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(0.2)
        if (home / "store.json").is_file():
            with Store.open(home) as store:
                standings = [status_of(folder) for folder in list_jobs(store)]
            if [each.run.pid for each in standings if each is not None and each.run is not None and each.run.pid]:
                return
    raise AssertionError("it did not begin")


def test_a_job_that_another_process_is_at_is_running_until_that_process_is_killed(
    segue: Segue, begin: Callable[[], subprocess.Popen[bytes]]
) -> None:
    process = begin()
    try:
        wait_until_running(segue.folder / "home")
        shown = segue("status", "talk").stdout
        assert "  running  owner" in shown
        assert f"running in process {process.pid} on {socket.gethostname()}, last sign of life" in shown
        owner = segue("status", "talk", "--json").json["owner"]
        refused = segue("cache", "purge", "--owner", owner, "--yes")
        assert refused.code == 2
        assert f"of '{owner}' is running in process {process.pid} on " in refused.stderr
        assert "stop that run first" in refused.stderr
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    # On the same machine nobody needs to wait for beats that do not come.
    status = segue("status", "talk", "--json").json
    assert (status["state"], status["run"]["alive"]) == ("interrupted", False)
    assert segue("run", "talk.flac", "--to", "es", "--from", "en").code == 0
    ended = segue("status", "talk", "--json").json
    assert (ended["state"], ended["run"]) == ("done", None)
    assert segue("cache", "purge", "--owner", owner, "--yes").code == 0


class Wants:
    """A store in which runs have noted what they want, and their beats."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def note(self, session: str, fact: str, age_s: float) -> None:
        at = ago(age_s)
        line = JobWantedLine(job=JOB, at=at) if fact == "job_wanted" else JobEndedLine(job=JOB, at=at, keys=())
        self.store.append(("jobs", JOB, f"wants-{session}.jsonl"), [line.entry()])

    def beat(self, session: str, fact: str, age_s: float, pid: int = 4711) -> None:
        at = ago(age_s)
        line = BeatLine(at=at) if fact == "beat" else SessionClosedLine(at=at, reason="done")
        self.store.append(("nodes", session, f"beats-{pid}-0000.jsonl"), [line.entry()])

    def open(self, session: str, host: str = "elsewhere", boot: str = "another") -> None:
        opened = Opening(session=session, at=ago(0), host=host, boot_id=boot)
        self.store.write_once(("nodes", session, "opened.json"), opened.encode())

    def sign(self) -> tuple[str, bool] | None:
        sign = run_sign(JobFolder(self.store, JOB), NOW)
        return None if sign is None else (sign.host, sign.alive)


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


@pytest.fixture
def wants(tmp_path: Path) -> Wants:
    return Wants(Store.open(tmp_path / "home"))


def test_a_run_elsewhere_lives_as_long_as_it_beats_and_is_then_last_seen(wants: Wants) -> None:
    assert wants.sign() is None
    wants.note("one", "job_wanted", 1000)
    assert wants.sign() == ("", False)
    wants.open("one")
    wants.beat("one", "beat", 12)
    assert wants.sign() == ("elsewhere", True)
    late = run_sign(JobFolder(wants.store, JOB), NOW + timedelta(seconds=RUN_GONE_S))
    assert late is not None
    assert not late.alive
    assert "process 4711 on elsewhere was last seen at 2026-05-01 11:59:48 UTC" in late.describe(NOW)


def test_a_run_that_left_in_order_is_no_news_and_one_that_was_killed_before_it_neither(wants: Wants) -> None:
    wants.note("killed", "job_wanted", 2000)
    wants.open("killed")
    wants.beat("killed", "beat", 1900)
    wants.note("ordered", "job_wanted", 1000)
    wants.open("ordered")
    wants.beat("ordered", "beat", 500)
    assert wants.sign() == ("elsewhere", False)
    wants.beat("ordered", "session_closed", 400)
    assert wants.sign() is None


def test_a_process_of_this_machine_that_is_gone_is_not_taken_for_alive_by_its_beats(wants: Wants) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(30)
    wants.note("here", "job_wanted", 1)
    wants.open("here", socket.gethostname(), boot_id())
    wants.beat("here", "beat", 1, ended.pid)
    assert wants.sign() == (socket.gethostname(), False)
    wants.note("mine", "job_wanted", 1)
    wants.open("mine", socket.gethostname(), boot_id())
    wants.beat("mine", "beat", 1, os.getpid())
    assert wants.sign() == (socket.gethostname(), True)


def test_what_a_coordinator_wants_is_no_run(wants: Wants) -> None:
    for name in ("coordinator", "20260501T115959-12-abcd-coordinator"):
        wants.note(name, "job_wanted", 1)
    assert wants.sign() is None
