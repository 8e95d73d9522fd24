"""The figures of docs/scale.md, measured: record sizes, growing directories, commits on a slow disk.

    python docs/scale.py sizes HOME         # bytes and blocks of each kind of record in a store
    python docs/scale.py directories DIR    # lookups, listings and commits as one directory grows
    python docs/scale.py commits DIR        # commits a second when every disk operation takes 1, 2, 5 ms longer

``commits`` is the store's own code over a disk whose calls are delayed: what a network adds, without its jitter.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cache.filesystem import Filesystem  # noqa: E402
from cache.store import Record, Store  # noqa: E402
from core.keys import Key, digest_bytes  # noqa: E402

#: A shard after one, six and twelve months of 7 million records a month.
DIRECTORY_SIZES = (27_344, 164_064, 328_128)
DELAYS_MS = (0, 1, 2, 5)
GROUPS = (1, 8, 32)
RECORD_BYTES = 1_600
_SAMPLE = 2_000
_COMMITS = 200
_RECORDS = 192


class SlowFilesystem(Filesystem):
    """The real file system with a round trip added to every call that a network disk answers over the wire."""

    def __init__(self, delay_ms: float) -> None:
        self.calls = 0
        self._delay_s = delay_ms / 1000

    def _wait(self) -> None:
        self.calls += 1
        if self._delay_s:
            time.sleep(self._delay_s)

    def create(self, path: str) -> int:
        self._wait()
        return super().create(path)

    def fsync(self, fd: int) -> None:
        self._wait()
        super().fsync(fd)

    def fsync_directory(self, path: str) -> None:
        self._wait()
        super().fsync_directory(path)

    def link(self, source: str, target: str) -> None:
        self._wait()
        super().link(source, target)

    def unlink(self, path: str) -> None:
        self._wait()
        super().unlink(path)

    def stat(self, path: str) -> os.stat_result:
        self._wait()
        return super().stat(path)

    def exists(self, path: str) -> bool:
        self._wait()
        return super().exists(path)

    def close(self, fd: int) -> None:
        # NFS flushes at close; after an fsync there is nothing to flush, but an open file costs one call (NFS 4).
        self._wait()
        super().close(fd)


def measure_sizes(home: Path) -> None:
    """Prints files, mean bytes and disk blocks by kind."""
    groups: dict[str, list[os.stat_result]] = defaultdict(list)
    with Store.open(home, create=False) as store:
        for path in sorted((home / "objects").glob("??/*")):
            record = store.get(path.name)
            if record is not None:
                groups[f"record {record.kind}"].append(path.stat())
    for folder in ("blobs", "attempts", "jobs", "state", "queue", "nodes"):
        files = [path for path in (home / folder).rglob("*") if path.is_file()]
        if files:
            groups[folder] = [path.stat() for path in files]
    for name, stats in groups.items():
        mean, blocks = statistics.mean(s.st_size for s in stats), statistics.mean(s.st_blocks * 512 for s in stats)
        print(f"{name:<20}{len(stats):>6} files  mean {mean:>9.0f} B  on disk {blocks:>9.0f} B")


def measure_directories(base: Path) -> None:
    """Prints what one directory costs as it grows."""
    with tempfile.TemporaryDirectory(prefix="segue-scale-", dir=base) as scratch:
        made: list[str] = []
        for size in DIRECTORY_SIZES:
            while len(made) < size:
                name = hashlib.sha256(str(len(made)).encode()).hexdigest()
                os.close(os.open(f"{scratch}/{name}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                made.append(name)
            found = random.Random(1).sample(made, _SAMPLE)
            hit, miss = _lookup_us(scratch, found), _lookup_us(scratch, [f"{name[:-2]}zz" for name in found])
            began = time.perf_counter()
            listed = len(list(Path(scratch).iterdir()))
            listing_ms = (time.perf_counter() - began) * 1000
            commits = sorted(_commit_ms(scratch, f"{size}-{number}") for number in range(_COMMITS))
            print(
                f"{listed:>7} files: directory {Path(scratch).stat().st_size / 1e6:.1f} MB, lookup {hit:.0f} us, "
                f"of a missing name {miss:.0f} us, listing {listing_ms:.0f} ms, commit {commits[_COMMITS // 2]:.2f} ms "
                f"(99 of 100 within {commits[_COMMITS * 99 // 100]:.1f} ms)",
                flush=True,
            )


def _lookup_us(folder: str, names: list[str]) -> float:
    began = time.perf_counter()
    for name in names:
        Path(f"{folder}/{name}").exists()
    return (time.perf_counter() - began) / len(names) * 1e6


def _commit_ms(folder: str, name: str) -> float:
    disk = Filesystem()
    temp, target = f"{folder}/.tmp-{name}", f"{folder}/zz-{name}"
    began = time.perf_counter()
    fd = disk.create(temp)
    disk.write(fd, b"x" * RECORD_BYTES)
    disk.fsync(fd)
    disk.close(fd)
    disk.link(temp, target)
    disk.unlink(temp)
    disk.fsync_directory(folder)
    took = (time.perf_counter() - began) * 1000
    disk.unlink(target)
    return took


def measure_commits(base: Path) -> None:
    """Prints the store's commits a second, one writer, by added delay and group size."""
    for delay_ms in DELAYS_MS:
        figures = []
        for group in GROUPS:
            with tempfile.TemporaryDirectory(prefix="segue-scale-", dir=base) as scratch:
                Store.open(Path(scratch) / "home").close()
                disk = SlowFilesystem(delay_ms)
                source = random.Random(group)
                payloads = [source.randbytes(RECORD_BYTES) for _ in range(_RECORDS)]
                records = [Record(Key(digest_bytes(payload)), "bench", payload) for payload in payloads]
                with Store.open(Path(scratch) / "home", create=False, filesystem=disk) as store:
                    disk.calls = 0
                    began = time.perf_counter()
                    for start in range(0, len(records), group):
                        store.put_many(records[start : start + group])
                    took = time.perf_counter() - began
                figures.append(f"group of {group}: {_RECORDS / took:.0f}/s ({disk.calls / _RECORDS:.1f} calls each)")
        print(f"+{delay_ms} ms a call: {', '.join(figures)}", flush=True)


def main() -> None:
    """Runs one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    actions = {"sizes": measure_sizes, "directories": measure_directories, "commits": measure_commits}
    parser.add_argument("what", choices=actions)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    actions[options.what](options.folder)


if __name__ == "__main__":
    main()
