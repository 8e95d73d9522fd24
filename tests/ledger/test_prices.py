"""The price book: what is read, what is refused, which row holds, and the gate that the shipped rows pass."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.money.prices import app
from core.errors import UsageError
from core.money import Money
from ledger.price_checks import check_book, stale_rows
from ledger.price_crosscheck import catalogue_price, crosscheck
from ledger.price_files import (
    append_rows,
    instant,
    load_book,
    parse_csv,
    parse_toml,
    read_rows,
    shipped_book,
    toml_of,
    with_imported,
)
from ledger.prices import Confidence, Meter, PriceBook, PriceBookError, PriceRow, instant_text

TODAY = date(2026, 11, 22)
NOW = instant("2026-11-21T12:00:00Z")

ROW = """
[[price]]
id = "acme/ears/2026"
provider = "acme"
meter = "audio_second"
sku = "ears"
stage = "transcribe"
unit_price = "0.36"
per = "3600"
currency = "EUR"
minimum_quantity = "10"
effective_from = "2026-05-01"
observed_at = "2026-11-20"
source_url = "https://example.com/prices"
confidence = "list"
"""

EARS = parse_toml(ROW, "acme.toml")[0]


def ears(name: str, since: str, until: str = "", **changes: object) -> PriceRow:
    return replace(
        EARS,
        id=name,
        effective_from=instant(since),
        effective_to=instant(until) if until else None,
        **changes,  # type: ignore[arg-type]
    )


def test_a_row_is_read_as_it_is_written() -> None:
    assert EARS.unit_price == Decimal("0.36")
    assert (EARS.per, EARS.currency, EARS.meter, EARS.confidence) == (3600, "EUR", "audio_second", Confidence.LIST)
    assert instant_text(EARS.effective_from) == "2026-05-01"
    assert EARS.effective_to is None
    assert EARS.price(EARS.billed(4)) == Money(1_000_000, "EUR")  # 10 s x 0.36 / 3600


def test_hours_are_given_and_billed_in_seconds() -> None:
    row = replace(EARS, meter=Meter.NODE_HOUR, per=1, billing_increment=Decimal(60), minimum_quantity=Decimal(0))
    assert row.price(row.billed(61)) == Money(12_000_000, "EUR")  # 120 s of 0.36 an hour


@pytest.mark.parametrize(
    ("was", "becomes", "problem"),
    [
        ('unit_price = "0.36"', "unit_price = 0.36", "unit_price: 0.36 is a float"),
        ('unit_price = "0.36"', 'unit_price = "3.6e-1"', "unit_price: '3.6e-1' is not a rate"),
        ('unit_price = "0.36"', 'unit_price = "-1"', "unit_price: '-1' is not a rate"),
        ('unit_price = "0.36"', "", "'unit_price' is missing"),
        ('per = "3600"', 'per = "0"', "per: '0' is not a whole number above 0"),
        ('currency = "EUR"', 'currency = "euro"', "currency: 'euro' is not a currency"),
        ('meter = "audio_second"', 'meter = "minute"', "meter: 'minute' is none of audio_second"),
        ('confidence = "list"', 'confidence = "sure"', "confidence: 'sure' is none of measured, list, seen"),
        ('effective_from = "2026-05-01"', 'effective_from = "01.05.2026"', "effective_from: '01.05.2026' is not a day"),
        ('effective_from = "2026-05-01"', 'effective_from = "2026-02-30"', "is not a day of the calendar"),
        ('effective_from = "2026-05-01"', 'effective_from = "2026-05-01T00:00:00+02:00"', "is not a day or a UTC time"),
        ('observed_at = "2026-11-20"', "", "'observed_at' is missing"),
        ('observed_at = "2026-11-20"', 'observed_at = "yesterday"', "observed_at: 'yesterday' is not a day"),
        ('source_url = "https://example.com/prices"', "", "'source_url' is missing"),
        ('source_url = "https://example.com/prices"', 'source_url = ""', "source_url: '' is not an address"),
        ('id = "acme/ears/2026"', 'id = "two words"', "id: 'two words' is not an id"),
        ('provider = "acme"', 'provider = ""', "provider: is empty"),
        ('stage = "transcribe"', 'colour = "red"', "'colour' is not a field"),
        ('stage = "transcribe"', 'stage = "transcription"', "stage: 'transcription' is none of transcribe, translate"),
        ('stage = "transcribe"', 'spot = "maybe"', "spot: 'maybe' is not true or false"),
        ('stage = "transcribe"', 'note = "a\\u0007bell"', "note: holds what cannot be printed"),
        ('stage = "transcribe"', 'effective_to = "2026-05-01"', "effective_to is not after effective_from"),
    ],
)
def test_a_wrong_field_gets_one_clear_line(was: str, becomes: str, problem: str) -> None:
    with pytest.raises(PriceBookError) as refused:
        parse_toml(ROW.replace(was, becomes), "acme.toml")
    assert len(refused.value.problems) == 1
    assert problem in refused.value.problems[0]
    assert refused.value.message.startswith("acme.toml: row 1")


def test_every_problem_is_named_with_its_row() -> None:
    text = ROW + ROW.replace("EUR", "euros").replace("0.36", "much").replace("2026", "2025")
    with pytest.raises(PriceBookError) as refused:
        parse_toml(text, "acme.toml")
    assert [problem.split(":")[0] for problem in refused.value.problems] == ["row 2 (acme/ears/2025)"] * 2
    assert refused.value.message.endswith("(and 1 more)")
    again = pickle.loads(pickle.dumps(refused.value))
    assert again.problems == refused.value.problems


@pytest.mark.parametrize(
    "text", ["price = 3", "[[prices]]\nid='x'", "price = [1]", "[[price]\n", ROW + ROW, "[price]\nid = 'x'"]
)
def test_what_is_not_a_price_file_is_refused(text: str) -> None:
    with pytest.raises(PriceBookError) as refused:
        parse_toml(text, "acme.toml")
    assert "\n" not in refused.value.message


def test_dates_and_whole_numbers_may_be_those_of_toml() -> None:
    text = ROW.replace('"3600"', "3600").replace('"2026-05-01"', "2026-05-01").replace('"2026-11-20"', "2026-11-20")
    assert parse_toml(text, "acme.toml") == (EARS,)
    timed = ROW.replace('"2026-05-01"', "2026-05-01T06:30:00Z")
    assert instant_text(parse_toml(timed, "acme.toml")[0].effective_from) == "2026-05-01T06:30:00Z"


def test_csv_and_toml_say_the_same() -> None:
    fields = {name: str(value) for name, value in EARS.as_json().items()} | {"spot": "false"}
    text = ",".join(fields) + "\n" + ",".join(f'"{value}"' for value in fields.values()) + "\n"
    assert parse_csv(text, "acme.csv") == (EARS,)
    for wrong in ("", "id,sku\na,b,c\n", 'id\n"open\n'):
        with pytest.raises(PriceBookError):
            parse_csv(wrong, "acme.csv")


rows = st.builds(
    PriceRow,
    id=st.from_regex(r"[a-z0-9]{1,8}/[a-z0-9._-]{1,8}", fullmatch=True),
    provider=st.sampled_from(["acme", "other cloud"]),
    meter=st.sampled_from(Meter),
    sku=st.sampled_from(["ears", 'the "big" one', "back\\slash"]),
    unit_price=st.decimals(0, 10_000, places=9),
    per=st.sampled_from([1, 60, 1_000_000]),
    currency=st.sampled_from(["USD", "EUR"]),
    effective_from=st.integers(0, 2 * 10**12),
    effective_to=st.one_of(st.none(), st.integers(2 * 10**12 + 1, 3 * 10**12)),
    observed_at=st.dates(date(2020, 1, 1), date(2026, 11, 21)),
    source_url=st.just("https://example.com/prices?a=b"),
    confidence=st.sampled_from(Confidence),
    region=st.sampled_from(["", "eastus"]),
    spot=st.booleans(),
    billing_increment=st.decimals(0, 100, places=2),
    minimum_quantity=st.decimals(0, 100, places=1),
    note=st.sampled_from(["", "déjà vu; 価格", 'say "when"']),
    waiver=st.sampled_from(["", "a volume discount"]),
)


@given(rows)
def test_a_row_reads_back_as_it_was_written(row: PriceRow) -> None:
    assert parse_toml(toml_of(row), "again.toml") == (row,)


def test_the_row_of_an_instant_is_found_and_what_is_unknown_is_none() -> None:
    book = PriceBook(((ears("a", "2026-01-01", "2026-03-01"), ears("b", "2026-05-01")),))

    def at(day: str) -> str | None:
        row = book.find("acme", "ears", Meter.AUDIO_SECOND, instant(day))
        return row and row.id

    assert [
        at(day) for day in ("2025-12-31", "2026-01-01", "2026-02-28", "2026-03-01", "2026-05-01", "2030-01-01")
    ] == [
        None,
        "a",
        "a",
        None,
        "b",
        "b",
    ]
    assert book.find("acme", "ears", "input_token", NOW) is None
    assert book.find("acme", "nose", "audio_second", NOW) is None
    assert book.find("nobody", "ears", "audio_second", NOW) is None


def test_a_later_row_closes_the_open_end_of_the_one_before() -> None:
    book = PriceBook(((ears("new", "2026-06-01"), ears("old", "2026-01-01"), ears("end", "2026-08-01", "2026-09-01")),))
    days = ("2026-05-31", "2026-06-01", "2026-08-01", "2026-09-01")
    found = [book.find("acme", "ears", "audio_second", instant(day)) for day in days]
    # What has ended has no price again: the older row is not taken up once more, unsaid.
    assert [row and row.id for row in found] == ["old", "new", "end", None]
    assert check_book(book, TODAY) == []


def test_a_region_has_its_own_price_or_the_general_one_and_spot_only_its_own() -> None:
    everywhere, east = ears("all", "2026-01-01"), ears("east", "2026-01-01", region="eastus")
    book = PriceBook(((everywhere, east),))

    def find(region: str, *, spot: bool = False) -> PriceRow | None:
        return book.find("acme", "ears", "audio_second", NOW, region=region, spot=spot)

    assert (find("eastus"), find("westus"), find("")) == (east, everywhere, everywhere)
    assert find("eastus", spot=True) is None


def test_the_topmost_layer_that_knows_is_asked_first() -> None:
    shipped = PriceBook(()).with_rows([ears("shipped", "2026-01-01")])
    book = shipped.with_rows([ears("project", "2026-06-01", "2026-07-01")]).with_rows([ears("given", "2026-06-15")])
    days = ("2026-05-01", "2026-06-01", "2026-06-20", "2026-12-01")
    found = [book.find("acme", "ears", "audio_second", instant(day)) for day in days]
    assert [row and row.id for row in found] == ["shipped", "project", "given", "given"]
    assert [row.id for row in book.rows] == ["shipped", "project", "given"]
    assert book.row("project") == book.rows[1]
    assert book.row("nothing") is None


def test_an_id_is_never_used_for_another_row() -> None:
    book = PriceBook(()).with_rows([EARS])
    assert book.with_rows([]) is book
    assert book.with_rows([EARS]).rows == (EARS, EARS)
    with pytest.raises(PriceBookError) as refused:
        book.with_rows([replace(EARS, unit_price=Decimal(1))])
    assert EARS.id in refused.value.message


def test_price_steps_are_split_at_every_border() -> None:
    book = PriceBook(((ears("a", "2026-01-01", "2026-01-03"), ears("b", "2026-01-05")),))
    steps = book.steps("acme", "ears", "audio_second", instant("2026-01-02"), instant("2026-01-06"))
    assert [(instant_text(start)[5:], instant_text(end)[5:], row and row.id) for start, end, row in steps] == [
        ("01-02", "01-03", "a"),
        ("01-03", "01-05", None),
        ("01-05", "01-06", "b"),
    ]


@given(st.lists(rows, max_size=8, unique_by=lambda row: row.id), st.randoms())
def test_the_digest_knows_rows_and_layers_but_not_their_order(some: list[PriceRow], random: object) -> None:
    mixed = list(some)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    book = PriceBook((tuple(some),))
    assert PriceBook((tuple(mixed),)).digest == book.digest
    if some:
        assert PriceBook((tuple(some[1:]),)).digest != book.digest
        assert PriceBook((tuple(some[1:]), (some[0],))).digest != book.digest
        noted = replace(some[0], note="another note")
        assert PriceBook(((noted, *some[1:]),)).digest != book.digest


@given(st.lists(st.tuples(st.integers(0, 40), st.one_of(st.none(), st.integers(1, 20))), max_size=8))
def test_a_book_that_passes_the_gate_has_one_price_at_any_instant(spans: list[tuple[int, int | None]]) -> None:
    made = tuple(
        replace(EARS, id=f"row{place}", effective_from=since, effective_to=None if lasts is None else since + lasts)
        for place, (since, lasts) in enumerate(spans)
    )
    book = PriceBook((made,))
    if check_book(book):
        return
    starts = sorted(row.effective_from for row in made)
    assert len(set(starts)) == len(starts)
    for at in range(62):
        holding = [row for row in made if row.holds(at) and row.effective_to is not None]
        found = book.find("acme", "ears", "audio_second", at)
        assert len(holding) <= 1
        assert not holding or found == holding[0]
        latest = max((row for row in made if row.effective_from <= at), key=lambda r: r.effective_from, default=None)
        assert found in (latest, None)


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ([ears("a", "2026-01-01"), ears("b", "2026-01-01")], "a and b price the same thing from the same day"),
        ([ears("a", "2026-01-01", "2026-06-01"), ears("b", "2026-05-01")], "a ends on 2026-06-01, after b has begun"),
        ([ears("a", "2026-01-01", source_url="")], "a: has no source"),
        ([ears("a", "2026-01-01", observed_at=date(2027, 1, 1))], "a: was seen on 2027-01-01, which is to come"),
        ([ears("a", "2026-01-01", unit_price=Decimal(0))], "a: has the price 0"),
        ([ears("a", "2026-01-01", spot=True)], "a: only machines are spot"),
        ([ears("a", "2026-01-01", currency="XQZ")], "a: is in XQZ, which is no currency of ISO 4217"),
    ],
)
def test_the_gate_finds_what_is_wrong(bad: list[PriceRow], problem: str) -> None:
    problems = check_book(PriceBook((tuple(bad),)), TODAY)
    assert len(problems) == 1
    assert problem in problems[0]


def test_rows_of_two_layers_may_price_the_same_thing() -> None:
    assert check_book(PriceBook(((ears("a", "2026-01-01"),), (ears("b", "2026-01-01"),))), TODAY) == []


def test_an_old_price_that_still_holds_warns() -> None:
    old = ears("old", "2026-01-01", observed_at=TODAY - timedelta(days=181))
    ended = ears("ended", "2025-01-01", "2026-01-01", observed_at=TODAY - timedelta(days=400))
    fresh = ears("fresh", "2026-01-01", observed_at=TODAY - timedelta(days=180), sku="nose")
    warnings = stale_rows(PriceBook(((ended, old, fresh),)), TODAY)
    assert len(warnings) == 1
    assert warnings[0].startswith("old was seen on 2026-05-25, 181 days ago")


def test_the_shipped_rows_pass_the_gate() -> None:
    book = shipped_book()
    assert check_book(book, TODAY) == []
    assert all(row.source_url.startswith("https://") and row.effective_from > 0 for row in book.rows)
    assert len({row.id for row in book.rows}) == len(book.rows)
    assert stale_rows(book, TODAY) == []


@pytest.mark.parametrize(
    ("provider", "sku", "region", "spot", "day", "price"),
    [
        ("azure", "Standard_NC4as_T4_v3", "eastus", False, "2026-09-15", "0.526"),
        ("azure", "Standard_NC4as_T4_v3", "eastus", True, "2026-05-15", "0.204"),
        ("azure", "Standard_NC4as_T4_v3", "eastus", True, "2026-09-15", "0.149"),
        ("azure", "Standard_NC40ads_H100_v5", "eastus", False, "2026-11-20", "6.98"),
        ("aws", "g4dn.xlarge", "us-east-1", False, "2026-11-20", "0.526"),
        ("gcp", "g2-standard-4", "us-central1", False, "2026-11-20", "0.70683228"),
        ("lambda", "gpu_1x_a10", "us-east-1", False, "2026-11-20", "1.29"),
    ],
)
def test_machines_are_priced_by_place_kind_and_day(
    provider: str, sku: str, region: str, spot: bool, day: str, price: str
) -> None:
    row = shipped_book().find(provider, sku, "node_hour", instant(day), region=region, spot=spot)
    assert row is not None
    assert (str(row.unit_price), row.per) == (price, 1)


def test_the_shipped_rows_agree_with_genai_prices() -> None:
    pytest.importorskip("genai_prices")
    compared, apart = crosscheck(shipped_book(), NOW)
    assert apart == []
    assert {"openai/whisper-1/2023-03", "groq/whisper-large-v3/2026-05", "openai/gpt-4o-mini/in/2024-07"} <= set(
        compared
    )


def test_over_five_percent_apart_needs_a_waiver() -> None:
    pytest.importorskip("genai_prices")
    row = next(row for row in shipped_book().rows if row.id == "openai/whisper-1/2023-03")
    near = replace(row, unit_price=Decimal("0.0063"))
    far = replace(row, unit_price=Decimal("0.00631"))
    assert crosscheck(PriceBook(((near,),)), NOW) == ([row.id], [])
    _, apart = crosscheck(PriceBook(((far,),)), NOW)
    assert len(apart) == 1
    assert "0.006" in apart[0]
    assert crosscheck(PriceBook(((replace(far, waiver="our contract"),),)), NOW) == ([row.id], [])


def test_a_catalogue_that_does_not_know_says_nothing() -> None:
    pytest.importorskip("genai_prices")
    row = next(row for row in shipped_book().rows if row.id == "openai/whisper-1/2023-03")
    for unknown in (
        replace(row, sku="whisper-99"),
        replace(row, provider="nobody"),
        replace(row, currency="EUR"),
        replace(row, meter=Meter.CHARACTER),
        # It has this model, priced by tokens, and would bill its minutes as 0.
        replace(row, sku="gpt-4o-mini-transcribe"),
    ):
        assert catalogue_price(unknown, NOW) is None


def test_import_appends_and_never_overwrites(tmp_path: Path) -> None:
    own = tmp_path / "home" / "prices.toml"
    own.parent.mkdir()
    own.write_text("# ours, do not touch" + ROW.rstrip("\n"), encoding="utf-8")
    before = own.read_bytes()
    newer = ears("acme/ears/2027", "2026-11-01", note='a "better" price')
    _, new = with_imported(own, [EARS, newer])
    assert new == (newer,)
    assert append_rows(own, new) == len(own.read_bytes()) - len(before)
    assert own.read_bytes().startswith(before)
    assert read_rows(own) == (EARS, newer)
    book = load_book(own)
    assert book.find("acme", "ears", "audio_second", NOW) == newer


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
