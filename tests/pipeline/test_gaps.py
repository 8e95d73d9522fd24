"""Speech that was detected and has no cue is never silent: whole jobs over engines that break their promises."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from job_bench import Bench
from spoken import many_windows

from core.keys import Digest
from core.speech import Segment, Segmentation, Span, Window
from core.text import Word
from engines.transcribe.interface import ClipSegment, Transcript
from engines.transcribe.words import in_order, spread_words
from jobs.status import assembly_of, status_of
from pipeline.job import PlannedWindow
from pipeline.jobs import JobFolder
from pipeline.stages.language import decide_language
from pipeline.timeline import window_cues
from segmenter.params import SegmenterParams
from segmenter.windows import audio_spans, pack_windows
from subtitles.cues import Cue
from subtitles.events import has_text
from subtitles.rules import rules_for
from subtitles.timing import polish_times


def test_a_transcriber_that_writes_nothing_over_speech_makes_the_job_partial(bench: Bench, tmp_path: Path) -> None:
    media = many_windows(tmp_path / "sample.wav")
    result = bench.run_one(media, fake_faults="mute:2")
    assert (result.state, "have no subtitle" in result.reason) == ("partial", True)
    document = bench.document("sample.partial")
    assert sum(gap["missed_ms"] for gap in document["gaps"]) == result.tally.missed_ms > 3_000
    assert {gap["reason"] for gap in document["gaps"]} == {"the transcriber wrote nothing here"}
    covered = [word for cue in document["cues"] for word in cue["words"]]
    assert sum(gap["end_ms"] - gap["start_ms"] for gap in document["gaps"]) < result.tally.speech_ms
    assert not any(gap["start_ms"] < word["start_ms"] < gap["end_ms"] for gap in document["gaps"] for word in covered)


def test_a_job_that_is_partial_for_its_gaps_is_not_computed_again(bench: Bench, tmp_path: Path) -> None:
    media = many_windows(tmp_path / "sample.wav")
    first = bench.run_one(media, fake_faults="mute:2")
    computed, written = bench.computed(), bench.outputs()
    second = bench.run_one(media)
    assert (second.state, second.reason, bench.computed()) == ("partial", first.reason, computed)
    assert bench.outputs() == written
    folder = JobFolder(bench.runtime().store, first.job_id or "")
    standing, assembly = status_of(folder), assembly_of(folder)
    assert standing is not None
    assert assembly is not None
    assert (standing.state, standing.reason, len(assembly.gaps)) == ("partial", first.reason, first.tally.gaps)


def test_speech_of_which_nothing_is_written_fails_and_says_where_it_is(bench: Bench) -> None:
    result = bench.run_one(fake_faults="mute:1")
    assert (result.state, result.outputs) == ("failed", ())
    assert "s of speech have no subtitle; most of it from 0:0" in result.reason
    standing = status_of(JobFolder(bench.runtime().store, result.job_id or ""))
    assert standing is not None
    assert standing.state == "failed"


def test_a_clip_without_any_result_is_a_failed_unit_and_a_gap(bench: Bench, tmp_path: Path) -> None:
    media = many_windows(tmp_path / "sample.wav")
    result = bench.run_one(media, fake_faults="skip:2")
    assert (result.state, "the engine gave no result" in result.reason) == ("partial", True)
    assert {gap["reason"] for gap in bench.document("sample.partial")["gaps"]} == {"the engine gave no result"}
    assert bench.run_one(media).state == "done"


def test_words_with_impossible_times_keep_their_texts_and_are_flagged(bench: Bench, tmp_path: Path) -> None:
    other = Bench(tmp_path / "other")
    healthy = other.run_one()
    assert (healthy.state, healthy.tally.gaps) == ("done", 0)
    bench.run_one(fake_faults="astray:1")
    (name,) = [name for name in bench.outputs() if name.endswith(".json")]
    document = bench.document(name.removesuffix(".json"))
    texts = [[word["text"] for cue in one["cues"] for word in cue["words"]] for one in (document, other.document())]
    assert texts[0] == texts[1]
    assert all("times-mended" in cue["flags"] for cue in document["cues"])
    assert all(0 <= cue["start_ms"] < cue["end_ms"] <= document["duration_ms"] for cue in document["cues"])


def test_captions_that_were_given_have_no_gaps(bench: Bench, tmp_path: Path) -> None:
    captions = tmp_path / "tickets.en.srt"
    captions.write_text("1\n00:00:01,000 --> 00:00:02,000\nTickets, please.\n")
    result = bench.run_one(transcript=captions)
    assert (result.state, result.tally.gaps) == ("done", 0)


def test_a_voter_that_names_no_language_does_not_outvote_the_others() -> None:
    windows = [PlannedWindow(Window(at, (Segment(at, 0, 9_000, 800),), (Span(0, 9_000),)), "") for at in range(3)]
    assert decide_language(windows, {0: ("", 1000), 1: ("", 1000), 2: ("en", 400)}) == "en"
    assert decide_language(windows, {0: ("", 1000)}) == ""


def test_a_text_that_the_aligner_cannot_place_keeps_all_its_words() -> None:
    segments = [ClipSegment(0, 4_000, 800), ClipSegment(4_000, 6_000, 800)]
    found = spread_words(" one two three", segments, 6_000)
    assert [(word.text, word.start_ms, word.end_ms) for word in found] == [
        (" one", 0, 2_000),
        (" two", 2_000, 4_000),
        (" three", 4_000, 6_000),
    ]
    assert [word.text for word in spread_words("ありがとう", (), 900)] == [" ありがとう"]
    assert spread_words("  ", segments, 6_000) == []


TIMES = st.one_of(st.integers(-2_000, 40_000), st.sampled_from([math.nan, math.inf, -math.inf, 0.5]))
TEXTS = st.text(st.sampled_from("ab.,?! -\n日本ゃーé…♪"), min_size=0, max_size=9)
SPEECH = st.lists(st.tuples(st.integers(1, 20_000), st.integers(160, 28_000)), min_size=1, max_size=8)


@given(SPEECH, st.data(), st.sampled_from(["en", "ja", "th"]))
@settings(max_examples=120)
def test_every_word_of_every_transcript_is_in_exactly_one_cue(
    speech: list[tuple[int, int]], data: st.DataObject, language: str
) -> None:
    segments, at = [], 0
    for pause, length in speech:
        segments.append(Segment(len(segments), at + pause, at + pause + length, 800))
        at += pause + length
    found = Segmentation(at + 500, tuple(segments))
    params = SegmenterParams()
    windows = pack_windows(found, params)
    assert [segment for window in windows for segment in window.segments] == segments
    assert [span for window in windows for span in window.spans] == list(audio_spans(found, params.context_ms))
    drafts, said = [], []
    for window in windows:
        raw = data.draw(st.lists(st.tuples(TIMES, TIMES, TEXTS), max_size=12))
        words = in_order([Word(start, end, f" {text}", 900) for start, end, text in raw], window.audio_ms)  # type: ignore[arg-type]
        assert all(0 <= word.start_ms <= word.end_ms <= window.audio_ms for word in words)
        said.extend(word.text for word in words if has_text(word.text))
        drafts.extend(window_cues(PlannedWindow(window, Digest("")), Transcript(words), language))
    cues = polish_times(
        [Cue.from_draft(str(number), draft) for number, draft in enumerate(drafts)],
        rules_for(language),
        found.duration_ms,
    )
    assert [word.text for cue in cues for word in cue.words if has_text(word.text)] == said
    written = "".join(cue.text for cue in cues)
    assert "".join(written.split()) == "".join("".join(said).split())
    assert all(0 <= cue.start_ms < cue.end_ms <= found.duration_ms for cue in cues)
    assert all(before.end_ms <= after.start_ms for before, after in pairwise(cues))
