"""A job's ledger as a page: whole, self-contained, nothing in it is taken for markup."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from ledger_page_sample import report
from msgspec import structs

from accounting.media_spans import MediaSpan, SpanStatus
from accounting.money import spent_of
from cli.money.ledger_tables import sides_line
from cli.money.pages.ledger_page import render_page
from cli.money.pages.ledger_page_apis import _hourly
from cli.money.pages.ledger_page_charts import Bar, bars_svg, timeline_svg
from core.money import Conversion
from ledger.entries import Bucket, Unpriced
from ledger.exchange import Exchanged, UsedRate

#: Elements without an end.
_VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Reads a page strictly: what is opened must be closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def classes(self, tag: str) -> list[str]:
        return [each for name, attrs in self.tags if name == tag for each in (attrs.get("class") or "").split()]


def test_both_amounts_that_the_verdict_compares_stand_beside_it() -> None:
    # Paid for the two stages 0.008340722 + 0.005297221 = 0.013637943, and the API 0.0196 + 0.0606 = 0.0802.
    said = "0.013638 USD here, people not included; 0.080200 USD by the API"
    made = report()
    assert sides_line(made.verdict) == said
    assert f"Compared: {said}" in Page(render_page(made)).text
    assert sides_line(replace(made.verdict, found=None)) == ""


def test_the_page_is_well_formed_and_says_everything() -> None:
    page = Page(render_page(report()))
    for said in (
        "週刊ニュース 第12回.mp4",
        "not final",
        "The API wins by",
        "Unpriced: in no amount on this page",
        "no row prices output_tokens of openai mine",
        "useful work",
        "duplicate work",
        "groq whisper-large-v3-turbo",
        "google translation-nmt",
        "Break-even",
        "1 x Tesla T4",
        "0.149 USD/h, as the machine said",
        "Entries (11)",
        "silence skipped",
    ):
        assert said in page.text, said
    assert report().book in page.text
    assert ("details", {}) in page.tags


def test_nothing_is_fetched_and_no_script_is_needed() -> None:
    text = render_page(report())
    page = Page(text)
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "base", "image", "use"}
    for _, attrs in page.tags:
        assert not {"src", "href", "srcset", "xlink:href", "action", "background"} & attrs.keys()
        assert not any(name.startswith("on") for name in attrs)
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", text))
    # The name of SVG's vocabulary, which nobody looks up.
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert "@import" not in text
    assert set(re.findall(r"url\(([^)]*)\)", text)) <= {"#hatch"}


def test_text_from_anywhere_is_text() -> None:
    evil = "<script>alert(1)</script>\"'&<b>\x1b[31m\u202e{{ 7 * 191 }}{% include 'x' %}"
    found = replace(report(), media=(evil,), owner=evil, labels={evil: evil}, engines=evil, errors=(evil,), state=evil)
    found = replace(
        found,
        nodes=tuple(replace(node, description=evil, gpus=(evil,), price=evil) for node in found.nodes),
        entries=tuple(structs.replace(entry, engine=evil, language=evil) for entry in found.entries),
        unpriced=tuple(structs.replace(one, why=evil, stage=evil) for one in found.unpriced),
        avoided=tuple(replace(one, basis=evil) for one in found.avoided),
        counterfactuals=tuple(replace(one, provider=evil, note=evil) for one in found.counterfactuals),
    )
    text = render_page(found)
    page = Page(text)
    assert "script" not in {tag for tag, _ in page.tags}
    assert "b" not in [tag for tag, attrs in page.tags if tag == "b" and attrs]
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7 * 191 }}{% include 'x' %}" in page.text
    assert "1337" not in text


def test_the_timeline_has_rectangles_of_every_status_and_a_legend() -> None:
    page = Page(render_page(report()))
    drawn = page.classes("rect")
    for status in SpanStatus:
        # One in the legend, at least one in the picture.
        assert drawn.count(status.value) >= 2, status
    assert "lost once, computed again" in page.text
    assert "computed 26:26 (62.9 %)" in page.text


def test_the_timeline_covers_the_media_without_gaps() -> None:
    spans = tuple(
        MediaSpan(at * 1000, (at + 1) * 1000, SpanStatus.COMPUTED if at % 2 else SpanStatus.SKIPPED) for at in range(90)
    )
    picture = ET.fromstring(timeline_svg(spans))
    bars = [each for each in picture.iter("rect") if each.get("class")]
    places = [(float(each.get("x", "")), float(each.get("width", ""))) for each in bars]
    assert len(bars) == 90
    for (x, width), (following, _) in itertools.pairwise(places):
        assert x + width == pytest.approx(following, abs=0.02)
    assert places[-1][0] + places[-1][1] == pytest.approx(1000, abs=0.02)


@pytest.mark.parametrize(("minutes", "rows"), [(1, 1), (42, 9), (600, 10)])
def test_long_media_take_more_rows_and_never_too_many(minutes: int, rows: int) -> None:
    spans = (MediaSpan(0, minutes * 60_000, SpanStatus.COMPUTED),)
    picture = ET.fromstring(timeline_svg(spans))
    assert len([each for each in picture.iter("rect") if each.get("class") == "computed"]) == rows


def test_an_empty_timeline_is_left_out() -> None:
    assert timeline_svg(()) == ""
    assert "What became of the media" not in render_page(replace(report(), timeline=()))


def test_bars_are_as_long_as_their_amounts_and_unpriced_ones_are_said() -> None:
    groups = [
        [Bar("ours", "bar-paid", 50, "0.05 USD", ours=True)],
        [Bar("api", "bar-speech", 100, "0.1 USD"), Bar("api", "bar-whole", None, "unpriced: never measured")],
    ]
    picture = ET.fromstring(bars_svg(groups, "costs"))
    lengths = [float(each.get("width", "")) for each in picture.iter("rect")]
    assert lengths[1] == 2 * lengths[0] > 0
    assert lengths[2] == 0
    assert any("unpriced" in (each.get("class") or "") and each.text for each in picture.iter("text"))


def test_a_job_whose_machine_has_no_price_is_unpriced_and_not_for_nothing() -> None:
    found = report()
    time = [
        Unpriced(stage, "s", "a", Bucket.BUSY, stage, "", found.job_id, "ann", "node_ms", 7_000, 0, 7_000, "why", False)
        for stage in ("detect", "transcribe", "translate")
    ]
    bare = replace(found, entries=(), spent=spent_of((), "USD"), unpriced=tuple(time))
    text = Page(render_page(bare)).text
    assert "0.000000 USD" not in text
    assert "unpriced paid" in text
    assert "useful work unpriced unpriced unpriced unpriced 21.0 s" in text
    assert text.count("paid here: unpriced unpriced") == 2
    # Where some of it has a price, the amount is there, and that it is not all.
    some = Page(render_page(replace(found, unpriced=tuple(time)))).text
    assert "+ ?" in some
    assert "paid, and unpriced usage" in some


def test_a_machine_without_a_gpu_is_no_gpu_in_the_chart() -> None:
    found = report()
    assert "GPU time" in render_page(found)
    text = render_page(replace(found, nodes=tuple(replace(node, gpus=()) for node in found.nodes)))
    assert "GPU time" not in text
    assert "utilization of paid machine time" in text


def test_fake_work_is_marked_and_gets_no_break_even() -> None:
    page = Page(render_page(report(fake=True)))
    assert "Fake engines did some of this work" in page.text
    assert "Undecided" in page.text
    assert "Break-even" not in page.text


def test_many_entries_do_not_make_the_page_too_long() -> None:
    found = report()
    page = Page(render_page(replace(found, entries=found.entries * 500)))
    assert "Entries (5,500)" in page.text
    assert "3,500 more: segue ledger" in page.text


def test_a_job_without_anything_still_has_a_page() -> None:
    found = replace(
        report(), media=(), labels={}, entries=(), timeline=(), nodes=(), avoided=(), counterfactuals=(), unpriced=()
    )
    page = Page(render_page(found))
    assert f"job {found.job_id[:12]}" in page.text
    assert "Unpriced" not in page.text


def test_the_same_report_is_the_same_page() -> None:
    assert render_page(report()) == render_page(report())


def test_the_break_even_charts_machine_costs_what_it_does_in_the_reports_currency() -> None:
    dollars = report()
    rate = Conversion("USD", "EUR", Decimal("0.5"), date(2026, 11, 20), "ECB")
    used = UsedRate(rate, rate.date, rate.date)
    assert all(node.billed.keys() == {"USD"} for node in dollars.nodes)
    assert _hourly(dollars) > 0
    euros = replace(dollars, currency="EUR", exchanged=Exchanged("EUR", (used,)))
    assert _hourly(euros) * 2 == _hourly(dollars)
    # Without a rate it costs nobody knows what.
    assert _hourly(replace(euros, exchanged=Exchanged("EUR"))) == 0
