"""What is delivered, where, and what is never overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from job_bench import Bench
from spoken import SAMPLE, SPEECH, many_windows


def test_outputs_are_named_by_stem_and_language(bench: Bench) -> None:
    result = bench.run_one(to=("es", "pt-BR", "zh-Hans"))
    assert sorted(path.name for path in result.outputs) == [
        "tickets.en.srt",
        "tickets.en.vtt",
        "tickets.es.srt",
        "tickets.es.vtt",
        "tickets.json",
        "tickets.pt-BR.srt",
        "tickets.pt-BR.vtt",
        "tickets.zh-Hans.srt",
        "tickets.zh-Hans.vtt",
    ]


def test_the_document_says_everything(bench: Bench) -> None:
    bench.run_one(to=("es", "ja"))
    document = bench.document()
    assert document["language"] == "en"
    ids = [cue["id"] for cue in document["cues"]]
    assert ids == list(range(1, len(ids) + 1)) != []
    for cue in document["cues"]:
        assert set(cue) == {"id", "start_ms", "end_ms", "text", "words", "flags"}
        assert cue["start_ms"] < cue["end_ms"] <= document["duration_ms"]
        assert " ".join(word["text"] for word in cue["words"]) == cue["text"]
    for language in ("es", "ja"):
        assert [line["id"] for line in document["translations"][language]] == ids
    assert {spec["provider"] for spec in document["provenance"]["engines"].values()} == {"fake"}


def test_translated_cues_keep_the_sources_timing(bench: Bench) -> None:
    bench.run_one(SAMPLE)
    times = {
        name: [line for line in (bench.out / name).read_text("utf-8").splitlines() if "-->" in line]
        for name in ("sample.en.srt", "sample.es.srt")
    }
    assert times["sample.en.srt"] == times["sample.es.srt"] != []


def test_a_foreign_file_is_not_overwritten_and_costs_no_work(bench: Bench) -> None:
    bench.out.mkdir(parents=True)
    foreign = bench.out / "tickets.es.srt"
    foreign.write_text("mine", encoding="utf-8")
    result = bench.run_one()
    assert result.state == "failed"
    assert "tickets.es.srt" in result.reason
    assert "--force" in result.reason
    assert foreign.read_text(encoding="utf-8") == "mine"
    assert bench.computed() == {}
    assert bench.run_one(force=True).state == "done"
    assert "fake" in foreign.read_text(encoding="utf-8")


def test_an_edited_output_is_not_overwritten(bench: Bench) -> None:
    bench.run_one()
    edited = bench.out / "tickets.es.srt"
    edited.write_text(edited.read_text("utf-8").replace("fake", "corrected"), encoding="utf-8")
    text = edited.read_text("utf-8")
    assert bench.run_one(translator_model="other").state == "failed"
    assert edited.read_text("utf-8") == text


def test_an_output_of_another_file_is_not_overwritten(bench: Bench, tmp_path: Path) -> None:
    other = tmp_path / "other" / "tickets.flac"
    other.parent.mkdir()
    other.write_bytes(SAMPLE.read_bytes())
    bench.run_one()
    before = bench.outputs()
    assert bench.run_one(other).state == "failed"
    assert bench.outputs() == before


def test_a_new_model_replaces_outputs_that_are_ours(bench: Bench) -> None:
    bench.run_one()
    before = bench.outputs()
    assert bench.run_one(transcriber_model="other").state == "done"
    assert bench.outputs() != before


def test_failed_units_give_partial_outputs_that_the_next_run_replaces(bench: Bench, tmp_path: Path) -> None:
    media = many_windows(tmp_path / "sample.wav")
    result = bench.run_one(media, to=("es", "ja"), fake_faults="fail:3")
    names = set(bench.outputs())
    assert result.state == "partial"
    assert "failed" in result.reason
    assert {"sample.partial.en.srt", "sample.partial.es.srt", "sample.partial.json"} <= names
    assert not any(name.startswith("sample.en") for name in names)
    document = bench.document("sample.partial")
    unfinished = [line for lines in document["translations"].values() for line in lines if "failed" in line["flags"]]
    assert document["gaps"] or unfinished
    whole = bench.run_one(media, to=("es", "ja"))
    assert whole.state == "done"
    assert not any("partial" in name for name in bench.outputs())


def test_a_failed_unit_does_not_change_what_another_run_delivers(bench: Bench, tmp_path: Path) -> None:
    media = many_windows(tmp_path / "sample.wav")
    assert bench.run_one(media, to=("es", "ja"), fake_faults="fail:3").state == "partial"
    bench.run_one(media, to=("es", "ja"))
    smooth = Bench(tmp_path / "smooth")
    smooth.run_one(media, to=("es", "ja"))
    assert bench.outputs() == smooth.outputs()


def test_same_language_is_delivered_without_a_translator(bench: Bench) -> None:
    result = bench.run_one(to=("en-GB",), translator="llama", translator_model="/nowhere/model.gguf")
    assert result.state == "done"
    assert "translate" not in bench.computed()
    document = bench.document()
    assert [line["text"] for line in document["translations"]["en-GB"]] == [cue["text"] for cue in document["cues"]]


def test_bilingual_subtitles_stack_both_languages(bench: Bench) -> None:
    bench.run_one(bilingual=True)
    stacked = (bench.out / "tickets.en+es.srt").read_text("utf-8")
    document = bench.document()
    assert document["cues"][0]["text"].split()[0] in stacked
    assert document["translations"]["es"][0]["text"].split()[-1] in stacked


def test_mux_copies_the_video_and_leaves_the_original(bench: Bench) -> None:
    from media.probe import probe

    before = SAMPLE.read_bytes()
    result = bench.run_one(SAMPLE, mux=True)
    (copy,) = [path for path in result.outputs if path.suffix == ".mp4"]
    assert probe(copy).subtitle_count == 2
    assert SAMPLE.read_bytes() == before
    stamp = copy.stat().st_mtime_ns
    bench.run_one(SAMPLE, mux=True)
    assert copy.stat().st_mtime_ns == stamp


def test_captions_given_are_the_transcript(bench: Bench, tmp_path: Path) -> None:
    captions = tmp_path / "tickets.srt"
    captions.write_text(
        "1\n00:00:01,000 --> 00:00:03,000\nThe <i>last</i> train\n\n2\n00:00:04,000 --> 00:00:06,000\nleaves now.\n\n",
        encoding="utf-8",
    )
    result = bench.run_one(transcript=captions, transcriber="no such provider")
    document = bench.document()
    assert result.state == "done"
    assert [(cue["start_ms"], cue["end_ms"], cue["text"]) for cue in document["cues"]] == [
        (1000, 3000, "The last train"),
        (4000, 6000, "leaves now."),
    ]
    assert bench.computed() == {"translate": 1}


@pytest.mark.parametrize(("name", "language"), [("tickets.srt", "en"), ("tickets.pt-BR.srt", "pt-BR")])
def test_the_language_of_captions_is_in_their_name_or_told_from_their_text(
    bench: Bench, tmp_path: Path, name: str, language: str
) -> None:
    captions = tmp_path / name
    captions.write_text("1\n00:00:01,000 --> 00:00:03,000\nThe last train leaves now.\n", encoding="utf-8")
    assert bench.run_one(transcript=captions, source_language="").language == language


def test_a_full_folder_name_with_odd_characters_works(bench: Bench, tmp_path: Path) -> None:
    odd = tmp_path / "we ird'\"\n-dir 🎬" / "-ep 1\n🎬.flac"
    odd.parent.mkdir()
    odd.write_bytes(SPEECH.read_bytes())
    result = bench.run_one(odd)
    assert result.state == "done"
    assert all(path.exists() for path in result.outputs)


def test_results_are_found_again_by_id_prefix_name_and_last(bench: Bench) -> None:
    from pipeline.jobs import find_job, note_last

    result = bench.run_one()
    store = bench.runtime().store
    note_last(store, [str(result.job_id)])
    for wanted in (result.job_id, str(result.job_id)[:6], "tickets.flac", "tickets", str(SPEECH), "last"):
        assert find_job(store, str(wanted)).job_id == result.job_id


def test_two_runs_write_the_same_bytes(bench: Bench, tmp_path: Path) -> None:
    other = Bench(tmp_path / "other")
    for each in (bench, other):
        each.run_one(SAMPLE, to=("ja", "ar"), formats=("srt", "vtt", "ass", "ttml"))
    assert bench.outputs() == other.outputs()
    json.loads((bench.out / "sample.json").read_text("utf-8"))


@pytest.mark.parametrize("stem", ["n" * 245, "番組" * 40])
def test_a_name_as_long_as_names_may_be_is_delivered_in_part_and_whole(bench: Bench, tmp_path: Path, stem: str) -> None:
    media = tmp_path / f"{stem}.flac"
    media.write_bytes(SPEECH.read_bytes()[: SPEECH.stat().st_size // 2])
    partial = bench.run_one(media)
    assert partial.state == "partial"
    assert all(path.is_file() and ".partial." in path.name for path in partial.outputs)
    media.write_bytes(SPEECH.read_bytes())
    whole = bench.run_one(media)
    assert whole.state == "done"
    assert len({path.name for path in whole.outputs}) == len(whole.outputs) == 5


def test_files_that_hold_far_more_sound_than_they_have_bytes_go_after_the_others(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def thin(path: Path, ms: int) -> bool:
        looked.append(path.name)
        return path.name.startswith("thin")

    monkeypatch.setattr("pipeline.plan_queue.is_thin", thin)
    media = [tmp_path / name for name in ("thin1.flac", "thin2.flac", "good.flac")]
    for number, path in enumerate(media):
        path.write_bytes(SPEECH.read_bytes() + bytes(number))
    report = bench.run(*media)
    assert [result.state for result in report.files] == ["done"] * 3
    assert looked.index("thin1.flac") < looked.index("thin2.flac") < looked.index("good.flac")
