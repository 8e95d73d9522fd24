"""Kills workers of a real fleet, restarts and flushes its broker, and prints what that cost.

    python -m bench.fleet_storm --seconds 600 --seed 1

One storm after another until the time is over, each with 20 jobs and 4 workers on 2 machines of AWS, Azure and GCP in
turn. Every few seconds a worker is killed with SIGKILL and started again, or a whole machine vanishes, with or without
its cloud's notice, and another takes its place; spot prices change meanwhile. The broker is restarted twice and flushed
once, the coordinator killed once. Afterwards the outputs are compared, byte by byte, with those of an undisturbed
`segue run`, and the ledger is read: every entry once, sums that are each machine's bill to the nano-unit as its papers
say it must be, no line touched but those that a kill tore. Ends with 1 when anything does not hold. Transcription is a
fake, and translation a model server of our own, both with a fixed time for a unit: what is measured is the fleet.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from fleet_storm import FleetStorm, StormPlan  # noqa: E402


def main() -> int:
    """Storms until the time is over; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--kill-every", type=float, default=4.0)
    arguments = parser.parse_args()
    end, sound, number = time.monotonic() + arguments.seconds, True, 0
    while number == 0 or time.monotonic() < end:
        plan = StormPlan(
            arguments.seed + number,
            jobs=arguments.jobs,
            workers=arguments.workers,
            kill_every_s=arguments.kill_every,
        )
        with tempfile.TemporaryDirectory(prefix="segue-fleet-storm-") as folder:
            toll = FleetStorm(plan, Path(folder)).run()
        print(f"storm {number + 1}, seed {plan.seed}: {'held' if toll.sound else 'BROKEN'}")
        for line in toll.lines():
            print(f"  {line}")
        sys.stdout.flush()
        sound = sound and toll.sound
        number += 1
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
