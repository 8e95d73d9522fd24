"""Manifests as people write them, and runs in which an engine dies."""

from __future__ import annotations

from pathlib import Path

import pytest
from job_bench import Bench
from spoken import SPEECH, samples_of, write_wav

from core.errors import ListedError, UsageError
from pipeline import executor
from pipeline.inputs.glossaries import read_glossary
from pipeline.inputs.manifests import read_manifest
from pipeline.inputs.requests import RunOptions, gather


def test_a_manifest_may_point_out_of_its_folder_and_at_names_with_a_tilde(tmp_path: Path) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    for path in (tmp_path / "a.wav", folder / "~b.wav"):
        path.write_bytes(b"x")
    manifest = folder / "list.csv"
    manifest.write_bytes(b"\xef\xbb\xbfmedia,to\r\n../a.wav,es\r\n~b.wav,ja\r\n")
    found = {request.file.path: request.options.targets for request in gather([manifest], RunOptions()).requests}
    assert found == {tmp_path / "a.wav": ("es",), folder / "~b.wav": ("ja",)}


def test_rows_that_contradict_each_other_are_refused_and_repeated_ones_are_not(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"x")
    manifest = tmp_path / "list.csv"
    manifest.write_text("media,to\na.wav,es\na.wav,es\n", encoding="utf-8")
    assert len(gather([manifest, manifest, tmp_path / "a.wav"], RunOptions()).requests) == 1
    manifest.write_text("media,to\na.wav,es\na.wav,ja\n", encoding="utf-8")
    with pytest.raises(UsageError, match="row 3"):
        gather([manifest], RunOptions())


CELLS = ("media", "to", "from", "out"), ("Café ß.wav", "es;fr", "pl", ""), ("b.wav", "ja", "", "subs, new")


def table(separator: str, end: str) -> str:
    quoted = [[f'"{cell}"' if separator in cell else cell for cell in row] for row in CELLS]
    return "".join(separator.join(row) + end for row in quoted)


TABLES = [
    ("utf-8", ",", "\n"),
    ("utf-8-sig", ",", "\r\n"),
    ("utf-8-sig", ";", "\r\n"),
    ("utf-8", "\t", "\r"),
    ("utf-16", "\t", "\r\n"),
    ("utf-16-le", ";", "\r\n"),
    ("cp1252", ";", "\r\n"),
]


@pytest.mark.parametrize(("encoding", "separator", "end"), TABLES)
@pytest.mark.parametrize(
    ("before", "heading", "after"), [("", "media", ""), ("sep={}\r\n", " Media ", "{}{}{}\r\n\r\n,,,\r\n")]
)
def test_tables_are_read_as_spreadsheets_save_them(
    tmp_path: Path, encoding: str, separator: str, end: str, before: str, heading: str, after: str
) -> None:
    text = table(separator, end).replace("media", heading)
    manifest = tmp_path / "list.csv"
    after = after.format(separator, separator, separator).replace(",,,", separator * 3)
    manifest.write_bytes((before.format(separator) + text + after).encode(encoding))
    found = read_manifest(manifest)
    assert found.rows == {
        tmp_path / "Café ß.wav": {"targets": ("es", "fr"), "source_language": "pl"},
        tmp_path / "b.wav": {"targets": ("ja",), "out": tmp_path / "subs, new"},
    }
    assert bool(found.doubt) == (encoding == "cp1252")


def test_western_excel_is_read_and_said(tmp_path: Path) -> None:
    (tmp_path / "Übung – größer.wav").write_bytes(b"x")
    manifest = tmp_path / "list.csv"
    manifest.write_bytes('media;to\r\n"Übung – größer.wav";es\r\n'.encode("cp1252"))
    found = gather([manifest], RunOptions())
    assert [request.file.path.name for request in found.requests] == ["Übung – größer.wav"]
    assert "list.csv: read as cp1252" in found.notes[0]


def test_a_cell_may_hold_separators_and_line_breaks_and_rows_are_named_by_their_first_line(tmp_path: Path) -> None:
    manifest = tmp_path / "list.csv"
    manifest.write_text('media,to\n"a\n, b.wav",es\nb.wav,xx-yy-zz-\n', encoding="utf-8")
    with pytest.raises(ListedError) as caught:
        read_manifest(manifest)
    assert [line.split(":")[0] for line in caught.value.message.splitlines()[1:]] == [
        "  row 4",
        "  row 2",
    ]


BAD_TABLES = [
    ("media,colour\na,red\n", "unknown: colour"),
    ("media,to,to\na,es,es\n", "twice: to"),
    ("name\na\n", "'media' is needed"),
    ("media,to\na.wav,es,ja\n", "row 2: more values than columns"),
    ("media,to,\na.wav,es,ja\n", "row 2: more values than columns"),
    ('media,to\n"a.wav,es\nb.wav,es\n', "row 2: unexpected end of data"),
    ("media,to\n", "it has no rows"),
    ("", "'media' is needed"),
    ("media,to\n,es\n", "row 2: no media named"),
    ("media,to\na.wav,es+fr\n", "row 2: 'es+fr' is not a language tag (use BCP 47"),
    ("media,transcript\na.wav,none.srt\n", "row 2: the transcript"),
]


@pytest.mark.parametrize(("text", "reason"), BAD_TABLES)
def test_a_table_that_is_no_manifest_says_why(tmp_path: Path, text: str, reason: str) -> None:
    manifest = tmp_path / "list.csv"
    manifest.write_text(text, encoding="utf-8")
    with pytest.raises(ListedError) as caught:
        read_manifest(manifest)
    assert reason in caught.value.message


def test_an_object_that_says_a_thing_twice_or_without_a_name_is_no_row(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(b"x")
    manifest = tmp_path / "list.jsonl"
    manifest.write_text(
        '{"media": "a", "Media ": "b"}\n{"media": "a", "": "b"}\r\n{"media": "c", "": ""}\n{"media": %s}'
        % ("9" * 5_000),
        encoding="utf-8",
        newline="",
    )
    with pytest.raises(ListedError) as caught:
        read_manifest(manifest)
    assert [line.split(" (")[0].strip()[:60] for line in caught.value.message.splitlines()[1:]] == [
        "row 1: a name is there twice",
        "row 2: unknown column without a name",
        "row 4: not valid JSON",
    ]


def test_problems_of_ten_thousand_rows_are_summed_up(tmp_path: Path) -> None:
    manifest = tmp_path / "list.csv"
    manifest.write_text("media,to\n" + "".join(f"{n}.wav,nonsense\n" for n in range(10_000)), encoding="utf-8")
    with pytest.raises(ListedError) as caught:
        read_manifest(manifest)
    assert caught.value.total == 10_000
    assert len(caught.value.message) < 10_000


def terms(path: Path) -> list[tuple[str, str, str]]:
    return [(term.source, term.target, term.language) for term in read_glossary(path).terms]


@pytest.mark.parametrize(("encoding", "by"), [("utf-8-sig", ";"), ("utf-16", "\t"), ("cp1252", ","), ("utf-8", ",")])
@pytest.mark.parametrize("header", ["", "Source{0} Target {0}language\r\n"])
def test_a_glossary_is_read_as_spreadsheets_save_it(tmp_path: Path, encoding: str, by: str, header: str) -> None:
    text = f"{header.format(by)}größe{by}  taille   totale {by}fr\r\nOK{by}d'accord{by}\r\n"
    path = tmp_path / "terms.csv"
    path.write_bytes(text.encode(encoding))
    assert terms(path) == [("OK", "d'accord", ""), ("größe", "taille totale", "fr")]
    assert bool(read_glossary(path).doubt) == (encoding == "cp1252")


def test_columns_of_a_glossary_may_stand_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "terms.csv"
    path.write_text("language,target,source\nfr,taille,size\n", encoding="utf-8")
    assert terms(path) == [("size", "taille", "fr")]


def test_two_targets_for_one_term_are_refused_by_their_rows(tmp_path: Path) -> None:
    path = tmp_path / "terms.csv"
    path.write_text(
        "source,target,language\nsize,taille,fr\nSize ,Größe,de\nsize,taille,fr\nSIZE,grandeur,fr\n,x\nx,\nx,y,zz-\n",
        encoding="utf-8",
    )
    with pytest.raises(ListedError) as caught:
        read_glossary(path)
    listed = caught.value.message.splitlines()[1:]
    assert listed[0] == "  rows 2 and 5: 'SIZE' has two targets in 'fr', 'taille' and 'grandeur'"
    assert [line.split(":")[0].strip() for line in listed] == ["rows 2 and 5", "row 6", "row 7", "row 8"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it has no terms"),
        ("source,target\n", "it has no terms"),
        ("source,target,note,source\nsize,taille,,\n", "unknown columns: 'note'"),
        ("source,target,note,source\nsize,taille,,\n", "columns that stand twice: 'source'"),
    ],
)
def test_a_glossary_without_terms_or_with_other_columns_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "terms.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ListedError) as caught:
        read_glossary(path)
    assert f"  {problem}" in caught.value.message.splitlines()


def test_a_dead_engine_ends_the_run_however_many_files_wait(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "LOOKAHEAD_JOBS", 2)
    samples = samples_of(SPEECH)
    folder = bench.folder / "many"
    folder.mkdir()
    for number in range(5):
        write_wav(folder / f"{number}.wav", samples[: len(samples) - 1600 * number])
    report = bench.run(folder, fake_faults="crash:1")
    assert [result.state for result in report.files] == ["failed"] * 5
    assert all("crashed" in result.reason for result in report.files)
    assert bench.run(folder).flawless


def test_names_that_are_no_text_get_outputs_too(bench: Bench) -> None:
    media = bench.folder / "\udcff\udcfe.flac"
    try:
        media.write_bytes(SPEECH.read_bytes())
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert bench.run_one(media).state == "done"
    assert bench.run_one(media).state == "done"


def test_long_japanese_names_get_outputs_too(bench: Bench) -> None:
    media = bench.folder / f"{'日本語' * 26}.flac"
    media.write_bytes(SPEECH.read_bytes())
    assert bench.run_one(media).state == "done"


def test_an_unforeseen_failure_of_an_engine_delivers_what_is_finished(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("engines.translate.fake.FakeTranslator.run", broken)
    result = bench.run_one()
    assert result.state == "partial"
    assert "defect in Segue" in result.reason
    assert any(path.name == "tickets.partial.en.srt" for path in result.outputs)
    monkeypatch.undo()
    assert bench.run_one().state == "done"


POLISH = (
    "1\n00:00:01,000 --> 00:00:02,000\nGdzie jest łazienka?\n\n2\n00:00:03,000 --> 00:00:04,000\nDziękuję, cześć!\n"
)


@pytest.mark.parametrize(
    ("name", "source", "noted"), [("a.srt", "pl", False), ("a.pl.srt", "", False), ("a.srt", "", True)]
)
def test_captions_are_read_with_their_language_and_a_guess_is_a_warning(
    bench: Bench, tmp_path: Path, name: str, source: str, noted: bool
) -> None:
    captions = tmp_path / name
    captions.write_bytes(POLISH.encode("cp1250"))
    result = bench.run_one(transcript=captions, source_language=source, to=())
    assert result.state == "done"
    assert [cue["text"] for cue in bench.document("tickets")["cues"]] == ["Gdzie jest łazienka?", "Dziękuję, cześć!"]
    assert [warning.split(" by ")[0] for warning in result.warnings] == [f"{name}: read as cp1250"] * noted


def test_a_term_of_a_language_goes_before_the_same_term_for_all(bench: Bench, tmp_path: Path) -> None:
    captions, glossary = tmp_path / "a.srt", tmp_path / "terms.csv"
    captions.write_text("1\n00:00:01,000 --> 00:00:02,000\nA ticket for two\n", encoding="utf-8")
    glossary.write_text("ticket,general\nticket,castellano,es\nticket,mexicano,es-MX\n", encoding="utf-8")
    bench.run_one(transcript=captions, glossary=glossary, to=("fr", "es", "es-MX"))
    for language, said in (("fr", "general"), ("es", "castellano"), ("es-MX", "mexicano")):
        text = (bench.out / f"tickets.{language}.srt").read_text(encoding="utf-8")
        assert [word for word in ("general", "castellano", "mexicano") if word in text] == [said]
