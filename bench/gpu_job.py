"""A real job on a GPU: `segue run`, killed after its first results are durable, and run again.

The job's audio was decoded beforehand and is in the home that travelled; so no decoder is needed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.store import Store
from journals.attempts import read_attempts
from journals.lines import AttemptStartedLine
from pipeline.inputs.sources import remember_digest
from pipeline.jobs import JobFolder
from pipeline.work import JobWork

if TYPE_CHECKING:
    from bench.gpu_steps import Surroundings

_LOOK_S = 0.02
#: Small batches, so that there is something left to kill.
_BATCH = 2


def run(around: Surroundings) -> dict[str, Any]:
    """Killed, run again, and what the ledger says of the machine."""
    home, out = around.work / "job", around.work / "out"
    for folder in (home, out):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(around.work / "home", home)
    environment = _environment(around, home)
    media = next(around.work.glob("media.*"))
    with Store.open(home, create=False) as store:
        # A run reads the header of a file that it does not know, and there is nothing here to read it with.
        remember_digest(media, store)
    command = [sys.executable, "-m", "cli.main", "run", str(media), "--from", "en", "--to", "es", "--out", str(out)]
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    at_kill = _done_when_first(process, home, around)
    process.kill()
    _, said = process.communicate()
    found: dict[str, Any] = {"first_result_s": round(time.monotonic() - began, 1), "done_at_kill": at_kill}
    if at_kill == 0:
        found["said"] = said.decode(errors="replace")[-500:]
        return found
    began = time.monotonic()
    again = subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True, check=False)
    found |= {"again_s": round(time.monotonic() - began, 1), "exit_code": again.returncode}
    found["state"] = json.loads(again.stdout)["jobs"][0]["state"] if again.stdout else again.stderr[-500:]
    found["outputs"] = sorted(path.name for path in out.glob("*")) if out.exists() else []
    return found | _tally(home) | _ledger(environment)


def _environment(around: Surroundings, home: Path) -> dict[str, str]:
    settings = {
        "HOME": str(home),
        "TRANSCRIBER_MODEL": str(around.model),
        "TRANSCRIBER_COMPUTE_TYPE": around.profile.compute_types[-1],
        "TRANSLATOR": "fake",
        "DEVICE": around.profile.device,
        "BATCH_SIZE": str(_BATCH),
        "OFFLINE": "true",
        "OWNER": "bench",
        "NODE_PRICE": "2.50 USD",
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SEGUE_")}
    return clean | {f"SEGUE_{name}": value for name, value in settings.items()}


def _done_when_first(process: subprocess.Popen[bytes], home: Path, around: Surroundings) -> int:
    """Transcripts that are durable, as soon as there is one; 0 when the run ends before, or the time does."""
    with Store.open(home, create=False) as store:
        while process.poll() is None and around.left_s() > 0:
            for job_id in store.children(("jobs",)):
                done = _transcripts(store, job_id)
                if done:
                    return done
            time.sleep(_LOOK_S)
    return 0


def _transcripts(store: Store, job_id: str) -> int:
    plan = JobFolder(store, job_id).read_plan()
    return 0 if plan is None else JobWork.open(plan, store, {}).counts["transcribe"].done


def _tally(home: Path) -> dict[str, Any]:
    """How many windows there are, how many have a transcript now, and how many were given to an engine twice."""
    with Store.open(home, create=False) as store:
        (job_id,) = store.children(("jobs",))
        given = [
            unit.key
            for line in read_attempts(store)
            if isinstance(line, AttemptStartedLine) and line.stage == "transcribe"
            for unit in line.units
        ]
        plan = JobFolder(store, job_id).read_plan()
        assert plan is not None
        return {
            "windows": len(plan.windows),
            "transcribed": _transcripts(store, job_id),
            "computed_twice": len(given) - len(set(given)),
        }


def _ledger(environment: dict[str, str]) -> dict[str, Any]:
    """That the books know the machine: its GPU's name, and what NVML said while the job ran."""
    home = Path(environment["SEGUE_HOME"])
    with Store.open(home, create=False) as store:
        opened, busy = {}, []
        for session in store.children(("nodes",)):
            opened = json.loads(store.read_document(("nodes", session, "opened.json")) or b"{}")
            for name in store.children(("nodes", session)):
                if name.startswith("beats-"):
                    facts = store.read_journal(("nodes", session, name)).entries
                    busy += [fact["gpu_util"] for fact in facts if fact.get("gpu_util") is not None]
    command = [sys.executable, "-m", "cli.main", "ledger", "--json"]
    ledger = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return {"gpu_names": opened.get("gpu_names"), "gpu_util_beats": busy, "ledger_exit_code": ledger.returncode}
