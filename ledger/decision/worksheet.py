"""The worksheet behind ``segue decide`` and ``segue breakeven``: TOML, read strictly, one line for each problem.

Numbers keep the digits they were written with (TOML's floats are never made). What is left out is unset, not zero.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.errors import ListedError, UsageError, summed_up
from core.money import currency_code, rate
from ledger.decision.compare import WorkUnit
from ledger.decision.redflags import ApiExtra
from ledger.decision.tax import EngineeringTax, Hours, TaxCategory
from ledger.decision.workload import StageWorkload, WorkloadProfile

#: A worksheet that is complete, to start from. Its answer: transcribe ourselves, translate by API.
EXAMPLE = """\
# Where should each stage run? Fill in, then: segue decide --worksheet FILE
# Numbers may stand bare or in quotes. Leave out what you do not know: it is then unset, never zero.

currency = "USD"             # of every price below
month_hours = 730            # the month's length: 730 is a year / 12
extreme_ratio = 5            # an API this many times dearer than self-hosting is extreme
operations_owner = "Ada"     # who operates the GPUs; "" when nobody does
motives = ["it is cooler"]   # listed in the answer, and never counted
successful_requests = 40000  # a month, such as recordings delivered; those that failed cost, too

[engineering]                # people, for everything that is self-hosted, counted once
rate_per_hour = 90           # salary, taxes and overhead
# Hours a month: "6", or a range "4-8". Or one sum for all: hours = "26-43", and what it includes by name:
# hours_include = ["on_call", "security"]
[engineering.hours]
gpu_operations_and_scaling = "8-12"
model_selection_and_updates = "4-6"
failure_response_and_observability = "4-8"
security = "2-3"
on_call = "6-10"
failed_deployments = "2-4"

[self_hosting]               # a month, beside GPUs and people
storage = 20
networking = 15
observability = 40

[stages.transcribe]
unit = "audio hour"          # or "million tokens", "million characters"
usage = 20000                # units in an average month
usage_is_certain = true      # would you sign for it?
peak_to_average = 2          # the busiest hour against the average one
predictable = true           # even enough to plan GPUs for
api_price = 0.36             # for one unit
api_counts = ["retries"]     # in the API's usage above, or known not to occur
gpu_price_per_hour = 0.526
speed = 30                   # measured: times real time, or tokens or characters a second
# gpu_price_per_month = 384  # instead of an hour's price, where one buys months
always_on = true             # GPUs stay on; else give utilization = 0.4, the share of paid time that works
api_share = 0                # of usage, such as 0.3: goes by API in any case
needs_autoscaling = false
needs_support = false
data_sovereignty = false     # the data must stay on machines one controls
regulation = false           # a regulation rules the API out
customization = false        # a model that no API serves

[stages.translate]
unit = "million tokens"
usage = 60
usage_is_certain = true
peak_to_average = 2
predictable = true
api_price = 0.15
output_usage = 40            # what the API charges apart, and its price
output_price = 0.60
platform_fees = 0            # a month
api_counts = ["long_outputs", "retries", "tool_calls", "multi_step"]
gpu_price_per_hour = 0.80
speed = 1500
always_on = true
"""


class WorksheetError(ListedError):
    """A worksheet cannot be used; ``message`` has one line for each problem, also in ``problems``."""

    problems: tuple[str, ...] = ()

    @classmethod
    def found(cls, problems: Iterable[str]) -> WorksheetError:
        """All problems at once, so that they can be corrected at once."""
        found = tuple(problems)
        error = cls(
            "\n".join(summed_up(found)), "'segue decide --example' prints a worksheet with every field explained"
        )
        error.problems, error.total = found, len(found)
        return error


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise UsageError("is not a number", "")
    return rate(str(value))


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise UsageError("is not true or false", "")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise UsageError("is not text", "")
    return value.strip()


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise UsageError("is not a list of texts", "")
    return tuple(_text(item) for item in value)


def _hours(value: object) -> Hours:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise UsageError("is not a number of hours", "")
    return Hours.parse(str(value))


def _unit(value: object) -> WorkUnit:
    try:
        return WorkUnit(_text(value))
    except ValueError:
        raise UsageError(f"is not one of: {', '.join(unit.value for unit in WorkUnit)}") from None


def _extras(value: object) -> frozenset[ApiExtra]:
    try:
        return frozenset(ApiExtra(name) for name in _texts(value))
    except ValueError:
        raise UsageError(f"knows only: {', '.join(extra.value for extra in ApiExtra)}") from None


def _share(value: object) -> Decimal:
    found = _number(value)
    if found > 1:
        raise UsageError("is above 1: a share of 40 % is 0.4")
    return found


def _above_one(value: object) -> Decimal:
    found = _number(value)
    if found < 1:
        raise UsageError("is below 1")
    return found


def _count(value: object) -> int:
    found = _number(value)
    if found != int(found):
        raise UsageError("is not a whole number")
    return int(found)


def _categories(value: object) -> frozenset[TaxCategory]:
    try:
        return frozenset(TaxCategory(name) for name in _texts(value))
    except ValueError:
        raise UsageError(f"knows only: {', '.join(category.value for category in TaxCategory)}") from None


def _month(value: object) -> int:
    seconds = _number(value) * 3600
    if not seconds or seconds != int(seconds):
        raise UsageError("is not a month's length in hours, such as 730")
    return int(seconds)


_Parser = Callable[[object], Any]
_TOP: dict[str, _Parser] = {
    "currency": lambda value: currency_code(_text(value)),
    "month_hours": _month,
    "extreme_ratio": _above_one,
    "operations_owner": _text,
    "motives": _texts,
    "successful_requests": _count,
}
_SELF_HOSTING: dict[str, _Parser] = {"storage": _number, "networking": _number, "observability": _number}
_STAGE: dict[str, _Parser] = {
    "unit": _unit,
    "usage": _number,
    "usage_is_certain": _flag,
    "peak_to_average": _above_one,
    "predictable": _flag,
    "api_price": _number,
    "output_usage": _number,
    "output_price": _number,
    "platform_fees": _number,
    "api_counts": _extras,
    "gpu_price_per_hour": _number,
    "gpu_price_per_month": _number,
    "speed": _number,
    "always_on": _flag,
    "utilization": _share,
    "api_share": _share,
    "needs_autoscaling": _flag,
    "needs_support": _flag,
    "data_sovereignty": _flag,
    "regulation": _flag,
    "customization": _flag,
}
_REQUIRED = ("currency", "month_hours", "extreme_ratio")
_TABLES = ("engineering", "self_hosting", "stages")


def read_worksheet(path: Path) -> dict[str, Any]:
    """The worksheet's tables as written. Raises WorksheetError when it cannot be read or is no TOML."""
    try:
        return load_worksheet(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise WorksheetError.found([f"{path}: {error.strerror or error}"]) from error
    except UnicodeDecodeError as error:
        raise WorksheetError.found([f"{path}: is not UTF-8 text"]) from error


def load_worksheet(text: str, name: str = "worksheet") -> dict[str, Any]:
    """The tables of a worksheet's text. Raises WorksheetError when it is no TOML."""
    try:
        return tomllib.loads(text, parse_float=str)
    except tomllib.TOMLDecodeError as error:
        raise WorksheetError.found([f"{name}: {error}"]) from error


def with_overrides(tables: Mapping[str, Any], overrides: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """``tables`` with values put at places such as ``("stages", "transcribe", "usage")``; None is no value."""
    result = _copied(tables)
    for place, value in overrides.items():
        if value is None:
            continue
        table = result
        for key in place[:-1]:
            inner = table.setdefault(key, {})
            if not isinstance(inner, dict):
                raise WorksheetError.found([f"{'.'.join(place[:-1])}: is not a table"])
            table = inner
        table[place[-1]] = value
    return result


def _copied(tables: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copied(value) if isinstance(value, dict) else value for key, value in tables.items()}


def parse_worksheet(tables: Mapping[str, Any]) -> WorkloadProfile:
    """The workload that a worksheet describes. Raises WorksheetError with every problem found."""
    problems: list[str] = []
    top = _parsed({key: value for key, value in tables.items() if key not in _TABLES}, _TOP, "", problems, _TABLES)
    problems += [f"{name}: is missing" for name in _REQUIRED if name not in tables]
    beside = _parsed(_table(tables, "self_hosting", problems), _SELF_HOSTING, "self_hosting.", problems)
    engineering = _engineering(_table(tables, "engineering", problems), top.get("currency", "XXX"), problems)
    stages = []
    for name, table in _table(tables, "stages", problems).items():
        stage = _stage(name, table, problems)
        if stage is not None:
            stages.append(stage)
    if not stages and not problems:
        problems.append("stages: there is none; add a table such as [stages.transcribe]")
    if problems:
        raise WorksheetError.found(problems)
    return WorkloadProfile(
        currency=top["currency"],
        stages=tuple(stages),
        seconds_per_month=top["month_hours"],
        extreme_ratio=top["extreme_ratio"],
        engineering=engineering,
        operations_owner=top.get("operations_owner", ""),
        motives=top.get("motives", ()),
        successful_requests=top.get("successful_requests"),
        **beside,
    )


def _stage(name: str, table: object, problems: list[str]) -> StageWorkload | None:
    if not isinstance(table, dict):
        problems.append(f"stages.{name}: is not a table")
        return None
    before = len(problems)
    found = _parsed(table, _STAGE, f"stages.{name}.", problems)
    if "unit" not in table:
        problems.append(f"stages.{name}.unit: is missing; one of: {', '.join(unit.value for unit in WorkUnit)}")
    if len(problems) > before:
        return None
    try:
        return StageWorkload(stage=name, **found)
    except UsageError as error:
        problems.append(f"stages.{error.message}; {error.hint}")
        return None


def _engineering(table: Mapping[str, Any], currency: str, problems: list[str]) -> EngineeringTax:
    """Hours by category, or one sum under ``hours``."""
    found = _parsed(
        {key: value for key, value in table.items() if key != "hours"},
        {"rate_per_hour": _number, "hours_include": _categories},
        "engineering.",
        problems,
        ("hours",),
    )
    hours = table.get("hours")
    by_category: dict[TaxCategory, Hours] = {}
    lump = None
    if isinstance(hours, dict):
        parsers: dict[str, _Parser] = {category.value: _hours for category in TaxCategory}
        parsed = _parsed(hours, parsers, "engineering.hours.", problems)
        by_category = {TaxCategory(name): value for name, value in parsed.items()}
    elif hours is not None:
        lump = _parsed({"hours": hours}, {"hours": _hours}, "engineering.", problems).get("hours")
    includes = found.get("hours_include", frozenset())
    if includes and (hours is None or isinstance(hours, dict)):
        problems.append("engineering.hours_include: is for one sum of hours, such as hours = 12, and there is none")
    return EngineeringTax(currency, found.get("rate_per_hour"), by_category, lump, includes if lump else frozenset())


def _table(tables: Mapping[str, Any], name: str, problems: list[str]) -> Mapping[str, Any]:
    found = tables.get(name, {})
    if isinstance(found, dict):
        return found
    problems.append(f"{name}: is not a table")
    return {}


def _parsed(
    table: Mapping[str, Any],
    parsers: Mapping[str, _Parser],
    place: str,
    problems: list[str],
    also_known: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The values of ``table`` that can be read; a line in ``problems`` for each that cannot."""
    found = {}
    for key, value in table.items():
        parser = parsers.get(key)
        if parser is None:
            near = difflib.get_close_matches(key, [*parsers, *also_known], 1)
            hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join([*parsers, *also_known])}"
            problems.append(f"{place}{key}: is not a field{hint}")
            continue
        try:
            found[key] = parser(value)
        except UsageError as error:
            problems.append(_problem(f"{place}{key}", value, error))
    return found


def _problem(place: str, value: object, error: UsageError) -> str:
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    # Errors of `core.money` name the value themselves; those of this file only say what is wrong with it.
    said = error.message if not error.message.startswith(("is ", "knows ")) else f"{shown} {error.message}"
    return f"{place}: {said}"
