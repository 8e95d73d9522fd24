"""`segue run` against faster-whisper's own batched pipeline over the whole file: whole processes, in turn.

Same model, beam, batch and word times on both sides; both decide the language themselves. Prints, for each file, the
ratio of wall times pair by pair, the word error rates against the reference script, and cues of the reference that
came out empty.

    python bench/run_bench.py [--media ../shared/media] [--rounds 3] [--model base]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BATCH = 8

#: The other side, as its documentation shows it, with the options that ours uses.
BATCHED = """
import json, sys
from faster_whisper import BatchedInferencePipeline, WhisperModel
folder, media, threads, batch = sys.argv[1:]
model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=int(threads))
segments, info = BatchedInferencePipeline(model).transcribe(media, batch_size=int(batch), word_timestamps=True)
cues = [[round(each.start * 1000), round(each.end * 1000), each.text] for each in segments]
print(json.dumps({"language": info.language, "cues": cues}))
"""


def main() -> None:
    """Runs the comparison and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--media", type=Path, default=ROOT.parent / "shared" / "media")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="base")
    options = parser.parse_args()
    programs = sorted((options.media / "programs").glob("*.json"))
    if not programs:
        print("run: no programmes found; this comparison needs recordings with scripts (--media)")
        return
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as scratch:
        home = Path(scratch) / "home"
        model = _model_folder(options.model, home)
        ratios = []
        for script in programs:
            media = next(path for path in script.parent.glob(f"{script.stem}.*") if path.suffix != ".json")
            ratios.extend(_compare(media, script, model, Path(scratch), options))
        print(f"run: segue / batched, all pairs: median {statistics.median(ratios):.2f}, worst {max(ratios):.2f}")


def _model_folder(name: str, home: Path) -> Path:
    from engines.models import resolve_whisper
    from engines.resources import EngineResources

    return resolve_whisper(name, EngineResources(models_dir=home / "models")).path


def _compare(media: Path, script: Path, model: Path, scratch: Path, options: argparse.Namespace) -> list[float]:
    reference = json.loads(script.read_text(encoding="utf-8"))
    cues = reference["cues"] if isinstance(reference, dict) else reference
    pairs, ours, theirs = [], {}, {}
    for number in range(options.rounds):
        theirs_seconds, theirs = _run_batched(media, model)
        ours_seconds, ours = _run_segue(media, model, scratch / f"{media.stem}-{number}")
        pairs.append(ours_seconds / theirs_seconds)
    text = " ".join(cue["text"] for cue in cues)
    print(
        f"run {media.name}: segue / batched wall time {', '.join(f'{pair:.2f}' for pair in pairs)}; "
        f"WER segue {_wer(text, ours['cues']):.3f}, batched {_wer(text, theirs['cues']):.3f}; "
        f"language {ours['language']}; reference cues without any text: segue {_empty(cues, ours['cues'])}, "
        f"batched {_empty(cues, theirs['cues'])} of {len(cues)}"
    )
    return pairs


def _timed(command: list[str], env: dict[str, str] | None = None) -> tuple[float, str]:
    started = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return time.perf_counter() - started, done.stdout


def _run_batched(media: Path, model: Path) -> tuple[float, dict]:
    threads = str(len(os.sched_getaffinity(0)))
    seconds, text = _timed([sys.executable, "-c", BATCHED, str(model), str(media), threads, str(BATCH)])
    return seconds, json.loads(text.splitlines()[-1])


def _run_segue(media: Path, model: Path, out: Path) -> tuple[float, dict]:
    env = os.environ | {"SEGUE_HOME": str(out / "home"), "SEGUE_BATCH_SIZE": str(BATCH), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-m", "cli.main", "run", str(media), "--out", str(out), "--json"]
    seconds, _ = _timed([*command, "--transcriber-model", str(model)], env)
    document = json.loads((out / f"{media.stem}.json").read_text(encoding="utf-8"))
    cues = [[cue["start_ms"], cue["end_ms"], cue["text"]] for cue in document["cues"]]
    return seconds, {"language": document["language"], "cues": cues}


def _wer(reference: str, cues: list) -> float:
    import jiwer

    return jiwer.wer(_normal(reference), _normal(" ".join(text for _, _, text in cues)))


def _normal(text: str) -> str:
    """Lower case, letters and digits only, one space between words."""
    kept = "".join(char if char.isalnum() or char == "'" else " " for char in text.lower().replace("’", "'"))
    return " ".join(kept.split())


def _empty(reference: list, cues: list) -> int:
    """Reference cues with no output text within them."""
    times = [(_ms(cue, "start"), _ms(cue, "end")) for cue in reference]
    return sum(not any(start < last and end > first for start, end, _ in cues) for first, last in times)


def _ms(cue: dict, side: str) -> int:
    return cue[f"{side}_ms"] if f"{side}_ms" in cue else round(cue[side] * 1000)


if __name__ == "__main__":
    main()
