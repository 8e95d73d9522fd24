"""Runs a job's commands and writes down what they delivered, as one text that can be compared to the byte.

Of a command it keeps the exit code, what ``--json`` says of each file's result, and every delivered file: whole where
it is small, by digest where it is not. Screens and words of errors are not kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import av

ROOT = Path(__file__).resolve().parent.parent.parent
#: Text files up to this size are kept whole.
_WHOLE_BYTES = 900
#: What a result says for programs and stays true however the program is built.
_RESULT = ("state", "language", "duration_ms", "speech_ms", "skipped_ms", "missed_ms")
_COUNTS = ("cues", "review", "dropped", "lint", "gaps")
#: Says where a document came from, and in which shape it is written.
_PROVENANCE = ("version", "provenance")


@dataclass(frozen=True)
class Command:
    """One call of ``segue``."""

    #: What stands behind ``segue``.
    arguments: tuple[str, ...]
    #: Settings in the environment, beside fake engines and a store of the job's own.
    settings: tuple[tuple[str, str], ...] = ()
    #: Whether it runs in a process of its own, because a fault ends it.
    child: bool = False


def segue(line: str, *, child: bool = False, **settings: str) -> Command:
    """A command as one writes it in a shell; no argument holds a blank."""
    return Command(tuple(line.split()), tuple(settings.items()), child)


@dataclass(frozen=True)
class Job:
    """Inputs and commands whose results are recorded."""

    #: Writes the inputs into an empty folder.
    inputs: Callable[[Path], None]
    #: Called in that folder, one after the other.
    commands: tuple[Command, ...]
    #: Inputs whose samples depend on the machine that decodes them: see `golden_media.machine_samples`.
    decoded_by_machine: tuple[str, ...] = ()


def record(job: Job, folder: Path) -> str:
    """Runs a job below an empty folder and returns what came of it."""
    work = folder / "work"
    work.mkdir()
    job.inputs(work)
    parts: list[str] = []
    known = _files(work)
    for command in job.commands:
        code, printed = run(command, work, folder / "home")
        words = [f"{name}={value}" for name, value in command.settings]
        parts += ["$ " + " ".join([*words, "segue", *command.arguments]), f"exit {code}", *_results(printed)]
        now = _files(work)
        parts += [f"--- {name} is gone" for name in sorted(known.keys() - now.keys())]
        for name in sorted(now):
            if now[name] != known.get(name):
                parts += _file(work / name, name)
        known = now
        parts.append("")
    return "\n".join(parts)


def _files(work: Path) -> dict[str, str]:
    """Digest of each file by its name."""
    return {
        path.relative_to(work).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in work.rglob("*")
        if path.is_file()
    }


def run(command: Command, work: Path, home: Path) -> tuple[int, str]:
    """A command's exit code and what it printed."""
    settings = {
        "SEGUE_HOME": str(home),
        "SEGUE_TRANSCRIBER": "fake",
        "SEGUE_TRANSLATOR": "fake",
        "SEGUE_OWNER": "golden",
        "XDG_CONFIG_HOME": str(home.parent / "no-configuration"),
        "COLUMNS": "200",
        **dict(command.settings),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SEGUE_")}
    if command.child:
        call = (
            "from importlib.metadata import entry_points as e; [*e(group='console_scripts', name='segue')][0].load()()"
        )
        done = subprocess.run(
            [sys.executable, "-P", "-c", call, *command.arguments],
            cwd=work,
            env=kept | settings | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout
    (main,) = entry_points(group="console_scripts", name="segue")
    # A process that has just begun has read no file, and these names are relative.
    printed = io.StringIO()
    with (
        _surroundings(kept | settings, work, ["segue", *command.arguments]),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        try:
            main.load()()
        except SystemExit as left:
            return int(left.code or 0), printed.getvalue()
    return 0, printed.getvalue()


@contextlib.contextmanager
def _surroundings(environment: dict[str, str], folder: Path, arguments: list[str]) -> Iterator[None]:
    """Environment, working directory and arguments of a command in this process."""
    before, told = dict(os.environ), sys.argv
    terminated = signal.getsignal(signal.SIGTERM)
    try:
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = arguments
        with contextlib.chdir(folder):
            yield
    finally:
        sys.argv = told
        os.environ.clear()
        os.environ.update(before)
        signal.signal(signal.SIGTERM, terminated)


def _results(printed: str) -> list[str]:
    """A line for each job that a command's JSON tells of."""
    try:
        said = json.loads(printed)
    except ValueError:
        return []
    return [_result(job) for job in said.get("jobs", [])]


def _result(job: dict[str, Any]) -> str:
    parts = [f"{name}={job[name]}" for name in (*_RESULT, *_COUNTS) if name in job]
    for stage, units in job.get("units", {}).items():
        parts.append(f"{stage}={units['done']}/{units['total']}")
        parts += [f"{word}={units[word]}" for word in ("cached", "failed") if units[word]]
    return f"- {Path(job['media']).name}: {' '.join(parts)}"


def _file(path: Path, name: str) -> list[str]:
    data = path.read_bytes()
    if path.suffix == ".json":
        return [f"--- {name}", *_document(json.loads(data))]
    if path.suffix in (".mp4", ".mkv"):
        return [f"--- {name}", *_streams(path)]
    heading = f"--- {name} {len(data)} bytes {hashlib.sha256(data).hexdigest()[:16]}"
    if len(data) > _WHOLE_BYTES:
        return [heading]
    return [heading, *data.decode().replace("\r", "\\r").replace("\ufeff", "\\ufeff").split("\n")]


def _document(document: dict[str, Any]) -> list[str]:
    """What a person reads in a job's JSON document, an item on a line; words' times and broken rules by digest."""
    lines: list[str] = []
    for name, value in document.items():
        if name in _PROVENANCE:
            continue
        for place, items in value.items() if isinstance(value, dict) else [("", value)]:
            heading = f"{name} {place}".strip()
            if not isinstance(items, list):
                lines.append(f"{heading}: {_json(items)}")
                continue
            lines.append(f"{heading}: {len(items)}{' ' + _digest(items) if name == 'lint' and items else ''}")
            if name != "lint":
                lines += [f" {_json(_without_words(item))}" for item in items]
    return lines


def _without_words(item: dict[str, Any]) -> dict[str, Any]:
    if "words" not in item:
        return item
    return {**item, "words": f"{len(item['words'])} {_digest(item['words'])}"}


def _digest(value: object) -> str:
    return hashlib.sha256(_json(value).encode()).hexdigest()[:12]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _streams(path: Path) -> list[str]:
    """Each stream of a copy, with a digest of what its packets hold."""
    with av.open(str(path)) as copy:
        streams = list(copy.streams)
        digests = [hashlib.sha256() for _ in streams]
        for packet in copy.demux(streams):
            digests[packet.stream.index].update(bytes(packet))
        return [
            f" {stream.type} {stream.metadata.get('language', 'und')} {digest.hexdigest()[:16]}"
            for stream, digest in zip(streams, digests, strict=True)
        ]
