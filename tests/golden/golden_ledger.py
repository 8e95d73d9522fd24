"""The golden ledgers' facts as this house holds them, and its entries as plain rows.

This is the only file of the golden tests that knows a class, a folder or a key of the house: when they move, this file
follows, and nothing below ``expected/`` changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from accounting.facts import JobOwner, LedgerFacts
from accounting.fleet_ledger import FleetLedger, PricingRules, fold_facts
from cache.envelope import Record
from cache.store import Store
from core.keys import Key, canonical_json
from journals import facts as house
from journals.lines import (
    AttemptEndedLine,
    AttemptStartedLine,
    BeatLine,
    EndSeenLine,
    EngineLoadedLine,
    EngineTriedLine,
    JobEndedLine,
    JobWantedLine,
    JournalLine,
    PriceChangedLine,
    ProcessStartedLine,
    SessionClosedLine,
    UnitLine,
)
from ledger.api import Workload, counterfactuals
from ledger.entries import LedgerEntry, Period, Unpriced
from ledger.price_book.price_files import read_rows
from ledger.price_book.prices import PriceBook
from pipeline.job import PLAN_VERSION

Fleet = dict[str, Any]
Row = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


#: What APIs count of the work of each stage.
_CHARGED = {"by_sound": ["transcribe"], "by_text": ["translate"]}


def ms_of(instant: str) -> int:
    return (datetime.fromisoformat(instant) - _EPOCH) // timedelta(milliseconds=1)


def job_id(name: str) -> str:
    return hashlib.sha256(f"golden job {name}".encode()).hexdigest()[:24] if name else ""


def unit_key(name: str) -> Key:
    return Key(hashlib.sha256(f"golden unit {name}".encode()).hexdigest())


def beats(fact: Row) -> Iterator[int]:
    """The instants at which a worker said that it was alive."""
    return (ms_of(fact["at"]) + number * fact["every_ms"] for number in range(fact["times"]))


# -- facts in memory -----------------------------------------------------------------------------------------


def ledger_of(fleet: Fleet, prices: Path, month: str = "") -> FleetLedger:
    """The ledger over a fleet's facts, whole or of one month."""
    demand = [_demand(one) for one in fleet["demand"]]
    facts = LedgerFacts(
        facts=tuple(each for fact in fleet["facts"] for each in _facts(fact)),
        demand=tuple(demand),
        made_by={unit_key(unit): batch for unit, (batch, _) in fleet["results"].items()},
        made_at={unit_key(unit): ms_of(at) for unit, (_, at) in fleet["results"].items()},
        used={},
        embedded={run: tuple(job_id(job) for job in jobs) for run, jobs in fleet["runs"].items()},
        owners={one.job: JobOwner(one.owner, one.labels) for one in demand},
    )
    rules = PricingRules(own_engines=frozenset(fleet["own_engines"]))
    return fold_facts(facts, PriceBook((read_rows(prices),)), rules, Period.month(month) if month else None)


def _facts(fact: Row) -> Iterator[house.Fact]:
    if fact["kind"] == "worker_alive":
        yield from (house.Beat(fact["machine"], at, fact["worker"]) for at in beats(fact))
        return
    at = ms_of(fact["at"])
    match fact["kind"]:
        case "machine_started":
            place = {name: fact[name] for name in ("cloud", "size", "region", "spot", "price") if name in fact}
            yield house.SessionOpened(fact["machine"], at, gpu=tuple(fact.get("gpus", ())), **place)
        case "worker_left":
            yield house.SessionClosed(fact["machine"], at, fact["reason"], fact["worker"])
        case "price_changed":
            yield house.PriceChanged(fact["machine"], at, fact["price"])
        case "process_started":
            yield house.ProcessStarted(fact["process"], fact.get("machine", ""), fact.get("worker", ""), at)
        case "process_ended":
            yield house.ProcessEnded(fact["process"], at)
        case "engine_loaded":
            yield house.EngineLoaded(fact["process"], fact["stage"], fact["engine"], at, fact["took_ms"])
        case "engine_tried":
            yield house.EngineTried(fact["process"], fact["stage"], at, fact["took_ms"])
        case "batch_started":
            yield house.AttemptStarted(
                fact["batch"],
                fact["process"],
                fact["stage"],
                at,
                fact["engine"],
                fact["provider"],
                fact.get("fake", False),
                fact.get("remote", False),
                tuple(house.UnitUse(unit_key(unit), speech_ms, job_id(job)) for unit, speech_ms, job in fact["units"]),
                fact.get("expected_usage", {}),
            )
        case "batch_ended":
            untouched = frozenset(map(unit_key, fact.get("untouched", ())))
            usage = fact.get("usage", {})
            yield house.AttemptEnded(fact["batch"], at, fact["engine_ms"], fact["results"], usage, untouched)
        case other:
            raise ValueError(f"no fact is called {other!r}")


def _demand(one: Row) -> house.DemandInterval:
    languages = {unit_key(unit): language for language, units in one.get("languages", {}).items() for unit in units}
    until = ms_of(one["until"]) if "until" in one else None
    keys = frozenset(map(unit_key, one["units"]))
    owner, labels = one["owner"], one.get("labels", {})
    return house.DemandInterval(job_id(one["job"]), owner, labels, ms_of(one["at"]), until, keys, languages)


# -- facts in a store ----------------------------------------------------------------------------------------


def write_store(fleet: Fleet, home: Path) -> None:
    """Writes the journals and records that workers would have left."""
    with Store.open(home) as store:
        language = {
            unit: name for one in fleet["demand"] for name, units in one.get("languages", {}).items() for unit in units
        }
        machines: dict[str, list[Row]] = {}
        processes: dict[str, list[Row]] = {}
        runs = {fact["process"] for fact in fleet["facts"] if fact["kind"] == "process_started"}
        for fact in fleet["facts"]:
            if fact["kind"] == "machine_started":
                opening = {"v": 1, "session": fact["machine"], "at": fact["at"], "gpu_names": fact.get("gpus", [])}
                place = {name: fact[name] for name in ("cloud", "size", "region", "spot", "price") if name in fact}
                named = {"name": fact["machine"]} if fact.get("cloud") else {}
                document = canonical_json(opening | place | named)
                store.write_once(("nodes", fact["machine"], "opened.json"), document)
            elif "machine" in fact and fact["kind"] != "process_started":
                machines.setdefault(fact["machine"], []).extend(_machine_lines(fact))
            else:
                process = fact.get("process") or fact["batch"].partition("/")[0]
                assert process in runs, process
                processes.setdefault(process, []).append(_process_line(fact, language))
        for machine, lines in machines.items():
            store.append(("nodes", machine, "beats-1.jsonl"), lines)
        for process, lines in processes.items():
            store.append(("attempts", f"{process}.jsonl"), lines)
        for unit, (batch, at) in fleet["results"].items():
            store.put(Record(unit_key(unit), batch.split("/")[1], b"{}", {"attempt": batch, "at": at}))
        _write_jobs(store, fleet["demand"])


def _write_jobs(store: Store, demand: list[Row]) -> None:
    for one in demand:
        job = job_id(one["job"])
        store.write_once(
            ("jobs", job, "plan-1.json"), canonical_json({"plan_version": PLAN_VERSION, "owner": one["owner"]})
        )
        keys = sorted(map(unit_key, one["units"]))
        lines = [
            JobWantedLine(job=job, at=one["at"]).entry(),
            JobEndedLine(job=job, at=one["until"], keys=tuple(keys)).entry(),
        ]
        store.append(("jobs", job, "wants-c.jsonl"), lines)


def _machine_lines(fact: Row) -> list[Row]:
    if fact["kind"] == "worker_alive":
        return [
            BeatLine(at=(_EPOCH + timedelta(milliseconds=at)).isoformat(), worker=fact["worker"]).entry()
            for at in beats(fact)
        ]
    if fact["kind"] == "price_changed":
        return [PriceChangedLine(at=fact["at"], price=fact["price"]).entry()]
    return [SessionClosedLine(at=fact["at"], reason=fact["reason"], worker=fact["worker"]).entry()]


def _process_line(fact: Row, language: Mapping[str, str]) -> Row:
    same = {name: fact[name] for name in ("at", "stage", "engine", "provider") if name in fact}
    took = fact.get("took_ms", fact.get("engine_ms", 0))
    seconds = f"{took // 1000}.{took % 1000:03d}"
    line: JournalLine
    match fact["kind"]:
        case "process_started":
            node = fact.get("machine") or fact["process"]
            line = ProcessStartedLine(node=node, worker=fact.get("worker", ""), **same)
        case "process_ended":
            line = EndSeenLine(process=fact["process"], **same)
        case "batch_started":
            line = AttemptStartedLine(
                attempt=fact["batch"],
                units=tuple(
                    UnitLine(unit_key(unit), speech_ms, language.get(unit, "")) for unit, speech_ms, _ in fact["units"]
                ),
                jobs=tuple(job_id(job) for _, _, job in fact["units"]),
                fake=fact.get("fake", False),
                remote=fact.get("remote", False),
                estimated=fact.get("expected_usage", {}),
                **same,
            )
        case "batch_ended":
            line = AttemptEndedLine(
                attempt=fact["batch"],
                engine_seconds=seconds,
                yielded=fact["results"],
                usage=fact.get("usage", {}),
                left=tuple(map(unit_key, fact.get("untouched", ()))),
                **same,
            )
        case "engine_loaded":
            line = EngineLoadedLine(seconds=seconds, **same)
        case "engine_tried":
            line = EngineTriedLine(seconds=seconds, **same)
        case other:
            raise ValueError(f"no fact is called {other!r}")
    return line.entry()


# -- what came of them ---------------------------------------------------------------------------------------


def names_of(fleet: Fleet) -> dict[str, str]:
    """Job's name by its id."""
    told = {job for fact in fleet["facts"] for *_, job in fact.get("units", ())}
    return {job_id(job): job for job in sorted(told | {one["job"] for one in fleet["demand"]})}


def entry_row(entry: LedgerEntry, jobs: Mapping[str, str]) -> list[Any]:
    """An entry in the order of `ENTRY_COLUMNS`."""
    whose = [jobs.get(entry.job, ""), entry.owner, entry.language]
    what = [entry.session, entry.attempt, entry.bucket.value, entry.stage, entry.engine]
    amount = [entry.nano, entry.currency, entry.price_row, entry.quality.value, entry.fake]
    return [*what, *whose, entry.start, entry.end, entry.unit_ms, *amount]


def unpriced_row(usage: Unpriced, jobs: Mapping[str, str]) -> list[Any]:
    """Usage without a price in the order of `UNPRICED_COLUMNS`."""
    what = [usage.session, usage.attempt, usage.bucket.value, usage.stage, usage.engine]
    whose = [jobs.get(usage.job, ""), usage.owner]
    return [*what, *whose, usage.start, usage.end, usage.meter, usage.quantity, usage.fake]


ENTRY_COLUMNS = [
    *("machine", "batch", "kind", "stage", "engine", "job", "owner", "language", "start", "end", "node_ms"),
    *("nano", "currency", "price", "quality", "fake"),
]
UNPRICED_COLUMNS = [
    *("machine", "batch", "kind", "stage", "engine", "job", "owner", "start", "end", "meter", "quantity", "fake")
]


def period_amounts(printed: Row, jobs: Mapping[str, str]) -> Row:
    """What ``segue ledger --json`` says of a period, reduced to amounts."""
    spent = printed["spent"]
    return {
        "total": spent["total"],
        "by_kind": spent["by_bucket"],
        "by_stage": spent["by_stage"],
        "fake": spent["fake"],
        f"by_{printed['by']}": dict(
            sorted((jobs.get(name, name), _sums(found)) for name, found in printed["table"].items())
        ),
        "unpriced": sum(one["quantity"] for one in printed["unpriced"]),
        "late": sum(one["amount"] for one in printed["late"]),
        "state": printed["standing"],
        "errors": len(printed["errors"]),
    }


def _sums(found: Row) -> dict[str, list[int]]:
    """Nano-units and node time by currency."""
    return {currency: [sums["amount"], sums["node_ms"]] for currency, sums in found.items()}


def invoices(workload: Row, prices: Path, at: str) -> list[list[Any]]:
    """What each API would charge for a job's usage: stage, provider, model, way of sending, usage, nano, currency."""
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in workload.items()}
    return [
        [
            *(one.stage, one.provider, one.model, one.basis.value, dict(one.usage)),
            *((None, None) if one.amount is None else (one.amount.nano, one.amount.currency)),
        ]
        for one in counterfactuals(
            Workload(**given),
            PriceBook((read_rows(prices),)),
            ms_of(at),
            by_sound=["transcribe"],
            by_text=["translate"],
        )
    ]
