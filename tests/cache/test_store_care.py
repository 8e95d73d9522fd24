"""verify, stats, gc, purge and the probe of a mount."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cache.filesystem import Filesystem
from cache.probe import ProbeLevel, probe_mount
from cache.removal import DAY_S, RemovalReason, garbage_in
from cache.store import Ages, Record, Store

MakeRecord = Callable[..., Record]
FACTS = ("attempts", "facts.jsonl")
PLAN = ("jobs", "j1", "plan.json")


def fill(store: Store, make_record: MakeRecord, count: int = 4) -> str:
    store.put_many([make_record(number) for number in range(count)])
    store.write_once(PLAN, b"{}")
    store.append(FACTS, [{"n": 1}])
    with store.blob_writer("audio") as writer:
        writer.write(b"sound" * 1000)
    assert writer.digest is not None
    return writer.digest


def path_of(store: Store, key: str) -> Path:
    return store.home / "objects" / key[:2] / key


def files_below(home: Path) -> set[str]:
    return {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}


def test_verify_counts_what_is_sound_and_moves_what_is_not(store: Store, make_record: MakeRecord) -> None:
    digest = fill(store, make_record)
    sound = store.verify()
    assert (sound.records_ok, sound.blobs_ok, sound.documents_ok) == (4, 1, 1)
    assert (sound.damaged, sound.quarantined, sound.journal_lines_damaged) == (0, 0, 0)
    path_of(store, make_record(1).key).write_bytes(b"junk")
    with (store.home / "blobs" / digest).open("r+b") as file:
        file.write(b"x")
    store.home.joinpath(*PLAN).write_bytes(b"{}")
    with store.home.joinpath(*FACTS).open("ab") as file:
        file.write(b"torn")
    seen: list[tuple[int, int]] = []
    found = store.verify(lambda done, total: seen.append((done, total)))
    assert (found.records_ok, found.records_damaged) == (3, 1)
    assert (found.blobs_damaged, found.documents_damaged) == (1, 1)
    assert (found.journal_lines_damaged, found.quarantined) == (1, 3)
    assert seen == [(number, 7) for number in range(1, 8)]
    again = store.verify()
    assert (again.damaged, again.quarantined) == (0, 3)


def facts_below(home: Path) -> dict[str, tuple[int, int, int, int]]:
    """Everything that a reader could change, but for the times at which it was read."""
    return {
        str(path): (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_mode)
        for path in [home, *home.rglob("*")]
        for facts in [path.lstat()]
    }


def test_verify_and_stats_change_nothing_in_a_sound_store(store: Store, make_record: MakeRecord) -> None:
    fill(store, make_record)
    (store.home / "objects" / "ab" / ".tmp-x-y-1-1").write_bytes(b"123")
    (store.home / "quarantine" / "foreign").write_bytes(b"")
    before = facts_below(store.home)
    assert store.verify().damaged == 0
    store.stats()
    store.gc(set(), set(), dry_run=True, now_s=time.time() + 90 * DAY_S)
    assert facts_below(store.home) == before


class Unmovable(Filesystem):
    """A disk that can only be read."""

    def replace(self, source: str, target: str) -> None:
        raise OSError(30, "Read-only file system", source)


def test_verify_says_what_it_could_not_move_and_changes_nothing(store: Store, make_record: MakeRecord) -> None:
    digest = fill(store, make_record)
    path_of(store, make_record(1).key).write_bytes(b"junk")
    (store.home / "blobs" / digest).write_bytes(b"junk")
    store.home.joinpath(*PLAN).write_bytes(b"{}")
    before, told = facts_below(store.home), list[str]()
    with Store.open(store.home, filesystem=Unmovable(), notice=told.append) as opened:
        report = opened.verify()
    assert (report.damaged, report.stuck, report.quarantined) == (3, 3, 0)
    assert len(told) == 3
    assert facts_below(store.home) == before
    assert (store.verify().stuck, store.verify().damaged) == (0, 0)


class Stopping(Filesystem):
    """Ctrl-C after so many deletions."""

    left = 1_000_000

    def unlink(self, path: str) -> None:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        super().unlink(path)


def test_a_gc_that_is_interrupted_anywhere_is_finished_by_the_next(tmp_path: Path, make_record: MakeRecord) -> None:
    later = time.time() + 8 * DAY_S
    keep = {make_record(0).key, make_record(3).key}
    for stop in (0, 2, 5):
        disk = Stopping()
        with Store.open(tmp_path / f"home{stop}", filesystem=disk) as store:
            fill(store, make_record, count=6)
            (store.home / "attempts" / ".tmp-x-y-1-1").write_bytes(b"123")
            planned = {file.place for file in store.gc(keep, set(), dry_run=True, now_s=later).files}
            before = files_below(store.home)
            disk.left = stop
            try:
                store.gc(keep, set(), dry_run=False, now_s=later)
            except KeyboardInterrupt:
                assert len(before - files_below(store.home)) == stop < len(planned)
            disk.left = 1_000_000
            store.gc(keep, set(), dry_run=False, now_s=later)
            assert before - files_below(store.home) == planned
            assert store.verify().damaged == 0
            assert store.missing(keep) == set()


def test_gc_spares_what_is_written_again_after_it_has_listed_the_store(store: Store, make_record: MakeRecord) -> None:
    store.put_many([make_record(1), make_record(2)])
    later = time.time() + 8 * DAY_S
    garbage = garbage_in(store.list_all(), set(), set(), Ages(), later)
    os.utime(path_of(store, make_record(1).key), (later, later))
    removed = store.remove_garbage(garbage, dry_run=False, now_s=later)
    assert [file.place.rpartition("/")[2] for file in removed.files] == [make_record(2).key]


def test_verify_puts_back_what_is_sound(store: Store, make_record: MakeRecord) -> None:
    digest = fill(store, make_record)
    moved = [
        ("objects", make_record(1).key[:2], make_record(1).key),
        ("blobs", digest),
        PLAN,
    ]
    for parts in moved:
        store.home.joinpath(*parts).rename(store.home / "quarantine" / ("+".join(parts) + "++x-1-1"))
    (store.home / "quarantine" / "foreign").write_bytes(b"")
    report = store.verify()
    assert (report.restored, report.damaged, report.quarantined) == (3, 0, 1)
    assert store.get(make_record(1).key) == make_record(1)
    assert store.read_document(PLAN) == b"{}"
    assert store.verify_blob(digest)


def test_stats_tell_what_lies_in_the_store(store: Store, make_record: MakeRecord) -> None:
    digest = fill(store, make_record)
    store.put(Record(make_record(50).key, "translation", b"x" * 10_000, {"long": "y" * 9000}))
    path_of(store, make_record(2).key).write_bytes(b"junk")
    (store.home / "blobs" / ".tmp-audio-x-1-1").write_bytes(b"12345")
    stats = store.stats()
    assert {kind: tally.files for kind, tally in stats.records.items()} == {
        "test": 3,
        "translation": 1,
        "(unreadable)": 1,
    }
    assert stats.records["translation"].bytes > 19_000
    assert stats.blobs.bytes == (store.home / "blobs" / digest).stat().st_size
    assert (stats.documents.files, stats.quarantine.files) == (2, 0)
    assert (stats.unfinished.files, stats.unfinished.bytes) == (1, 5)
    assert stats.free_bytes > 0


def test_gc_takes_only_what_is_old_and_unreferenced(store: Store, make_record: MakeRecord) -> None:
    kept_blob = fill(store, make_record)
    with store.blob_writer("audio") as writer:
        writer.write(b"unused")
    temp = store.home / "objects" / "ab" / ".tmp-x-y-1-1"
    temp.write_bytes(b"123")
    keep = {make_record(0).key, make_record(1).key}
    young = store.gc(keep, {kept_blob}, dry_run=False)
    assert young.files == ()
    later = time.time() + 8 * DAY_S
    before = files_below(store.home)
    dry = store.gc(keep, {kept_blob}, dry_run=True, now_s=later)
    assert files_below(store.home) == before
    done = store.gc(keep, {kept_blob}, dry_run=False, now_s=later)
    assert done.files == dry.files
    assert done.bytes == dry.bytes > 0
    assert {file.reason for file in done.files} == {RemovalReason.UNREFERENCED, RemovalReason.UNFINISHED}
    assert before - files_below(store.home) == {file.place for file in done.files}
    assert store.missing(make_record(number).key for number in range(4)) == {make_record(2).key, make_record(3).key}
    assert store.read_document(PLAN) == b"{}"
    assert store.verify_blob(kept_blob)


def test_gc_takes_unfinished_files_wherever_a_writer_was_killed(store: Store, make_record: MakeRecord) -> None:
    fill(store, make_record)
    for folder in ("", "objects/ab", "blobs", "jobs/j1", "attempts"):
        (store.home / folder / ".tmp-x-y-1-1").write_bytes(b"123")
    assert store.stats().unfinished.files == 5
    assert store.gc(set(), set(), dry_run=False).files == ()
    removal = store.gc(set(), set(), dry_run=False, now_s=time.time() + 2 * DAY_S)
    assert [file.reason for file in removal.files] == [RemovalReason.UNFINISHED] * 5
    assert store.stats().unfinished.files == 0


def test_gc_spares_an_old_record_that_has_just_been_put_again(store: Store, make_record: MakeRecord) -> None:
    store.put(make_record(1))
    store.put(make_record(2))
    for number in (1, 2):
        os.utime(path_of(store, make_record(number).key), (1, 1))
    store.put(make_record(1))
    removal = store.gc(set(), set(), dry_run=False)
    assert [file.place.rpartition("/")[2] for file in removal.files] == [make_record(2).key]


def test_gc_empties_the_quarantine_in_its_time(store: Store, make_record: MakeRecord) -> None:
    store.put(make_record(1))
    path_of(store, make_record(1).key).write_bytes(b"junk")
    store.get(make_record(1).key)
    assert store.gc(set(), set(), dry_run=True, now_s=time.time() + 20 * DAY_S).files == ()
    removal = store.gc(set(), set(), dry_run=False, ages=Ages(quarantined_s=0.0), now_s=time.time() + 1)
    assert [file.reason for file in removal.files] == [RemovalReason.QUARANTINED]


def test_purge_takes_exactly_what_is_named_and_every_trace_of_it(store: Store, make_record: MakeRecord) -> None:
    digest = fill(store, make_record)
    gone = make_record(0)
    path_of(store, gone.key).write_bytes(b"junk")
    store.get(gone.key)
    store.put(gone)
    path_of(store, gone.key).with_name(f".tmp-{gone.key}-x-1-1").write_bytes(b"half")
    store.home.joinpath(*PLAN).write_bytes(b"junk")
    store.read_document(PLAN)
    store.write_once(PLAN, b"{}")
    store.write_once(("jobs", "j1", "deep", "er", "x.json"), b"{}")
    store.write_once(("jobs", "j2", "plan.json"), b"{}")
    before = files_below(store.home)
    what = {"keys": [gone.key, make_record(99).key], "blobs": [digest], "trees": [("jobs", "j1"), ("jobs", "none")]}
    dry = store.purge(**what, dry_run=True)
    assert files_below(store.home) == before
    done = store.purge(**what, dry_run=False)
    assert set(done.files) == set(dry.files)
    assert len(done.files) == 7
    left = files_below(store.home)
    assert before - left == {file.place for file in done.files}
    assert not any(gone.key in name or digest in name or "j1" in name for name in left)
    assert not (store.home / "jobs" / "j1").exists()
    assert store.children(("jobs",)) == ("j2",)
    assert store.get(make_record(1).key) == make_record(1)
    assert store.purge(**what, dry_run=False).files == ()
    store.write_once(PLAN, b"new")
    assert store.read_document(PLAN) == b"new"


def test_a_purge_does_not_follow_links_out_of_the_store(store: Store) -> None:
    outside = store.home.parent / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"x")
    store.write_once(PLAN, b"{}")
    (store.home / "jobs" / "j1" / "link").symlink_to(outside)
    store.purge(trees=[("jobs", "j1")], dry_run=False)
    assert (outside / "precious").exists()
    assert not (store.home / "jobs" / "j1").exists()


def test_a_good_disk_passes_every_probe_and_is_left_as_it_was(tmp_path: Path) -> None:
    results = probe_mount(tmp_path / "not" / "yet" / "there")
    assert {result.name for result in results} == {
        "exclusive",
        "sync",
        "publish",
        "read-back",
        "second-process",
        "space",
        "kind",
    }
    assert all(result.level is not ProbeLevel.REFUSED for result in results), results
    assert all(result.fix for result in results if result.level is not ProbeLevel.OK)
    assert list(tmp_path.iterdir()) == []


class Overwriting(Filesystem):
    def link(self, source: str, target: str) -> None:
        self.replace(source, target)


class NotSyncing(Filesystem):
    def fsync_directory(self, path: str) -> None:
        raise OSError(22, "Invalid argument")


class Nothing(Filesystem):
    def make_directory(self, path: str, mode: int = 0o777) -> None:
        raise OSError(30, "Read-only file system")


@pytest.mark.parametrize(("disk", "name"), [(Overwriting, "publish"), (NotSyncing, "sync"), (Nothing, "write")])
def test_a_bad_disk_is_refused_with_what_to_do(tmp_path: Path, disk: type[Filesystem], name: str) -> None:
    refused = [result for result in probe_mount(tmp_path, disk()) if result.level is ProbeLevel.REFUSED]
    assert [result.name for result in refused] == [name]
    assert refused[0].fix
    assert refused[0].detail


def test_a_memory_disk_is_named_as_one() -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir():
        pytest.skip("there is no memory disk here")
    kind = {result.name: result for result in probe_mount(memory)}["kind"]
    assert (kind.level, kind.detail.split(":")[0]) == (ProbeLevel.WARNING, "tmpfs")


def test_a_new_home_is_its_user_s_alone_and_an_old_one_keeps_its_mode(tmp_path: Path) -> None:
    Store.open(tmp_path / "above" / "home").close()
    assert stat.S_IMODE((tmp_path / "above" / "home").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "above").stat().st_mode) & 0o055
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o2770)
    Store.open(shared).close()
    assert stat.S_IMODE(shared.stat().st_mode) == 0o2770


class SomebodyElses(Filesystem):
    """A disk on which this user may not delete some files."""

    theirs = ""

    def unlink(self, path: str) -> None:
        if self.theirs and self.theirs in path:
            raise PermissionError(1, "Operation not permitted", path)
        super().unlink(path)


def test_a_purge_reports_what_belongs_to_somebody_else_and_goes_on(tmp_path: Path, make_record: MakeRecord) -> None:
    disk = SomebodyElses()
    store = Store.open(tmp_path / "home", filesystem=disk)
    records = [make_record(number) for number in range(4)]
    store.put_many(records)
    store.write_once(("jobs", "mine", "plan.json"), b"{}")
    store.write_once(("jobs", "mine", "theirs.json"), b"{}")
    disk.theirs = "theirs.json"
    done = store.purge(keys={record.key for record in records}, trees=[("jobs", "mine")], dry_run=False)
    assert len(done.files) == 5
    assert done.stuck == (f"{tmp_path}/home/jobs/mine/theirs.json: Operation not permitted",)
    assert files_below(tmp_path / "home" / "jobs") == {"mine/theirs.json"}
    disk.theirs = ""
    again = store.purge(trees=[("jobs", "mine")], dry_run=False)
    assert (len(again.files), again.stuck) == (1, ())
