"""Second looks at suspects, without a model."""

from __future__ import annotations

import numpy as np

from engines.transcribe.clips import cut_clip, cuts_around, fine_cuts, halving_cut, is_digital_silence
from engines.transcribe.decoding import PLAIN_SEARCH, Search
from engines.transcribe.gates import Evidence
from engines.transcribe.interface import Clip, ClipSegment
from engines.transcribe.judging import judge, read
from engines.transcribe.loops import compression_ratio
from engines.transcribe.words import TimedWord


def clip(*segments: tuple[int, int, int]) -> Clip:
    length = segments[-1][1] * 16
    noise = np.random.default_rng(1).standard_normal(length).astype(np.float32) * 0.1
    return Clip("c", noise, tuple(ClipSegment(*segment) for segment in segments), "en")


def evidence(of: Clip, text: str, logprob: float = -0.2, probability: float = 0.9, until_ms: int = 0) -> Evidence:
    spoken = text.split()
    step = (until_ms or of.segments[-1].end_ms) // max(1, len(spoken))
    words = tuple(
        TimedWord(" " + word, place * step, (place + 1) * step, probability) for place, word in enumerate(spoken)
    )
    return Evidence(text, words, of.segments, logprob, 0.1, compression_ratio(text))


def never(_clip: Clip, _search: Search) -> Evidence:
    raise AssertionError("nothing was suspect")


def said(transcript) -> str:
    return "".join(word.text for word in transcript.words).strip()


def test_good_text_is_taken_without_a_second_look():
    one = clip((0, 2000, 900))
    transcript = judge(one, read(evidence(one, "we begin at nine")), never)
    assert (said(transcript), transcript.flags, transcript.dropped) == ("we begin at nine", (), ())


def test_a_loop_is_decoded_again_and_the_better_text_kept():
    one = clip((0, 3900, 900))
    looped = evidence(one, "the end " * 12)

    def look(_clip: Clip, search: Search) -> Evidence:
        return evidence(one, "the end of the road is where we meet again" if search.timestamps else "the end " * 12)

    transcript = judge(one, read(looped), look)
    assert said(transcript) == "the end of the road is where we meet again"
    assert transcript.flags == ("retried",)


def test_a_loop_that_stays_is_cut_down_counted_and_flagged():
    one = clip((0, 3900, 900))
    looped = evidence(one, "the end " * 12)
    transcript = judge(one, read(looped), lambda _clip, _search: looped)
    assert said(transcript) == "the end"
    assert transcript.flags == ("retried", "low-confidence")
    assert [item.reason for item in transcript.dropped] == ["repetition"]


def test_a_sentence_that_is_said_eight_times_is_written_eight_times():
    one = clip((0, 12_000, 900), (12_000, 24_000, 700))
    transcript = judge(one, read(evidence(one, "Ask not what your country can do for you. " * 8)), never)
    assert said(transcript).count("Ask not what your country can do for you.") == 8
    assert (transcript.flags, transcript.dropped) == ((), ())


def test_invented_words_are_dropped_and_counted_without_a_second_look():
    one = clip((0, 2000, 200))
    transcript = judge(one, read(evidence(one, "thank you", logprob=-1.5, probability=0.05)), never)
    assert transcript.words == ()
    assert [(item.text, item.reason) for item in transcript.dropped] == [("thank you", "no-speech")]


def test_a_segment_without_words_is_decoded_by_itself():
    one = clip((0, 2000, 900), (2000, 5000, 900), (5000, 7000, 900))
    first = evidence(one, "we begin at nine", until_ms=2000)
    looked: list[int] = []

    def look(part: Clip, search: Search) -> Evidence:
        assert search is PLAIN_SEARCH
        looked.append(len(part.samples) // 16)
        return evidence(part, "we begin at nine" if len(looked) == 1 else "bring your notes with you")

    transcript = judge(one, read(first), look)
    assert looked == [2000, 5000]
    assert said(transcript) == "we begin at nine bring your notes with you"
    starts = [word.start_ms for word in transcript.words]
    assert starts == sorted(starts)
    assert starts[4] == 2000


def test_improbable_text_that_no_second_look_betters_is_kept_and_flagged():
    one = clip((0, 2000, 800))
    unsure = evidence(one, "mumble mumble", logprob=-1.1, probability=0.6)
    transcript = judge(one, read(unsure), lambda _clip, _search: unsure)
    assert said(transcript) == "mumble mumble"
    assert transcript.flags == ("retried", "low-confidence")


def test_cuts_go_around_the_chosen_segments():
    segments = [ClipSegment(place * 1000, (place + 1) * 1000, 900) for place in range(5)]
    assert cuts_around(segments, [1, 2]) == [1000, 3000]
    assert cuts_around(segments, [0]) == [1000]
    assert cuts_around(segments, [0, 1, 2, 3, 4]) == []


def test_parts_hold_all_samples_and_their_own_segments():
    one = clip((0, 2000, 900), (2000, 5000, 700))
    parts = cut_clip(one, [2000])
    assert [offset for offset, _ in parts] == [0, 2000]
    assert np.array_equal(np.concatenate([part.samples for _, part in parts]), one.samples)
    assert [part.segments for _, part in parts] == [(ClipSegment(0, 2000, 900),), (ClipSegment(0, 3000, 700),)]


def test_one_segment_is_halved_where_it_is_quietest():
    one = clip((0, 9000, 900))
    one.samples[5000 * 16 : 5400 * 16] = 0
    cut = halving_cut(one)
    assert cut is not None
    assert 5000 <= cut <= 5400
    assert halving_cut(clip((0, 3000, 900))) is None


def test_fine_parts_end_at_every_seam_and_at_quiet_moments_of_long_segments():
    one = clip((0, 3_000, 900), (3_000, 13_000, 900), (13_000, 14_000, 900))
    one.samples[7_400 * 16 : 7_800 * 16] = 0
    first, middle, last = fine_cuts(one)
    assert (first, last) == (3_000, 13_000)
    assert 7_400 <= middle <= 7_800
    assert fine_cuts(clip((0, 4_000, 900))) == []
    assert fine_cuts(clip((0, 0, 900), (0, 10, 900))) == [0]


def test_sure_speech_that_no_other_look_writes_down_is_decoded_in_the_finest_parts():
    one = clip((0, 4_000, 900), (4_000, 8_000, 900), (8_000, 12_000, 900))
    lengths: list[int] = []

    def look(part: Clip, _search: Search) -> Evidence:
        lengths.append(len(part.samples) // 16)
        return evidence(part, "take your seats please", until_ms=min(lengths[-1], 4_000))

    transcript = judge(one, read(look(one, PLAIN_SEARCH)), look)
    assert lengths[-3:] == [4_000, 4_000, 4_000]
    assert said(transcript) == " ".join(["take your seats please"] * 3)


def test_digital_silence_is_what_16_bits_cannot_tell_from_zero():
    silent = Clip("s", np.full(1600, 1 / 32768, np.float32), ())
    quiet = Clip("q", np.full(1600, 8 / 32768, np.float32), ())
    assert is_digital_silence(silent)
    assert is_digital_silence(Clip("e", np.zeros(0, np.float32), ()))
    assert not is_digital_silence(quiet)


def test_unsure_text_that_changes_at_every_look_is_an_invention():
    one = clip((0, 5000, 600))
    looks = iter(["what are you going to do now", "see you in the next video", "thanks for watching", "goodbye all"])

    def look(part: Clip, _search: Search) -> Evidence:
        return evidence(part, next(looks), logprob=-1.2, probability=0.6)

    transcript = judge(one, read(evidence(one, "that is what I meant", logprob=-1.2, probability=0.6)), look)
    assert transcript.words == ()
    assert [item.reason for item in transcript.dropped] == ["low-probability"]


def test_faint_voices_are_decoded_by_themselves_when_nothing_was_written_for_them():
    one = clip((0, 2000, 300), (2000, 6000, 900))
    first = Evidence(
        "we begin",
        (TimedWord(" we", 2000, 4000, 0.9), TimedWord(" begin", 4000, 6000, 0.9)),
        one.segments,
        -0.2,
        0.1,
        1,
    )

    def look(part: Clip, _search: Search) -> Evidence:
        return evidence(part, "come in please" if len(part.samples) == 32_000 else "we begin")

    transcript = judge(one, read(first), look)
    assert said(transcript) == "come in please we begin"
    empty = judge(
        one, read(first), lambda part, _search: evidence(part, "we begin" if part.segments[0].score > 500 else "")
    )
    assert said(empty) == "we begin"
    assert empty.flags == ("retried",)


def test_a_second_look_that_loses_words_is_not_better():
    one = clip((0, 6000, 900))
    first = evidence(one, "all of these words were spoken by someone", logprob=-1.05, probability=0.55)
    transcript = judge(one, read(first), lambda part, _search: evidence(part, "all of"))
    assert said(transcript) == "all of these words were spoken by someone"
