"""--budget and --node-rate as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from own_model_server import MODEL, OwnModelServer
from segue_cli import Segue, SegueHere
from spoken import SAMPLE, SPEECH

from core.money import Money

#: A machine so dear that a second of it costs a unit of currency.
DEAR = "3600 USD"
#: What the translator's tokens cost.
API_PRICES = "".join(
    f"""
[[price]]
id = "openai/own/{meter}"
provider = "openai"
meter = "{meter}"
sku = "{MODEL}"
stage = "translate"
unit_price = "7"
per = "1000000"
currency = "USD"
effective_from = "2020-01-01"
observed_at = "2026-01-01"
source_url = "https://example.org/prices"
confidence = "list"
"""
    for meter in ("input_token", "output_token")
)


def test_a_run_stops_at_its_budget_with_its_own_exit_code_and_goes_on_without(segue: Segue) -> None:
    wanted = ("run", SAMPLE, "--to", "es,ja", "--out", segue.folder / "out", "--node-rate", DEAR)
    slow = {"SEGUE_FAKE_DELAY_MS": "1600", "SEGUE_BATCH_SIZE": "1"}
    # Decoded before, so that the budget goes to the engines.
    assert segue("plan", SAMPLE).code == 0
    stopped = segue(*wanted, "--budget", "3", "--json", **slow)
    assert stopped.code == 3
    (job,) = stopped.json["jobs"]
    assert job["state"] == "budget-stopped"
    assert sum(stage["missing"] for stage in job["units"].values()) > 0
    budget = stopped.json["budget"]
    assert budget["stopped"] is True
    assert budget["currency"] == "USD"
    assert budget["cap"] == 3 * 10**9
    assert budget["spent"] >= budget["cap"] or budget["ahead"] > budget["cap"]
    assert budget["left"] == max(budget["cap"] - budget["spent"], 0)
    again = segue(*wanted, "--budget", "3")
    assert again.code == 3
    assert "budget 3 USD: spent" in again.stdout
    assert "of it in earlier runs" in again.stdout
    assert "units in 1 files" in again.stdout
    assert "higher --budget" in again.stdout
    assert segue("status", "last", "--json").json["state"] == "budget-stopped"
    waited = segue("wait", job["id"])
    assert waited.code == 3
    assert "budget-stopped" in waited.stdout
    done = segue(*wanted, "--json")
    assert done.code == 0
    units = done.json["jobs"][0]["units"].values()
    before = sum(stage["done"] for stage in job["units"].values())
    assert sum(stage["cached"] for stage in units) == before > 0


def test_the_budget_line_and_the_ledger_say_the_same_of_a_machine_and_an_api(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    segue = SegueHere(tmp_path, monkeypatch, capsys)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "prices.toml").write_text(API_PRICES, encoding="utf-8")
    people = {"SEGUE_ENGINEERING_HOURS": "2", "SEGUE_ENGINEERING_RATE": "50 USD", "SEGUE_EXPECTED_USE": "1 audio hours"}
    with OwnModelServer(0.0) as server:
        # An API that charges, not a server of one's own.
        settings = {**server.settings, "SEGUE_OWN_ENGINES": "", "SEGUE_TRANSCRIBER": "fake"}
        wanted = ("run", SPEECH, "--from", "en", "--out", "out", "--budget", "5", "--node-rate", "3.60 USD")
        done = segue(*wanted, "--to", "es", "--json", **settings)
        assert done.code == 0, done.stderr
        told = segue("ledger", "last", "--json").json
        fees = told["spent"]["by_bucket"]["api_fee"]
        assert 0 < fees < told["spent"]["total"]
        assert done.json["budget"]["spent"] == told["spent"]["total"] == told["budgeted"]
        assert done.json["budget"]["not_counted"] == ""
        # The same job once more, and another one: what earlier runs paid is in it.
        again = segue(*wanted, "--to", "es", "--json", **settings).json["budget"]
        assert again["spent"] == again["earlier"] == told["spent"]["total"]
        # People are in the ledger and not in a budget, and both say so.
        line = segue(*wanted, "--to", "de", **settings, **people).stdout
        assert "left; not counted: people" in line
    screen = segue("ledger", "last", **people).stdout
    told = segue("ledger", "last", "--json", **people).json
    assert told["budgeted"] == told["spent"]["total"] - told["spent"]["by_bucket"]["people"]
    assert told["budgeted"] < told["spent"]["total"]
    assert "of the above is what a budget counts: neither people nor shared idle" in screen
    assert f"spent {Money(told['budgeted'], 'USD').amount(4)} USD" in line


def test_a_budget_without_a_price_is_one_line_and_nothing_is_run(segue: Segue) -> None:
    refused = segue("run", SPEECH, "--to", "es", "--budget", "2.50")
    assert refused.code == 2
    assert refused.stderr.count("\n") == 2
    assert "a budget needs a price" in refused.stderr
    assert "--node-rate" in refused.stderr
    assert not (segue.folder / "home" / "attempts").exists() or not any((segue.folder / "home" / "attempts").iterdir())


def test_a_submission_keeps_its_budget_and_refuses_what_is_none(segue: Segue) -> None:
    wanted = ("submit", SPEECH, "--to", "es", "--out", segue.folder / "out")
    assert segue(*wanted, "--budget", "2.50 EUR", "--node-rate", "0.5 USD").code == 2
    assert segue(*wanted, "--budget", "much").code == 2
    given = segue(*wanted, "--budget", "2.50", "--node-rate", "0.5 EUR", "--json")
    assert given.code == 0
    (order,) = (segue.folder / "home" / "queue" / "orders").iterdir()
    # Stored documents carry a checksum around their payload.
    text = order.read_text(encoding="utf-8", errors="replace")
    submission = json.loads(text[text.index("{") : text.rindex("}") + 1])["submission"]
    assert (submission["budget"], submission["node_rate"]) == ("2.5 EUR", "0.5 EUR")
    more = segue(*wanted, "--budget", "5", "--node-rate", "0.5 EUR", "--json")
    # The budget is no part of the job: the same job, asked for anew.
    assert more.json["jobs"][0]["id"] == given.json["jobs"][0]["id"]
    assert len(list((segue.folder / "home" / "queue" / "orders").iterdir())) == 2


def test_an_estimate_is_json_for_programs_and_a_screen_for_people(segue: Segue) -> None:
    found = segue("estimate", SPEECH, "--to", "es,ja", "--node-rate", "0.5 USD", "--json")
    assert found.code == 0
    value = found.json
    assert value["duration_ms"] > value["speech_ms"] > 0
    assert {stage["stage"] for stage in value["stages"]} == {"detect", "transcribe", "translate"}
    assert all(stage["fake"] for stage in value["stages"])
    assert value["here"] == value["here"] | {"amount": None, "node_rate": "0.5 USD"}
    assert {api["stage"] for api in value["apis"]} == {"transcribe", "translate"}
    shown = segue("estimate", SPEECH, "--to", "es,ja", "--node-rate", "0.5 USD")
    assert len(shown.stdout.splitlines()) <= 40
    assert "not measured on this store yet" in shown.stdout
    assert "cost: unpriced" in shown.stdout
    segue("run", SPEECH, "--to", "es,ja", "--out", segue.folder / "out")
    other = segue("estimate", SAMPLE, "--to", "es,ja", "--node-rate", "0.5 USD")
    assert "; measured on " in other.stdout
    assert " (fake: says nothing of real engines)" in other.stdout
    assert "cost at 0.5 USD an hour" in other.stdout


def test_an_owners_budget_is_shown_checked_and_said_at_submit(segue: Segue) -> None:
    run = segue("run", SAMPLE, "--owner", "anna", "--out", segue.folder / "out", "--node-rate", DEAR)
    assert run.code == 0
    little = {"SEGUE_BUDGETS": "anna=0.000001 USD; bert=5"}
    told = segue("ledger", "--json", **little).json["budgets"]
    assert (told["anna"]["state"], told["bert"]["state"]) == ("spent", "within")
    assert "budget of anna: " in segue("ledger", **little).stdout
    assert segue("ledger", **little).code == 0
    checked = segue("ledger", "--check", **little)
    assert checked.code == 4
    assert (checked.stdout + checked.stderr).count("budget of anna") == 1
    assert segue("ledger", "--check", "--csv", **little).stderr.count("budget of anna") == 1
    assert segue("ledger", "--check", SEGUE_BUDGETS="bert=5 USD").code == 0
    assert segue("ledger", "--check", SEGUE_BUDGETS="anna=5 EUR").code == 3
    assert segue("ledger", "--check", SEGUE_BUDGETS="anna=much").code == 2
    assert segue("ledger", "--check", "last").code == 2
    (segue.folder / "own.toml").write_text('budget_refuse = true\n[budgets]\nanna = "0.000001 USD"\n', encoding="utf-8")
    file = {"SEGUE_CONFIG": str(segue.folder / "own.toml")}
    given = ("submit", SAMPLE, "--out", segue.folder / "out")
    warned = segue(*given, "--owner", "anna", **little)
    assert (warned.code, "budget of anna" in warned.stderr) == (0, True)
    refused = segue(*given, "--owner", "anna", **file)
    assert (refused.code, "SEGUE_BUDGET_REFUSE" in refused.stderr) == (2, True)
    assert segue(*given, "--owner", "bert", **file).code == 0
