"""`segue`, with a line in the file named by CRASH_CALLS for every call of an engine. Run as a program.

The line is written before the engine is called and says which of the units had a record already. It does not use
the pipeline's own books: those are what it is compared with.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


#: The stage that asks such requests.
STAGES = {"LanguageQuestion": "detect", "Clip": "transcribe", "TranslationTask": "translate"}


class Counted:
    """An engine whose every call is noted first."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def run(self, requests: Sequence[Any], stopping: Any) -> Any:
        """As the engine's own."""
        note(STAGES[type(requests[0]).__name__], requests)
        return self._engine.run(requests, stopping)


def note(stage: str, items: Iterable[Any]) -> None:
    """One whole line, by one write, so that a kill tears none in the middle of the file."""
    keys = [item.id for item in items]
    objects = Path(os.environ["SEGUE_HOME"]) / "objects"
    finished = [key for key in keys if (objects / key[:2] / key).exists()]
    line = json.dumps({"pid": os.getpid(), "stage": stage, "keys": keys, "finished": finished})
    descriptor = os.open(os.environ["CRASH_CALLS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode() + b"\n")
    os.close(descriptor)


def counted(open_engine: Callable[..., Any]) -> Callable[..., Any]:
    """The same opener, with its engines counted."""
    return lambda role, spec, resources: Counted(open_engine(role, spec, resources))


def main() -> None:
    """Patches the pool that all engines come from, then runs the command."""
    from cli.main import main as segue
    from engines import roles

    roles.open_engine = counted(roles.open_engine)
    segue()


if __name__ == "__main__":
    main()
