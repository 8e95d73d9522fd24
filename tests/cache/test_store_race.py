"""Several processes and threads that write the same keys at the same moment: one wins, and nobody fails."""

from __future__ import annotations

import multiprocessing
import threading
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

from cache.filesystem import Filesystem
from cache.store import PutOutcome, Record, Store
from core.keys import make_key

KEYS = [make_key("race", 1, number=number) for number in range(80)]
WRITERS = 4


def contend(home: str, writer: int, start_at: object = None) -> list[tuple[str, str]]:
    """Commits every key, in pairs of single puts and groups; returns what became of each."""
    store = Store.open(Path(home))
    records = [Record(key, "race", b"%d" % writer, {"attempt": str(writer)}) for key in KEYS]
    outcomes = [store.put(record) for record in records[:10]]
    for first in range(10, len(records), 7):
        outcomes += store.put_many(records[first : first + 7])
    store.append(("attempts", "race.jsonl"), [{"writer": writer, "n": number} for number in range(50)])
    for number in range(50):
        store.append(("attempts", "race.jsonl"), [{"writer": writer, "n": 50 + number}], durable=False)
    store.write_once(("jobs", "race", "plan.json"), b"%d" % writer)
    with store.blob_writer("audio") as blob:
        blob.write(b"the same" * 1000)
    return [(key, outcome.value) for key, outcome in zip(KEYS, outcomes, strict=True)]


def check_one_winner(store: Store, answers: list[list[tuple[str, str]]]) -> None:
    commits = Counter(key for answer in answers for key, outcome in answer if outcome == PutOutcome.COMMITTED.value)
    assert commits == Counter(KEYS)
    for key in KEYS:
        record = store.get(key)
        assert record is not None
        winner = int(record.payload)
        assert record.provenance == {"attempt": str(winner)}
        assert (key, PutOutcome.COMMITTED.value) in answers[winner]
    journal = store.read_journal(("attempts", "race.jsonl"))
    assert journal.damaged == 0
    for writer in range(len(answers)):
        assert [entry["n"] for entry in journal.entries if entry["writer"] == writer] == list(range(100))
    plan = store.read_document(("jobs", "race", "plan.json"))
    assert plan is not None
    assert int(plan) in range(len(answers))
    stats = store.stats()
    assert (stats.unfinished.files, stats.quarantine.files, stats.blobs.files) == (0, 0, 1)


def test_processes_that_race_on_the_same_keys_agree_on_one_winner(tmp_path: Path) -> None:
    home = str(tmp_path / "home")  # Nobody has founded it: they race for that too.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WRITERS, mp_context=context) as pool:
        answers = list(pool.map(contend, [home] * WRITERS, range(WRITERS)))
    check_one_winner(Store.open(tmp_path / "home"), answers)


def test_threads_with_stores_of_their_own_agree_on_one_winner(home: Path) -> None:
    with ThreadPoolExecutor(WRITERS) as pool:
        answers = list(pool.map(contend, [str(home)] * WRITERS, range(WRITERS)))
    check_one_winner(Store.open(home), answers)


def test_threads_that_share_one_store_agree_on_one_winner(store: Store) -> None:
    barrier = threading.Barrier(WRITERS)

    def run(writer: int) -> list[PutOutcome]:
        barrier.wait()
        return store.put_many([Record(key, "race", b"%d" % writer) for key in KEYS])

    with ThreadPoolExecutor(WRITERS) as pool:
        answers = list(pool.map(run, range(WRITERS)))
    assert sum(answer.count(PutOutcome.COMMITTED) for answer in answers) == len(KEYS)
    assert sum(answer.count(PutOutcome.LOST_RACE) for answer in answers) == len(KEYS) * (WRITERS - 1)
    assert store.missing(KEYS) == set()


def test_racers_over_damaged_records_all_end_with_sound_ones(home: Path) -> None:
    with Store.open(home) as store:
        store.put_many([Record(key, "race", b"0") for key in KEYS])
    for key in KEYS:
        (home / "objects" / key[:2] / key).write_bytes(b"junk")

    def run(writer: int) -> None:
        with Store.open(home) as mine:
            mine.put_many([Record(key, "race", b"%d" % writer) for key in KEYS])
            assert mine.missing(KEYS) == set()
            assert all(mine.get(key) is not None for key in KEYS)

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(run, range(WRITERS)))
    assert Store.open(home).verify().records_ok == len(KEYS)


class BeatenFilesystem(Filesystem):
    """Another process founds the store and writes to it between our first look and our own founding."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        self._home, self._beaten = home, False

    def names(self, path: str) -> list[str]:
        if path.endswith("/objects") and not self._beaten:
            self._beaten = True
            Store.open(self._home).put(Record(KEYS[0], "race", b"first"))
        return super().names(path)


def test_a_store_that_another_process_founded_and_filled_meanwhile_is_joined_not_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    store = Store.open(home, filesystem=BeatenFilesystem(home))
    assert store.identity == Store.open(home).identity
    record = store.get(KEYS[0])
    assert record is not None
    assert record.payload == b"first"
