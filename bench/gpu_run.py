"""Runs on the machine with the GPU: prepares it, runs every step with a time-out of its own, writes what they found.

    python3 bench/gpu_run.py [--stand-in] [--seconds 480] [--out bench/results]

The machine needs Python, and of packages numpy, tokenizers, onnxruntime and what comes with them; CTranslate2 and the
rest are unpacked from ``wheels/``, where `bench/gpu_pack.py` put them. No network is used. cuBLAS 12 is looked for. If
there is only that of CUDA 13, it is offered under the name of 12 (CTranslate2 opens it by name and loads nine of its
functions), and the result says so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
#: Seconds that each step may take, together less than 480; what one leaves over the others may not use.
STEPS = {"start": 90, "build": 110, "batches": 120, "memory": 60, "run": 80, "refusals": 15}
_LIBRARIES = ("libcublas.so", "libcublasLt.so")


def prepare(parts: Path, work: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """The environment of every step, and what the machine has. ``parts``: what travelled beside the code."""
    site, links, stubs = work / "site", work / "links", work / "stubs"
    unpacked = sorted((parts / "wheels").glob("*.whl"))
    for wheel in unpacked:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    for name in ("home", "tokenizer.json"):
        _copy(parts / name, work / name)
    media = next(parts.glob("media.*"))
    _copy(media, work / media.name)
    _write_stub_av(stubs, json.loads((parts / "av.json").read_text("utf-8")))
    libraries, told = _link_cublas(links)
    path = [str(site)] if unpacked else []
    environment = dict(os.environ) | {
        "PYTHONPATH": os.pathsep.join([*path, str(stubs), str(ROOT)]),
        "LD_LIBRARY_PATH": os.pathsep.join(filter(None, [*libraries, os.environ.get("LD_LIBRARY_PATH", "")])),
        "CUDA_CACHE_PATH": str(work / "cuda-cache"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    return environment, {"python": platform.python_version(), "wheels": len(unpacked), "cublas": told}


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)


def _write_stub_av(folder: Path, said: dict[str, Any]) -> None:
    """PyAV in name only: faster-whisper imports it, and keys are made of its versions; nothing is decoded here."""
    (folder / "av").mkdir(parents=True, exist_ok=True)
    text = "".join(f"{name} = {value!r}\n" for name, value in said.items())
    (folder / "av" / "__init__.py").write_text(text, "utf-8")


def _link_cublas(links: Path) -> tuple[list[str], str]:
    """Folders for the loader, and one line on which cuBLAS that is."""
    folders = list(dict.fromkeys(_library_folders()))
    for folder in folders:
        if all((folder / f"{name}.12").exists() for name in _LIBRARIES):
            return [str(folder)], "12, as it is"
    for folder in folders:
        if all((folder / f"{name}.13").exists() for name in _LIBRARIES):
            links.mkdir(parents=True, exist_ok=True)
            for name in _LIBRARIES:
                link = links / f"{name}.12"
                link.unlink(missing_ok=True)
                link.symlink_to(folder / f"{name}.13")
            return [str(links), str(folder)], "13, under the name of 12"
    return [], "none found (else: a CTranslate2 that was built against CUDA 13)"


def _library_folders() -> Iterator[Path]:
    for site in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *sys.path}:
        for pattern in ("nvidia/cublas/lib", "nvidia/cu*/lib", "torch/lib"):
            yield from sorted(Path(site or ".").glob(pattern))
    yield from sorted(Path("/usr/local").glob("cuda*/lib64"))
    yield Path("/usr/lib/x86_64-linux-gnu")


def run_step(name: str, seconds: float, work: Path, environment: dict[str, str], stand_in: bool) -> dict[str, Any]:
    """One step in a process of its own; whatever becomes of it, there is a result."""
    command = [sys.executable, "-m", "bench.gpu_steps", name, str(work), "--seconds", str(max(5.0, seconds - 10))]
    began = time.monotonic()
    try:
        done = subprocess.run(
            [*command, *["--stand-in"] * stand_in],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        tail = (late.stderr or b"")[-800:]
        text = tail.decode(errors="replace") if isinstance(tail, bytes) else tail
        return {"ok": False, "why": f"not through after {seconds:.0f} s", "said": text}
    took = {"seconds": round(time.monotonic() - began, 1)}
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        return {"ok": False, "why": f"exit code {done.returncode}", "said": done.stderr[-1500:], **took}
    return {"ok": True, **took, **json.loads(lines[-1])}


def main() -> int:
    parser = argparse.ArgumentParser(description="Every step on this machine's GPU, within eight minutes.")
    parser.add_argument("--stand-in", action="store_true", help="on the CPU, with a tiny model: to try the script")
    parser.add_argument("--seconds", type=float, default=480.0, help="for all steps together")
    parser.add_argument("--parts", type=Path, default=ROOT.parent / "parts", help="what bench/gpu_pack.py put together")
    parser.add_argument("--work", type=Path, help="an empty folder with room for 4 GB (default: beside the parts)")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    asked = parser.parse_args()
    began = time.monotonic()
    work = asked.work or asked.parts.parent / "work"
    work.mkdir(parents=True, exist_ok=True)
    environment, machine = prepare(asked.parts, work.absolute())
    stamp = datetime.now(UTC)
    results: dict[str, Any] = {"at": stamp.isoformat(timespec="seconds"), "stand_in": asked.stand_in, **machine}
    results["steps"] = {}
    asked.out.mkdir(parents=True, exist_ok=True)
    target = asked.out / f"gpu{'-stand-in' * asked.stand_in}-{stamp:%Y-%m-%dT%H%M%SZ}.json"
    for name, most in STEPS.items():
        left = asked.seconds - (time.monotonic() - began)
        if left < 10:
            results["steps"][name] = {"ok": False, "why": "no time was left"}
        else:
            results["steps"][name] = run_step(name, min(most, left), work.absolute(), environment, asked.stand_in)
        step = results["steps"][name]
        print(f"{name}: {json.dumps(step)[:1500]}", flush=True)
        # After each step: a machine that is taken away keeps what was found until then.
        target.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    failed = [name for name, step in results["steps"].items() if not step["ok"]]
    print(
        f"{target}: {len(STEPS) - len(failed)} of {len(STEPS)} steps ran"
        + (f"; not {', '.join(failed)}" * bool(failed))
    )
    return 3 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
