"""Kills real runs at random moments for as long as it is told to, and prints what that cost.

    python -m bench.run_storm --seconds 600 --seed 1 [--engines fake|real] [--kills 300]

A storm is one job in a fresh SEGUE_HOME, killed with SIGKILL again and again until a run gets through. Afterwards its
outputs are compared with those of a run that nobody disturbed, byte by byte, and its books are read: which unit was
given to an engine when, and which attempt its record came from. Ends with 1 when anything differs.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support"), str(ROOT / "tests" / "crash")]

from killing import Storm, Toll  # noqa: E402
from long_speech import write_speech, write_takes  # noqa: E402
from moments import Spread  # noqa: E402
from real_engines import PATIENCE_S, REAL, TRANSLATOR, WHISPER, missing_models  # noqa: E402
from segue_process import FAKES, Job, Place, read_outputs, run_job  # noqa: E402

from core.keys import digest_value  # noqa: E402

#: Copies of the sample in one input, each about a minute long; or short clips, each an input of its own.
COPIES = {"fake": 6, "real": 6}
#: Kills of one job before it is left to finish: more would only hit its start again.
MOST_KILLS_A_JOB = {"fake": 30, "real": 8}


@dataclass(frozen=True)
class Reference:
    """How the job goes when nobody disturbs it."""

    outputs: dict[str, bytes]
    spread: Spread
    seconds: float
    units: int


def main() -> int:
    """Storms until the time or the kills are reached; returns the exit code."""
    arguments = _parse()
    if arguments.engines == "real" and (missing := missing_models()):
        print(f"storm: not installed: {', '.join(missing)} (make setup installs them)", file=sys.stderr)
        return 2
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="segue-storm-") as folder:
        base = Path(folder)
        job = _job(base, arguments.engines)
        reference = _reference(job, base / "reference")
        print(
            f"seed {arguments.seed}, {_engines(arguments.engines)}; undisturbed: {reference.seconds:.1f} s, "
            f"{reference.units} units, {len(reference.outputs)} outputs",
            flush=True,
        )
        total, end = Toll(), time.monotonic() + arguments.seconds
        source = _source_digest()
        while time.monotonic() < end and total.kills < arguments.kills:
            place = Place(base / f"storm-{total.jobs + 1}")
            place.base.mkdir()
            most = min(MOST_KILLS_A_JOB[arguments.engines], arguments.kills - total.kills)
            _storm(job, place, reference, chance, most, total)
            if _source_digest() != source:
                print("storm: Segue's own source was edited meanwhile; start again", file=sys.stderr)
                return 2
    return _print_toll(total)


def _source_digest() -> str:
    """Digest of the program under test: an edit in the middle of a storm would look like a difference."""
    rooms = ("cache", "cli", "core", "engines", "media", "pipeline", "segmenter", "subtitles")
    files = sorted(path for room in rooms for path in (ROOT / room).rglob("*.py"))
    return digest_value([[str(path), path.read_text(encoding="utf-8")] for path in files])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engines", choices=("fake", "real"), default="fake")
    parser.add_argument("--kills", type=int, default=1_000_000, help="end after this many, whatever time is left")
    return parser.parse_args()


def _job(base: Path, engines: str) -> Job:
    if engines == "real":
        return Job(
            write_takes(base, COPIES["real"]),
            targets="es",
            settings={**REAL, "SEGUE_BATCH_SIZE": "2"},
            extra=("--from", "en"),
            patience_s=PATIENCE_S,
        )
    speech = write_speech(base / "talk.wav", COPIES["fake"])
    return Job((speech,), settings={**FAKES, "SEGUE_FAKE_DELAY_MS": "40", "SEGUE_BATCH_SIZE": "2"})


def _engines(engines: str) -> str:
    return f"whisper {WHISPER} and {TRANSLATOR}" if engines == "real" else "fake engines"


def _reference(job: Job, base: Path) -> Reference:
    """Runs it undisturbed twice: the second run, which computes nothing, tells how long starting takes."""
    base.mkdir()
    place, seconds = Place(base), []
    for _ in range(2):
        started = time.monotonic()
        ended = run_job(job, place)
        seconds.append(time.monotonic() - started)
        if ended.code:
            raise SystemExit(f"storm: the undisturbed run ended with {ended.code}: {ended.err}{ended.out}")
    units = sum(count["total"] for each in ended.jobs for count in each["units"].values())
    computing = max(seconds[0] - seconds[1], 0.5)
    spread = Spread(start_up_s=seconds[1], planning_s=min(computing, 1.5), batch_s=2 * computing / max(units, 1))
    return Reference(read_outputs(place.out), spread, seconds[0], units)


def _storm(job: Job, place: Place, reference: Reference, chance: random.Random, most: int, total: Toll) -> None:
    # Every other storm uses the plain command, without the launcher that counts engine calls.
    storm = Storm(replace(job, counted=total.jobs % 2 == 0), place, reference.outputs)
    storm.kill_until_done(chance, reference.spread, most)
    if total.jobs % 3 == 0 and not storm.toll.breaches:
        storm.kill_delivery(chance, times=3)
    toll = storm.settle()
    for name in toll.differing:
        _explain(name, reference.outputs.get(name), read_outputs(place.out).get(name))
    total.add(toll)
    state = "identical" if not toll.differing else f"{len(toll.differing)} outputs differ"
    print(
        f"job {total.jobs}: {toll.kills} kills, {toll.runs} runs, {state}, "
        f"{toll.recomputed_ms / 1000:.1f} s of audio recomputed; {total.kills} kills so far",
        flush=True,
    )


def _explain(name: str, wanted: bytes | None, found: bytes | None) -> None:
    """Says where an output differs."""
    if wanted is None or found is None:
        print(f"  {name}: {'not wanted' if wanted is None else 'missing'}")
        return
    for number, (one, other) in enumerate(zip(wanted.splitlines(), found.splitlines(), strict=False), start=1):
        if one != other:
            print(f"  {name}, line {number}: {one[:120]!r} became {other[:120]!r}")
            return
    print(f"  {name}: {len(wanted)} bytes became {len(found)}")


def _print_toll(total: Toll) -> int:
    kills = max(total.kills, 1)
    figures = {
        "jobs": total.jobs,
        "runs": total.runs,
        "kills": total.kills,
        "kills_by_phase": dict(sorted(total.phases.items())),
        "identical": not total.differing,
        "finished_units_recomputed": sum("finished" in breach for breach in total.breaches),
        "recomputed_s_per_kill": round(total.recomputed_ms / 1000 / kills, 2),
        "batch_in_flight_s_per_kill": round(total.in_flight_ms / 1000 / kills, 2),
        "largest_loss_s": total.largest_loss_ms / 1000,
        "largest_batch_s": total.largest_batch_ms / 1000,
        "leftovers_beside_outputs": total.leftovers,
        "breaches": len(total.breaches),
    }
    print(json.dumps(figures, indent=1))
    for breach in total.breaches[:20]:
        print(f"BREACH {breach}")
    return 1 if total.breaches or total.differing or not total.jobs else 0


if __name__ == "__main__":
    sys.exit(main())
