"""What a period can be summed by, one thing or two: ``--by owner --by language``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from accounting.fleet_ledger import FleetLedger
from core.errors import UsageError
from ledger.totals import Dimension, Sum

_LABEL = "label"
_MOST_FIELDS = 2
#: Values of a group: one for each field.
Group = tuple[str, ...]
#: Bucket, stage, job, owner, session, language, engine: what any line says.
_About = Mapping[Dimension, str]


def check_fields(by: Sequence[str]) -> Sequence[str]:
    """The fields to sum by. Raises UsageError for what cannot be asked by."""
    known = [*(each.value for each in Dimension), _LABEL]
    for field in by:
        if field not in known and not (field.startswith(f"{_LABEL}:") and field != f"{_LABEL}:"):
            raise UsageError(
                f"the ledger cannot be summed by '{field}'", f"choose from {', '.join([*known, 'label:NAME'])}"
            )
    if len(by) > _MOST_FIELDS or len(set(by)) < len(by):
        raise UsageError("the ledger is summed by one thing, or by two that differ", "say --by once or twice")
    return by


def table_of(ledger: FleetLedger, by: Sequence[str]) -> dict[Group, dict[str, Sum]]:
    """Sums of the period: group -> currency -> sum; what has no value (idle has no job) is under ``""``."""
    found: dict[Group, dict[str, Sum]] = {}
    group = _grouping(ledger, check_fields(by))
    for cell, (nano, ms) in ledger.totals.cells.items():
        bucket, stage, job, owner, session, language, engine, currency, _ = cell
        sums = found.setdefault(group(_about(bucket, stage, job, owner, session, language, engine)), {})
        held = sums.get(currency, Sum(0, 0))
        sums[currency] = Sum(held.nano + nano, held.ms + ms)
    return {name: dict(sorted(found[name].items())) for name in sorted(found)}


def unpriced_times(ledger: FleetLedger, by: Sequence[str]) -> dict[Group, int]:
    """Node time without a price, in ms, by the groups of `table_of`; 0 where only fees have none."""
    found: dict[Group, int] = {}
    group = _grouping(ledger, by)
    for one in ledger.unpriced_totals:
        value = group(_about(one.bucket.value, one.stage, one.job, one.owner, one.session, "", one.engine))
        found[value] = found.get(value, 0) + (one.quantity if one.meter == "node_ms" else 0)
    return found


def table_json(table: Mapping[Group, Mapping[str, Sum]]) -> dict[str, object]:
    """By the first field, and below it by the second where there are two; amounts in nano-units."""
    found: dict[str, object] = {}
    for group, sums in table.items():
        place = found
        for value in group[:-1]:
            place = place.setdefault(value, {})  # type: ignore[assignment]
        place[group[-1]] = {currency: {"amount": one.nano, "node_ms": one.ms} for currency, one in sums.items()}
    return found


def _about(bucket: str, stage: str, job: str, owner: str, session: str, language: str, engine: str) -> _About:
    return {
        Dimension.BUCKET: bucket,
        Dimension.STAGE: stage,
        Dimension.JOB: job,
        Dimension.OWNER: owner,
        Dimension.NODE: session,
        Dimension.LANGUAGE: language,
        Dimension.ENGINE: engine,
    }


def _grouping(ledger: FleetLedger, by: Sequence[str]) -> Callable[[_About], Group]:
    def value(field: str, about: _About) -> str:
        kind, _, name = field.partition(":")
        return ledger.label_of(about[Dimension.JOB], name) if kind == _LABEL else about[Dimension(kind)]

    return lambda about: tuple(value(field, about) for field in by)
