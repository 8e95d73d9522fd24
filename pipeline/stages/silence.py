"""What transcribing the media would have taken had nothing been skipped: windows end to end, as Whisper hears them.

Whisper's encoder hears 30 s whatever is in them, and its decoder writes as much text with silence around the speech as
without. So the other plan differs in passes of the encoder, in texts to open and to align, and in which texts are
written side by side: a batch takes as many steps as its longest text, and an engine with several workers waits for the
last batch. Both plans are laid out with the costs that this job's own batches measured; the difference is what was
spared, in the engine's time as it is charged (`bench/silence_bench.py` compares it with runs that skip nothing).

Journals that do not say what the engine's parts took count passes of the encoder alone, for each window that the plan
does without.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pipeline.job import Plan, PlannedWindow
from pipeline.stages.reading import cues_of, windows_asked
from pipeline.stages.stage import Results, Spared, StageUsage
from segmenter.params import SegmenterParams
from segmenter.windows import windows_end_to_end, with_pauses

#: Longest window of plans that do not say theirs, in ms.
WINDOW_MS = 29_000
#: A step of the decoder takes this much however many texts it writes, in tokens of one text; each text adds one more.
#: `make bench BENCH=decoder`, base in int8 on a CPU, one to four texts of 10 to 73 tokens, run twice: 0.90 and 0.94.
STEP_TOKENS = Fraction(9, 10)
#: Opening a text (the decoder reads the encoder's output), in tokens of one text. Measured there: 7.2 and 7.7.
OPENING_TOKENS = Fraction(15, 2)
#: The encoder's part of what a window of speech takes, for journals that do not say what the engine's parts took.
#: `bench/silence_bench.py` found 0.41 and 0.51 with base in int8 on a CPU; other models and devices differ.
ENCODER_PART = Fraction(2, 5)
#: Start and end of a stretch of text in ms, and its tokens.
Text = tuple[int, int, Fraction]


def spared_by_silence(plan: Plan, results: Results, heard: StageUsage, detected: StageUsage, engine: str) -> Spared:
    """What transcribing the media end to end would have taken beyond what it took; ``detected``: the votes."""
    without = windows_without_skipping(plan.media.duration_ms, plan.settings.segmenter)
    windows = f"{len(plan.windows)} windows instead of {without}"
    if not heard.units:
        return Spared(None, None, f"{windows}; no batch of {engine} was measured")
    effort = measured_effort(heard.usage, detected.usage)
    if effort is not None:
        silent = plan.media.duration_ms > sum(planned.window.audio_ms for planned in plan.windows)
        spared_ms = max(spared_by_skipping(plan, results, effort), Fraction(0)) if silent else Fraction(0)
        took_ms = max(heard.ms + detected.ms, 1)
        paid = None if heard.nano is None or detected.nano is None else heard.nano + detected.nano
        basis = f"{windows}; both laid out at {effort.words()}, as this job's batches measured"
        return Spared(spared_ms, None if paid is None else spared_ms * paid / took_ms, basis)
    one, fewer = encoder_pass(heard, detected), max(without - len(plan.windows), 0)
    nano = None if one.nano is None else fewer * one.nano
    return Spared(fewer * one.ms, nano, f"{windows}; at {round(one.ms)} ms a window, {one.basis}")


@dataclass(frozen=True)
class Effort:
    """What one engine's batches measured, part by part; times are its workers' own, in ms."""

    #: One pass of the encoder.
    pass_ms: Fraction
    #: One token of one text, as the decoder's steps count it.
    token_ms: Fraction
    #: Placing the words of one text.
    text_ms: Fraction
    #: Deciding the language of a window that is encoded; None where nothing was decided by vote.
    guess_ms: Fraction | None
    #: Tokens of one text, on average.
    tokens: Fraction
    #: Batches computed at the same time.
    workers: int
    #: The most clips in a batch.
    batch: int
    #: Clips given to the engine at once.
    call: int

    def words(self) -> str:
        """The costs, for a person."""
        return (
            f"{round(self.pass_ms)} ms a pass of the encoder, {float(self.token_ms):.1f} ms a token and "
            f"{round(self.text_ms)} ms an alignment, {self.workers} batches of up to {self.batch} at a time"
        )


def measured_effort(heard: Iterable[Mapping[str, int]], guessed: Iterable[Mapping[str, int]]) -> Effort | None:
    """From the usage of ended attempts that transcribed, and of those that decided languages; None where no attempt
    says what its parts took."""
    full = [usage for usage in heard if "decoder_texts" in usage and "workers" in usage]
    votes = [usage for usage in guessed if "encoder_passes" in usage and "decoder_ms" in usage]
    total = Counter[str]()
    for usage in full:
        total.update(usage)
    guesses = sum(usage["encoder_passes"] for usage in votes)
    passes = total["encoder_passes"] + guesses
    if not passes or not total["decoder_texts"]:
        return None
    encoder_ms = total["encoder_ms"] + sum(usage["encoder_ms"] for usage in votes)
    written = STEP_TOKENS * total["decoder_steps"] + total["decoder_tokens"]
    return Effort(
        pass_ms=Fraction(encoder_ms, passes),
        token_ms=total["decoder_ms"] / (written + OPENING_TOKENS * total["decoder_texts"]),
        text_ms=Fraction(total["aligner_ms"], max(total["aligner_texts"], 1)),
        guess_ms=Fraction(sum(usage["decoder_ms"] for usage in votes), guesses) if guesses else None,
        tokens=Fraction(total["decoder_tokens"], total["decoder_texts"]),
        workers=max(max(usage["workers"] for usage in full), 1),
        batch=max(max(usage["batch_clips"] for usage in full), 1),
        call=max(max(usage["call_clips"] for usage in full), 1),
    )


@dataclass(frozen=True)
class Heard:
    """One window of a plan."""

    #: Length of its sound.
    audio_ms: int
    #: Length of its text.
    tokens: Fraction
    #: Whether it is asked for the language.
    votes: bool


def hearing_ms(windows: Sequence[Heard], effort: Effort) -> Fraction:
    """Engine time of these windows, second looks apart: calls one after the other, each spread over the workers."""
    took = Fraction(0)
    voters = [window for window in windows if window.votes] if effort.guess_ms is not None else []
    if voters:
        took += _makespan([effort.pass_ms + (effort.guess_ms or 0)] * len(voters), effort.workers)
    for start in range(0, len(windows), effort.call):
        call = sorted(windows[start : start + effort.call], key=lambda window: -window.audio_ms)
        size = max(1, min(effort.batch, -(-len(call) // effort.workers)))
        batches = [call[at : at + size] for at in range(0, len(call), size)]
        took += _makespan([_batch_ms(batch, effort) for batch in batches], effort.workers)
    return took


def _batch_ms(batch: Sequence[Heard], effort: Effort) -> Fraction:
    """A window that voted is not encoded again, and one without text has no words to place."""
    passes = sum(1 for window in batch if effort.guess_ms is None or not window.votes)
    lengths = [window.tokens for window in batch]
    tokens = STEP_TOKENS * max(lengths) + sum(lengths) + OPENING_TOKENS * len(batch)
    texts = sum(1 for window in batch if window.tokens)
    return passes * effort.pass_ms + tokens * effort.token_ms + texts * effort.text_ms


def _makespan(lengths: Iterable[Fraction], workers: int) -> Fraction:
    """When the last batch is through; the next batch is the first free worker's."""
    free = [Fraction(0)] * workers
    for length in lengths:
        first = min(range(workers), key=free.__getitem__)
        free[first] += length
    return max(free)


def spared_by_skipping(
    plan: Plan, results: Results, effort: Effort, written: Collection[tuple[int, int, int]] | None = None
) -> Fraction:
    """Engine time in ms of windows end to end over the whole media, less that of the windows of the plan.

    Both write the job's own text. ``written``: what windows end to end wrote, where that is known: (start, end,
    characters) of each stretch.
    """
    cues = [
        (cue.start_ms, cue.end_ms, len(cue.text)) for each in plan.windows for cue in cues_of(results, each.index) or ()
    ]
    a_character = effort.tokens * len(plan.windows) / max(sum(each[2] for each in cues), 1)
    asked = frozenset(windows_asked(plan.windows))
    planned = [
        Heard(
            each.window.audio_ms,
            sum(len(cue.text) for cue in cues_of(results, each.index) or ()) * a_character,
            each.index in asked,
        )
        for each in plan.windows
    ]
    texts = [
        (start, end, characters * a_character) for start, end, characters in (cues if written is None else written)
    ]
    return hearing_ms(end_to_end(plan, texts), effort) - hearing_ms(planned, effort)


def end_to_end(plan: Plan, texts: Collection[Text]) -> list[Heard]:
    """The windows that the planner would make of the whole media, with what is said in them."""
    params = SegmenterParams(max_window_ms=window_length(plan.settings.segmenter))
    windows = windows_end_to_end(with_pauses(plan.segmentation, params), params)
    asked = frozenset(windows_asked([PlannedWindow(window, "") for window in windows]))
    return [
        Heard(window.audio_ms, tokens_within(texts, window.start_ms, window.end_ms), window.index in asked)
        for window in windows
    ]


def window_length(segmenter: Mapping[str, Any]) -> int:
    """The plan's greatest window, in ms."""
    params = segmenter.get("params")
    length = params.get("max_window_ms") if isinstance(params, Mapping) else None
    return length if type(length) is int and length > 0 else WINDOW_MS


def windows_without_skipping(duration_ms: int, segmenter: Mapping[str, Any]) -> int:
    """How many windows of the plan's greatest length cover the media end to end."""
    return -(-duration_ms // window_length(segmenter))


def tokens_within(texts: Collection[Text], start_ms: int, end_ms: int) -> Fraction:
    """Tokens between two times; those of each stretch lie evenly over it."""
    found = Fraction(0)
    for first, last, tokens in texts:
        if last > first:
            found += tokens * Fraction(max(min(last, end_ms) - max(first, start_ms), 0), last - first)
        elif start_ms <= first < end_ms:
            found += tokens
    return found


@dataclass(frozen=True)
class EncoderPass:
    """What one pass of a transcriber's encoder costs."""

    #: Engine time.
    ms: Fraction
    #: What it cost; None without a price.
    nano: Fraction | None
    #: Where the figure is from, in words.
    basis: str


def encoder_pass(heard: StageUsage, detected: StageUsage) -> EncoderPass:
    """Measured where a language was decided by vote, which is a pass and hardly more; else a part of a window's time.

    Windows that voted are not encoded again, so both stages together are what hearing took. ``heard`` has units.
    """
    voted = detected.units > 0 and detected.ms > 0
    basis = "as language detection took" if voted else f"{ENCODER_PART} of what this job's windows took (assumed)"

    def one(hearing: int, voting: int) -> Fraction:
        window = Fraction(hearing + voting, heard.units)
        return min(Fraction(voting, detected.units), window) if voted else window * ENCODER_PART

    nano = None if heard.nano is None or detected.nano is None else one(heard.nano, detected.nano)
    return EncoderPass(one(heard.ms, detected.ms), nano, basis)
