"""What is computed again when a job, its settings or its audio change. Counts work with the fake engines.

The speech detector, the windows and the store are the real ones; only the engines are fake, since what is counted is
which units they are given.

    python bench/reuse_bench.py [--media ../shared/media]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cache.store import Store  # noqa: E402
from journals.attempts import read_attempts  # noqa: E402
from journals.lines import AttemptStartedLine  # noqa: E402
from media.decode import decode_pcm  # noqa: E402
from media.probe import probe  # noqa: E402
from media.tracks import select_track  # noqa: E402

RATE = 16_000


@dataclass
class Folder:
    """One SEGUE_HOME, and how much speech its engines have been given."""

    path: Path

    def run(self, media: Path, *flags: str) -> tuple[int, int]:
        """Runs a job; returns units and milliseconds of speech that were transcribed for it."""
        before = self._counted()
        env = os.environ | {"SEGUE_HOME": str(self.path / "home"), "PYTHONPATH": str(ROOT)}
        fake = ["--transcriber", "fake", "--translator", "fake", "--from", "en"]
        command = [sys.executable, "-P", "-m", "cli.main", "run", str(media), "--out", str(self.path / "out")]
        subprocess.run([*command, *fake, *flags], check=True, capture_output=True, env=env)
        after = self._counted()
        return after[0] - before[0], after[1] - before[1]

    def _counted(self) -> tuple[int, int]:
        if not (self.path / "home").exists():
            return 0, 0
        store = Store.open(self.path / "home")
        units = [
            unit
            for line in read_attempts(store)
            if isinstance(line, AttemptStartedLine) and line.stage == "transcribe"
            for unit in line.units
        ]
        return len(units), sum(unit.audio_ms for unit in units)


def main() -> None:
    """Measures each kind of change once, for each programme."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--media", type=Path, default=ROOT.parent / "shared" / "media")
    options = parser.parse_args()
    programs = [path for path in sorted((options.media / "programs").glob("*.*")) if path.suffix != ".json"]
    for media in programs or [ROOT / "demo" / "sample.mp4"]:
        with tempfile.TemporaryDirectory(prefix="segue-bench-") as scratch:
            _measure(media, Path(scratch))


def _measure(media: Path, scratch: Path) -> None:
    speech = _samples(media)
    cut = len(speech) * 2 // 3
    folder = Folder(scratch)
    first = folder.run(_wav(scratch / "first.wav", speech[:cut]))
    again = folder.run(scratch / "first.wav", "--force")
    appended = folder.run(_wav(scratch / "appended.wav", speech))
    alone = Folder(scratch / "alone").run(scratch / "appended.wav")
    new_ms = alone[1] - first[1]
    print(
        f"reuse {media.name}: first {first[0]} windows; same again {again[0]}; appended {new_ms / 1000:.1f} s of new "
        f"speech, computed {appended[1] / 1000:.1f} s ({(appended[1] - new_ms) / 1000:+.1f} s)"
    )
    for name, lead in (("37 ms", 37), ("10 s", 10_000)):
        intro = (np.random.default_rng(1).standard_normal(RATE * lead // 1000) * 30).astype(np.int16)
        shifted = folder.run(_wav(scratch / f"shift-{lead}.wav", np.concatenate([intro, speech])))
        whole = alone[1]
        print(
            f"reuse {media.name}: start shifted by {name}: {shifted[1] / 1000:.1f} of {whole / 1000:.1f} s computed "
            f"again ({shifted[1] / whole:.0%})"
        )


def _samples(path: Path) -> np.ndarray:
    info = probe(path)
    return np.concatenate(list(decode_pcm(info, select_track(info))))


def _wav(path: Path, samples: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as handle:
        handle.setnchannels(1)
        handle.setsampwidth(2)
        handle.setframerate(RATE)
        handle.writeframes(samples.astype("<i2").tobytes())
    return path


if __name__ == "__main__":
    main()
