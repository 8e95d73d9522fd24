"""A machine that is killed in any of its writes leaves a ledger that the next coordinator settles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from accounting.checks.verify import verify_store
from cache.journal import encode_line
from cache.store import Store
from coordinator import death_watch
from coordinator.death_watch import DeathWatch
from core.specs import EngineSpec
from journals import hash_chained
from journals.attempts import AttemptJournal, ProcessOrigin
from journals.demand import DemandLog
from journals.log_ends import EndOfLogRecorder, family_of, process_name
from journals.node_session import NodeFacts, NodeSession
from pipeline.jobs import JobFolder

ENGINE = EngineSpec("fake", "fake", "1")
#: More writes than the life below has.
MOST = 60


class Killed(BaseException):
    """The end of everything that runs on the machine."""


class Dying:
    """A store's appends, until the one that kills: all of it, its first line, or half of it is then on the disk."""

    def __init__(self, store: Store, last: int, share: str) -> None:
        self._store, self._left, self._share, self._append = store, last, share, store.append

    def __call__(self, parts: Sequence[str], entries: Sequence[Mapping[str, Any]], *, durable: bool = True) -> None:
        self._left -= 1
        if self._left > 0:
            self._append(parts, entries, durable=durable)
        if self._left == 0:
            lines = [encode_line(entry) for entry in entries]
            whole = b"".join(lines)
            kept = {"all": whole, "its first line": lines[0], "half": whole[: len(whole) // 2]}[self._share]
            path = self._store.home.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(kept)
        if self._left <= 0:
            raise Killed


def live(store: Store) -> None:
    """A worker with two engine processes, of which one leaves in order, and a coordinator; all of them end in order."""
    session = NodeSession.open(store, NodeFacts(host="there", boot_id="b"), "", worker="w")
    session._beat()
    engines = [
        AttemptJournal(store, ProcessOrigin(session.session, "w"), session=process_name(family_of(session.beats)))
        for _ in range(2)
    ]
    for engine in engines:
        engine.engine_loaded("transcribe", ENGINE, 0.5)
    engines[0].close()
    for engine in engines:
        session.note_process_end(engine.session)
        session._beat()
    witness = EndOfLogRecorder(store, f"{process_name()}-coordinator")
    wants, folder = DemandLog(witness), JobFolder(store, "c" * 24)
    wants.wanted(folder)
    wants.ended(folder, ["d" * 64])
    session.close("told")
    witness.see([session.beats])
    witness.close()


def recover(store: Store) -> None:
    """The next coordinator, which takes the job up again and leaves in order."""
    witness = EndOfLogRecorder(store, f"{process_name()}-coordinator")
    watch = DeathWatch(store, witness, pytest.fail)
    for _ in range(3):
        watch.look([])
    DemandLog(witness).wanted(JobFolder(store, "c" * 24))
    witness.close()


@pytest.mark.parametrize("share", ["all", "its first line", "half"])
def test_whatever_write_a_kill_breaks_off_the_next_coordinator_settles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: str
) -> None:
    monkeypatch.setattr(hash_chained, "ANCHOR_SECONDS", 0.0)
    monkeypatch.setattr(NodeSession, "_beat_on", lambda _session: None)
    monkeypatch.setattr(death_watch, "_SILENT", timedelta(0))
    monkeypatch.setattr(death_watch, "_LOOK_S", 60.0)
    for last in range(1, MOST):
        store = Store.open(tmp_path / str(last))
        with monkeypatch.context() as patch:
            patch.setattr(store, "append", Dying(store, last, share))
            try:
                live(store)
                survived = True
            except Killed:
                survived = False
        recover(store)
        found = verify_store(store)
        # The coordinator's own wants of the job are known by its witness, like everything else.
        assert (last, found.problems, found.unseen) == (last, (), ())
        store.close()
        if survived:
            break
    assert survived
    assert last > 15
