"""What the queue costs: units a second through broker and disk, our share beside an engine, the coordinator's passes.

    python -m bench.queue_bench [--part overhead|share|scale] [--units 20000] [--jobs 1000 --segments 1000]

overhead: trivial units (fake engine without delay) by two workers over a real broker; beside it, within the same run,
the embedded executor over as many units and bare commits of as many records in the engine's batches of eight.

share: units that take the engine exactly one second, messages of 60 s, as many units queued as never come to an end:
from the journals of attempts, how much of the workers' time between their first and last attempt is not the engine's.
Nothing is scaled down but the number of messages.

scale: jobs with many segments registered; a coordinator without workers makes full passes with nothing finished, with
half and with 90 % of the jobs finished. Finished jobs are taken off the list of open ones, with a tenth of their
records on disk (`--records`), without their outputs. While all of this is written, fsync is switched off.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from broker_server import BrokerServer  # noqa: E402
from fleet import Fleet, FleetAttempt  # noqa: E402
from fleet_leases import idle_workers, planner, session_of  # noqa: E402
from pass_clock import empty_record  # noqa: E402
from planned_jobs import JobMaker, fake_runtime  # noqa: E402
from planned_reference import run_embedded  # noqa: E402

from cache.store import Store  # noqa: E402
from core.keys import digest_value  # noqa: E402
from jobs.submissions import close_job  # noqa: E402
from journals.attempts import read_attempts  # noqa: E402
from journals.lines import AttemptEndedLine  # noqa: E402
from pipeline.jobs import JobFolder  # noqa: E402
from pipeline.work import JobWork  # noqa: E402

JOB_UNITS = 1000
#: Units that the fake engine takes at once.
ENGINE_BATCH = 8
UNIT_MS = 1000
SHARE_GOAL, PASS_GOAL_S = 0.02, 2.0


def main() -> int:
    """Measures what is asked for; returns 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=("overhead", "share", "scale"))
    parser.add_argument("--units", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=130.0, help="length of the part share")
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--segments", type=int, default=1000)
    parser.add_argument("--records", type=int, default=100, help="records of each finished job in the part scale")
    options = parser.parse_args()
    good = True
    for part in [options.part] if options.part else ["overhead", "share", "scale"]:
        with tempfile.TemporaryDirectory(prefix="segue-queue-") as folder:
            if part == "overhead":
                measure_overhead(Path(folder), options.units)
            elif part == "share":
                good &= measure_share(Path(folder), options.seconds)
            else:
                good &= measure_scale(Path(folder), options.jobs, options.segments, options.records)
        sys.stdout.flush()
    return 0 if good else 1


# -- overhead ------------------------------------------------------------------------------------------------


def measure_overhead(folder: Path, units: int) -> None:
    """Units a second: through the queue, embedded, and bare commits."""
    bare = bare_commits(folder / "bare", units)
    print(f"bare commits, {ENGINE_BATCH} records each, one process: {bare:.0f} a second")
    jobs = {f"job{number}": JOB_UNITS for number in range(max(units // JOB_UNITS, 1))}
    total = sum(jobs.values())
    report, seconds = run_embedded(folder / "embedded", jobs)
    if not report.flawless:
        raise RuntimeError(f"the embedded run did not end well: {report}")
    embedded = total / seconds
    print(f"embedded executor, {total} units: {embedded:.0f} a second, outputs included")
    with Fleet(folder / "fleet", {"SEGUE_LEASE_SECONDS": "6", "SEGUE_BATCH_SECONDS": "60"}) as fleet:
        maker = planner(fleet)
        ids = [maker.submit(name, windows) for name, windows in jobs.items()]
        for _ in range(2):
            fleet.start_worker()
        fleet.until(lambda: len(idle_workers(fleet)) == 2, "two workers are ready")
        fleet.start_coordinator()
        fleet.wait(ids, 900)
        ended = time.time()
        attempts = fleet.attempts()
        computed = total / (max(each.ended_at or 0.0 for each in attempts) - attempts[0].at)
        whole = total / (ended - attempts[0].at)
    print(
        f"queue, 2 workers, {total} units in {len(attempts)} engine batches: {computed:.0f} a second to the last "
        f"commit, {whole:.0f} to the last output; {whole / embedded:.2f} x embedded, {whole / bare:.2f} x bare commits"
    )


def bare_commits(home: Path, units: int) -> float:
    """Records a second that the store makes durable."""
    with Store.open(home) as store:
        groups = [
            [empty_record(digest_value(["bare", start + place])) for place in range(ENGINE_BATCH)]
            for start in range(0, units, ENGINE_BATCH)
        ]
        began = time.perf_counter()
        for group in groups:
            store.put_many(group)
        return len(groups) * ENGINE_BATCH / (time.perf_counter() - began)


# -- share ---------------------------------------------------------------------------------------------------


def measure_share(folder: Path, seconds: float) -> bool:
    """The share of two workers' time that is not their engines'."""
    settings = {
        "SEGUE_LEASE_SECONDS": "6",
        "SEGUE_BATCH_SECONDS": "60",
        "SEGUE_BATCH_SIZE": str(ENGINE_BATCH),
        "SEGUE_FAKE_DELAY_MS": str(UNIT_MS),
    }
    with Fleet(folder / "fleet", settings) as fleet:
        maker = planner(fleet)
        for number in range(2):
            maker.submit(f"job{number}", JOB_UNITS)
        # Half a second a unit is guessed until something was measured: the first messages would be twice as long.
        fleet.start(2)
        fleet.until(fleet.attempts, "work begins")
        time.sleep(seconds)
        with fleet.store() as store:
            noted = list(read_attempts(store))
        attempts = fleet.attempts()
    engine_s = {line.attempt: float(line.engine_seconds) for line in noted if isinstance(line, AttemptEndedLine)}
    lines: defaultdict[str, list[FleetAttempt]] = defaultdict(list)
    for attempt in attempts:
        if attempt.id in engine_s:
            lines[session_of(attempt.id)].append(attempt)
    spans = [(each[-1].ended_at or 0.0) - each[0].at for each in lines.values()]
    done = [attempt for each in lines.values() for attempt in each]
    units = sum(len(attempt.units) for attempt in done)
    gaps = sorted(later.at - (earlier.ended_at or 0.0) for each in lines.values() for earlier, later in pairwise(each))
    share = 1 - sum(engine_s[attempt.id] for attempt in done) / sum(spans)
    strict = 1 - units * UNIT_MS / 1000 / sum(spans)
    print(
        f"share: {len(lines)} workers, {sum(spans):.0f} worker seconds, {units} units of {UNIT_MS / 1000:g} s in "
        f"{len(done)} engine batches; not the engine's: {share:.2%} by the attempts, {strict:.2%} against {UNIT_MS} ms "
        f"a unit; goal < {SHARE_GOAL:.0%}: {'met' if strict < SHARE_GOAL else 'MISSED'}"
    )
    print(f"  between two engine batches: median {gaps[len(gaps) // 2] * 1000:.0f} ms, max {gaps[-1] * 1000:.0f} ms")
    return strict < SHARE_GOAL


# -- scale ---------------------------------------------------------------------------------------------------


def measure_scale(folder: Path, jobs: int, segments: int, kept: int) -> bool:
    """The coordinator's passes over many registered jobs; nothing may grow with what is finished."""
    home = folder / "home"
    maker = JobMaker(fake_runtime(home), folder)
    with _without_fsync():
        began = time.perf_counter()
        ids = [maker.submit(f"job{number}", segments) for number in range(jobs)]
        print(f"scale: {jobs} jobs x {segments} segments written in {time.perf_counter() - began:.0f} s")
    good = True
    with BrokerServer() as server:
        finished = 0
        for share in (0, 50, 90):
            now = jobs * share // 100
            with _without_fsync():
                for job_id in ids[finished:now]:
                    _finish(maker.store, job_id, kept)
            finished = max(finished, now)
            server.flush()
            good &= _show_passes(share, server.url, home)
    maker.store.close()
    return good


def _show_passes(share: int, url: str, home: Path) -> bool:
    command = [sys.executable, str(ROOT / "tests" / "support" / "pass_clock.py"), url, str(home), "15"]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    good = bool(found["max_s"] < PASS_GOAL_S)
    ms = {name: f"{found[name] * 1000:.0f} ms" for name in ("start_s", "median_s", "max_s", "opening_max_s")}
    memory = " -> ".join(f"{found[name]:.0f}" for name in ("rss_bare_mb", "rss_opened_mb", "rss_end_mb"))
    print(
        f"  {share:2d} % finished: start {ms['start_s']}; full pass median {ms['median_s']}, max {ms['max_s']} "
        f"({found['passes']} passes, {found['settled_units']} units settled in them); goal < {PASS_GOAL_S:g} s: "
        f"{'met' if good else 'MISSED'}"
    )
    print(
        f"    opening the first {found['active']} jobs took {found['opening_s']:.0f} s, longest pass "
        f"{ms['opening_max_s']}; memory in MiB, bare -> opened -> end: {memory}"
    )
    sys.stdout.flush()
    return good


def _finish(store: Store, job_id: str, kept: int) -> None:
    """A job as if it had ended: some of its records are there, and it is off the list."""
    plan = JobFolder(store, job_id).read_plan()
    if plan is None:
        raise RuntimeError(f"job {job_id} has no plan")
    keys = [unit.key for unit in JobWork.open(plan, store, {}).ready()[:kept]]
    store.put_many([empty_record(key) for key in keys])
    close_job(store, job_id)


class _without_fsync:  # noqa: N801 - reads as what it does
    """Writing a hundred thousand files to be looked at later is no measurement: it need not be durable."""

    def __enter__(self) -> None:
        self._fsync, self._fdatasync = os.fsync, os.fdatasync
        os.fsync = os.fdatasync = lambda _fd: None

    def __exit__(self, *_: object) -> None:
        os.fsync, os.fdatasync = self._fsync, self._fdatasync


if __name__ == "__main__":
    sys.exit(main())
