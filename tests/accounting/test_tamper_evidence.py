"""A store in which everything happened once, and every single change to any of its files: each one is found."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from dying_runs import BEAT_S, attempts
from job_bench import Bench

from accounting.checks.verify import verify_store
from accounting.facts import FactReader
from accounting.fleet_ledger import PricingRules
from accounting.months import close_month
from accounting.typed_facts import Process
from cache.names import JOBS
from cache.store import Store
from coordinator import death_watch
from coordinator.death_watch import DeathWatch
from core.errors import StoreError
from jobs.purging import jobs_of_owner, purge
from journals.facts import ProcessEnded, ProcessStarted
from journals.log_ends import JOURNAL, LOG_ENDS, EndOfLogRecorder, process_name
from journals.node_session import NodeFacts, NodeSession
from ledger.price_book.prices import PriceBook

HERE = Path(__file__).resolve().parent
#: Flipped bytes in each line.
FLIPS = 2


def killed(kind: str, folder: Path) -> str:
    """Runs a process that is killed; what it said before."""
    found = subprocess.run(
        [sys.executable, str(HERE.parent / "support" / "dying_runs.py"), kind, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == -9, found.stderr
    return found.stdout.strip()


def watched(store: Store, beats: str) -> None:
    """A coordinator that had a worker's card, has it no more, and leaves in order."""
    witness = EndOfLogRecorder(store, f"{process_name()}-coordinator")
    watch = DeathWatch(store, witness, pytest.fail)
    watch.look([beats, "../../etc/passwd", ""])
    watch.look([])
    watch.look([])
    witness.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("ledger")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(death_watch, "_GRACE_S", 0.0)
        # The first run and the month come before what is killed: a closing knows everything that was there before it.
        bench = Bench(folder)
        bench.run_one(node_price="0.30 USD")
        store = Store.open(folder / "home")
        close_month(store, "2026-10", PriceBook(()), PricingRules())
        killed("run", folder)
        bench.run_one(node_price="0.30 USD", to=("de",))
        watched(store, killed("worker", folder))
        session = NodeSession.open(store, NodeFacts(host="there", boot_id="c"), "1 USD", worker="w", interval=BEAT_S)
        session.note_process_end(attempts(store, session, "w").session)
        session.close("told")
        yield folder / "home"


def journals(home: Path) -> list[Path]:
    """Every file of the ledger."""
    found = [path for name in ("attempts", "nodes", "ledger") for path in (home / name).rglob("*")]
    return sorted(
        path for path in [*found, *(home / JOBS).glob("*/wants-*"), *(home / JOBS).glob("*/plan-*")] if path.is_file()
    )


def changes(data: bytes, chance: random.Random, *, journal: bool) -> Iterator[tuple[str, bytes]]:
    """Everything that one hand may do to a file, and what it is called."""
    lines = [b"\n" + line + b"\n" for line in data.split(b"\n") if line]
    if not journal:
        lines = data.splitlines(keepends=True)
    for place, line in enumerate(lines):
        before, after = b"".join(lines[:place]), b"".join(lines[place + 1 :])
        yield f"line {place} dropped", before + after
        yield f"line {place} twice", before + line + line + after
        yield f"line {place} again at the end", data + line
        yield f"cut at line {place}", before
        yield f"cut in line {place}", before + line[: chance.randrange(1, len(line) - 1)]
        if place + 1 < len(lines):
            following = lines[place + 1]
            yield f"lines {place} and {place + 1} swapped", before + following + line + after[len(following) :]
        for _ in range(FLIPS):
            at = len(before) + chance.randrange(len(line))
            yield f"byte {at} flipped", data[:at] + bytes([data[at] ^ chance.randrange(1, 256)]) + data[at + 1 :]
    yield "the last newline cut", data[:-1]


def test_every_single_change_to_any_file_is_found(home: Path) -> None:
    store, chance = Store.open(home), random.Random(11)
    found = verify_store(store)
    assert (found.problems, found.unsealed, found.unseen) == ((), (), ())
    missed, tried = [], 0
    for path in journals(home):
        name, data = path.relative_to(home), path.read_bytes()
        path.unlink()
        if not verify_store(store).problems:
            missed.append(f"{name}: deleted")
        for words, changed in changes(data, chance, journal=path.suffix == JOURNAL):
            if changed != data:
                path.write_bytes(changed)
                tried += 1
                if not verify_store(store).problems:
                    missed.append(f"{name}: {words}")
        path.write_bytes(data)
    assert missed == []
    assert tried > 500
    assert verify_store(store).problems == ()


def test_a_killed_engine_process_is_known_to_have_ended_where_its_supervisor_lived(home: Path) -> None:
    reader = FactReader(Store.open(home))
    ends = {fact.process for session in reader.sessions() for fact in reader.node(session).facts if _is_end(fact)}
    supervised = {each.name for each in reader.processes if _worker_of(each) == "w"}
    assert ends == supervised
    assert len(ends) == 1


def _is_end(fact: object) -> bool:
    return isinstance(fact, ProcessEnded)


def _worker_of(process: Process) -> str:
    return next((fact.worker for fact in process.facts if isinstance(fact, ProcessStarted)), "")


def cut_last_line(path: Path) -> bytes:
    """Takes the last line of a journal away; what it was before."""
    whole = path.read_bytes()
    path.write_bytes(b"\n\n".join(whole.split(b"\n\n")[:-1]) + b"\n")
    return whole


def test_a_killed_run_that_nobody_noticed_is_counted_until_the_next_run_notices_it(bench: Bench) -> None:
    killed("run", bench.folder)
    store = Store.open(bench.folder / "home")
    found = verify_store(store)
    (attempts_file,) = (bench.folder / "home" / "attempts").iterdir()
    name = f"attempts/{attempts_file.name}"
    assert found.problems == ()
    assert name in found.unseen
    bench.run_one(node_price="0.30 USD", to=("fr",))
    seen = verify_store(store)
    assert seen.problems == ()
    assert seen.unseen == ()
    cut_last_line(attempts_file)
    assert any(problem.file == name for problem in verify_store(store).problems)


def test_a_worker_that_was_killed_while_no_coordinator_was_there_is_noticed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = killed("worker", tmp_path)
    store = Store.open(tmp_path / "home")
    assert beats in verify_store(store).unseen
    # This is the only change that is not found: the end of a journal of which nobody knows that it has ended.
    whole = cut_last_line(tmp_path / "home" / beats)
    assert verify_store(store).problems == ()
    (tmp_path / "home" / beats).write_bytes(whole)
    monkeypatch.setattr(death_watch, "_SILENT", timedelta(0))
    for _ in range(2):
        witness = EndOfLogRecorder(store, f"{process_name()}-coordinator")
        DeathWatch(store, witness, pytest.fail).look([])
        witness.close()
        assert (verify_store(store).problems, verify_store(store).unseen) == ((), ())
    # The second one found nothing that the first one had not noted.
    assert len(store.children(LOG_ENDS)) == 1
    cut_last_line(tmp_path / "home" / beats)
    assert {problem.file for problem in verify_store(store).problems} == {beats}


def test_what_the_disk_refuses_to_a_witness_is_noted_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, said = Store.open(tmp_path / "home"), list[str]()
    facts = NodeFacts(host="there", boot_id="c")
    session = NodeSession.open(store, facts, "", worker="w", interval=0.01, say=said.append)
    name = f"attempts/{attempts(store, session, 'w').session}.jsonl"
    with monkeypatch.context() as patch:
        patch.setattr(store, "append", refuse)
        session.note_process_end(Path(name).stem)
    assert "the end of an engine process could not be noted yet: the disk is full" in "".join(said)
    until(lambda: name not in verify_store(store).unseen)
    session.close("told")
    assert (verify_store(store).problems, verify_store(store).unseen) == ((), ())


def test_a_job_that_a_person_purged_is_not_missing_and_one_that_vanished_is(bench: Bench) -> None:
    bench.run_one(owner="anna")
    store = Store.open(bench.folder / "home")
    (folder,) = (bench.folder / "home" / JOBS).glob("*")
    (wants,) = folder.glob("wants-*")
    whole = wants.read_bytes()
    wants.unlink()
    assert [problem.file for problem in verify_store(store).problems] == [f"{JOBS}/{folder.name}/{wants.name}"]
    wants.write_bytes(whole)
    purge(store, jobs_of_owner(store, "anna"), outputs=False)
    assert not folder.exists()
    assert (verify_store(store).problems, verify_store(store).unseen) == ((), ())


def refuse(*_: object, **__: object) -> None:
    raise StoreError("the disk is full", "make room")


def until(happened: Callable[[], bool]) -> None:
    for _ in range(500):
        if happened():
            return
        time.sleep(0.02)
    raise AssertionError("it never happened")
