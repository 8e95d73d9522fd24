"""A coordinator in this process, over a real broker and a real store; the tests play the workers."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from planned_jobs import JobMaker, fake_runtime

from cache.envelope import Record
from coordinator.coordinator import Coordinator
from engines.transcribe.interface import Transcript
from jobs.submissions import QueueView, read_view
from pipeline.jobs import JobFolder
from pipeline.lookup import UnitRef
from pipeline.stages import engine_stages, stage_named
from tasks.broker import Broker
from tasks.messages import BatchMessage, parse_message
from tasks.queues import queue_name, step_keys

LEASE_MS = 1000


@dataclass
class CoordinatorHarness:
    """One coordinator and everything around it."""

    folder: Path
    url: str
    said: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=lambda: {"lease_seconds": 1, "batch_seconds": 5})

    def __post_init__(self) -> None:
        self.runtime = fake_runtime(self.folder / "home", broker_url=self.url, **self.settings)
        self.store = self.runtime.store
        self.maker = JobMaker(self.runtime, self.folder)
        self.broker = Broker.connect(self.url, self.store.identity.id, LEASE_MS)
        self.coordinator = self.begin()

    def begin(self) -> Coordinator:
        """A coordinator that has just been started, as after a crash of the one before."""
        self.coordinator = Coordinator(self.runtime, self.broker, self.said.append)
        self.coordinator.start()
        return self.coordinator

    def queue(self, stage: str = "transcribe") -> str:
        spec = self.runtime.engine_spec(stage_named(stage).role)
        return queue_name(self.store.identity.id, stage, spec)

    def show_worker(self, name: str = "w1", *stages: str) -> None:
        serves = [
            {"stage": str(s), "engine": "fake", "queue": self.queue(s)}
            for s in stages or [each.name for each in engine_stages()]
        ]
        self.broker.beat(name, {"state": "idle", "serves": serves}, 60_000)

    def step(self, times: int = 1) -> None:
        for _ in range(times):
            self.coordinator.step(0.0)
            time.sleep(0.005)

    def until(self, happened: Callable[[], object], patience_s: float = 60.0) -> None:
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            self.step()
            if happened():
                return
        raise AssertionError(f"it did not happen; said: {self.said}")

    def take(self, stage: str = "transcribe") -> BatchMessage | None:
        """Takes the next message, as a worker does, in order of priority."""
        for name in step_keys(self.queue(stage)):
            raw = self.broker._redis.rpop(name)
            if raw is not None:
                body = json.loads(base64.b64decode(json.loads(raw)["body"]))
                return parse_message(body[1], self.store.identity.id)
        return None

    def compute(self, refs: tuple[UnitRef, ...]) -> None:
        """Commits a transcript without words for each unit."""
        self.store.put_many(
            [Record(ref.key, "transcribe", stage_named("transcribe").encode(Transcript(())), {}) for ref in refs]
        )

    def done(self, message: BatchMessage) -> None:
        self.broker.hint({"fact": "batch_done", "batch": message.batch, "queue": self.queue(message.stage)})

    def view(self, job_id: str) -> QueueView:
        view = read_view(self.store, job_id)
        assert view is not None
        return view

    def folder_of(self, job_id: str) -> JobFolder:
        return JobFolder(self.store, job_id)

    @property
    def sent(self) -> int:
        return len(self.coordinator.in_flight.sent)
