"""Fuzzes what reads from outside, each target for so many seconds: no crash, no silent loss.

    python -m bench.fuzz --targets captions,manifest --seconds 600 --seed 7

Valid input is damaged by Hypothesis, never random from the start. Ends with 1 when any case failed; the seed that is
then printed repeats it at once.
"""

from __future__ import annotations

import argparse
import faulthandler
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "fuzz")]

from fuzzing import fuzz  # noqa: E402
from targets import TARGETS  # noqa: E402

#: A case that takes so much longer than the whole time hangs: its traceback is printed, and that is the end.
HANGS_S = 300.0


def main() -> int:
    """Fuzzes each target in turn; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--targets", default=",".join(TARGETS), help="names, with commas between them")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    names = [name for name in arguments.targets.replace(",", " ").split() if name]
    unknown = [name for name in names if name not in TARGETS]
    if unknown or not names:
        print(f"fuzz: unknown target {', '.join(unknown)}; choose from {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    failures = 0
    for name in names:
        faulthandler.dump_traceback_later(arguments.seconds + HANGS_S, exit=True)
        outcome = fuzz(TARGETS[name], arguments.seconds, arguments.seed)
        print(f"{name}: {outcome.examples} cases from seed {arguments.seed}: {'FAILED' if outcome.failure else 'held'}")
        if outcome.failure:
            failures += 1
            print(f"{outcome.failure}\nagain: make fuzz FUZZ={name} SECONDS=1 SEED={outcome.seed}", flush=True)
    faulthandler.cancel_dump_traceback_later()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
