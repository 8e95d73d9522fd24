"""``segue prices``: the price book behind the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import HomeFlag, JsonFlag, note, print_json
from cli.default_command import DefaultCommandGroup
from cli.exits import Exit
from core.errors import LISTED, summed_up
from pipeline.stages import priced_names

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from ledger.price_book.prices import PriceBook, PriceRow


class PricesGroup(DefaultCommandGroup):
    """``segue prices gemini`` is ``segue prices list gemini``."""

    default_command = "list"


app = typer.Typer(
    cls=PricesGroup,
    help="Look at the prices the ledger works with, check them, add your own. 'list' may be left out.",
)

BookFlag = Annotated[
    Path | None,
    typer.Option(
        "--book",
        metavar="FILE",
        help="Your own prices, over the shipped ones. [SEGUE_PRICE_FILE, else HOME/prices.toml]",
        show_default=False,
    ),
]


@app.command("list")
def list_command(
    text: Annotated[
        str,
        typer.Argument(
            metavar="[TEXT]", help="Only rows whose id, provider, model, meter or region has this.", show_default=False
        ),
    ] = "",
    history: Annotated[
        bool, typer.Option("--all", help="Also prices that no longer hold, or do not hold yet.")
    ] = False,
    book: BookFlag = None,
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> None:
    """List the prices that hold now, with the day each was seen."""
    from ledger.price_book.price_files import load_book

    found = load_book(_project_file(book, home), priced_names())
    held = found.rows if history else found.current(_now())
    rows = [row for row in held if text.lower() in " ".join((row.id, *map(str, row.key))).lower()]
    if json:
        print_json({"digest": found.digest, "rows": [row.as_json() for row in rows]})
        return
    for row in rows:
        print(_line(row))
    print(f"{len(rows)} of {len(found.rows)} rows; the book's digest is {found.digest[:16]}")


@app.command("check")
def check_command(book: BookFlag = None, home: HomeFlag = None, json: JsonFlag = False) -> int:
    """Check that every row has a source and a day, overlaps no other, and charges what it did when months were closed.

    Old prices and models that end soon are named.
    """
    from ledger.price_book.price_checks import check_book, ending_models, stale_rows
    from ledger.price_book.price_files import load_book
    from ledger.price_book.prices import PriceBookError

    try:
        found = load_book(_project_file(book, home), priced_names())
    except PriceBookError as error:
        if len(error.problems) < 2:
            raise
        return _report_problems(list(error.problems), [], as_json=json)
    today = _today()
    compared, apart = _catalogue(found)
    problems = [*check_book(found, today), *apart, *_history(book, home, found)]
    warnings = [*stale_rows(found, today), *ending_models(found, today)]
    if problems:
        return _report_problems(problems, warnings, as_json=json)
    if json:
        print_json(
            {
                "ok": True,
                "rows": len(found.rows),
                "digest": found.digest,
                "problems": [],
                "warnings": warnings,
                "compared": compared,
            }
        )
        return Exit.DONE
    for warning in summed_up(warnings):
        note(warning)
    beside = f", {len(compared)} agree with genai-prices" if compared else ""
    print(f"{len(found.rows)} rows are sound{beside}; the book's digest is {found.digest[:16]}")
    return Exit.DONE


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .toml or .csv file of price rows.")],
    book: BookFlag = None,
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> int:
    """Check a file of rows and append the new ones to your own prices. Nothing is overwritten."""
    from core.errors import UsageError
    from ledger.price_book.price_checks import check_book
    from ledger.price_book.price_files import append_rows, read_rows, with_imported
    from ledger.price_book.prices import PriceBookError

    target = _project_file(book, home)
    if target.suffix.lower() == ".csv":
        raise UsageError(f"{target} is CSV, and rows are added as TOML", "give --book a .toml file")
    try:
        rows = read_rows(file, priced_names())
        after, new = with_imported(target, rows, priced_names())
    except PriceBookError as error:
        if len(error.problems) < 2:
            raise
        return _report_problems(list(error.problems), [], as_json=json)
    if not rows:
        raise UsageError(
            f"{file} has no price rows", "write each under [[price]], or under a header of the fields' names"
        )
    problems = [*check_book(after, _today()), *_history(book, home, after)]
    if problems:
        return _report_problems(problems, [], as_json=json)
    if new:
        append_rows(target, new)
        _note_rows(target, new, home)
    known = len(rows) - len(new)
    if json:
        print_json({"file": str(target), "added": [row.id for row in new], "known": known, "digest": after.digest})
        return Exit.DONE
    for row in new:
        print(f"added  {_line(row)}")
    also = f"; {known} were there already" if known else ""
    print(f"{len(new)} rows added to {target}{also}")
    return Exit.DONE


def _note_rows(target: Path, rows: Iterable[PriceRow], home: Path | None) -> None:
    """Notes in the ledger what was imported into the price file that it uses, so that a change of it is seen."""
    from cli.context import open_runtime
    from journals.log_ends import keep_price_rows
    from ledger.price_book.price_history import terms_digest

    runtime = open_runtime({"home": home})
    if target == _project_file(None, home):
        keep_price_rows(runtime.store, {row.id: terms_digest(row) for row in rows})


def _project_file(given: Path | None, home: Path | None) -> Path:
    from core.errors import UsageError
    from ledger.price_book.price_files import PROJECT_FILE
    from pipeline.runtime import load_settings

    if given is None:
        settings = load_settings({"home": home})
        return settings.price_file or settings.home / PROJECT_FILE
    if given.is_dir():
        raise UsageError(f"{given} is a folder", "name a file of price rows, such as prices.toml")
    return given


def _history(given: Path | None, home: Path | None, book: PriceBook) -> list[str]:
    """What of the book is not as the store used it or, in the file that the store uses, imported it.

    A file that was named is compared with the store that was named, and with none where none was.
    """
    from accounting.checks.verify_prices import price_problems
    from cache.store import Store
    from pipeline.runtime import load_settings

    settings = load_settings({"home": home})
    file = _project_file(given, home)
    own = file == _project_file(None, home)
    if not (own or home) or not (settings.home / "store.json").exists():
        return []
    return price_problems(Store.look(settings.home), book, file.name, own=own)


def _catalogue(book: PriceBook) -> tuple[list[str], list[str]]:
    """Shipped rows compared with ``genai-prices``, and those too far apart; nothing where it is not installed.

    One's own rows may be as far from a public catalogue as one has negotiated.
    """
    from ledger.price_book.price_crosscheck import crosscheck
    from ledger.price_book.prices import PriceBook

    try:
        return crosscheck(PriceBook(book.layers[:1]), _now())
    except ModuleNotFoundError:
        return [], []


def _report_problems(problems: list[str], warnings: list[str], *, as_json: bool) -> int:
    if as_json:
        said = {"ok": False, "problems": problems[:LISTED], "total": len(problems), "warnings": warnings[:LISTED]}
        print_json(said)
        return Exit.INCOMPLETE
    for line in summed_up(problems):
        print(f"wrong  {line}")
    for line in summed_up(warnings):
        note(line)
    print(f"{len(problems)} things are wrong; nothing was changed")
    return Exit.INCOMPLETE


def _line(row: PriceRow) -> str:
    from ledger.price_book.sources import verified

    unit = row.meter.value.replace("_", " ")
    price = f"{row.unit_price} {row.currency} per {unit if row.per == 1 else f'{row.per} {unit}s'}"
    where = " ".join(part for part in (row.region, "spot" if row.spot else "") if part)
    trust = "not verified" if not verified(row) else "measured" if row.confidence.value == "measured" else ""
    said = ", ".join(word for word in (f"seen {row.observed_at}", trust, row.model_remark(_now())) if word)
    return f"{f'{row.provider} {row.sku}':<34}{price:<42}{where:<18}{said}"


def _now() -> int:
    from time import time_ns

    return time_ns() // 1_000_000


def _today() -> date:
    from datetime import UTC, datetime

    return datetime.now(UTC).date()
