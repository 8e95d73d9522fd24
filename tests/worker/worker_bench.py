"""Workers as real processes on one store and one broker, and the messages a coordinator would send them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.request import urlopen

import numpy as np
from broker_server import BrokerServer

from cache.store import Store
from core.keys import Digest, Key, digest_bytes
from core.specs import EngineSpec
from core.speech import Segment, Span, Window
from engines.transcribe.fake import clip_digest, is_chosen
from engines.transcribe.interface import Clip
from jobs.submissions import Priority
from journals.attempts import read_attempts
from journals.lines import AttemptStartedLine, JournalLine
from pipeline.job import SPEECH, JobSettings, MediaFacts, Plan, PlannedWindow, make_job_id
from pipeline.jobs import JobFolder
from pipeline.lookup import ref_of
from pipeline.runtime import Runtime, Settings
from pipeline.stages import engine_stages, stage_named
from pipeline.stages.stage import Unit
from pipeline.work import JobWork
from tasks.broker import Broker
from tasks.messages import BatchMessage, make_batch_id
from tasks.queues import engine_digest, queue_name

ROOT = Path(__file__).resolve().parent.parent.parent
WINDOW_MS = 1000
#: A test that waits for so long has failed; nothing is asserted about times below it.
PATIENCE_S = 30.0
#: The command with shorter pauses: what is tested is that a worker waits, not for how long.
_SEGUE = """
from cli import main
from tasks import consumer, transport
from worker import supervisor
transport.AdmittingTransport.brpop_timeout = 0.1
consumer._RETRY_S = 0.1
supervisor._STORE_PAUSE_S = 0.5
main.main()
"""

_Line = TypeVar("_Line", bound=JournalLine)


def wait_until(condition: Callable[[], Any], what: Callable[[], str] = lambda: "it") -> Any:
    """Returns what the condition returns once it holds; fails the test when it never does."""
    end = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain for {what()}"
        time.sleep(0.02)
    return found


class WorkerProcess:
    """One `segue worker`; what it says is kept as JSON."""

    def __init__(self, environment: dict[str, str], arguments: Sequence[str], folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SEGUE, "worker", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=folder,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def facts(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    @property
    def name(self) -> str:
        return str(self.facts[0]["worker"])

    def events(self, event: str) -> list[dict[str, Any]]:
        return [fact for fact in self.facts if fact["event"] == event]

    def await_event(self, event: str, count: int = 1) -> dict[str, Any]:
        """The count-th such line, once it is there."""
        wait_until(
            lambda: len(self.events(event)) >= count or self.process.poll() is not None, lambda: f"{event}: {self.text}"
        )
        assert len(self.events(event)) >= count, self.text
        return self.events(event)[count - 1]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def engine_pid(self) -> int:
        """Process id of its engine process."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        tasks = children.parent.parent.glob("*/children")
        return int(
            wait_until(lambda: " ".join(path.read_text() for path in tasks).split(), lambda: "an engine process")[0]
        )

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def leave(self) -> int:
        """SIGTERM; returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return code

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.decode(errors="replace").rstrip("\n"))


@dataclass
class WorkerBench:
    """A store with planned jobs, a broker, and any number of workers. A context manager that always ends them."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    workers: list[WorkerProcess] = field(default_factory=list)
    server: BrokerServer = field(default_factory=BrokerServer)

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        values = {"home": self.home, "owner": "tester", "transcriber": "fake", "translator": "fake"}
        self.runtime = Runtime(Settings(**values), lambda _line: None)

    @property
    def store(self) -> Store:
        return self.runtime.store

    @property
    def said(self) -> str:
        """What all workers have said."""
        return "".join(f"\n-- worker {worker.pid}\n{worker.text}" for worker in self.workers)

    @property
    def broker(self) -> Broker:
        return self._broker

    def __enter__(self) -> WorkerBench:
        self.server.start()
        self._broker = Broker.connect(self.server.url, self.store.identity.id, 1000)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.signal(signal.SIGKILL)
                worker.wait()
        self._broker.close()
        self.server.stop()
        self.store.close()

    # -- jobs and messages -----------------------------------------------------------------------------------

    def plan(self, windows: int, targets: tuple[str, ...] = (), seed: int = 1) -> Plan:
        """A job of so many windows of noise, no two alike."""
        runtime = self.runtime
        settings = JobSettings(
            source_language="en",
            target_languages=targets,
            track="",
            engines={
                stage.role: runtime.engine_spec(stage.role) for stage in engine_stages() if not stage.follows or targets
            },
            segmenter=runtime.segmenter.as_json(),
        )
        samples = noise(windows, seed)
        with self.store.blob_writer("audio") as writer:
            writer.write(samples.tobytes())
        media = Digest(digest_bytes(f"{seed} {windows}".encode()))
        segments = tuple(Segment(i, i * WINDOW_MS, (i + 1) * WINDOW_MS, 900) for i in range(windows))
        planned = tuple(
            PlannedWindow(
                Window(i, (segments[i],), (Span(i * WINDOW_MS, (i + 1) * WINDOW_MS),)),
                digest_bytes(samples[i * 16_000 : (i + 1) * 16_000].tobytes()),
            )
            for i in range(windows)
        )
        facts = MediaFacts(media, windows * WINDOW_MS, None)
        job_id = make_job_id("tester", media, settings)
        plan = Plan(job_id, "tester", facts, settings, "", {SPEECH: Digest(str(writer.digest))}, segments, planned)
        return JobFolder(self.store, job_id).write_plan(plan)

    def ready(self, plan: Plan) -> tuple[Unit, ...]:
        """The job's units that could be computed now."""
        return JobWork.open(plan, self.store, JobFolder(self.store, plan.job_id).failures()).ready()

    def message(self, *plans: Plan, units: Sequence[Unit] | None = None, predicted_ms: int = 1000) -> BatchMessage:
        """A message with what is ready of these jobs, of the stage of the first unit."""
        found = list(units if units is not None else [unit for plan in plans for unit in self.ready(plan)])
        stage = found[0].stage
        rounds = {plan.job_id: JobFolder(self.store, plan.job_id).round() for plan in plans}
        refs = tuple(ref_of(unit, rounds.get(unit.job_id, 0)) for unit in found if unit.stage == stage)
        return BatchMessage(
            self.store.identity.id,
            make_batch_id(),
            stage,
            engine_digest(self.spec(stage)),
            Priority.NORMAL,
            refs,
            predicted_ms,
        )

    def spec(self, stage: str) -> EngineSpec:
        return self.runtime.engine_spec(stage_named(stage).role)

    def queue(self, stage: str) -> str:
        return queue_name(self.store.identity.id, stage, self.spec(stage))

    def send(self, message: BatchMessage) -> BatchMessage:
        self.broker.send(self.queue(message.stage), message)
        return message

    def missing(self, message: BatchMessage) -> set[str]:
        """Units of a message that have no record."""
        return self.store.missing([ref.key for ref in message.units])

    def await_done(self, message: BatchMessage) -> None:
        wait_until(lambda: not self.missing(message), lambda: f"a batch: {self.said}")

    def unleased(self, message: BatchMessage) -> bool:
        return not self.broker.leased([ref.key for ref in message.units])

    def steal(self, key: str) -> None:
        """Gives a lease to another."""
        name = f"segue:{self.store.identity.id[:12]}:lease:{key}"
        self.server.client().set(name, "another", px=60_000)

    def metrics(self, worker: WorkerProcess) -> str:
        """What a worker that listens tells Prometheus."""
        port = int(worker.await_event("metrics")["text"].split()[-1])
        with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            return str(answer.read().decode())

    # -- books -----------------------------------------------------------------------------------------------

    def computed(self) -> Counter[str]:
        """How often each unit was given to an engine."""
        return Counter(unit.key for line in self.lines(AttemptStartedLine) for unit in line.units)

    def lines(self, kind: type[_Line]) -> list[_Line]:
        return [line for line in read_attempts(self.store) if isinstance(line, kind)]

    # -- workers ---------------------------------------------------------------------------------------------

    def start(self, *arguments: str, **settings: object) -> WorkerProcess:
        """A worker with fake engines; ``settings`` are SEGUE_* names in lower case."""
        values: dict[str, object] = {
            "home": self.home,
            "broker_url": self.server.url,
            "transcriber": "fake",
            "translator": "fake",
            "preemption": "none",
            "lease_seconds": 1,
            "batch_size": 4,
        }
        values |= self.settings | settings
        clean = {name: text for name, text in os.environ.items() if not name.startswith("SEGUE_")}
        environment = clean | {f"SEGUE_{name.upper()}": str(value) for name, value in values.items()}
        environment["PYTHONPATH"] = str(ROOT)
        worker = WorkerProcess(environment, arguments, self.folder)
        self.workers.append(worker)
        return worker


def noise(windows: int, seed: int) -> np.ndarray:
    """So many seconds of noise: int16, 16 kHz."""
    return np.random.default_rng(seed).integers(-3000, 3000, windows * 16_000, dtype=np.int16)


def struck(windows: int, seed: int, every: int) -> list[int]:
    """Windows of `WorkerBench.plan` that a fault ``<name>:<every>`` strikes."""
    samples = noise(windows, seed).astype(np.float32) / 32768.0
    clips = [Clip("", samples[i * 16_000 : (i + 1) * 16_000], (), "en") for i in range(windows)]
    return [place for place, clip in enumerate(clips) if is_chosen(clip_digest(clip), every)]


def keys_of(message: BatchMessage, windows: Sequence[int]) -> set[Key]:
    """Keys of the units over these windows."""
    return {ref.key for ref in message.units if ref.slot.window in windows}
