"""Writes the golden results again: ``python tests/golden/record.py [JOB... | ledger]``. Never done by a test.

Do it only to explain each difference that ``git diff tests/golden/expected`` then shows.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

from golden_entries import all_entries, command_amounts  # noqa: E402
from golden_files import EXPECTED, SAMPLES, samples_of  # noqa: E402
from golden_jobs import JOBS  # noqa: E402
from golden_recorder import record  # noqa: E402


def main(names: list[str]) -> None:
    samples = json.loads(SAMPLES.read_text(encoding="ascii")) if SAMPLES.exists() else {}
    if not names or "ledger" in names:
        with tempfile.TemporaryDirectory() as folder:
            (EXPECTED / "entries.json").write_text(all_entries(), encoding="ascii")
            (EXPECTED / "ledger.json").write_text(command_amounts(Path(folder)), encoding="ascii")
    for name in [name for name in names if name != "ledger"] if names else JOBS:
        with tempfile.TemporaryDirectory() as folder:
            text = record(JOBS[name], Path(folder))
            (EXPECTED / f"{name}.txt").write_bytes(text.encode())
            if digests := samples_of(name, Path(folder) / "work"):
                samples[name] = digests
    SAMPLES.write_text(json.dumps(samples, indent=1, sort_keys=True) + "\n", encoding="ascii")


if __name__ == "__main__":
    main(sys.argv[1:])
