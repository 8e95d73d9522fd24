"""Starting `segue` as a real process, ending it in any way, and reading what it left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
#: The real command, without a shell in between.
COMMAND = (sys.executable, "-P", "-m", "cli.main")
#: The same command with every engine call noted (see counted_segue.py).
COUNTED = (sys.executable, str(Path(__file__).with_name("counted_segue.py")))
CALLS = "CRASH_CALLS"
FAKES = {"SEGUE_TRANSCRIBER": "fake", "SEGUE_TRANSLATOR": "fake"}
#: For a run with fakes, on a machine that is busy with other things too.
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    #: Exit status; negative for a signal.
    code: int
    out: str
    err: str

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """What ``--json`` said about the files."""
        return list(json.loads(self.out)["jobs"])


@dataclass(frozen=True)
class Place:
    """Where one storm happens: state, outputs and the log of engine calls, all below one folder."""

    base: Path

    @property
    def home(self) -> Path:
        return self.base / "home"

    @property
    def out(self) -> Path:
        return self.base / "out"

    @property
    def calls(self) -> Path:
        return self.base / "calls.jsonl"


@dataclass(frozen=True)
class Job:
    """A command line that is run again and again."""

    media: tuple[Path, ...]
    targets: str = "es,ja"
    #: SEGUE_* variables.
    settings: Mapping[str, str] = field(default_factory=lambda: FAKES)
    #: Further arguments.
    extra: tuple[str, ...] = ()
    #: True notes every engine call; False is the plain command.
    counted: bool = True
    #: A run that takes longer hangs.
    patience_s: float = PATIENCE_S

    def arguments(self, place: Place) -> list[str]:
        media = [str(path) for path in self.media]
        return ["run", "--to", self.targets, "--out", str(place.out), "--json", *self.extra, "--", *media]


class SegueProcess:
    """One running command in a process group of its own. Leaving the ``with`` block ends the whole group."""

    def __init__(
        self,
        arguments: Sequence[str],
        place: Place,
        settings: Mapping[str, str],
        *,
        command: Sequence[str] = COMMAND,
    ) -> None:
        # Files, not pipes: nobody reads along, and a full pipe would stop the command.
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self.started = time.monotonic()
        self._child = subprocess.Popen(
            [*command, *arguments],
            cwd=place.base,
            env=environment(place, settings),
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._err,
            start_new_session=True,
        )

    @classmethod
    def of(cls, job: Job, place: Place) -> SegueProcess:
        """Starts a job's command."""
        command = COUNTED if job.counted else COMMAND
        return cls(job.arguments(place), place, job.settings, command=command)

    def __enter__(self) -> SegueProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._out.close()
        self._err.close()

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    @property
    def pid(self) -> int:
        return self._child.pid

    def words(self) -> str:
        """What it has written to standard error so far."""
        return _text(self._err)

    def signal(self, number: int) -> None:
        """Sends a signal to the command alone, as `kill` does."""
        self._child.send_signal(number)

    def kill(self) -> bool:
        """SIGKILLs the whole group; True when the command was still running then."""
        # A dead child that nobody has waited for still holds its group: the number cannot be somebody else's.
        # Once it has been waited for, only a group with members left can be signalled, and those are ours.
        was_running = self._child.poll() is None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        code = self._child.wait(PATIENCE_S)
        return was_running and code == -signal.SIGKILL

    def wait(self, timeout_s: float = PATIENCE_S) -> Ended:
        """The end of the command. Raises TimeoutExpired, after killing it, when it hangs."""
        try:
            code = self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return Ended(code, _text(self._out), _text(self._err))


def environment(place: Place, settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with no setting of Segue's but those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SEGUE_", CALLS))}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "SEGUE_HOME": str(place.home),
        "SEGUE_OWNER": "tests",
        CALLS: str(place.calls),
        **settings,
    }


def _text(handle: Any) -> str:
    handle.seek(0)
    return bytes(handle.read()).decode("utf-8", "replace")


def run_job(job: Job, place: Place) -> Ended:
    """Runs the command to its end."""
    with SegueProcess.of(job, place) as process:
        return process.wait(job.patience_s)


def run_segue(arguments: Sequence[str], place: Place, settings: Mapping[str, str] = FAKES) -> Ended:
    """Runs any command to its end."""
    with SegueProcess(arguments, place, settings) as process:
        return process.wait()


def read_outputs(out: Path) -> dict[str, bytes]:
    """What a person finds in the output folder: relative name -> content. Hidden leftovers are not outputs."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def leftovers(folder: Path) -> list[Path]:
    """Temporary files that killed processes left in an output folder."""
    return [path for path in folder.rglob(".*") if path.is_file()]
