"""Lines a second of the local translator, and what the checks think of its lines.

    python bench/translate_bench.py [--model NAME] [--to es,ja] [--lines 24] [--threads N] [--json]

The lines are the demo's own script and everyday sentences written for this bench, in windows of six, as a job gives
them. Reported by language: lines a second, the share of lines with a flag, the share without any text, and what
pinning the prompt cache gains against computing each prompt anew (same lines, same run; texts may differ in words).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engines.engine import Engine, EngineChoice
from engines.resources import EngineResources
from engines.roles import freeze, open_engine
from engines.translate.interface import Line, TranslatedLine, TranslationTask

ROOT = Path(__file__).resolve().parent.parent
WINDOW = 6
#: A line of the demo's script: start, end, what is said.
_SPOKEN = re.compile(r"^ *\d+\.\d+ +\d+\.\d+ +(.+)$", re.MULTILINE)
SENTENCES = (
    "The train leaves at seven.",
    "Please wait until the light is green.",
    "I have never seen so much snow in April.",
    "How long will it take to repair the bridge?",
    "She opened the door and nobody was there.",
    "We need two more chairs for the guests.",
    "The doctor said you can go home tomorrow.",
    "If it rains, the match will be cancelled.",
    "He forgot his keys in the office again.",
    "That is the best coffee in the whole city.",
    "Turn left after the church and walk for ten minutes.",
    "My grandmother grew up on a small island.",
    "The museum is closed on Mondays.",
    "Could you speak a little more slowly, please?",
    "They sold 1,250 tickets in one day.",
    "The water in this lake is very cold.",
    "I will call you as soon as I know more.",
    "Nobody believed him when he told the story.",
    "The children are playing in the garden.",
    "There is a letter for you on the table.",
    "He works at night and sleeps during the day.",
    "Our flight was delayed because of the storm.",
    "Take this medicine twice a day with food.",
    "The new neighbours are very friendly.",
)


def bench_lines(count: int) -> list[str]:
    """The first ``count`` lines: the demo's script, then the sentences above, again from the start if need be."""
    script = ROOT / "demo" / "sample.txt"
    text = script.read_text(encoding="utf-8") if script.is_file() else ""
    lines = _SPOKEN.findall(text) + list(SENTENCES)
    return [lines[index % len(lines)] for index in range(count)]


def windows(lines: Sequence[str], language: str) -> list[TranslationTask]:
    """Tasks of six lines with the neighbours' lines as context."""
    chunks = [lines[start : start + WINDOW] for start in range(0, len(lines), WINDOW)]
    return [
        TranslationTask(
            str(index),
            "en",
            language,
            tuple(Line(str(number), text) for number, text in enumerate(chunk)),
            before=tuple(chunks[index - 1]) if index else (),
            after=tuple(chunks[index + 1]) if index + 1 < len(chunks) else (),
        )
        for index, chunk in enumerate(chunks)
    ]


def translate_all(engine: Engine, tasks: Sequence[TranslationTask]) -> tuple[list[TranslatedLine], float]:
    """Every line, and the seconds that they took."""
    start = time.perf_counter()
    lines: list[TranslatedLine] = []
    for result in engine.run(tasks):
        if result.reason:
            raise SystemExit(f"window {result.id} failed: {result.reason}")
        lines.extend(result.value.lines)
    return lines, time.perf_counter() - start


@contextmanager
def without_pinned_cache(engine: Engine) -> Iterator[None]:
    """The same engine computing every prompt from its beginning: the other way to answers that do not depend."""
    call, pin = engine._call, engine._pin  # type: ignore[attr-defined]
    engine._pin = lambda *_: None  # type: ignore[attr-defined]
    engine._call = lambda style, body: call(style, {**body, "cache_prompt": False})  # type: ignore[attr-defined]
    try:
        yield
    finally:
        engine._call, engine._pin = call, pin  # type: ignore[attr-defined]


def measure(engine: Engine, language: str, lines: Sequence[str]) -> dict[str, object]:
    """One language's row."""
    tasks = windows(lines, language)
    translate_all(engine, tasks[:1])
    done, seconds = translate_all(engine, tasks)
    again, _ = translate_all(engine, tasks[:2][::-1])
    reversed_texts = [line.text for line in done[WINDOW : 2 * WINDOW] + done[:WINDOW]]
    with without_pinned_cache(engine):
        _, unpinned = translate_all(engine, tasks)
    flags = Counter(flag for line in done for flag in line.flags)
    return {
        "lines_per_second": round(len(done) / seconds, 2),
        "flagged": round(sum(1 for line in done if line.flags) / len(done), 3),
        "untranslated": round(flags["untranslated"] / len(done), 3),
        "flags": dict(sorted(flags.items())),
        "pinned_cache_gain": round(unpinned / seconds, 2),
        "same_in_reverse_order": [line.text for line in again] == reversed_texts,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Speed of the local translator, and its flags.")
    parser.add_argument("--model", default="gemma3-270m", help="a name, a hub id or a .gguf file")
    parser.add_argument("--to", default="es,ja")
    parser.add_argument("--lines", type=int, default=24)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--models-dir", type=Path, help="where packaged models are assembled; default: a new folder")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="translate-bench-") as fresh:
        resources = EngineResources(models_dir=options.models_dir or Path(fresh), threads=options.threads)
        start = time.perf_counter()
        engine = open_engine(
            "translator", freeze("translator", EngineChoice("llama", options.model), resources), resources
        )
        loading = time.perf_counter() - start
        lines = bench_lines(options.lines)
        rows = {language: measure(engine, language, lines) for language in options.to.split(",")}
        engine.close()
    if options.json:
        print(
            json.dumps(
                {"engine": engine.spec.describe(), "load_seconds": round(loading, 1), "languages": rows}, indent=2
            )
        )
    else:
        print(f"{engine.spec.describe()}: {len(lines)} lines a language, ready after {loading:.1f} s")
        for language, row in rows.items():
            print(
                f"{language:8} {row['lines_per_second']} lines/s, flagged {row['flagged']}, untranslated "
                f"{row['untranslated']}, pinned cache {row['pinned_cache_gain']} x, flags {row['flags']}, "
                f"same text in reverse order: {row['same_in_reverse_order']}"
            )
    return 0 if all(row["same_in_reverse_order"] for row in rows.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
