"""Ends that a coordinator notes, whatever was left half done, refused by the disk or written with another clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from accounting.checks.verify import verify_store
from cache.store import Store
from coordinator import death_watch
from coordinator.death_watch import DeathWatch
from core.errors import StoreError
from journals.hash_chained import HashChainedLog
from journals.log_ends import LOG_ENDS, EndOfLogRecorder, process_name


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(death_watch, "_GRACE_S", 0.0)
    monkeypatch.setattr(death_watch, "_SILENT", timedelta(0))
    monkeypatch.setattr(death_watch, "_LOOK_S", 60.0)
    return Store.open(tmp_path)


def watch(store: Store, say: Callable[[str], None] = pytest.fail) -> DeathWatch:
    return DeathWatch(store, EndOfLogRecorder(store, f"{process_name()}-coordinator"), say)


def dead(store: Store, number: int, *, at: str = "2026-11-01T00:00:00.000+00:00", fact: str = "beat") -> str:
    """The beats of a process that was killed after this fact; their path."""
    parts = ("nodes", f"{number:024x}", f"beats-{number}-{number:08x}.jsonl")
    journal = HashChainedLog(store, parts)
    journal.append([{"fact": "beat", "at": "2026-11-01T00:00:00.000+00:00"}], durable=True)
    journal.append([{"fact": fact, "at": at}], durable=True)
    return "/".join(parts)


def test_a_process_that_was_killed_between_its_last_line_and_the_anchor_of_that_is_no_problem_any_more(
    store: Store,
) -> None:
    beats = dead(store, 1, fact="session_closed")
    assert [problem.file for problem in verify_store(store).problems] == [f"ledger/anchors/{Path(beats).name}"]
    watch(store).look([])
    assert verify_store(store).problems == ()


def test_an_engine_process_that_outlived_its_supervisors_last_word_is_noticed(store: Store) -> None:
    beats = HashChainedLog(store, ("nodes", "a" * 24, "beats-7-00000007.jsonl"))
    engine = HashChainedLog(store, ("attempts", "20261101T000000-7-00000007-00000001.jsonl"))
    engine.append([{"fact": "process_started"}], durable=True)
    engine.append([{"fact": "engine_loaded"}], durable=True)
    beats.append([{"fact": "session_closed", "at": "2026-11-01T00:00:00.000+00:00"}], durable=True)
    beats.close()
    assert len(verify_store(store).unseen) == 1
    watch(store).look([])
    assert verify_store(store).unseen == ()


def test_a_process_that_ended_just_before_the_coordinator_began_or_whose_clock_is_ahead_is_looked_at_later(
    store: Store,
) -> None:
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    names = {dead(store, 1, at=ahead), dead(store, 2, at="no time at all"), dead(store, 3, at="2026-11-01T00:00:00")}
    found = watch(store)
    found.look([])
    assert set(verify_store(store).unseen) & names == {next(name for name in names if "beats-1-" in name)}
    found.look([])
    assert not names & set(verify_store(store).unseen)


def test_one_journal_that_the_disk_refuses_keeps_no_other_from_being_noted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    registered = watch(store, said.append)
    registered.look([])
    names = [dead(store, number) for number in range(4)]
    settle, children = store.settle_journal, store.children

    def refuse_one(parts: Sequence[str]) -> None:
        if "/".join(parts) == names[0]:
            raise StoreError("the disk cannot read it", "check it")
        settle(parts)

    def refuse_folder(parts: Sequence[str]) -> tuple[str, ...]:
        if tuple(parts) == ("nodes", f"{1:024x}"):
            raise StoreError("the disk cannot list it", "check it")
        return children(parts)

    earlier = watch(store, said.append)
    registered.look(names[:2])
    monkeypatch.setattr(store, "settle_journal", refuse_one)
    with monkeypatch.context() as patch:
        patch.setattr(store, "children", refuse_folder)
        earlier.look([])
    for _ in range(3):
        earlier.look([])
        registered.look([])
    assert set(names) & set(verify_store(store).unseen) == {names[0]}
    assert any("the disk cannot list it" in line for line in said)
    monkeypatch.setattr(store, "settle_journal", settle)
    earlier.look([])
    assert names[0] not in verify_store(store).unseen


def test_a_worker_that_comes_back_is_not_looked_at(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(death_watch, "_GRACE_S", 60.0)
    found = watch(store)
    found.look([])
    beats = dead(store, 1)
    for workers in ([beats], [], [beats]):
        found.look(workers)
    monkeypatch.setattr(death_watch.time, "monotonic", lambda: float("inf"))
    found.look([beats])
    assert store.children(LOG_ENDS) == ()


def test_a_pass_begins_nothing_more_when_its_time_is_over(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {dead(store, number) for number in range(5)}
    monkeypatch.setattr(death_watch, "_LOOK_S", -1.0)
    found, left = watch(store), [len(names)]
    while left[-1]:
        found.look([])
        left.append(len(names & set(verify_store(store).unseen)))
        assert left[-2] - left[-1] <= 1
    assert len(left) > len(names)
