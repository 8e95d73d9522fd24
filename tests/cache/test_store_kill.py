"""SIGKILL at random moments of real writers, several on one store: what was acknowledged is there, and it is right."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from store_writer import blob_content, numbered_record

from cache.store import PutOutcome, Store

KILLS = int(os.environ.get("STORE_KILLS", "24"))
WRITER = Path(__file__).with_name("store_writer.py")


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_what_a_killed_writer_reported_is_there(tmp_path: Path) -> None:
    home = tmp_path / "home"
    store = Store.open(home)
    chance = random.Random(4)
    acknowledged: dict[int, list[str]] = {}
    for kill in range(0, KILLS, 2):
        # Two at once: the second has no fault but its neighbour's death.
        first = kill * 100_000
        writers = [
            subprocess.Popen(
                [sys.executable, str(WRITER), str(home), str(first + offset), str(kill + offset)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for offset in (0, 50_000)
        ]
        lines: list[list[str]] = []
        for writer in writers:
            assert writer.stdout is not None
            lines.append([writer.stdout.readline()])
        for writer in writers:
            time.sleep(chance.uniform(0, 0.03))
            writer.kill()
        for offset, writer in zip((0, 50_000), writers, strict=True):
            said, _ = writer.communicate()
            assert writer.returncode == -9
            acknowledged[first + offset] = [line for line in (lines.pop(0) + said.split("\n")) if line.strip()]
            check(store, first + offset, acknowledged[first + offset])
    for first, lines_said in acknowledged.items():
        check(store, first, lines_said)
    assert sum(line.startswith("record") for said in acknowledged.values() for line in said) > KILLS
    report = store.verify()
    assert report.damaged == report.quarantined == 0
    assert store.put(numbered_record(1)) in PutOutcome
    store.gc(set(store_keys(store)), set(), dry_run=False, now_s=time.time() + 2 * 86_400)
    assert store.stats().unfinished.files == 0


def store_keys(store: Store) -> list[str]:
    return [path.name for path in (store.home / "objects").glob("??/*") if not path.name.startswith(".")]


def check(store: Store, first: int, lines: list[str]) -> None:
    facts = {entry["start"] for entry in store.read_journal(("attempts", f"{first}.jsonl")).entries}
    for line in lines:
        match line.split():
            case "record", number:
                assert store.get(numbered_record(int(number)).key) == numbered_record(int(number))
            case "fact", number:
                assert int(number) in facts
            case "document", number:
                assert store.read_document(("jobs", f"j{number}", "plan.json")) == number.encode()
            case "blob", number, digest:
                reader = store.open_blob(digest)
                assert reader is not None
                with reader:
                    assert reader.read(0, reader.size) == blob_content(int(number))
            case "voiced", key, digest:
                voiced = store.get(key)
                assert voiced is not None
                assert [ref.digest for ref in voiced.blobs] == [digest]
            case _:
                raise AssertionError(line)
