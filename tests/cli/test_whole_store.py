"""Commands that look at a whole store: on a disk that can only be read, and where thousands of files are damaged."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from aged_store import Shop, complete
from private_mount import PRIVATE, may_mount
from segue_cli import ROOT, Segue

from cache.store import Store

READERS = (
    ("status",),
    ("cache", "stats"),
    ("cache", "verify"),
    ("cache", "gc", "--dry-run"),
    ("ledger", "verify"),
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A store with a finished job and one that is not."""
    shop = Shop(tmp_path, random.Random(2))
    complete(shop.job("film", 3))
    shop.job("waiting", 2)
    shop.store.close()
    return shop.store.home


def test_what_only_reads_works_on_a_disk_that_can_only_be_read(home: Path) -> None:
    if not may_mount():
        pytest.skip("no private mounts here")
    lines = [f"mount --bind {home} {home}", f"mount -o remount,bind,ro {home}", f"cd {home.parent}"]
    lines += [
        f"echo run; {sys.executable} -P -m cli.main {' '.join(command)} || echo ended with $?" for command in READERS
    ]
    environment = {
        "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(home.parent),
        "SEGUE_HOME": str(home),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [*PRIVATE, "sh", "-ec", "\n".join(lines)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.count("run\n") == len(READERS), done.stderr
    assert "ended with" not in done.stdout, done.stdout
    assert "Read-only" not in done.stderr
    assert "read-only" not in done.stderr
    assert "all is sound" in done.stdout


def test_of_thousands_of_damaged_files_the_first_are_named(segue: Segue, home: Path) -> None:
    assert home == segue.folder / "home"
    with Store.open(home) as store:
        keys = [f"{number:064x}" for number in range(50)]
        for key in keys:
            (store.home / "objects" / key[:2] / key).write_bytes(b"junk")
    done = segue("cache", "verify")
    assert done.code == 3
    assert done.stderr.count("was damaged") == 20
    assert done.stderr.endswith("segue: and 30 more\n")
    assert "50 damaged" in done.stdout
    assert "what was damaged is in quarantine" in done.stdout
