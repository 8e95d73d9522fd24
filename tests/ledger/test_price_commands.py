"""`segue prices`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from price_rows import ROW

from cli.money.prices import app
from core.errors import UsageError
from ledger.price_files import (
    shipped_book,
)
from ledger.prices import PriceBookError


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
    damaged = tmp_path / "prices.toml"
    damaged.write_text(ROW.replace("EUR", "x").replace("0.36", "x"), encoding="utf-8")
    code, said = run(capsys, "check", "--book", damaged, "--json")
    assert (code, json.loads(said)["ok"], len(json.loads(said)["problems"])) == (3, False, 2)
