"""Everything the disk says of one job's history, in one sequence for people: orders, log lines, failures, deaths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cache.names import JOBS
from cache.store import Store
from jobs.submissions import JobOrder, filed_orders, orders_by_job
from jobs.webhooks import EventEnd, outcomes
from pipeline.incidents import Incidents


def read_job_log(store: Store, job_id: str) -> list[dict[str, Any]]:
    """Entries, oldest first, with ``at``, ``level``, ``event``, ``writer``, ``text`` and what else their writer noted.

    The clocks of several machines decide the sequence, so neighbours may be swapped.
    """
    lines = [_line(entry, str(entry.get("by", ""))) for entry in Incidents(store, job_id).read_log()]
    told = {str(line["order"]) for line in lines if "order" in line}
    waiting = orders_by_job(store).get(job_id, [])
    filed = filed_orders(store, job_id)
    applied = {order.id for order in filed}
    lines += [_order_line(order, "") for order in filed if order.id not in told]
    lines += [_order_line(order, ", not applied yet") for order in waiting if order.id not in applied]
    lines += _failures(store, job_id)
    lines += _deaths(store, job_id)
    for outcome in outcomes(store, job_id):
        level = "info" if outcome.end is EventEnd.DELIVERED else "error"
        lines.append(_entry(outcome.at, level, "webhook", "coordinator", outcome.describe()))
    return sorted(lines, key=lambda line: str(line["at"]))


def _line(entry: dict[str, Any], writer: str) -> dict[str, Any]:
    rest = {name: value for name, value in entry.items() if name not in ("by", "job")}
    return {"at": "", "level": "info", "event": "", "writer": writer, "text": "", **rest}


def _entry(at: str, level: str, event: str, writer: str, text: str) -> dict[str, Any]:
    return {"at": at, "level": level, "event": event, "writer": writer, "text": text}


def _order_line(order: JobOrder, more: str) -> dict[str, Any]:
    text = f"{order.kind}{f' {order.priority}' if order.priority else ''}{more}"
    return {**_entry(order.at, "info", "order", "", text), "order": order.id}


def _failures(store: Store, job_id: str) -> Iterator[dict[str, Any]]:
    for name, writer in _journals(store, job_id, "failures"):
        for entry in store.read_journal((JOBS, job_id, name)).entries:
            if entry["fact"] == "retry":
                text = "what has failed so far, if anything, may be tried again"
                yield _entry(str(entry.get("at", "")), "info", "retry", writer, text)
            else:
                text = f"{entry.get('unit', entry['key'][:12])}: {entry['reason']}"
                yield _entry(str(entry.get("at", "")), "error", "failed", writer, text)


def _deaths(store: Store, job_id: str) -> Iterator[dict[str, Any]]:
    for name, writer in _journals(store, job_id, "deaths"):
        for entry in store.read_journal((JOBS, job_id, name)).entries:
            company = "alone" if entry["alone"] else "with others"
            text = f"the engine's process died on unit {entry['key'][:12]} ({company}): {entry['reason']}"
            line = _entry(str(entry.get("at", "")), "warning", "death", writer, text)
            yield {**line, "tail": entry["tail"]} if entry.get("tail") else line


def _journals(store: Store, job_id: str, kind: str) -> Iterator[tuple[str, str]]:
    """(name, who writes it) of each journal of a kind."""
    for name in store.children((JOBS, job_id)):
        if name == f"{kind}.jsonl":
            yield name, ""
        elif name.startswith(f"{kind}-") and name.endswith(".jsonl"):
            yield name, name.removeprefix(f"{kind}-").removesuffix(".jsonl")
