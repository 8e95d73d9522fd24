"""Whether jobs' plans and orders, which say whose a job is and what it is labelled, are as they were when it ran.

Two things know them: the job's id, which is made of its owner, its media and its settings, and the lines of whoever
wanted the job, which hold the digest of each plan and of the orders so far. A later order by Segue's own commands comes
after those.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from accounting.job_demand import misleads
from cache.names import JOBS
from cache.store import Store
from core.keys import digest_bytes, digest_value
from journals.chain import Flaw, LogProblem
from journals.demand import orders_digest, orders_parts, plan_names
from pipeline.job import JOB_ID_LENGTH
from pipeline.jobs import list_jobs


class JobEvidence:
    """What lines of wants know of their jobs' plans and orders."""

    def __init__(self) -> None:
        #: Job -> (how many orders, digest of them), as its lines knew them.
        self._orders: defaultdict[str, set[tuple[int, str]]] = defaultdict(set)
        self._plans: set[str] = set()

    def learn(self, journal: str, entry: Mapping[str, Any]) -> None:
        """Takes a line of a job's wants; ``journal`` is its path below home."""
        job, said = journal.split("/")[1], entry.get("orders")
        if isinstance(said, list) and len(said) == 2 and isinstance(said[0], int):
            self._orders[job].add((said[0], str(said[1])))
        documents = entry.get("documents")
        self._plans.update(documents if isinstance(documents, dict) else ())

    def check(self, store: Store) -> tuple[list[LogProblem], list[str]]:
        """(What is wrong with plans' owners and with orders; plans and orders whose present form no line knows)."""
        problems, unbound = list[LogProblem](), list[str]()
        for folder in list_jobs(store):
            job, names = folder.job_id, folder.names()
            if place := misleads(store, folder):
                words = "it keeps another owner or other labels than the job's plan and orders say; delete it"
                problems.append(LogProblem(place, 0, Flaw.CHANGED, words))
            for name in plan_names(names):
                place = f"{JOBS}/{job}/{name}"
                data = store.read_document((JOBS, job, name))
                if data is None:
                    problems.append(LogProblem(place, 0, Flaw.DAMAGED, "its checksum fails"))
                elif not _is_of(job, _parsed(data)):
                    problems.append(LogProblem(place, 0, Flaw.CHANGED, _NOT_ITS_OWNER))
                elif place not in self._plans:
                    unbound.append(place)
            if orders_parts(job)[-1] in names or self._orders[job]:
                found, rest = self._check_orders(job, store)
                problems += found
                unbound += rest
        return problems, unbound

    def _check_orders(self, job: str, store: Store) -> tuple[list[LogProblem], list[str]]:
        place, lines_there = "/".join(orders_parts(job)), store.read_lines(orders_parts(job))
        bodies, entries = lines_there.bodies, lines_there.decode().entries
        problems = [
            LogProblem(place, number, Flaw.CHANGED, _NOT_ITS_OWNER)
            for number, entry in enumerate(entries, 1)
            if not all(_is_of(job, said) for said in _submissions(entry))
        ]
        known = sorted(self._orders[job])
        for lines, digest in known:
            if lines > len(bodies):
                words = f"a line of the job's wants knows {lines} orders, and {len(bodies)} are there"
                problems.append(LogProblem(place, 0, Flaw.TRUNCATED, words))
            elif orders_digest(bodies[:lines]) != digest:
                words = f"the first {lines} orders are not those that a line of the job's wants knows"
                problems.append(LogProblem(place, 0, Flaw.CHANGED, words))
        is_bound = bool(known) and known[-1][0] >= len(bodies)
        return problems, [] if is_bound else [place]


_NOT_ITS_OWNER = "owner, media or settings are not those that the job's id is made of"


def plan_digests(store: Store) -> Iterator[tuple[str, str]]:
    """SHA-256 of each plan, by its path below home."""
    for job in store.children((JOBS,)):
        for name in plan_names(store.children((JOBS, job))):
            data = store.read_document((JOBS, job, name))
            if data is not None:
                yield f"{JOBS}/{job}/{name}", digest_bytes(data)


def _submissions(entry: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    said = entry.get("submission")
    return [said] if isinstance(said, dict) else []


def _parsed(data: bytes) -> Any:
    """The JSON in a document; None for what is none."""
    try:
        return json.loads(data)
    except ValueError:
        return None


def _is_of(job: str, value: Any) -> bool:
    """Whether a plan or a submission is of the job of this id."""
    if not isinstance(value, dict):
        return False
    media = value.get("media")
    digest = media.get("digest") if isinstance(media, dict) else value.get("digest")
    made_of = {"owner": value.get("owner"), "media": digest, "settings": value.get("settings")}
    return digest_value(made_of)[:JOB_ID_LENGTH] == job
