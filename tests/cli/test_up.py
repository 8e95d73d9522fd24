"""`segue up`: everything starts, is kept alive, and is gone afterwards, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from segue_cli import ROOT, Segue
from spoken import SPEECH

from cache.store import Store
from cli.queue.children import Child, ChildSpec, restart_pause_s, stop_children
from cli.queue.up import _listen
from jobs.presence import note_coordinator

PATIENCE_S = 60.0


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


class Up:
    """A running `segue up` and everything that it has started."""

    def __init__(self, segue: Segue, log: Path) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SEGUE_")}
        fakes = {"SEGUE_TRANSCRIBER": "fake", "SEGUE_TRANSLATOR": "fake", "SEGUE_PREEMPTION": "none"}
        env = clean | fakes | {"SEGUE_HOME": str(segue.folder / "home"), "PYTHONPATH": str(ROOT)}
        self.log = log
        with log.open("wb") as handle:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "cli.main", "up", "--workers", "1"],
                cwd=segue.folder,
                env=env,
                stderr=handle,
            )
        self.seen: dict[int, psutil.Process] = {}

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def children(self) -> list[psutil.Process]:
        """Everything below it, and what was seen there before."""
        if self.process.poll() is None:
            for each in psutil.Process(self.process.pid).children(recursive=True):
                self.seen[each.pid] = each
        return list(self.seen.values())

    def child(self, word: str) -> psutil.Process:
        for each in self.children():
            try:
                if word in each.cmdline() and "cli.queue.child" in each.cmdline() and not is_gone(each):
                    return each
            except psutil.NoSuchProcess:
                continue
        raise AssertionError(f"no {word} runs: {self.said()}")

    def everything_gone(self) -> bool:
        return all(is_gone(each) for each in self.children())

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        until(self.everything_gone, "its children outlived a killed 'segue up'")


@pytest.fixture
def up(segue: Segue, tmp_path: Path) -> Iterator[Up]:
    running = Up(segue, tmp_path / "up.log")
    yield running
    running.end()


def test_a_job_is_done_a_dead_worker_replaced_and_nothing_stays(segue: Segue, up: Up, tmp_path: Path) -> None:
    until(lambda: "serving" in up.said(), "no worker came up")
    done = segue("submit", SPEECH, "--to", "es", "--from", "en", "--out", "out", "--watch", "--json")
    assert done.code == 0, done.stderr + up.said()
    (job,) = done.json["jobs"]
    assert (job["state"], len(job["outputs"])) == ("done", 5)
    assert (tmp_path / "out" / "tickets.es.srt").is_file()
    job_id = segue("jobs", "--json").json["jobs"][0]["id"]
    assert segue("status", job_id, "--json").json["state"] == "done"
    (card,) = segue("workers", "--json").json["workers"]
    assert card["pid"] == up.child("worker").pid

    second = segue("up")
    assert second.code == 2
    assert f"process {up.process.pid}" in second.stderr

    worker = up.child("worker")
    worker.kill()
    until(lambda: up.said().count("serving") == 2, "the worker was not started again")
    assert up.child("worker").pid != worker.pid

    up.children()
    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(PATIENCE_S) == 0, up.said()
    until(up.everything_gone, "something stayed behind")
    assert "everything is stopped" in up.said()
    away = segue("workers")
    assert away.code == 2
    assert "segue up" in away.stderr


def test_children_end_when_up_is_killed(up: Up) -> None:
    until(lambda: "serving" in up.said(), "no worker came up")
    assert len(up.children()) >= 3
    up.process.send_signal(signal.SIGKILL)
    up.process.wait()
    until(up.everything_gone, "children outlived a killed 'segue up'")


def test_a_set_up_that_cannot_work_ends_it_with_one_line(segue: Segue) -> None:
    done = segue("up", "--workers", "1", "--stages", "dubbing")
    assert done.code == 2
    assert "dubbing" in done.stderr
    assert "cannot be started like this" in done.stderr


def test_each_process_answers_for_its_metrics_at_a_port_of_its_own() -> None:
    assert [_listen("127.0.0.1:9187", number) for number in (1, 2)] == [
        ("--listen", "127.0.0.1:9188"),
        ("--listen", "127.0.0.1:9189"),
    ]
    # A free port for each, or none: the setting itself says it to all of them.
    assert [_listen(address, 1) for address in ("127.0.0.1:0", "", "nonsense")] == [(), (), ()]


def test_pauses_between_starts_grow() -> None:
    assert [restart_pause_s(deaths) for deaths in range(9)] == [0, 0, 1, 2, 4, 8, 16, 30, 30]


def python(program: str) -> tuple[str, ...]:
    return (sys.executable, "-c", program)


def test_a_child_that_dies_is_started_again_and_its_lines_are_said() -> None:
    lines: list[tuple[str, str]] = []
    child = Child(ChildSpec("c", python("print('begun')")), lambda name, line: lines.append((name, line)))
    try:
        until(lambda: child.tend() and lines.count(("c", "begun")) == 2, "it was not started again")
        assert ("c", "(ended with exit code 0)") in lines
    finally:
        child.end()


def test_a_hopeless_ending_is_told() -> None:
    child = Child(ChildSpec("c", python("raise SystemExit(2)"), hopeless=(2,)), lambda _name, _line: None)
    until(lambda: not child.tend(), "it was started again and again")
    assert not child.alive


def test_what_does_not_stop_when_asked_is_ended_with_all_that_it_started() -> None:
    lines: list[str] = []
    program = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "inner = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        "print(inner.pid, flush=True); time.sleep(600)"
    )
    child = Child(ChildSpec("c", python(program)), lambda _name, line: lines.append(line))
    child.start()
    until(lambda: bool(lines), "it did not start")
    inner = psutil.Process(int(lines[0]))
    stop_children([child], 0.2, lambda: False)
    assert not child.alive
    until(lambda: is_gone(inner), "what it started stayed")


def test_two_coordinators_with_two_brokers_are_refused(segue: Segue, tmp_path: Path) -> None:
    with Store.open(tmp_path / "home") as store:
        note_coordinator(store, "redis://elsewhere:6379/0")
    done = segue("up")
    assert done.code == 2
    assert f"process {os.getpid()}" in done.stderr
