"""Every prefix of the store's file operations, with every kind of loss: nothing wrong is read, nothing done is lost."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from crash_simulator import Disk, RecordingFilesystem, Survival

from cache import blobs, names
from cache.filesystem import Filesystem
from cache.publish import PublishMethod
from cache.store import Record, Retention, Store
from core.keys import Key

SHARDS = ("00", "5a", "ab", "ff")
RANDOM_STATES = int(os.environ.get("STORE_CRASH_STATES", "3"))
PLAN = ("jobs", "j1", "plan.json")
LATE_PLAN = ("jobs", "j2", "plan.json")
STATE = ("state", "outputs.state")
FACTS = ("attempts", "node", "facts.jsonl")
GONE_FOR_GOOD = 7


class NoLinks(RecordingFilesystem):
    """A disk without hard links."""

    def link(self, source: str, target: str) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), source)


#: The disk of nearly everybody, and the one without hard links.
METHODS = (PublishMethod.LINK, pytest.param(PublishMethod.RENAME_NOREPLACE, marks=pytest.mark.long))
DISKS: dict[PublishMethod, type[RecordingFilesystem]] = {
    PublishMethod.LINK: RecordingFilesystem,
    PublishMethod.RENAME_NOREPLACE: NoLinks,
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few shards and small chunks, so that a state is written in a millisecond."""
    monkeypatch.setattr(names, "SHARDS", SHARDS)
    monkeypatch.setattr(blobs, "CHUNK_BYTES", 256)


def record(number: int) -> Record:
    digest = hashlib.sha256(b"%d" % number).hexdigest()
    return Record(Key(SHARDS[number % 4] + digest[2:]), "test", (digest * 8).encode(), {"attempt": f"a{number}"})


RECORDS = {record(number).key: record(number) for number in range(12)}
#: The record of the blob.
VOICED = Key("ff" + hashlib.sha256(b"voiced").hexdigest()[2:])
CONTENT = hashlib.sha256(b"blob").hexdigest().encode() * 10
FACT_COUNT = 6
STATES = (b"state one", b"state two")


def work(store: Store, recorder: RecordingFilesystem) -> None:
    """A run that uses everything which writes, and notes what it was told is done. It may run over its own remains."""
    promise = recorder.promise
    store.write_once(PLAN, b"the plan")
    promise("document", PLAN, b"the plan")
    for number in (0, 1):
        store.put(record(number))
        promise("record", record(number).key)
    store.append(FACTS, [{"fact": 0}, {"fact": 1}])
    promise("facts", 2)
    group = [record(number) for number in (2, 3, 4, 5, 0, 3)]
    store.put_many(group)
    for item in group:
        promise("record", item.key)
    store.append(FACTS, [{"fact": 2}], durable=False)
    with store.blob_writer("audio") as writer:
        for start in range(0, len(CONTENT), 100):
            writer.write(CONTENT[start : start + 100])
    promise("blob", writer.digest)
    store.put(Record(VOICED, "test", b"{}", {}, (writer.ref("voice", Retention.RESULT),)))
    promise("voiced")
    store.replace_state(STATE, STATES[0])
    promise("state", 0)
    store.append(FACTS, [{"fact": 3}])
    promise("facts", 4)
    store.put(record(GONE_FOR_GOOD))
    store.purge(keys=[record(GONE_FOR_GOOD).key], dry_run=False)
    promise("purged", record(GONE_FOR_GOOD).key)
    store.replace_state(STATE, STATES[1])
    promise("state", 1)
    store.write_once(LATE_PLAN, b"a late plan")
    promise("document", LATE_PLAN, b"a late plan")
    store.append(FACTS, [{"fact": 4}, {"fact": 5}])
    promise("facts", FACT_COUNT)
    assert store.get(record(8).key) is None  # Found damaged, moved away ...
    store.put(record(8))  # ... and made again.
    promise("record", record(8).key)


def prepare(home: Path, filesystem: Filesystem) -> None:
    """A store with a damaged record in it and a shard missing (somebody copied it without its empty folders)."""
    with Store.open(home, filesystem=filesystem) as store:
        store.put(record(8))
    path = home / "objects" / record(8).key[:2] / record(8).key
    path.write_bytes(path.read_bytes().replace(b"attempt", b"Attempt"))
    (home / "objects" / "ff").rmdir()


def check_survivors(store: Store, disk: Disk, *, purged_forever: bool = True) -> None:
    """Nothing wrong is read, and everything that was promised is read."""
    promised = {promise[:2] for promise in disk.promises}
    for key, wanted in RECORDS.items():
        found = store.get(key)
        assert found is None or found == wanted
        if purged_forever and ("purged", key) in promised:
            assert found is None, "what was purged came back"
        elif ("record", key) in promised:
            assert found == wanted, "a finished record is lost"
    check_voiced(store, promised=("voiced",) in promised)
    for parts, payload in ((PLAN, b"the plan"), (LATE_PLAN, b"a late plan")):
        assert store.read_document(parts) == payload or ("document", parts) not in promised
        assert store.read_document(parts) in (None, payload)
    possible: tuple[bytes | None, ...] = STATES[1:] if ("state", 1) in promised else (None, *STATES)
    assert store.read_state(STATE) in possible
    assert store.read_state(STATE) is not None or ("state", 0) not in promised
    facts = [entry["fact"] for entry in store.read_journal(FACTS).entries]
    count = max((promise[1] for promise in disk.promises if promise[0] == "facts"), default=0)
    assert isinstance(count, int)
    assert facts[:count] == list(range(count)), "a durable fact is lost"
    for digest in {promise[1] for promise in disk.promises if promise[0] == "blob"}:
        reader = store.open_blob(str(digest))
        assert reader is not None
        with reader:
            assert reader.read(0, 1 << 20) == CONTENT


def check_voiced(store: Store, *, promised: bool) -> None:
    """A record is there only with the blob that it names."""
    there = store.has(VOICED)
    voiced = store.get(VOICED)
    assert (voiced is not None) == there, "a record was published before its blob"
    assert there or not promised
    for ref in voiced.blobs if voiced else ():
        reader = store.open_blob(ref.digest)
        assert reader is not None
        with reader:
            assert reader.read(0, ref.size) == CONTENT


def check_no_half_file(store: Store) -> None:
    """No crash leaves half a file under a final name: only the record that was damaged before is in quarantine."""
    moved = {names.quarantined_parts(path.name) for path in (store.home / "quarantine").iterdir()}
    assert moved <= {("objects", record(8).key[:2], record(8).key)}, "half a file had its final name"


def check_continues(store: Store) -> None:
    """The same work can be done again over whatever is there, and then everything is there and sound."""
    store.put_many([item for item in RECORDS.values() if item.key != record(GONE_FOR_GOOD).key])
    for parts, payload in ((PLAN, b"the plan"), (LATE_PLAN, b"a late plan")):
        store.write_once(parts, payload)
        assert store.read_document(parts) == payload
    with store.blob_writer("audio") as writer:
        writer.write(CONTENT)
    assert writer.digest is not None
    assert store.verify_blob(writer.digest)
    store.replace_state(STATE, STATES[1])
    store.append(FACTS, [{"fact": -1}])
    assert store.read_journal(FACTS).entries[-1] == {"fact": -1}
    assert store.verify().damaged == 0
    for key, wanted in RECORDS.items():
        assert store.get(key) == wanted or key == record(GONE_FOR_GOOD).key


def each_state(
    recorder: RecordingFilesystem, scratch: Path, check: Callable[[Path, Disk], None], seed: int = 0
) -> tuple[int, int]:
    """Checks every prefix under every kind of loss. Returns how many prefixes and how many states that were."""
    disk = Disk.before(recorder)
    states = 0
    fixed = [survival for survival in Survival if survival is not Survival.MIXED]
    for number in range(len(recorder.operations) + 1):
        if number:
            disk.apply(recorder.operations[number - 1])
        for index, survival in enumerate(fixed + [Survival.MIXED] * RANDOM_STATES):
            target = scratch / "state"
            disk.materialize(target, survival, random.Random(f"{seed} {number} {index}"))
            try:
                check(target, disk)
            except Exception as error:
                done = recorder.operations[max(0, number - 3) : number]
                error.add_note(f"after {number} operations, {survival}, state {index}; the last were {done}")
                raise
            shutil.rmtree(target)
            states += 1
    return len(recorder.operations) + 1, states


@pytest.mark.parametrize("method", METHODS)
def test_every_crash_while_working_loses_nothing_that_was_promised(method: PublishMethod, scratch: Path) -> None:
    home = scratch / "home"
    prepare(home, DISKS[method](home))
    recorder = DISKS[method](home)
    with Store.open(home, create=False, filesystem=recorder) as store:
        assert store.identity.publish is method
        work(store, recorder)

    def check(state: Path, disk: Disk) -> None:
        with Store.open(state, create=False, filesystem=DISKS[method](state)) as again:
            check_survivors(again, disk)
            check_no_half_file(again)
            check_continues(again)

    prefixes, states = each_state(recorder, scratch, check)
    assert prefixes > 100
    assert states >= prefixes * 8 or RANDOM_STATES < 3


@pytest.mark.parametrize("method", METHODS)
def test_every_crash_while_founding_leaves_a_folder_that_becomes_a_store(method: PublishMethod, scratch: Path) -> None:
    root = scratch / "root"
    root.mkdir()
    recorder = DISKS[method](root)
    with Store.open(root / "new" / "home", filesystem=recorder) as store:
        recorder.promise("founded", store.identity.id)
        store.put(record(0))
        recorder.promise("record", record(0).key)

    def check(state: Path, disk: Disk) -> None:
        with Store.open(state / "new" / "home", filesystem=DISKS[method](state)) as again:
            assert ("founded", again.identity.id) in disk.promises or ("founded",) not in {
                promise[:1] for promise in disk.promises
            }
            check_survivors(again, disk)
            check_no_half_file(again)
            check_continues(again)

    each_state(recorder, scratch, check)


def test_a_crash_in_the_run_after_a_crash_loses_nothing_either(scratch: Path) -> None:
    home = scratch / "home"
    prepare(home, Filesystem())
    recorder = RecordingFilesystem(home)
    with Store.open(home, filesystem=recorder) as store:
        work(store, recorder)
    chance = random.Random(20)
    for round_number in range(60 * max(1, RANDOM_STATES // 3)):
        disk = _disk_after(recorder, chance.randint(0, len(recorder.operations)))
        first = scratch / "first"
        disk.materialize(first, Survival.MIXED, random.Random(round_number))
        second_recorder = RecordingFilesystem(first)
        with Store.open(first, filesystem=second_recorder) as store:
            promised = list(disk.promises)
            store.put_many([record(number) for number in (9, 2, 10, 4)])
            for number in (9, 2, 10, 4):
                second_recorder.promise("record", record(number).key)
            store.append(FACTS, [{"fact": 77}])
        second = _disk_after(second_recorder, chance.randint(0, len(second_recorder.operations)))
        second.promises[:0] = promised
        second.materialize(scratch / "second", Survival.MIXED, random.Random(-round_number))
        with Store.open(scratch / "second") as store:
            check_survivors(store, second)
            check_no_half_file(store)
            check_continues(store)
        shutil.rmtree(first)
        shutil.rmtree(scratch / "second")


def _disk_after(recorder: RecordingFilesystem, count: int) -> Disk:
    disk = Disk.before(recorder)
    for operation in recorder.operations[:count]:
        disk.apply(operation)
    return disk


@pytest.mark.parametrize(
    ("forgotten", "complaint"),
    [("fsync", "a finished record is lost"), ("fsync_directory", "a finished record is lost")],
)
def test_the_simulator_would_notice_a_forgotten_fsync(forgotten: str, complaint: str, scratch: Path) -> None:
    home = scratch / "home"
    prepare(home, Filesystem())
    recorder = RecordingFilesystem(home)
    with Store.open(home, filesystem=recorder) as store:
        for number in range(4):
            store.put(record(number))
            recorder.promise("record", record(number).key)
    recorder.operations = [operation for operation in recorder.operations if operation.name != forgotten]

    def check(state: Path, disk: Disk) -> None:
        with Store.open(state) as again:
            check_survivors(again, disk)

    with pytest.raises(AssertionError, match=complaint):
        each_state(recorder, scratch, check)
