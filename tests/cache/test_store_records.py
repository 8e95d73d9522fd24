"""Records: written once, found by key, checked at every read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cache.filesystem import Filesystem
from cache.store import PutOutcome, Record, Store
from core.keys import Key, digest_bytes, make_key

MakeRecord = Callable[..., Record]


def path_of(store: Store, key: str) -> Path:
    return store.home / "objects" / key[:2] / key


def test_a_record_comes_back_as_it_was_put(store: Store) -> None:
    payload = '{"text":"¿Qué? 今日は"}'.encode()
    record = Record(make_key("t", 1), "transcript", payload, {"attempt": "a1", "wall_s": 1.25, "who": "日本"})
    assert store.put(record) is PutOutcome.COMMITTED
    assert store.get(record.key) == record
    assert store.has(record.key)


@pytest.mark.parametrize("payload", [b"", b"\n", b"\0" * 5000, bytes(range(256))])
def test_any_bytes_can_be_a_payload(store: Store, payload: bytes) -> None:
    record = Record(make_key("t", 1), "raw", payload)
    store.put(record)
    assert store.get(record.key) == record


def test_a_key_that_was_never_put_is_missing(store: Store) -> None:
    key = make_key("t", 1)
    assert store.get(key) is None
    assert not store.has(key)


def test_the_first_record_of_a_key_stays(store: Store) -> None:
    first = Record(make_key("t", 1), "t", b"first", {"attempt": "a1"})
    second = Record(first.key, "t", b"second", {"attempt": "a2"})
    assert [store.put(first), store.put(second)] == [PutOutcome.COMMITTED, PutOutcome.LOST_RACE]
    assert store.get(first.key) == first


def test_a_group_answers_in_order_even_with_repeated_keys(store: Store, make_record: MakeRecord) -> None:
    store.put(make_record(1))
    outcomes = store.put_many([make_record(number) for number in (0, 1, 2, 0)])
    committed, lost = PutOutcome.COMMITTED, PutOutcome.LOST_RACE
    assert outcomes == [committed, lost, committed, lost]


def test_a_group_larger_than_one_round_is_committed_whole(store: Store, make_record: MakeRecord) -> None:
    records = [make_record(number) for number in range(300)]
    assert store.put_many(records) == [PutOutcome.COMMITTED] * 300
    assert all(store.get(record.key) == record for record in records)


def test_an_empty_group_is_nothing(store: Store) -> None:
    assert store.put_many([]) == []


def test_missing_names_exactly_what_is_not_there(store: Store, make_record: MakeRecord) -> None:
    records = [make_record(number) for number in range(20)]
    store.put_many(records[::2])
    assert store.missing(record.key for record in records) == {record.key for record in records[1::2]}


@pytest.mark.parametrize(
    "key", ["", "../../etc/passwd", "a" * 63, "a" * 65, "A" * 64, "g" * 64, "/" * 64, "a" * 63 + "\n", ".." + "a" * 62]
)
def test_no_text_but_a_digest_becomes_a_path(store: Store, key: str) -> None:
    for action in (store.get, store.has, store.open_blob, store.verify_blob, store.has_blob):
        with pytest.raises(ValueError):
            action(key)
    with pytest.raises(ValueError):
        store.put(Record(Key(key), "t", b""))
    with pytest.raises(ValueError):
        store.missing([key])
    with pytest.raises(ValueError):
        store.purge(keys=[key], dry_run=False)


@pytest.mark.parametrize("kind", ["", "UPPER", "with space", "../up", "x" * 65])
def test_a_kind_is_one_short_word(store: Store, kind: str) -> None:
    with pytest.raises(ValueError):
        store.put(Record(make_key("t", 1), kind, b""))
    assert not store.has(make_key("t", 1))


def test_a_changed_byte_anywhere_in_a_record_is_found(store: Store, make_record: MakeRecord) -> None:
    record = make_record(1, size=120)
    store.put(record)
    path = path_of(store, record.key)
    sound = path.read_bytes()
    for offset in range(len(sound)):
        for flip in (0x01, 0x20, 0x80):
            damaged = bytearray(sound)
            damaged[offset] ^= flip
            path.write_bytes(damaged)
            assert store.get(record.key) is None, (offset, flip)
            assert not path.exists()
            path.write_bytes(sound)
    assert len(list((store.home / "quarantine").iterdir())) == 3 * len(sound)
    assert store.get(record.key) == record


def test_a_record_cut_short_or_grown_is_found(store: Store, make_record: MakeRecord) -> None:
    record = make_record(1, size=120)
    store.put(record)
    path = path_of(store, record.key)
    sound = path.read_bytes()
    for damaged in [*(sound[:length] for length in range(len(sound))), sound + b"\n", sound + b"\0", sound + sound]:
        path.write_bytes(damaged)
        assert store.get(record.key) is None
        assert store.put(record) is PutOutcome.COMMITTED
        assert store.get(record.key) == record


def test_a_record_under_another_key_is_damage(store: Store, make_record: MakeRecord) -> None:
    store.put(make_record(1))
    other = make_record(2).key
    path_of(store, other).write_bytes(path_of(store, make_record(1).key).read_bytes())
    assert store.get(other) is None
    assert store.get(make_record(1).key) == make_record(1)


def test_putting_over_a_damaged_record_replaces_it(store: Store, make_record: MakeRecord) -> None:
    store.put(make_record(1))
    path = path_of(store, make_record(1).key)
    path.write_bytes(path.read_bytes()[:-5])
    assert store.put_many([make_record(0), make_record(1)]) == [PutOutcome.COMMITTED] * 2
    assert store.get(make_record(1).key) == make_record(1)
    assert len(list((store.home / "quarantine").iterdir())) == 1


def test_what_is_not_a_file_under_a_records_name_is_damage(store: Store, make_record: MakeRecord) -> None:
    outside = store.home.parent / "outside"
    store.put(make_record(1))
    outside.write_bytes(path_of(store, make_record(1).key).read_bytes())
    path_of(store, make_record(1).key).unlink()
    path_of(store, make_record(1).key).symlink_to(outside)
    path_of(store, make_record(2).key).mkdir()
    for number in (1, 2):
        assert store.get(make_record(number).key) is None
        assert store.put(make_record(number)) is PutOutcome.COMMITTED
    assert outside.exists()


def test_damage_is_told_in_one_line(home: Path, make_record: MakeRecord) -> None:
    lines: list[str] = []
    store = Store.open(home, notice=lines.append)
    store.put(make_record(1))
    path_of(store, make_record(1).key).write_bytes(b"junk")
    assert store.get(make_record(1).key) is None
    assert len(lines) == 1
    assert make_record(1).key in lines[0]
    assert "\n" not in lines[0]


class RepairedMeanwhile(Filesystem):
    """Another process replaces the damaged file by a sound one just before ours moves it away."""

    def __init__(self, path: Path, sound: bytes) -> None:
        self.path, self.sound, self.done = path, sound, False

    def replace(self, source: str, target: str) -> None:
        if "quarantine" in target and not self.done:
            self.done = True
            self.path.write_bytes(self.sound)
        super().replace(source, target)


def test_a_record_repaired_meanwhile_is_not_lost_to_quarantine(home: Path, make_record: MakeRecord) -> None:
    with Store.open(home) as store:
        store.put(make_record(1))
    path = path_of(store, make_record(1).key)
    sound = path.read_bytes()
    path.write_bytes(b"junk")
    with Store.open(home, filesystem=RepairedMeanwhile(path, sound)) as store:
        assert store.get(make_record(1).key) == make_record(1)
    assert list((home / "quarantine").iterdir()) == []


def test_a_temporary_read_error_of_a_network_disk_is_not_damage(home: Path, make_record: MakeRecord) -> None:
    class Flickering(Filesystem):
        calls = 0

        def read(self, path: str) -> bytes:
            if "objects" in path:
                self.calls += 1
                if self.calls == 1:
                    raise OSError(116, "Stale file handle")
                if self.calls == 2:
                    return super().read(path)[:50]
            return super().read(path)

    with Store.open(home, filesystem=Flickering()) as store:
        store.put(make_record(1))
        assert store.get(make_record(1).key) == make_record(1)
    assert list((home / "quarantine").iterdir()) == []


def test_a_record_can_be_read_by_a_person(store: Store, make_record: MakeRecord) -> None:
    store.put(make_record(3))
    first, header, payload = path_of(store, make_record(3).key).read_bytes().rstrip(b"\n").split(b"\n")
    assert first.startswith(b"segue-record/2 ")
    assert digest_bytes(make_record(3).payload).encode() in header
    assert payload == make_record(3).payload
