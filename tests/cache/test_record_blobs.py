"""Records that name blobs: they are published after them, and count as missing without their results."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cache.envelope import decode_record, encode_record
from cache.faults import BlobDamagedError, CorruptDataError
from cache.filesystem import Filesystem
from cache.removal import DAY_S
from cache.store import BlobRef, PutOutcome, Record, Retention, Store
from core.errors import StoreError
from core.keys import Digest, make_key

RESULT, VIEW, SCRATCH = Retention.RESULT, Retention.VIEW, Retention.SCRATCH
MISSING = BlobRef("voice", Digest("ab" * 32), 5, RESULT)


def blob(store: Store, content: bytes = b"sound", name: str = "voice", retention: Retention = RESULT) -> BlobRef:
    with store.blob_writer("audio") as writer:
        writer.write(content)
    return writer.ref(name, retention)


def naming(*refs: BlobRef, number: int = 1) -> Record:
    return Record(make_key("voiced", 1, number=number), "voiced", b"{}", {"attempt": "a"}, refs)


def blob_path(store: Store, ref: BlobRef) -> Path:
    return store.home / "blobs" / ref.digest


def record_path(store: Store, record: Record) -> Path:
    return store.home / "objects" / record.key[:2] / record.key


def test_a_record_tells_its_blobs_without_its_payload(store: Store) -> None:
    refs = (blob(store, b"sound"), blob(store, b"", "speech", VIEW), blob(store, b"steps" * 9, "steps", SCRATCH))
    record = naming(*refs)
    assert [ref.size for ref in refs] == [5, 0, 45]
    assert store.put(record) is PutOutcome.COMMITTED
    assert store.get(record.key) == record
    head = store.head(record.key)
    assert head is not None
    assert head.blobs == refs


@pytest.mark.parametrize("retention", Retention)
@pytest.mark.parametrize("group", [1, 3])
def test_no_record_is_published_before_its_blobs(store: Store, retention: Retention, group: int) -> None:
    others = [replace(naming(number=number), blobs=()) for number in range(2, group + 1)]
    with pytest.raises(StoreError, match="the voice of a record, blob abababababab, is not in the store"):
        store.put_many([*others, naming(replace(MISSING, retention=retention))])
    assert store.missing([naming().key, *(other.key for other in others)]) == {naming().key, *(o.key for o in others)}
    assert store.stats().unfinished.files == 0


def test_what_cannot_be_read_back_is_not_written(store: Store) -> None:
    ref = blob(store)
    for refs in (
        (ref, replace(ref, retention=VIEW)),
        (replace(ref, name="Two Words"),),
        (replace(ref, name=""),),
        (replace(ref, digest=Digest("../store.json")),),
        (replace(ref, size=-1),),
        (replace(ref, retention="forever"),),  # type: ignore[arg-type]
    ):
        with pytest.raises(ValueError, match=r"blob|kind|Retention"):
            store.put(naming(*refs))
    assert not store.has(naming().key)


@pytest.mark.parametrize("position", range(0, 360, 7))
def test_a_torn_header_is_never_another_list_of_blobs(position: int) -> None:
    data = encode_record(naming(MISSING))
    torn = bytearray(data)
    torn[position] ^= 1
    for damaged in (bytes(torn), data[:position], data[:position] + bytes(len(data) - position)):
        with pytest.raises(CorruptDataError):
            decode_record(damaged, naming().key)


def test_a_record_of_another_version_is_named_and_put_aside(home: Path) -> None:
    said: list[str] = []
    with Store.open(home, notice=said.append) as store:
        record = naming(blob(store))
        store.put(record)
        path = record_path(store, record)
        path.write_bytes(path.read_bytes().replace(b"segue-record/2", b"segue-record/1"))
        assert store.get(record.key) is None
    assert len(said) == 1
    assert "a record of version 1; this Segue knows version 2" in said[0]


def remove(store: Store, ref: BlobRef) -> None:
    blob_path(store, ref).unlink()


def damage(store: Store, ref: BlobRef) -> None:
    """Damages the content, which only its reader notices."""
    path = blob_path(store, ref)
    path.write_bytes(b"X" + path.read_bytes()[1:])
    reader = store.open_blob(ref.digest)
    assert reader is not None
    with reader, pytest.raises(BlobDamagedError):
        reader.read(0, 1)


@pytest.mark.parametrize("lose", [remove, damage])
def test_a_record_whose_result_is_lost_is_missing_until_both_are_made_again(
    home: Path, lose: Callable[[Store, BlobRef], None]
) -> None:
    said: list[str] = []
    with Store.open(home, notice=said.append) as store:
        ref, other = blob(store), blob(store, b"other", "other")
        record, bystander = naming(ref, other), naming(other, number=2)
        store.put_many([record, bystander])
        lose(store, ref)
        assert store.has(record.key), "presence schedules"
        assert store.get(record.key) is None
        assert store.missing([record.key, bystander.key]) == {record.key}
        assert store.get(bystander.key) == bystander
        assert any(f"its voice, blob {ref.digest[:12]}, has gone" in line for line in said)
        with pytest.raises(StoreError, match="is not in the store"):
            store.put(record)
        assert blob(store) == ref
        assert store.put(record) is PutOutcome.COMMITTED
        assert store.get(record.key) == record


def test_whoever_publishes_over_a_record_that_lost_its_result_wins(store: Store) -> None:
    old, new = blob(store, b"old"), blob(store, b"new")
    store.put(naming(old))
    remove(store, old)
    assert store.put(naming(new)) is PutOutcome.COMMITTED
    assert store.get(naming().key) == naming(new)
    assert store.put(naming(blob(store, b"late"))) is PutOutcome.LOST_RACE


@pytest.mark.parametrize("retention", [VIEW, SCRATCH])
def test_views_and_scratch_may_go_while_their_record_stays(store: Store, retention: Retention) -> None:
    ref = blob(store, retention=retention)
    store.put(naming(ref))
    remove(store, ref)
    assert store.get(naming().key) == naming(ref)
    assert store.verify().damaged == 0


def test_records_without_blobs_cost_no_look_at_blobs(home: Path) -> None:
    looked: list[str] = []

    class Watching(Filesystem):
        def exists(self, path: str) -> bool:
            looked.append(path)
            return super().exists(path)

        def touch(self, path: str) -> None:
            looked.append(path)
            super().touch(path)

    with Store.open(home, filesystem=Watching()) as store:
        plain = [replace(naming(number=number), blobs=()) for number in range(20)]
        named = naming(blob(store), number=99)
        looked.clear()
        store.put_many(plain)
        assert all(store.get(record.key) for record in plain)
        assert looked == []
        store.put(named)
        store.get(named.key)
        assert looked == [str(blob_path(store, named.blobs[0]))] * 2


def test_verify_finds_the_record_that_a_damaged_blob_leaves_and_restores_both_when_it_comes_back(store: Store) -> None:
    ref, shared = blob(store), blob(store, b"shared")
    store.put_many([naming(ref), naming(shared, number=2), naming(shared, number=3)])
    path = blob_path(store, ref)
    sound = path.read_bytes()
    path.write_bytes(b"X" + sound[1:])
    report = store.verify()
    assert (report.blobs_ok, report.blobs_damaged) == (1, 1)
    assert (report.records_ok, report.records_damaged) == (2, 1)
    assert store.missing([naming().key]) == {naming().key}
    again = store.verify()
    assert (again.damaged, again.quarantined, again.restored) == (0, 2, 0)
    for moved in (store.home / "quarantine").glob("blobs+*"):
        moved.write_bytes(sound)
    back = store.verify()
    assert (back.damaged, back.restored, back.quarantined) == (0, 2, 0)
    assert store.get(naming().key) == naming(ref)


def test_a_blob_that_a_new_record_names_is_not_old(store: Store) -> None:
    ref = blob(store)
    os.utime(blob_path(store, ref), (1, 1))
    listed = store.list_all()
    store.put(naming(ref))
    files = store.gc(set(), set(), dry_run=True, now_s=time.time()).files
    assert listed.blobs[ref.digest][1] == 1_000_000_000
    assert files == ()


def test_a_blob_whose_writer_was_killed_before_its_record_is_garbage_once_it_is_old(store: Store) -> None:
    ref = blob(store)
    assert store.gc(set(), set(), dry_run=False).files == ()
    later = store.gc(set(), set(), dry_run=False, now_s=time.time() + 8 * DAY_S)
    assert [file.place for file in later.files] == [f"blobs/{ref.digest}"]


def test_where_a_blob_cannot_be_touched_it_is_looked_for(home: Path) -> None:
    class Foreign(Filesystem):
        def touch(self, path: str) -> None:
            super().stat(path)
            raise PermissionError(13, "not yours", path)

    with Store.open(home, filesystem=Foreign()) as store:
        assert store.put(naming(blob(store))) is PutOutcome.COMMITTED
        with pytest.raises(StoreError, match="is not in the store"):
            store.put(naming(MISSING, number=2))
