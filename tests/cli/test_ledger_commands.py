"""`segue ledger`: one job, a period, and the care of the books, as a program and a person meet them."""

from __future__ import annotations

import csv
import io
import re
import time
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from ledger_journals import Journals, job
from segue_cli import Segue, SegueHere
from spoken import SAMPLE, SPEECH

PRICED = {"SEGUE_NODE_PRICE": "0.30 USD", "SEGUE_FAKE_DELAY_MS": "20"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a store with a finished job, which nobody changes, and the job's id."""
    folder = tmp_path_factory.mktemp("ledger")
    return folder, run_job(Segue(folder))


@pytest.fixture
def kept(
    finished: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[Segue, str]:
    folder, job = finished
    return SegueHere(folder, monkeypatch, capsys), job


def run_job(segue: Segue) -> str:
    done = segue(
        "run", SAMPLE, "--to", "es,ja", "--from", "en", "--owner", "tester", "--out", "out", "--json", **PRICED
    )
    assert done.code == 0
    return str(done.json["jobs"][0]["id"])


def test_the_json_document_keeps_its_contract(kept: tuple[Segue, str]) -> None:
    segue, ran = kept
    done = segue("ledger", ran, "--json")
    assert done.code == 0
    told = done.json
    assert told["currency"] == "USD"
    spent = told["spent"]
    assert type(spent["total"]) is int
    assert spent["total"] == sum(spent["by_bucket"].values()) == sum(spent["by_stage"].values())
    assert spent["total"] == sum(entry["amount"] for entry in told["entries"])
    assert set(told["avoided"]) == {"silence"}
    for one in told["counterfactuals"]:
        assert {"stage", "provider", "model", "basis", "usage", "amount", "price_row"} <= set(one)
    assert {"whole_file", "speech_only"} <= {one["basis"] for one in told["counterfactuals"]}
    assert told["verdict"]["outcome"] == "undecided"
    whole = told["api_bill"]["whole_file"]
    assert whole["amount"] == sum(one["amount"] for one in whole["by_stage"].values())
    assert set(whole["by_stage"]) == {"transcribe", "translate"} - set(whole["without_price"])
    # The length in ms over a minute's: rounded once.
    minute = told["cost_of_finished_minute"]
    assert minute["without_people"] == round(Fraction(spent["total"] * 60_000, told["duration_ms"]))
    assert minute["with_people"] is None
    assert set(minute["by_language"]) == {"es", "ja"}
    assert told["unpriced"] == []
    assert told["fake"] is True
    assert all(type(entry["amount"]) is int for entry in told["entries"])


def test_one_screen_says_what_was_paid_avoided_charged_elsewhere_and_decided(kept: tuple[Segue, str]) -> None:
    segue, ran = kept
    text = segue("ledger", "sample").stdout
    for words in ("Paid", "useful", "idle", "total", "Avoided (not subtracted)", "Verdict", "not final"):
        assert words in text
    assert text.count("API would charge") == 3
    assert "fake engines" in text
    assert ran in text


def test_a_machine_without_a_price_is_said_to_be_unpriced(segue: Segue) -> None:
    segue("run", SPEECH, "--to", "es", "--out", "out", SEGUE_FAKE_DELAY_MS="20")
    text = segue("ledger", "last").stdout
    assert "UNPRICED" in text
    # Not an amount of nothing: time, and no amount.
    assert re.search(r"^useful +unpriced .* unpriced +[0-9.]+ s$", text, re.MULTILINE)
    assert re.search(r"^total +unpriced .* unpriced +[0-9.]+ s$", text, re.MULTILINE)
    month = segue("ledger").stdout
    assert re.search(r"^total +unpriced +[0-9.]+ s$", month, re.MULTILINE)
    assert re.search(r"^[0-9a-f]{24} +unpriced +[0-9.]+ s +tickets.flac", month, re.MULTILINE)
    rated = segue("ledger", "last", "--node-rate", "0.30 USD")
    assert "UNPRICED" not in rated.stdout
    assert segue("ledger", "last", "--node-rate", "cheap").code == 2
    for said in (text, month):
        assert re.search("--node-rate .*SEGUE_NODE_PRICE", said)
    # The setting of whoever looks prices it as well, on both screens; a closing keeps it.
    told = [segue("ledger", *which, "--json", SEGUE_NODE_PRICE="0.30 USD").json for which in (["last"], [])]
    assert told[0]["unpriced"] == told[1]["unpriced"] == []
    assert told[0]["spent"]["total"] == told[1]["spent"]["total"]["USD"] > 0
    assert told[0]["nodes"][0]["price"] == "0.30 USD/h, as given"
    assert segue("ledger", SEGUE_NODE_PRICE="cheap").code == 2
    # What is done costs nothing more, with a price and without one.
    for price in ({}, {"SEGUE_NODE_PRICE": "0.30 EUR"}):
        done = segue("estimate", SPEECH, "--to", "es", "--json", **price).json["here"]
        assert done["amount"] == {"low": 0, "point": 0, "high": 0}
        assert (done["currency"], done["unpriced"]) == ("EUR" if price else "USD", [])
    assert "cost: 0.0000 USD, all of it is there already" in segue("estimate", SPEECH, "--to", "es").stdout


def test_csv_has_a_line_for_each_entry(kept: tuple[Segue, str]) -> None:
    segue, ran = kept
    rows = list(csv.DictReader(io.StringIO(segue("ledger", ran, "--csv").stdout)))
    told = segue("ledger", ran, "--json").json
    assert [row["id"] for row in rows] == [entry["id"] for entry in told["entries"]]
    assert sum(int(row["amount"]) for row in rows) == told["spent"]["total"]


def test_focus_rows_of_the_month_and_of_a_job_sum_to_the_screens(kept: tuple[Segue, str], tmp_path: Path) -> None:
    segue, ran = kept
    for which in ([], [ran]):
        done = segue("ledger", *which, "--json", "--focus", str(tmp_path / "deep" / "focus.csv"))
        assert done.code == 0
        spent = done.json["spent"]["total"]
        total = spent if which else spent["USD"]
        assert "FOCUS 1.3" in done.stderr
        rows = list(csv.DictReader((tmp_path / "deep" / "focus.csv").read_text(encoding="utf-8").splitlines()))
        assert sum(Decimal(row["EffectiveCost"]) for row in rows) * 10**9 == total
        assert {row["AllocatedResourceName"] for row in rows} == {"sample.mp4"}
        assert all(row["x_Fake"] == "true" for row in rows if row["x_Bucket"] == "busy")
    assert segue("ledger", "--focus", "/dev/null/x.csv").code == 2


def test_this_month_by_anything(kept: tuple[Segue, str]) -> None:
    segue, ran = kept
    bare = segue("ledger", "--json").json
    total = bare["spent"]["total"]["USD"]
    assert list(bare["table"]) == [ran]
    for by in ("owner", "label:team", "node", "language"):
        told = segue("ledger", "--by", by, "--json").json
        assert sum(each["USD"]["amount"] for each in told["table"].values()) == total
    assert re.search(rf"^{ran} .* sample.mp4", segue("ledger").stdout, re.MULTILINE)
    assert "cpu, " in segue("ledger", "--by", "node").stdout
    both = segue("ledger", "--by", "owner", "--by", "language", "--owner", "tester", "--json").json
    assert sum(each["USD"]["amount"] for each in both["table"]["tester"].values()) == total
    assert (both["by"], both["owner"], both["verdict"]) == (["owner", "language"], "tester", None)
    assert re.search(
        r"(?s)by owner +language.*\ntester +es ", segue("ledger", "--by", "owner", "--by", "language").stdout
    )
    assert "nothing was spent by them" in segue("ledger", "--label", "show=sands").stdout
    assert segue("ledger", "--label", "sands").code == 2
    assert segue("ledger", ran, "--owner", "tester").code == 2
    assert segue("ledger", "--by", "colour").code == 2
    empty = segue("ledger", "--since", "2020-01-01", "--until", "2020-02-01")
    assert "nothing was spent" in empty.stdout
    assert segue("ledger", "--since", "2020-02-01", "--until", "2020-01-01").code == 2
    assert segue("ledger", "--since", "yesterday").code == 2
    assert segue("ledger", "--since", "2999-01-01").code == 2
    for which in ([ran], []):
        assert segue("ledger", *which, "--against", "openai/nothing").code == 2
    assert bare["verdict"]["outcome"] == "undecided"
    assert "fake engines" in bare["verdict"]["undecided_because"][0]
    assert {"without_people", "by_stage"} <= bare["verdict"].keys()
    assert segue("ledger", "--against", "openai/whisper-1").stdout.count("Verdict  undecided") == 1


def test_people_and_currency_come_from_settings(kept: tuple[Segue, str]) -> None:
    segue, ran = kept
    hours = {"SEGUE_ENGINEERING_HOURS": "4-8", "SEGUE_ENGINEERING_RATE": "90"}
    told = segue("ledger", "--json", **hours).json
    # Fake work carries nobody: the month's people are nobody's.
    assert told["spent"]["by_bucket"]["people"] == {"USD": 540 * 10**9}
    euro = segue("ledger", ran, "--json", SEGUE_CURRENCY="EUR").json
    assert (euro["currency"], euro["spent"]["total"]) == ("EUR", 0)
    assert list(euro["spent"]["other_currencies"]) == ["USD"]
    rate = {"SEGUE_CURRENCY": "EUR", "SEGUE_EXCHANGE_RATE": "USD EUR 0.92 2020-01-01 ECB"}
    converted = segue("ledger", ran, "--json", **rate).json
    assert converted["spent"]["total"] > 0
    assert converted["spent"]["other_currencies"] == {}
    assert segue("ledger", ran, SEGUE_CURRENCY="EUR", SEGUE_EXCHANGE_RATE="USD EUR 0.92").code == 2


def test_a_month_in_euros_converts_or_says_what_to_set(kept: tuple[Segue, str], tmp_path: Path) -> None:
    segue, ran = kept
    # Dollars first, so that whatever a reading keeps is not shown as euros.
    assert list(segue("ledger", "--json").json["spent"]["total"]) == ["USD"]
    alone = segue("ledger", SEGUE_CURRENCY="EUR")
    assert "are in no EUR amount" in alone.stdout
    assert "SEGUE_EXCHANGE_RATE='USD EUR RATE DAY SOURCE'" in alone.stdout
    # The ECB's layout: a euro buys 1.25 dollars.
    file = tmp_path / "ecb.csv"
    file.write_text("Date,USD,XYZ,\n2020-01-02,1.25,N/A,\n", encoding="utf-8")
    rates = {"SEGUE_CURRENCY": "EUR", "SEGUE_EXCHANGE_RATES_FILE": str(file)}
    mine, month = segue("ledger", ran, "--json", **rates), segue("ledger", "--json", **rates)
    assert month.json["spent"]["total"].keys() == {"EUR"}
    assert month.json["table"][ran]["EUR"]["amount"] == mine.json["spent"]["total"] > 0
    (used,) = month.json["exchange"]["rates"]
    assert (used["from"], used["to"], used["rate"], used["date"], used["source"]) == (
        "USD",
        "EUR",
        "1/1.25",
        "2020-01-02",
        "ECB",
    )
    assert "old exchange rate: 1/1.25 EUR per USD of 2020-01-02" in month.stderr
    screen = segue("ledger", "--by", "owner", **rates)
    assert "rate     1/1.25 EUR per USD of 2020-01-02 (ECB)" in screen.stdout
    assert "USD" not in segue("ledger", "--csv", **rates).stdout.replace("EUR per USD", "")
    page, focus = tmp_path / "page.html", tmp_path / "focus.csv"
    assert segue("ledger", ran, "--html", str(page), "--focus", str(focus), **rates).code == 0
    assert "1/1.25 EUR per USD of 2020-01-02 (ECB)" in page.read_text(encoding="utf-8")
    assert ",EUR," in focus.read_text(encoding="utf-8")
    assert segue("ledger", SEGUE_EXCHANGE_RATES_FILE=str(tmp_path / "nothing.csv")).code == 2
    # Where no rate leads to euros nothing was paid "for 0 euros".
    ahead = {"SEGUE_CURRENCY": "EUR", "SEGUE_EXCHANGE_RATE": "USD EUR 0.5 2999-01-01 ECB"}
    assert segue("ledger", ran, "--html", str(page), **ahead).code == 0
    drawn = page.read_text(encoding="utf-8")
    assert re.search(r"unpriced.{1,200}paid, and 0\.\d+ USD, people unset", drawn, re.DOTALL)
    assert "0.000000 EUR</" not in drawn
    assert "the first is of 2999-01-01" in drawn


def test_the_word_show_may_be_left_out_and_commands_stay_commands(kept: tuple[Segue, str]) -> None:
    segue, ran = kept
    assert segue("ledger", "show", ran, "--json").json["job"] == segue("ledger", ran, "--json").json["job"] == ran
    verified = segue("ledger", "verify")
    assert verified.code == 0
    assert "nothing was touched" in verified.stdout
    assert segue("ledger", "no-such-job").code == 2
    assert segue("ledger", "--help").code == 0


def test_verify_says_what_was_touched(segue: Segue) -> None:
    run_job(segue)
    (journal,) = (segue.folder / "home" / "attempts").iterdir()
    data = journal.read_bytes()
    journal.write_bytes(data.replace(b"engine_seconds", b"engine_secondz", 1))
    done = segue("ledger", "verify", "--json")
    assert done.code == 3
    assert done.json["ok"] is False
    assert {problem["file"] for problem in done.json["problems"]} == {f"attempts/{journal.name}"}


ROW = """
[[price]]
id = "acme/hear/2026"
provider = "acme"
meter = "audio_second"
sku = "hear"
stage = "transcribe"
unit_price = "0.36"
per = "3600"
currency = "USD"
effective_from = "2026-01-01"
observed_at = "2026-01-02"
source_url = "https://acme.example/prices"
confidence = "list"
"""


def test_an_imported_price_that_was_rewritten_is_seen_and_so_is_a_file_that_cannot_be_read(
    segue: Segue, tmp_path: Path
) -> None:
    (tmp_path / "rows.toml").write_text(ROW)
    assert segue("prices", "import", tmp_path / "rows.toml").code == 0
    assert segue("ledger", "verify").code == 0
    kept = segue.folder / "home" / "prices.toml"
    kept.write_text(kept.read_text().replace('"0.36"', '"0.30"'))
    done = segue("ledger", "verify", "--json")
    assert (done.code, done.json["problems"][0]["file"]) == (3, "prices.toml")
    assert "acme/hear/2026" in done.json["problems"][0]["detail"]
    kept.write_text("[[price]")
    done = segue("ledger", "verify")
    assert (done.code, "prices.toml" in done.stdout) == (3, True)


def test_looking_at_the_ledger_leaves_what_is_damaged_where_it_is(segue: Segue) -> None:
    ran = run_job(segue)
    home = segue.folder / "home"
    (plan,) = home.glob("jobs/*/plan-1.json")
    plan.write_bytes(plan.read_bytes().replace(b"duration_ms", b"duration_mz", 1))
    for arguments in (["ledger"], ["ledger", ran], ["ledger", "verify"]):
        segue(*arguments)
        assert plan.exists()
        assert list((home / "quarantine").iterdir()) == []


def test_a_home_without_a_store_is_not_verified(segue: Segue) -> None:
    done = segue("ledger", "verify")
    assert done.code != 0
    assert "there is no store at" in done.stderr
    assert not (segue.folder / "home").exists()


def test_a_month_is_closed_and_priced_again(segue: Segue) -> None:
    last_year = f"{time.gmtime().tm_year - 1}-06"
    closed = segue("ledger", "close", last_year, "--json")
    assert closed.code == 0
    again = segue("ledger", "replay", last_year, "--json")
    assert again.json["same"] is True
    assert again.json["digest"] == closed.json["digest"]
    assert segue("ledger", "close", last_year).code == 2
    assert segue("ledger", "close", "June").code == 2


def test_a_closing_stays_in_dollars_and_is_shown_in_euros(segue: Segue) -> None:
    year = time.gmtime().tm_year - 1
    journals, anna = Journals(segue.folder / "home", datetime(year, 6, 10, 23, 59, tzinfo=UTC)), job("anna")
    journals.node("n", 0, 120, "3.60 USD")
    journals.process("p", 0, "n")
    journals.record("a", journals.attempt("p", 0, 120, [("a", 60_000, anna)]))
    rates = f"USD EUR 0.9 {year}-06-01 ECB; USD EUR 0.8 {year}-06-11 ECB"
    euros = {"SEGUE_CURRENCY": "EUR", "SEGUE_EXCHANGE_RATE": rates, "SEGUE_EXCHANGE_RATE_DAYS": "9"}
    closed = segue("ledger", "close", f"{year}-06", "--json", **euros).json
    # A minute at 0.9 and one at 0.8: 0.054 + 0.048.
    assert (closed["total"], closed["shown"]) == ({"USD": 120_000_000}, {"EUR": 102_000_000})
    assert not closed["exchange"]["old"]
    again = segue("ledger", "replay", f"{year}-06", "--json").json
    assert (again["same"], again["total"], again["shown"]) == (True, {"USD": 120_000_000}, {"USD": 120_000_000})
    said = segue("ledger", "replay", f"{year}-06", **euros).stdout
    assert "came out the same to the byte: 0.12 USD" in said
    assert "that is 0.102 EUR" in said
    assert f"rate     0.9 EUR per USD of {year}-06-01 (ECB), for {year}-06-10" in said
    days = ("--since", f"{year}-06-01", "--until", f"{year}-07-01")
    assert segue("ledger", *days, "--json", **euros).json["spent"]["total"] == {"EUR": 102_000_000}
    # 7.20 EUR an hour instead: 0.24 EUR, which is 0.138 more.
    other = segue("ledger", "replay", f"{year}-06", "--what-if", "--node-rate", "7.20 EUR", "--json", **euros).json
    assert other["difference"]["total"] == {"EUR": 138_000_000}
    # Without the rate of the second day nothing of it is taken for euros.
    rate = {"SEGUE_CURRENCY": "EUR", "SEGUE_EXCHANGE_RATE": f"USD EUR 0.8 {year}-06-11 ECB"}
    half = segue("ledger", *days, "--json", **rate)
    assert half.json["spent"]["total"] == {"EUR": 48_000_000, "USD": 60_000_000}
    assert "0.06 USD are in no EUR amount" in half.stderr


def test_replay_shows_a_month_at_another_price_beside_what_was_paid(kept: tuple[Segue, str]) -> None:
    segue, _ = kept
    month = time.strftime("%Y-%m", time.gmtime())
    found = segue("ledger", "replay", month, "--what-if", "--node-rate", "0.90 USD", "--json").json
    paid, other = found["paid"]["total"]["USD"], found["what_if"]["total"]["USD"]
    # Paid at 0.30: three times as much, but for the rounding of each of a machine's lines.
    assert abs(other - 3 * paid) <= 3
    assert found["difference"]["total"]["USD"] == other - paid
    assert sum(each.get("USD", 0) for each in found["difference"]["by_bucket"].values()) == other - paid
    said = segue("ledger", "replay", month, "--what-if", "--node-rate", "0.90 USD").stdout
    assert f"{month} (not closed, as it stands now), what if each machine had cost 0.90 USD an hour" in said
    for words in ("difference", "total", "preemption cost", "the price saved", "against machines that stay"):
        assert words in said
    strange = segue("ledger", "replay", month, "--what-if", "--node-rate", "0.90 EUR")
    assert (strange.code, "say the price in the currency that was paid" in strange.stderr) == (2, True)


def test_a_bill_that_cannot_be_read_is_one_line(segue: Segue, tmp_path: Path) -> None:
    done = segue("ledger", "reconcile", tmp_path / "none.csv")
    assert done.code == 2
    assert len(done.stderr.strip().splitlines()) == 2


def test_a_page_is_written_where_it_was_asked_for(kept: tuple[Segue, str], tmp_path: Path) -> None:
    segue, ran = kept
    page = tmp_path / "pages" / "job.html"
    assert segue("ledger", ran, "--html", page).code == 0
    assert ran in page.read_text(encoding="utf-8")
    assert segue("ledger", ran, "--html", tmp_path).code == 2
    # The period's page: the same amounts, the verdict, and nothing that is fetched or run.
    assert segue("ledger", "--html", page, "--owner", "tester").code == 2
    assert segue("ledger", "--html", page).code == 0
    month, told = page.read_text(encoding="utf-8"), segue("ledger", "--json").json
    amount = Decimal(told["spent"]["total"]["USD"]) / 10**9
    assert f'<td>together</td><td class="n">{amount:.6f}</td>' in month
    for words in ("Verdict", "Undecided", "fake engines", "By owner", "tester", "By job", "sample.mp4", ran):
        assert words in month
    assert not re.search(r"<(script|link|img|iframe|object)|https?://", month)


def test_a_purged_job_is_still_found_by_its_id(segue: Segue) -> None:
    ran = run_job(segue)
    before = segue("ledger", ran, "--json").json["spent"]["total"]
    assert segue("cache", "purge", "--owner", "tester", "--yes").code == 0
    after = segue("ledger", ran[:10], "--json").json
    assert (after["job"], after["state"], after["owner"]) == (ran, "purged", "")
    assert after["spent"]["total"] == before


def test_a_rate_without_a_currency_is_of_one_currency_in_every_month(segue: Segue) -> None:
    year = time.gmtime().tm_year - 1
    journals, anna = Journals(segue.folder / "home", datetime(year, 5, 10, tzinfo=UTC)), job("anna")
    months = (("05", 0, "3.60 USD"), ("06", 31 * 86_400, "3.60 EUR"))
    for name, began, price in months:
        journals.node(name, began, began + 100, price)
        journals.process(f"p{name}", began, name)
        journals.record(name, journals.attempt(f"p{name}", began, 100, [(name, 60_000, anna)]))
    people = {"SEGUE_ENGINEERING_HOURS": "6", "SEGUE_ENGINEERING_RATE": "90"}
    may, june = (
        segue("ledger", "--since", f"{year}-0{month}-01", "--until", f"{year}-0{month + 1}-01", "--json", **people)
        for month in (5, 6)
    )
    # 100 s at 0.001, and 6 h at 90 USD.
    assert may.json["spent"]["total"] == {"USD": 540_100_000_000}
    assert june.json["spent"]["total"] == {"EUR": 100_000_000}
    assert "the engineering rate is in USD, this ledger in EUR" in june.stderr
