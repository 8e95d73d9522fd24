"""What a step and an opening cost Whisper's decoder, in tokens of one text: the two constants of the silence model.

Stretches of the sample are written alone and side by side, in turn and several times over; each combination counts with
the least CPU time that it took. Least squares of the relative error give what a step, a token and a text cost, and so
`pipeline.stages.silence.STEP_TOKENS` and `OPENING_TOKENS`. A ratio within one run; another machine or model has others.

    python -m bench.decoder_bench [--rounds 8] [--model base] [--from en]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from pipeline.runtime import Runtime, Settings  # noqa: E402

#: Stretches of the sample: start and length in seconds.
STRETCHES = ((0, 29), (29, 29), (8, 12), (30, 6), (0, 5), (40, 20), (15, 25), (35, 28))
#: Which of them are written side by side.
TOGETHER = (
    *((each,) for each in range(6)),
    *((0, 1), (1, 2), (3, 4), (5, 6), (0, 4)),
    *((0, 1, 5), (2, 3, 4), (0, 1, 6, 7), (0, 2, 3, 4)),
)


def main() -> int:
    """Measures, fits and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--model", default="base")
    parser.add_argument("--from", dest="source", default="en")
    options = parser.parse_args()
    from long_speech import sample_pcm

    from engines.roles import open_engine
    from engines.transcribe.decoding import WhisperDecoder

    samples = sample_pcm().astype(np.float32) / 32768
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as folder:
        settings = Settings(home=Path(folder), transcriber_model=options.model, device="cpu", threads=1)
        runtime = Runtime(settings, lambda _line: None)
        engine = open_engine("transcriber", runtime.engine_spec("transcriber"), runtime.resources)
        decoder: WhisperDecoder = engine._decoder  # type: ignore[attr-defined]
        heard = decoder.encode([samples[start * 16_000 : (start + length) * 16_000] for start, length in STRETCHES])
        took_s = dict.fromkeys(TOGETHER, float("inf"))
        sizes: dict[tuple[int, ...], tuple[int, int, int]] = {}
        for _ in range(options.rounds):
            for each in TOGETHER:
                began = time.process_time()
                written = decoder.generate([heard[one] for one in each], [options.source] * len(each))
                took_s[each] = min(took_s[each], time.process_time() - began)
                lengths = [len(text.tokens) for text in written]
                sizes[each] = max(lengths), sum(lengths), len(lengths)
        engine.close()
    times = np.array([took_s[each] for each in TOGETHER])
    counts = np.array([sizes[each] for each in TOGETHER], dtype=float)
    # Of the relative error: a long text may be off by more than a short one.
    (step, token, text), *_ = np.linalg.lstsq(counts / times[:, None], np.ones(len(times)), rcond=None)
    off = np.abs(counts @ (step, token, text) / times - 1).max()
    print(f"{options.model}, {len(TOGETHER)} combinations of 1 to 4 texts, {options.rounds} rounds")
    print(f"a step {1000 * step:.1f} ms, a token {1000 * token:.1f} ms, opening a text {1000 * text:.0f} ms")
    print(f"in tokens: a step {step / token:.2f}, opening {text / token:.1f}; off by at most {100 * off:.1f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
