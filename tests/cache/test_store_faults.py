"""Full, read-only, vanished, foreign and failing disks: a clear line, nothing lost, and a later run that continues."""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cache.filesystem import Filesystem
from cache.identity import FORMAT
from cache.publish import PublishMethod
from cache.store import PutOutcome, Record, Store
from core.errors import DiskFullError, StoreError
from core.keys import digest_value

MakeRecord = Callable[..., Record]
PLAN = ("jobs", "j1", "plan.json")
WRITING = ("create", "create_append", "write", "fsync", "fsync_directory", "link", "replace", "make_directory")


class Failing(Filesystem):
    """A disk on which one kind of operation fails from some call on, until it is mended."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.number = errno.ENOSPC
        #: Calls that still succeed.
        self.spared = 0

    def _maybe_fail(self, name: str) -> None:
        if name in self.broken:
            if self.spared == 0:
                raise OSError(self.number, os.strerror(self.number))
            self.spared -= 1

    def create(self, path: str) -> int:
        self._maybe_fail("create")
        return super().create(path)

    def create_append(self, path: str) -> int:
        self._maybe_fail("create_append")
        return super().create_append(path)

    def write(self, fd: int, data: bytes | bytearray | memoryview) -> None:
        if "write" in self.broken and self.spared == 0:
            super().write(fd, bytes(data)[: len(data) // 2])
        self._maybe_fail("write")
        super().write(fd, data)

    def fsync(self, fd: int) -> None:
        self._maybe_fail("fsync")
        super().fsync(fd)

    def fsync_directory(self, path: str) -> None:
        self._maybe_fail("fsync_directory")
        super().fsync_directory(path)

    def link(self, source: str, target: str) -> None:
        self._maybe_fail("link")
        super().link(source, target)

    def replace(self, source: str, target: str) -> None:
        self._maybe_fail("replace")
        super().replace(source, target)

    def make_directory(self, path: str, mode: int = 0o777) -> None:
        self._maybe_fail("make_directory")
        super().make_directory(path, mode)


def temps(home: Path) -> list[str]:
    return [name for _, _, files in os.walk(home) for name in files if name.startswith(".tmp-")]


def write_everything(store: Store, make_record: MakeRecord, number: int) -> None:
    store.put_many([make_record(number * 10 + offset) for offset in range(5)])
    store.write_once(("jobs", f"j{number}", "plan.json"), b"{}")
    store.replace_state(("state", f"{number}.state"), b"{}")
    store.append(("attempts", f"{number}.jsonl"), [{"n": number}])
    with store.blob_writer("audio") as writer:
        writer.write(b"%d" % number * 100_000)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("operation", WRITING)
def test_a_failing_operation_is_one_clear_line_and_a_later_run_continues(
    home: Path, make_record: MakeRecord, operation: str, number: int
) -> None:
    disk = Failing()
    store = Store.open(home, filesystem=disk)
    write_everything(store, make_record, 0)
    disk.broken, disk.number = {operation}, number
    full = number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    failures: list[StoreError] = []
    for spared in range(4):
        disk.spared = spared
        try:
            write_everything(store, make_record, 1 + spared)
        except StoreError as error:
            failures.append(error)
    assert failures or operation == "make_directory"
    for failure in failures:
        assert isinstance(failure, DiskFullError) is full
        assert "\n" not in str(failure)
        assert str(home) in failure.message
        assert failure.hint
        assert str(pickle.loads(pickle.dumps(failure))) == str(failure)
    assert temps(home) == []
    disk.broken = set()
    assert store.get(make_record(0).key) == make_record(0)
    for number_again in range(5):
        write_everything(store, make_record, number_again)
    assert store.verify().damaged == 0
    assert store.stats().records["test"].files == 25


def test_what_fitted_on_a_full_disk_is_committed(home: Path, make_record: MakeRecord) -> None:
    disk = Failing()
    store = Store.open(home, filesystem=disk)
    disk.broken, disk.spared = {"write"}, 3
    records = [make_record(number) for number in range(6)]
    with pytest.raises(DiskFullError):
        store.put_many(records)
    disk.broken = set()
    assert store.missing(record.key for record in records) == {record.key for record in records[3:]}
    assert [store.get(record.key) for record in records[:3]] == records[:3]


def test_a_failed_fsync_is_never_reported_as_a_commit(home: Path, make_record: MakeRecord) -> None:
    disk = Failing()
    store = Store.open(home, filesystem=disk)
    disk.broken, disk.number = {"fsync"}, errno.EIO
    with pytest.raises(StoreError):
        store.put(make_record(1))
    disk.broken = set()
    assert not store.has(make_record(1).key)
    assert store.put(make_record(1)) is PutOutcome.COMMITTED


def test_a_damaged_record_on_a_read_only_disk_counts_as_missing(home: Path, make_record: MakeRecord) -> None:
    lines: list[str] = []
    disk = Failing()
    store = Store.open(home, filesystem=disk, notice=lines.append)
    store.put(make_record(1))
    path = home / "objects" / make_record(1).key[:2] / make_record(1).key
    path.write_bytes(b"junk")
    disk.broken, disk.number = {"replace"}, errno.EROFS
    assert store.get(make_record(1).key) is None
    assert "cannot be moved" in lines[0]
    with pytest.raises(StoreError):
        store.put(make_record(1))


def test_too_little_space_is_said_before_work_begins(store: Store) -> None:
    store.require_space(1)
    with pytest.raises(DiskFullError, match="are needed"):
        store.require_space(store.free_bytes() + 10**9)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of one megabyte, where this user may mount one."""
    mount = shutil.which("mount")
    place = tmp_path / "small disk"
    place.mkdir()
    if mount is None or os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("mounting is not permitted here")
    yield place
    subprocess.run(["umount", place], capture_output=True)


def test_a_disk_that_fills_up_keeps_every_commit(small_disk: Path, make_record: MakeRecord) -> None:
    store = Store.open(small_disk / "home")
    committed: list[Record] = []

    def fill() -> None:
        for number in range(10_000):
            record = make_record(number, size=3000)
            store.put(record)
            committed.append(record)

    with pytest.raises(DiskFullError, match="no room left"):
        fill()
    assert len(committed) > 50
    more = [make_record(20_000 + number, size=3000) for number in range(10)]
    with pytest.raises(DiskFullError):
        store.put_many(more)
    with pytest.raises(DiskFullError), store.blob_writer("audio") as writer:
        writer.write(bytes(2_000_000))
    with pytest.raises(DiskFullError):
        store.write_once(PLAN, bytes(2_000_000))
    assert temps(small_disk) == []
    assert all(store.get(record.key) == record for record in committed)
    store.purge(keys=[record.key for record in committed[:30]], dry_run=False)
    assert store.put_many(more) == [PutOutcome.COMMITTED] * 10
    store.put_many(committed[:5])
    assert store.verify().damaged == 0


def test_a_disk_that_turns_read_only_is_said_and_can_be_read(small_disk: Path, make_record: MakeRecord) -> None:
    store = Store.open(small_disk / "home")
    store.put(make_record(1))
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for _ in range(2):
        with pytest.raises(StoreError, match="read-only"):
            store.put(make_record(2))
        with pytest.raises(StoreError, match="read-only"):
            store.write_once(PLAN, b"{}")
        assert store.get(make_record(1).key) == make_record(1)
        assert store.missing([make_record(2).key]) == {make_record(2).key}
        store = Store.open(small_disk / "home")
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    assert store.put(make_record(2)) is PutOutcome.COMMITTED


def test_an_unmounted_disk_is_not_replaced_by_the_folder_below_it(small_disk: Path, make_record: MakeRecord) -> None:
    store = Store.open(small_disk / "home")
    subprocess.run(["umount", small_disk], check=True)
    with pytest.raises(StoreError, match="vanished"):
        store.put(make_record(1))
    with pytest.raises(StoreError, match="there is no store"):
        Store.open(small_disk / "home", create=False)
    assert list(small_disk.iterdir()) == []


def test_a_vanished_store_is_named_and_not_made_again(home: Path, make_record: MakeRecord) -> None:
    store = Store.open(home)
    store.put(make_record(1))
    away = home.with_name("away")
    home.rename(away)
    key = make_record(1).key
    actions: list[Callable[[], object]] = [
        lambda: store.get(key),
        lambda: store.has(key),
        lambda: store.missing([key]),
        lambda: store.put(make_record(2)),
        lambda: store.write_once(PLAN, b"{}"),
        lambda: store.append(("attempts", "x.jsonl"), [{}]),
        lambda: store.replace_state(("state", "x.state"), b""),
        lambda: store.blob_writer("audio").__enter__(),
        lambda: store.open_blob("a" * 64),
        lambda: store.read_document(PLAN),
        lambda: store.children(("jobs",)),
        store.verify,
        store.stats,
        store.free_bytes,
        lambda: store.gc(set(), set(), dry_run=False),
    ]
    for action in actions:
        with pytest.raises(StoreError, match="vanished") as caught:
            action()
        assert str(home) in caught.value.message
        assert not home.exists()
    away.rename(home)
    assert store.get(key) == make_record(1)
    assert store.put(make_record(2)) is PutOutcome.COMMITTED


def test_folders_removed_under_a_running_store_are_made_again(home: Path, make_record: MakeRecord) -> None:
    store = Store.open(home)
    write_everything(store, make_record, 0)
    for folder in ("objects", "blobs", "quarantine", "jobs", "state", "attempts"):
        shutil.rmtree(home / folder)
    assert store.get(make_record(1).key) is None
    write_everything(store, make_record, 0)
    again = Store.open(home)
    assert again.verify().damaged == 0
    assert again.get(make_record(1).key) == make_record(1)


def test_another_store_in_the_same_place_is_refused(home: Path, make_record: MakeRecord) -> None:
    store = Store.open(home)
    home.rename(home.with_name("first"))
    Store.open(home).close()
    with pytest.raises(StoreError, match="now another store"):
        store.put(make_record(1))
    assert not Store.open(home).has(make_record(1).key)


def test_a_format_that_is_not_known_is_refused(home: Path) -> None:
    identity = Store.open(home).identity
    value = {"store": identity.id, "format": FORMAT + 1, "publish": "link"}
    (home / "store.json").write_text(json.dumps({**value, "seal": digest_value(value)}))
    with pytest.raises(StoreError, match=f"format {FORMAT + 1}") as caught:
        Store.open(home)
    assert "version of Segue" in caught.value.hint


def test_a_damaged_identity_is_mended_from_its_copy(home: Path, make_record: MakeRecord) -> None:
    with Store.open(home) as store:
        store.put(make_record(1))
        identity = store.identity
    path = home / "store.json"
    sound = path.read_bytes()
    for offset in range(len(sound) - 1):
        damaged = bytearray(sound)
        damaged[offset] ^= 0x02
        path.write_bytes(damaged)
        with Store.open(home, create=False) as store:
            assert store.identity == identity
            assert store.get(make_record(1).key) == make_record(1)
        assert path.read_bytes() == sound
    path.unlink()
    assert Store.open(home, create=False).identity == identity
    (home / "store.json.copy").unlink()
    assert Store.open(home, create=False).identity == identity
    assert (home / "store.json.copy").read_bytes() == sound


def test_an_identity_damaged_beyond_its_copy_is_refused(home: Path, make_record: MakeRecord) -> None:
    with Store.open(home) as store:
        store.put(make_record(1))
    for name in ("store.json", "store.json.copy"):
        (home / name).write_bytes(b"{}")
    with pytest.raises(StoreError, match="damaged"):
        Store.open(home)
    for name in ("store.json", "store.json.copy"):
        (home / name).unlink()
    with pytest.raises(StoreError, match="holds records but no"):
        Store.open(home)


def test_a_folder_that_is_no_store_is_not_opened_without_leave(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        Store.open(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError):
        Store.open(tmp_path / "file")
    with pytest.raises(StoreError):
        Store.open(tmp_path / "file" / "below")


def test_a_store_founded_in_a_folder_with_other_things_leaves_them_alone(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.bin").write_bytes(b"weights")
    store = Store.open(tmp_path)
    store.verify()
    store.gc(set(), set(), dry_run=False, now_s=1e12)
    assert (tmp_path / "models" / "model.bin").read_bytes() == b"weights"


class Without(Filesystem):
    """A disk that lacks some ways of publishing."""

    def __init__(self, *missing: str) -> None:
        self.missing = missing

    def link(self, source: str, target: str) -> None:
        if "link" in self.missing:
            raise OSError(errno.EOPNOTSUPP, "not supported")
        super().link(source, target)

    def rename_noreplace(self, source: str, target: str) -> None:
        if "rename" in self.missing:
            raise OSError(errno.EINVAL, "not supported")
        super().rename_noreplace(source, target)


def test_the_way_of_publishing_is_chosen_once(home: Path, make_record: MakeRecord) -> None:
    with Store.open(home, filesystem=Without("link")) as store:
        assert store.identity.publish is PublishMethod.RENAME_NOREPLACE
        assert store.put_many([make_record(1), make_record(1)]) == [PutOutcome.COMMITTED, PutOutcome.LOST_RACE]
    with Store.open(home) as store:
        assert store.identity.publish is PublishMethod.RENAME_NOREPLACE
        store.put(make_record(2))
        assert store.get(make_record(1).key) == make_record(1)
    assert temps(home) == []


def test_a_disk_that_cannot_publish_safely_is_refused(home: Path) -> None:
    with pytest.raises(StoreError, match="neither link"):
        Store.open(home, filesystem=Without("link", "rename"))
    assert temps(home) == []


def test_an_nfs_answer_that_denies_our_own_success_is_seen_through(home: Path, make_record: MakeRecord) -> None:
    class Repeating(Filesystem):
        def link(self, source: str, target: str) -> None:
            super().link(source, target)
            raise FileExistsError(errno.EEXIST, "exists", target)

    store = Store.open(home, filesystem=Repeating())
    assert store.put(make_record(1)) is PutOutcome.COMMITTED
    assert store.get(make_record(1).key) == make_record(1)
    assert temps(home) == []


class UnfencedFilesystem(Filesystem):
    """No links, and a rename that only this machine's kernel keeps from replacing."""

    def link(self, source: str, target: str) -> None:
        raise OSError(errno.EOPNOTSUPP, "no links here")

    def kind(self, path: str) -> str:
        return "fuse.blobs"


def test_no_store_is_founded_where_only_the_local_kernel_prevents_replacing(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="can neither link files nor rename them without replacing"):
        Store.open(tmp_path / "home", filesystem=UnfencedFilesystem())
    assert Filesystem().kind(str(tmp_path)) != ""
