"""A job's folder in the store: its plan, its failures, who wanted its outputs, and how it last ended."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cache.names import JOBS
from cache.store import Store
from core.errors import UsageError
from core.keys import Key, canonical_json, digest_bytes
from core.version import VERSION
from journals.demand import plan_names
from pipeline.incidents import RUN, Incidents, NamedUnit, make_order
from pipeline.job import JOB_ID_LENGTH, Plan
from pipeline.outputs.delivery import Delivery
from pipeline.report import FileResult, JobCounts, JobState

#: Folder of what the ledger keeps between two questions.
LEDGER_STATE = ("state", "ledger")
#: Where the jobs of the latest run are noted.
LAST = ("state", "last.state")
_HEX = frozenset("0123456789abcdef")


def demand_state(job_id: str) -> tuple[str, ...]:
    """Where the ledger keeps what a job's files say of its demand and its owner. Outside of the job's folder, so that
    whoever writes it brings no purged job back; it goes with the job."""
    return (*LEDGER_STATE, f"demand-{job_id}.state")


class JobFolder:
    """What the disk keeps of one job besides its records. Holds nothing of it in memory, but for `listed`."""

    def __init__(self, store: Store, job_id: str, names: tuple[str, ...] | None = None) -> None:
        if len(job_id) != JOB_ID_LENGTH or not _HEX.issuperset(job_id):
            raise UsageError(f"'{job_id}' is not a job's id", "see 'segue status'")
        self.store = store
        self.job_id = job_id
        self._names = names

    def listed(self) -> JobFolder:
        """The folder as it is listed now, for a reader who looks for several files and writes none."""
        return JobFolder(self.store, self.job_id, self.names())

    def names(self) -> tuple[str, ...]:
        """The names in the folder, sorted."""
        return self.store.children((JOBS, self.job_id)) if self._names is None else self._names

    def may_hold(self, name: str) -> bool:
        """False for a file that was not there when the folder was listed; True when it was never listed."""
        return self._names is None or name in self._names

    # -- plan ------------------------------------------------------------------------------------------------

    def has_plan(self) -> bool:
        """True once the job has been planned."""
        return self.read_plan() is not None

    def read_plan(self) -> Plan | None:
        """The plan in force: the newest, if a lost audio ever made a second one necessary."""
        data = self.read_plan_data()
        return None if data is None else Plan.from_json(json.loads(data))

    def read_plan_data(self) -> bytes | None:
        """The plan in force as it was written; None when there is none."""
        for name in reversed(self._plan_names()):
            data = self.store.read_document((JOBS, self.job_id, name))
            if data is not None:
                return data
        return None

    def read_owner(self) -> str | None:
        """Whose job the plan in force says it is, without building the plan; None when there is no plan."""
        data = self.read_plan_data()
        return None if data is None else Plan.owner_in(json.loads(data))

    def write_plan(self, plan: Plan) -> Plan:
        """Makes the plan durable, once; of two writers the first one's plan is the plan."""
        names = self._plan_names()
        name = f"plan-{len(names) + 1}.json"
        self.store.write_once((JOBS, self.job_id, name), canonical_json(plan.as_json()))
        return self.read_plan() or plan

    def _plan_names(self) -> list[str]:
        return plan_names(self.names())

    # -- failures --------------------------------------------------------------------------------------------

    @property
    def incidents(self) -> Incidents:
        """Failures, deaths and the log."""
        return Incidents(self.store, self.job_id, self._names)

    def note_failure(self, unit: NamedUnit, reason: str, round_: int | None = None, writer: str = RUN) -> None:
        """Appends a failure of a round (default: the current one); durable when it returns."""
        incidents = self.incidents
        incidents.note_failure(unit, reason, incidents.round() if round_ is None else round_, writer)

    def clear_failures(self, order: str = "", writer: str = RUN) -> None:
        """Whatever failed before may be tried again: opens the next round, once for an order that has an id.

        Without an order a round is only opened when something has failed in this one.
        """
        incidents = self.incidents
        if order:
            incidents.open_round(order, writer)
        elif incidents.failures():
            incidents.open_round(make_order(), writer)

    def round(self) -> int:
        """The round in force: how many times the job was told to try again."""
        return self.incidents.round()

    def failures(self) -> dict[Key, str]:
        """Failures of the round in force: unit key -> reason."""
        return self.incidents.failures()

    # -- results ---------------------------------------------------------------------------------------------

    def note_result(self, delivery: Delivery, result: FileResult, owner: str = "", *, durable: bool = True) -> None:
        """Keeps how a delivery ended, for `status` and so that a finished file costs nothing the next time.

        ``owner`` where no plan says whose it is.
        """
        stamps = {str(path): _stamp(path) for path in result.outputs}
        value = {
            "segue": VERSION,
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "delivery": delivery.as_json(),
            "result": result.as_json(),
            "stamps": stamps,
            "owner": owner,
        }
        self.store.replace_state(self._result_parts(delivery), canonical_json(value), durable=durable)

    def note_delivery(self, delivery: Delivery, engines: str, *, latest: bool = True) -> None:
        """Keeps who wants the outputs before there are any, so that a killed job is found by its file's name.

        ``latest`` also makes it the last job. The queue does not: there, ``last`` is what a person submitted last.
        """
        data = self.store.read_state(self._result_parts(delivery))
        if data is None or json.loads(data)["result"]["state"] == JobState.BUDGET_STOPPED:
            running = FileResult(delivery.media, JobState.RUNNING, self.job_id, engines=engines)
            self.note_result(delivery, running)
        if latest:
            note_last(self.store, [self.job_id])

    def finished_result(self, delivery: Delivery) -> FileResult | None:
        """The result of an earlier run, if it is complete, wanted the same, and its files are still as written."""
        data = self.store.read_state(self._result_parts(delivery))
        if data is None:
            return None
        value = json.loads(data)
        same = value["delivery"] == json.loads(canonical_json(delivery.as_json())) and value["segue"] == VERSION
        if not same or value["result"]["state"] != JobState.DONE:
            return None
        if any(_stamp(Path(path)) != stamp for path, stamp in value["stamps"].items()):
            return None
        return replace(result_from_json(value["result"]), noted_at=str(value["at"]))

    def results(self) -> Iterator[tuple[Delivery, FileResult]]:
        """Every delivery and how it last ended, in a stable order."""
        for value in self._wishes():
            result = result_from_json(value["result"])
            yield Delivery.from_json(value["delivery"]), replace(result, noted_at=str(value["at"]))

    def noted_at(self) -> str:
        """When one of its deliveries was last noted; empty when none was."""
        return max((str(value["at"]) for value in self._wishes()), default="")

    def noted_owner(self) -> str:
        """Whose it is according to its deliveries; empty when they leave that to the plan."""
        return max((str(value["owner"]) for value in self._wishes()), default="")

    def _wishes(self) -> Iterator[dict[str, Any]]:
        for name in self.names():
            data = self.store.read_state((JOBS, self.job_id, name)) if name.startswith("delivery-") else None
            if data is not None:
                yield json.loads(data)

    def _result_parts(self, delivery: Delivery) -> tuple[str, str, str]:
        name = digest_bytes(os.fsencode(delivery.media.absolute()) + b"\0" + os.fsencode(delivery.folder.absolute()))
        return JOBS, self.job_id, f"delivery-{name[:16]}.state"


def _stamp(path: Path) -> list[int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def result_from_json(value: Mapping[str, Any]) -> FileResult:
    """The result that `FileResult.as_json` wrote; as found in the store, everything of it counts as cached."""
    units = {
        stage: (count["total"], count["done"], count["done"], count["failed"])
        for stage, count in value["units"].items()
    }
    return FileResult(
        media=Path(value["media"]),
        state=JobState(value["state"]),
        job_id=value["id"],
        reason=value["reason"],
        outputs=tuple(Path(path) for path in value["outputs"]),
        language=value["language"],
        tally=JobCounts(
            duration_ms=value["duration_ms"],
            speech_ms=value["speech_ms"],
            cues=value["cues"],
            review=value["review"],
            dropped=value["dropped"],
            lint=value["lint"],
            gaps=value.get("gaps", 0),
            missed_ms=value.get("missed_ms", 0),
            units=units,
        ),
        warnings=tuple(value["warnings"]),
        engines=value["engines"],
    )


def list_jobs(store: Store) -> list[JobFolder]:
    """Every job of the store, by id."""
    return [
        JobFolder(store, name)
        for name in sorted(store.children((JOBS,)))
        if len(name) == JOB_ID_LENGTH and _HEX.issuperset(name)
    ]


def note_last(store: Store, job_ids: list[str]) -> None:
    """Remembers which jobs the latest run was about; only a word for a person."""
    store.replace_state(LAST, canonical_json({"jobs": job_ids}), durable=False)


def note_refused(store: Store, owner: str, result: FileResult) -> None:
    """Keeps a file that no job could be made of, so that it is listed until it succeeds or is purged.

    Its folder has the name of a job, and neither plan nor orders. A power cut may take the note back: the file is then
    only tried again, and of ten thousand none waits for the disk.
    """
    media = result.media.absolute()
    name = digest_bytes(b"refused\0" + os.fsencode(owner) + b"\0" + os.fsencode(media))[:JOB_ID_LENGTH]
    reason = result.reason.removeprefix(f"{result.media}: ").removeprefix(f"{media}: ")
    kept = replace(result, media=media, job_id=name, reason=reason)
    JobFolder(store, name).note_result(Delivery(media, media.parent, media.stem), kept, owner, durable=False)


def find_job(store: Store, wanted: str) -> JobFolder:
    """The job that a person means: an id, the start of one, a media file's name, or ``last``.

    Raises UsageError when none or several fit.
    """
    if wanted == "last":
        data = store.read_state(LAST)
        jobs = json.loads(data)["jobs"] if data else []
        if not jobs:
            raise UsageError("there is no last job yet", "start with: segue run MEDIA --to es")
        return JobFolder(store, jobs[-1])
    folders = list_jobs(store)
    by_id = [folder for folder in folders if wanted and folder.job_id.startswith(wanted)]
    if len(by_id) == 1:
        return by_id[0]
    if by_id:
        ids = ", ".join(folder.job_id[:12] for folder in by_id[:5])
        raise UsageError(f"'{wanted}' could be {len(by_id)} jobs: {ids}", "say which by the start of its id")
    about = [folder for folder in folders if _is_about(folder, wanted)]
    if not about:
        raise UsageError(f"no job is called '{wanted}'", "'segue status' lists the jobs")
    # A file has a job for each combination of settings; a person means the one they ran last.
    return max(about, key=lambda folder: folder.noted_at())


def _is_about(folder: JobFolder, wanted: str) -> bool:
    path = Path(wanted)
    return any(
        delivery.media == path.absolute() or delivery.media.name == wanted or delivery.media.stem == wanted
        for delivery, _ in folder.results()
    )
