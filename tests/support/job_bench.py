"""A bench for whole jobs in one process: fake engines, real media, real store."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spoken import SPEECH

from cache.store import Store
from journals.attempts import read_attempts
from journals.lines import AttemptStartedLine
from pipeline.executor import Executor
from pipeline.inputs.requests import RunOptions, gather, make_entries
from pipeline.progress import Silence
from pipeline.report import FileResult, RunReport
from pipeline.runtime import Runtime, Settings


def _ignore(_line: str) -> None:
    pass


@dataclass
class Bench:
    """Runs jobs under one SEGUE_HOME."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=lambda: {"transcriber": "fake", "translator": "fake"})

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def runtime(self, **changes: Any) -> Runtime:
        values = {"home": self.folder / "home", "owner": "tester"} | self.settings | changes
        return Runtime(Settings.model_construct(**(Settings(**values).model_dump())), _ignore)

    def run(self, *media: Path, to: tuple[str, ...] = ("es",), **changes: Any) -> RunReport:
        options = {"targets": to, "out": self.out, "source_language": "en"}
        names = set(RunOptions.__dataclass_fields__)
        options |= {name: value for name, value in changes.items() if name in names}
        runtime = self.runtime(**{name: value for name, value in changes.items() if name not in names})
        requests = gather(media, RunOptions(**options))
        report = Executor(runtime, make_entries(requests.requests, runtime), Silence()).run()
        return RunReport(requests.problems + report.files, report.interrupted, report.stopped)

    def run_one(self, media: Path = SPEECH, **changes: Any) -> FileResult:
        (result,) = self.run(media, **changes).files
        return result

    def computed(self) -> dict[str, int]:
        """Units given to engines so far, by stage."""
        counts: dict[str, int] = {}
        for line in read_attempts(Store.open(self.folder / "home")):
            if isinstance(line, AttemptStartedLine):
                counts[line.stage] = counts.get(line.stage, 0) + len(line.units)
        return counts

    def document(self, stem: str = "tickets") -> dict[str, Any]:
        return json.loads((self.out / f"{stem}.json").read_text(encoding="utf-8"))

    def outputs(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.out)): path.read_bytes() for path in self.out.rglob("*") if path.is_file()}
