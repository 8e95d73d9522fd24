"""`segue prices`."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from price_rows import ROW

from cli.money.prices import app
from core.errors import UsageError
from ledger.price_book.price_files import (
    shipped_book,
    toml_of,
)
from ledger.price_book.prices import PriceBookError


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    code = app([*map(str, arguments)], standalone_mode=False)
    return int(code or 0), capsys.readouterr().out


def test_the_command_lists_what_holds_now(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    book = tmp_path / "prices.toml"
    code, said = run(capsys, "list", "nc4as", "--book", book)
    assert code == 0
    assert "0.149 USD per node hour" in said
    assert "0.204" not in said
    code, said = run(capsys, "list", "nc4as", "--all", "--json", "--book", book)
    listed = json.loads(said)
    assert listed["digest"] == shipped_book().digest
    assert {row["unit_price"] for row in listed["rows"]} == {"0.526", "0.204", "0.149"}
    assert not book.exists()


def test_the_command_imports_once_and_checks(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    book, rows_file = tmp_path / "prices.toml", tmp_path / "acme.toml"
    rows_file.write_text(ROW, encoding="utf-8")
    code, said = run(capsys, "import", rows_file, "--book", book, "--json")
    assert (code, json.loads(said)["added"]) == (0, ["acme/ears/2026"])
    written = book.read_bytes()
    code, said = run(capsys, "import", rows_file, "--book", book, "--json")
    assert (code, json.loads(said)["added"], json.loads(said)["known"]) == (0, [], 1)
    assert book.read_bytes() == written
    code, said = run(capsys, "check", "--book", book, "--json")
    checked = json.loads(said)
    assert (code, checked["ok"], checked["rows"]) == (0, True, len(shipped_book().rows) + 1)
    assert "sound" in run(capsys, "check", "--book", book)[1]


def test_the_command_refuses_rows_that_overlap_or_change_history(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    book, rows_file = tmp_path / "prices.toml", tmp_path / "acme.toml"
    rows_file.write_text(ROW, encoding="utf-8")
    run(capsys, "import", rows_file, "--book", book)
    written = book.read_bytes()
    rows_file.write_text(ROW.replace("0.36", "0.30"), encoding="utf-8")
    with pytest.raises(PriceBookError, match="taken by another row"):
        run(capsys, "import", rows_file, "--book", book)
    rows_file.write_text(ROW.replace("acme/ears/2026", "acme/ears/2026b"), encoding="utf-8")
    code, said = run(capsys, "import", rows_file, "--book", book)
    assert code == 3
    assert "price the same thing from the same day" in said
    rows_file.write_text(ROW.replace("0.36", "x").replace("EUR", "x"), encoding="utf-8")
    code, said = run(capsys, "import", rows_file, "--book", book, "--json")
    assert (code, len(json.loads(said)["problems"])) == (3, 2)
    assert book.read_bytes() == written


def test_the_command_says_clearly_what_it_cannot_read(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    binary = tmp_path / "rows.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    for wrong in (tmp_path / "missing.toml", binary, tmp_path):
        with pytest.raises(PriceBookError) as refused:
            run(capsys, "import", wrong, "--book", tmp_path / "prices.toml")
        assert "\n" not in str(refused.value)
    empty = tmp_path / "empty.csv"
    empty.write_text("id,provider\n", encoding="utf-8")
    with pytest.raises(UsageError, match="has no price rows"):
        run(capsys, "import", empty, "--book", tmp_path / "prices.toml")
    with pytest.raises(UsageError, match="rows are added as TOML"):
        run(capsys, "import", empty, "--book", tmp_path / "prices.csv")
    damaged = tmp_path / "prices.toml"
    damaged.write_text(ROW.replace("EUR", "x").replace("0.36", "x"), encoding="utf-8")
    code, said = run(capsys, "check", "--book", damaged, "--json")
    assert (code, json.loads(said)["ok"], len(json.loads(said)["problems"])) == (3, False, 2)


def test_an_imported_row_is_verified_only_with_a_source_that_counts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    book, rows_file = tmp_path / "prices.toml", tmp_path / "acme.toml"
    elsewhere = ROW.replace("https://acme.example/prices", "https://blog.example.org/acme")
    rows_file.write_text(elsewhere, encoding="utf-8")
    code, said = run(capsys, "import", rows_file, "--book", book)
    assert code == 3
    assert said.splitlines()[0].startswith(
        "wrong  acme/ears/2026: says list, but https://blog.example.org/acme is no https address of acme"
    )
    assert not book.exists()
    # What was written into the file by hand is no more verified than that.
    book.write_text(elsewhere, encoding="utf-8")
    assert run(capsys, "check", "--book", book)[0] == 3
    assert "not verified" in run(capsys, "list", "acme", "--book", book)[1]
    for accepted in (
        elsewhere.replace('"list"', '"seen"'),
        elsewhere + 'read_in = "a stored page of 2026-11-01"\n',
    ):
        book.unlink()
        rows_file.write_text(accepted, encoding="utf-8")
        assert run(capsys, "import", rows_file, "--book", book)[0] == 0


def test_an_import_adds_rows_and_does_not_correct_what_is_said_of_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    book, rows_file = tmp_path / "prices.toml", tmp_path / "acme.toml"
    book.write_text(ROW, encoding="utf-8")
    rows_file.write_text(ROW.replace("2026-11-20", "2026-11-21"), encoding="utf-8")
    with pytest.raises(PriceBookError, match="at the same price and says something else about it") as refused:
        run(capsys, "import", rows_file, "--book", book)
    assert f"correct it in {book} by hand" in str(refused.value.hint)
    assert book.read_text(encoding="utf-8") == ROW


def test_the_file_that_the_settings_name_is_the_one_that_is_checked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "named.toml"
    named.write_text(ROW.replace("0.36", "0"), encoding="utf-8")
    monkeypatch.setenv("SEGUE_PRICE_FILE", str(named))
    code, said = run(capsys, "check", "--home", tmp_path)
    assert code == 3
    assert "acme/ears/2026: has the price 0" in said


def test_a_shipped_price_cannot_be_another_in_the_projects_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    book = tmp_path / "prices.toml"
    shipped = next(row for row in shipped_book().rows if row.id == "groq/llama-3.3-70b-versatile/in/2026-04")
    # A contract under which the model goes on: the same price, and another end.
    book.write_text(toml_of(replace(shipped, retired_from=None, tier=None)), encoding="utf-8")
    assert run(capsys, "check", "--book", book)[0] == 0
    book.write_text(toml_of(replace(shipped, unit_price=Decimal("0.50"))), encoding="utf-8")
    with pytest.raises(PriceBookError, match=r"taken by another row: unit_price is 0\.50 where it was 0\.59"):
        run(capsys, "check", "--book", book)


def test_the_list_and_the_check_say_which_models_have_ended(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    book = tmp_path / "prices.toml"
    book.write_text(ROW + 'tier = "small class"\nretired_from = "2026-06-01"\n', encoding="utf-8")
    assert "small class, ended on 2026-06-01" in run(capsys, "list", "acme", "--book", book)[1]
    code, said = run(capsys, "check", "--book", book, "--json")
    assert code == 0
    assert "acme/ears ended on 2026-06-01; work from then on is not compared with it" in json.loads(said)["warnings"]
