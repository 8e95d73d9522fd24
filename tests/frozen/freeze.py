"""Makes the frozen store again: ``unshare -u sh -c 'hostname studio; python tests/frozen/freeze.py'``.

It holds what a studio has after two months. October is closed: machines of a fleet worked for three jobs over its end,
with an API's fees, idle, loading, a death and people. November is open, with a job that is done, one that was killed
in the middle and one that was purged. Never made again to make a test pass: a format that cannot read it breaks the
ledgers of everybody who has one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT), str(ROOT / "tests" / "support")]

from frozen_store import ARCHIVE, EXPECTED, amounts_of  # noqa: E402
from ledger_journals import Journals, job  # noqa: E402

#: Paths stand in a job's notes: the same on every machine.
BASE = Path("/tmp/segue-frozen")
SETTINGS = {
    "SEGUE_HOME": str(BASE / "store"),
    "SEGUE_TRANSCRIBER": "fake",
    "SEGUE_TRANSLATOR": "fake",
    "SEGUE_NODE_PRICE": "0.30 USD",
    "SEGUE_FAKE_DELAY_MS": "40",
    "SEGUE_ENGINEERING_HOURS": "4-8",
    "SEGUE_ENGINEERING_RATE": "90 USD",
    "SEGUE_EXPECTED_USE": "10 machine hours",
}


def main() -> None:
    shutil.rmtree(BASE, ignore_errors=True)
    (BASE / "media").mkdir(parents=True)
    for name, source in (("film.mp4", "demo/sample.mp4"), ("talk.flac", "tests/data/tickets.flac")):
        shutil.copy(ROOT / source, BASE / "media" / name)
    _october()
    segue("ledger", "close", "2026-10")
    segue("run", "media/talk.flac", "--to", "es,ja", "--out", "out", owner="ann")
    segue("run", "media/film.mp4", "--to", "pt", "--out", "gone", owner="cid")
    segue("cache", "purge", "--owner", "cid", "--yes", owner="cid")
    segue("run", "media/film.mp4", "--to", "fr", "--out", "half", owner="bob", faults="die:2", code=None)
    HERE.mkdir(exist_ok=True)
    with tarfile.open(ARCHIVE, "w:xz", format=tarfile.PAX_FORMAT) as archive:
        archive.add(BASE / "store", "store", filter=_nobodys)
    EXPECTED.write_text(json.dumps(amounts_of(BASE / "store"), indent=1, sort_keys=True) + "\n", encoding="ascii")


def _october() -> None:
    """Two machines and an API's client from 22:00 of the month's last day; one machine lives into November."""
    journals = Journals(BASE / "store", datetime(2026, 10, 31, 22, tzinfo=UTC))
    ann, bob, cid = job("ann"), job("bob"), job("cid")
    journals.node("worker-1", 0, 9000, "0.361 USD", gpu_names=["Tesla T4"], cloud="azure", size="Standard_NC4as_T4_v3")
    journals.process("p1", 30, "worker-1")
    journals.loaded("p1", 40, "19.5")
    first = journals.attempt("p1", 100, 3000.25, [("a1", 900_000, ann), ("a2", 800_000, ann), ("b1", 700_000, bob)])
    for unit in ("a1", "a2", "b1"):
        journals.record(unit, first)
    journals.attempt("p1", 3200, 500, [("b2", 300_000, bob)])
    again = journals.attempt("p1", 5000, 3333.333, [("b2", 300_000, bob), ("c1", 600_000, cid)])
    journals.record("b2", again)
    journals.record("c1", again)
    journals.node("worker-2", 0, None, "0.7 EUR")
    journals.process("p2", 5, "worker-2")
    journals.attempt("p2", 10, None, [("c1", 600_000, cid)])
    journals.node("client", 0, 600, "0.05 USD")
    journals.process("p3", 0, "client")
    api = {"engine": "openai gpt-4o-mini", "provider": "openai", "remote": True}
    usage = {"requests": 2, "input_tokens": 12_003, "output_tokens": 9_997}
    asked = journals.attempt(
        "p3", 60, 45.5, [("t1", 900_000, ann), ("t2", 700_000, bob)], "translate", usage=usage, **api
    )
    journals.record("t1", asked)
    for whose, units in ((ann, ["a1", "a2", "t1"]), (bob, ["b1", "b2", "t2"]), (cid, ["c1"])):
        journals.wanted(whose, 50, 8600, units)


def segue(*arguments: str, owner: str = "ann", faults: str = "", code: int | None = 0) -> None:
    """Runs the command; ``code`` None: it has to fail."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(BASE), **SETTINGS, "SEGUE_OWNER": owner}
    if faults:
        environment["SEGUE_FAKE_FAULTS"] = faults
    done = subprocess.run([sys.executable, "-P", "-m", "cli.main", *arguments], cwd=BASE, env=environment, check=False)
    if (done.returncode != code) if code is not None else (done.returncode == 0):
        raise SystemExit(f"segue {' '.join(arguments)} ended with {done.returncode}")


def _nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    main()
