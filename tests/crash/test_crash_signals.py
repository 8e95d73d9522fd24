"""Ctrl-C and SIGTERM: the batch in flight is finished, the exit code says that the same command continues."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time

import pytest
from books import find_breaches, read_books, session_names
from moments import Moment, Phase, await_moment
from segue_process import (
    COMMAND,
    FAKES,
    Ended,
    Job,
    Place,
    SegueProcess,
    environment,
    read_outputs,
    run_job,
)

INTERRUPTED = 75
IN_A_BATCH = Moment(Phase.COMPUTING, 2, 0.05)


@pytest.fixture
def slow_job(long_job: Job) -> Job:
    """Long enough batches to be surely inside one."""
    return Job(long_job.media, settings={**FAKES, "SEGUE_FAKE_DELAY_MS": "300", "SEGUE_BATCH_SIZE": "2"})


def interrupt(job: Job, place: Place, number: int) -> Ended:
    with SegueProcess.of(job, place) as process:
        await_moment(IN_A_BATCH, process, place)
        process.signal(number)
        return process.wait()


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGTERM])
def test_a_signal_finishes_the_batch_and_the_next_run_completes(
    slow_job: Job, undelayed_job: Job, long_reference: dict[str, bytes], place: Place, number: int
) -> None:
    ended = interrupt(slow_job, place, number)
    assert ended.code == INTERRUPTED, ended.err
    assert [job["state"] for job in ended.jobs] == ["interrupted"]
    assert "stopping after the batch in flight" in ended.err
    assert "Traceback" not in ended.err
    first = session_names(place.home)
    assert run_job(undelayed_job, place).code == 0
    assert read_outputs(place.out) == long_reference
    sessions = first + [name for name in session_names(place.home) if name not in first]
    books = read_books(place.home, sessions)
    assert len(sessions) == 2
    assert find_breaches(books, killed=frozenset()) == [], "what the engine gave back was committed"
    assert all(attempt.yielded for attempt in books.attempts)


def test_a_second_signal_leaves_at_once(
    slow_job: Job, undelayed_job: Job, long_reference: dict[str, bytes], place: Place
) -> None:
    stuck = Job(slow_job.media, settings={**slow_job.settings, "SEGUE_FAKE_DELAY_MS": "60000"})
    with SegueProcess.of(stuck, place) as process:
        await_moment(Moment(Phase.COMPUTING, 4, 0.05), process, place)
        process.signal(signal.SIGINT)
        time.sleep(0.5)
        assert process.running, "the batch in flight takes a minute"
        process.signal(signal.SIGINT)
        ended = process.wait(30)
    assert ended.code == INTERRUPTED
    assert "Traceback" not in ended.err
    first = session_names(place.home)
    assert run_job(undelayed_job, place).code == 0
    assert read_outputs(place.out) == long_reference
    sessions = first + [name for name in session_names(place.home) if name not in first]
    assert find_breaches(read_books(place.home, sessions), killed=frozenset(first)) == []


def test_a_reader_that_leaves_is_no_crash(place: Place) -> None:
    """`segue settings | head`: exit codes are for what went wrong."""
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [*COMMAND, "settings"],
        env=environment(place, FAKES),
        cwd=place.base,
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    os.close(writing)
    assert ended.returncode == 0
    assert b"Traceback" not in ended.stderr


def test_sigterm_at_any_time_ends_a_run_in_one_of_the_agreed_ways(
    short_job: Job, short_reference: dict[str, bytes], place: Place
) -> None:
    """Signals at moments spread over a whole run: done, or interrupted, and then the next run is done."""
    assert run_job(short_job, place).code == 0
    for after_s in (0.6, 0.9, 1.2, 1.5):
        shutil.rmtree(place.out, ignore_errors=True)
        with SegueProcess.of(short_job, place) as process:
            # The command's own start: what Python itself does with a signal before that is not ours.
            await_moment(Moment(Phase.START_UP, 1, after_s), process, place)
            process.signal(signal.SIGTERM)
            assert process.wait().code in (0, INTERRUPTED, -signal.SIGTERM)
    assert run_job(short_job, place).code == 0
    assert read_outputs(place.out) == short_reference
