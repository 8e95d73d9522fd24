"""Jobs that are planned without decoding anything: as many windows as wanted, all over the same second of sound.

Each window has a digest of its own, so each is a unit of its own, and fake engines compute them in no time.
"""

from __future__ import annotations

import wave
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cache.store import Store
from core.keys import Digest, digest_value
from core.speech import Segment, Span, Window
from engines.engine import EngineChoice
from engines.roles import freeze
from jobs.submissions import OrderKind, Priority, Submission, give_order
from media.sources import media_digest
from pipeline.job import SPEECH, JobSettings, MediaFacts, Plan, PlannedWindow
from pipeline.jobs import JobFolder
from pipeline.outputs.delivery import Delivery
from pipeline.runtime import Runtime, Settings

WINDOW_MS = 1000


def fake_runtime(home: Path, **changes: object) -> Runtime:
    """A runtime with fake engines."""
    values = {"home": home, "owner": "tester", "transcriber": "fake", "translator": "fake"} | changes
    settings = Settings(**values)  # type: ignore[arg-type]
    return Runtime(settings, lambda _line: None)


def write_media(path: Path, name: str) -> None:
    """A WAV file that no other name has: nobody decodes it, but its header is read."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(name.encode("utf-16-le"))


@dataclass
class JobMaker:
    """Submits planned jobs to one store."""

    runtime: Runtime
    folder: Path
    #: How sure the detector is of the speech. It is silence: what an engine does not write there is no gap.
    score: int = 0
    _audio: str = field(default="")

    @property
    def store(self) -> Store:
        return self.runtime.store

    def submit(
        self,
        name: str,
        windows: int,
        *,
        targets: tuple[str, ...] = (),
        owner: str = "tester",
        priority: Priority = Priority.NORMAL,
        labels: Mapping[str, str] | None = None,
        notify: str = "",
    ) -> str:
        """Plans and submits a job; returns its id."""
        submission = self.submission(name, targets, owner, priority, labels or {}, notify)
        folder = JobFolder(self.store, submission.job_id)
        if not folder.has_plan():
            folder.write_plan(self._plan(submission, windows))
        give_order(self.store, OrderKind.SUBMIT, submission.job_id, submission)
        return submission.job_id

    def submission(
        self,
        name: str,
        targets: tuple[str, ...],
        owner: str,
        priority: Priority,
        labels: Mapping[str, str],
        notify: str,
    ) -> Submission:
        media = self.folder / "media" / f"{name}.wav"
        media.parent.mkdir(parents=True, exist_ok=True)
        if not media.exists():
            write_media(media, name)
        resources = self.runtime.resources
        settings = JobSettings(
            source_language="en",
            target_languages=targets,
            track="",
            engines={
                role: freeze(role, EngineChoice("fake"), resources)
                for role in ("transcriber", *(["translator"] if targets else []))
            },
            segmenter=self.runtime.segmenter.as_json(),
        )
        delivery = Delivery(media, self.folder / "out", name)
        return Submission(owner, media_digest(media), settings, delivery, (), priority, labels, notify)

    def _plan(self, submission: Submission, count: int) -> Plan:
        if not self._audio:
            with self.store.blob_writer("audio") as writer:
                writer.write(np.zeros(16 * WINDOW_MS, "<i2").tobytes())
            assert writer.digest is not None
            self._audio = writer.digest
        segments = tuple(Segment(i, i * 2 * WINDOW_MS, i * 2 * WINDOW_MS + WINDOW_MS, self.score) for i in range(count))
        windows = tuple(
            PlannedWindow(
                Window(i, (segments[i],), (Span(0, WINDOW_MS),)), digest_value({"job": submission.job_id, "window": i})
            )
            for i in range(count)
        )
        facts = MediaFacts(Digest(submission.digest), count * 2 * WINDOW_MS, None)
        return Plan(
            submission.job_id,
            submission.owner,
            facts,
            submission.settings,
            "",
            {SPEECH: Digest(self._audio)},
            segments,
            windows,
        )
