"""Processes that write a ledger and are killed in the middle of it: started by tests, with a store's folder.

python dying_runs.py run FOLDER     a run of `segue run`'s kind, killed when its first batch comes back
python dying_runs.py worker FOLDER   a worker with an engine process's journal, killed while an attempt is under way
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

_TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_TESTS.parent), str(_TESTS / "support")]

from cache.store import Store  # noqa: E402
from core.keys import Key, digest_value  # noqa: E402
from core.specs import EngineSpec  # noqa: E402
from journals.attempts import AttemptJournal, ProcessOrigin  # noqa: E402
from journals.log_ends import family_of, process_name  # noqa: E402
from journals.node_session import NodeFacts, NodeSession  # noqa: E402
from pipeline.stages.stage import Slot, Unit  # noqa: E402

ENGINE = EngineSpec("fake", "fake", "1")
BEAT_S = 0.05


def die(*_: Any, **__: Any) -> None:
    """Ends this process as the kernel does when there is no memory left."""
    os.kill(os.getpid(), signal.SIGKILL)


def attempts(store: Store, session: NodeSession, worker: str) -> AttemptJournal:
    """The journal of an engine process of this worker: loaded, one attempt ended, one under way."""
    card = ProcessOrigin(session.session, worker)
    journal = AttemptJournal(store, card, session=process_name(family_of(session.beats)))
    journal.engine_loaded("transcribe", ENGINE, 0.5)
    first = journal.start("transcribe", [_unit(worker, 1)], ENGINE, None)
    journal.end(first.attempt, 0.2, 1, {"audio_ms": 900})
    journal.start("transcribe", [_unit(worker, 2)], ENGINE, None)
    return journal


def _unit(worker: str, number: int) -> Unit:
    return Unit(Slot("transcribe", number), "j", Key(digest_value([worker, number])), ENGINE, 900)


def main(kind: str, folder: Path) -> None:
    """Never comes back."""
    if kind == "run":
        from job_bench import Bench

        AttemptJournal.end = die  # type: ignore[method-assign]
        Bench(folder).run_one(node_price="0.30 USD", to=("de",))
        return
    store = Store.open(folder / "home")
    facts = NodeFacts(host="there", boot_id="b")
    session = NodeSession.open(store, facts, "0.149 USD", worker="w-killed", interval=BEAT_S)
    attempts(store, session, "w-killed")
    time.sleep(5 * BEAT_S)
    print(session.beats, flush=True)
    die()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
