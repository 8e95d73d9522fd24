"""Seconds from the loss of a worker's machine until its batch runs on another, and from a notice to the same.

    python -m bench.recovery_bench [--kills 30] [--notices 30]

Real processes and a real broker on this machine, fake engines that take a minute for a unit so that a batch is always
in flight, the default lease settings. One batch wanders: its holder gets SIGKILL (supervisor and engine at once), or a
notice (in turn SIGTERM, a notice file, and the emulated metadata service of Azure); the clock stops when another
worker has noted that it gives some of the same units to its engine. That other worker is idle and ready before the
blow: no process start, model load or boot of a machine is in the figures. The emulator is asked five times a second;
Azure's own service once a second, which adds up to a second.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from recovery import NOTICES, Blow, RecoveryFleet, RecoveryPlan  # noqa: E402

KILL_GOAL_S, NOTICE_GOAL_S = 10.0, 2.0
_BAR = 50


def main() -> int:
    """Measures and prints; returns 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--notices", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="segue-recovery-") as folder:
        plan = RecoveryPlan(arguments.kills, arguments.notices, arguments.seed)
        with RecoveryFleet(plan, Path(folder)) as fleet:
            fleet.run()
            found = fleet.seconds
    kills = found.get(Blow.KILL, [])
    notices = [seconds for blow in NOTICES for seconds in found.get(blow, [])]
    good = show("from SIGKILL to the batch running elsewhere", kills, 0.5, KILL_GOAL_S)
    good &= show("from notice to the batch running elsewhere", notices, 0.1, NOTICE_GOAL_S)
    for blow in NOTICES:
        if found.get(blow):
            print(f"  of these by {blow}: {summary(found[blow])}")
    return 0 if good else 1


def show(title: str, seconds: Sequence[float], step: float, goal_s: float) -> bool:
    """Prints a histogram; True when the goal is met."""
    if not seconds:
        return True
    good = quantile(seconds, 0.99) < goal_s
    print(f"{title}: {summary(seconds)}; goal p99 < {goal_s:g} s: {'met' if good else 'MISSED'}")
    low, high = int(min(seconds) / step), int(max(seconds) / step)
    counts = [sum(1 for each in seconds if int(each / step) == place) for place in range(low, high + 1)]
    for place, count in enumerate(counts, low):
        bar = "#" * -(-count * _BAR // max(counts))
        print(f"  {place * step:5.1f} - {(place + 1) * step:4.1f} s  {count:3d} {bar}")
    sys.stdout.flush()
    return good


def summary(seconds: Sequence[float]) -> str:
    """n, median, p99 and maximum."""
    return (
        f"n {len(seconds)}, p50 {quantile(seconds, 0.5):.2f} s, p99 {quantile(seconds, 0.99):.2f} s, "
        f"max {max(seconds):.2f} s"
    )


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that is not below this share of all."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


if __name__ == "__main__":
    sys.exit(main())
