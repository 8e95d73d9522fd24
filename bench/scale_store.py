"""A large store as months of work leave it: plans, records, audio, deliveries, journals and notes of thousands of jobs.

Every file is written by the code that writes it in a run, except that nothing is flushed to the disk and that the
engines are stood in for: so keys, sizes and numbers of files are those of real jobs.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import structs

from cache.store import Record
from core.keys import Digest, digest_value
from core.specs import EngineSpec
from core.speech import Segment, Span, Window
from core.text import Word
from engines.transcribe.interface import Transcript
from engines.translate.interface import TranslatedLine, Translation
from jobs.queue_listing import view_of
from jobs.queue_view import write_view
from jobs.submissions import OrderKind, Submission, close_job, file_order, filed_orders, give_order, wanted_of
from journals.attempts import AttemptJournal, Begun
from journals.demand import DemandLog
from journals.hash_chained import HashChainedLog
from journals.lines import SessionClosedLine
from journals.log_ends import EndOfLogRecorder
from journals.node_session import FOLDER as NODES
from journals.node_session import OPENED, Opening, local_facts
from pipeline.inputs.sources import remember_digest
from pipeline.job import SPEECH, JobSettings, MediaFacts, Plan, PlannedWindow, make_job_id
from pipeline.job_summary import note_summary
from pipeline.jobs import JobFolder
from pipeline.outputs.delivery import Delivery
from pipeline.outputs.results import deliver_job
from pipeline.report import JobState, count_units
from pipeline.runtime import Runtime, Settings
from pipeline.stages import engine_stages, stage_named
from pipeline.stages.cues import cues_slot
from pipeline.stages.stage import Unit
from pipeline.work import JobWork

WINDOW_MS, PAUSE_MS = 24_000, 3_000
WORDS = 55
#: Units in one attempt, jobs of one process.
BATCH, JOBS_A_PROCESS = 16, 50
#: Content of a job's decoded audio: far shorter than an hour's, since only its file counts here.
AUDIO_BYTES = 200_000
_TEXT = (
    *("the", "quick", "harbour", "of", "seven", "lights", "was", "seldom", "open", "after", "winter", "and", "nobody"),
    *("asked", "why", "it", "had", "ever", "closed"),
)


@dataclass(frozen=True)
class StoreSize:
    """How much is made."""

    jobs: int
    #: Records of a job: as many transcripts as translations.
    units: int
    seed: int = 1


@contextmanager
def nothing_flushed() -> Iterator[None]:
    """Within, no write waits for the disk: a store that is only measured need not survive a power cut."""
    kept = os.fsync
    os.fsync = lambda _fd: None
    try:
        yield
    finally:
        os.fsync = kept


def runtime_of(home: Path) -> Runtime:
    """A runtime with fake engines on the store at ``home``."""
    return Runtime(Settings(home=home, owner="bench", transcriber="fake", translator="fake"), lambda _line: None)


def fill_store(home: Path, size: StoreSize, part: int = 0, parts: int = 1) -> None:
    """Makes a part of the store's jobs; several processes may each make one of ``parts``."""
    runtime = runtime_of(home)
    with nothing_flushed():
        for first in range(part * JOBS_A_PROCESS, size.jobs, parts * JOBS_A_PROCESS):
            numbers = range(first, min(first + JOBS_A_PROCESS, size.jobs))
            with _Process(runtime, first) as process:
                for number in numbers:
                    _Job(runtime, process, number, size).make()


class _Process:
    """One run of many jobs: a session, its journals, its witness."""

    def __init__(self, runtime: Runtime, first: int) -> None:
        store, self.name = runtime.store, f"20261101T{first:06d}-1-{first:08x}"
        facts = local_facts()
        opened = Opening(session=self.name, at="2026-11-01T00:00:00.000+00:00", **structs.asdict(facts))
        store.write_once((NODES, self.name, OPENED), opened.encode())
        self.beats = HashChainedLog(store, (NODES, self.name, f"beats-1-{first:08x}.jsonl"))
        self.attempts = AttemptJournal(store, session=self.name)
        self._recorder = EndOfLogRecorder(store, self.name)
        self.demand = DemandLog(self._recorder)

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.attempts.close()
        self._recorder.close()
        over = SessionClosedLine(at="2026-11-01T06:00:00.000+00:00", reason="ended")
        self.beats.append([over.entry()], durable=True)
        self.beats.close()


class _Job:
    """One job, in one of the states that a store of some age has."""

    def __init__(self, runtime: Runtime, process: _Process, number: int, size: StoreSize) -> None:
        self._runtime, self._store, self._process = runtime, runtime.store, process
        self._number, self._windows = number, max(size.units // 2, 1)
        self._random = random.Random(size.seed * 1_000_003 + number)
        base = Path(runtime.settings.home).parent
        self._media = base / "media" / f"{number // 100:03d}" / f"episode-{number:05d}.mp4"
        self._out = base / "out" / f"{number // 100:03d}"

    def make(self) -> None:
        chance = self._random.random()
        self._media.parent.mkdir(parents=True, exist_ok=True)
        self._media.write_bytes(f"episode {self._number}".encode())
        settings = JobSettings("en", ("es",), "", _engines(self._runtime), self._runtime.segmenter.as_json())
        digest = remember_digest(self._media, self._store)
        folder = JobFolder(self._store, make_job_id("bench", digest, settings))
        delivery = Delivery(self._media, self._out, self._media.stem)
        submitted = self._number % 3 == 0
        if submitted:
            self._submit(Submission("bench", digest, settings, delivery), folder.job_id)
        plan = folder.write_plan(self._plan(folder.job_id, digest, settings))
        work = JobWork.open(plan, self._store, {})
        folder.note_delivery(delivery, settings.describe_engines(), latest=False)
        self._process.demand.wanted(folder)
        # Of a hundred jobs one was killed, four were stopped half-way, and three have a unit that failed for good.
        self._compute(folder, work, self._windows if chance < 0.05 else 2 * self._windows, 0.05 < chance < 0.08)
        state = JobState.INTERRUPTED
        if chance > 0.01:
            self._process.demand.ended(folder, work.keys)
        if work.finished:
            state = deliver_job(work, folder, delivery, self._runtime).state
        elif chance > 0.01:
            note_summary(folder, work)
        if submitted:
            self._show(folder, work, state)

    def _submit(self, submission: Submission, job_id: str) -> None:
        file_order(self._store, give_order(self._store, OrderKind.SUBMIT, job_id, submission))

    def _show(self, folder: JobFolder, work: JobWork, state: JobState) -> None:
        wanted = wanted_of(filed_orders(self._store, folder.job_id))
        assert wanted is not None
        view = view_of(wanted, JobState.RUNNING if state is JobState.INTERRUPTED else state)
        write_view(self._store, replace(view, units=count_units(work), duration_ms=work.plan.media.duration_ms))
        if state is not JobState.INTERRUPTED:
            close_job(self._store, folder.job_id)

    def _plan(self, job_id: str, digest: Digest, settings: JobSettings) -> Plan:
        with self._store.blob_writer("audio") as writer:
            writer.write(self._random.randbytes(AUDIO_BYTES))
        assert writer.digest is not None
        step = WINDOW_MS + PAUSE_MS
        segments = tuple(Segment(i, i * step, i * step + WINDOW_MS, 900) for i in range(self._windows))
        windows = tuple(
            PlannedWindow(Window(i, (segments[i],), (Span(0, WINDOW_MS),)), digest_value([job_id, i]))
            for i in range(self._windows)
        )
        analysis = digest_value(["analysis", job_id])
        self._store.put(Record(analysis, "analysis", _json({"windows": [w.audio for w in windows]}), {}))
        facts = MediaFacts(digest, self._windows * step, None)
        return Plan(job_id, "bench", facts, settings, analysis, {SPEECH: writer.digest}, segments, windows)

    def _compute(self, folder: JobFolder, work: JobWork, most: int, fails: bool) -> None:
        while most > 0 and (ready := work.ready()):
            stage = ready[0].stage
            batch = [unit for unit in ready if unit.stage == stage][: min(BATCH, most)]
            most -= len(batch)
            engine = ready[0].spec
            begun = self._process.attempts.start(stage, batch, engine, None)
            if fails:
                # The first of a job that has one.
                unit, fails = batch.pop(), False
                folder.note_failure(unit, "the engine gave no result")
                work.fail(unit, "the engine gave no result")
            made = [(unit, self._record(unit, begun, engine)) for unit in batch]
            self._store.put_many([record for _, record in made])
            self._process.attempts.end(begun.attempt, 4.0, len(batch), {"audio_ms": WINDOW_MS * len(batch)})
            for unit, record in made:
                work.settle(unit, record)

    def _record(self, unit: Unit, begun: Begun, engine: EngineSpec) -> Record:
        provenance = {
            "attempt": begun.attempt,
            "line": begun.line,
            "at": "2026-11-01T01:00:00.000+00:00",
            "engine": engine.describe(),
            "audio_ms": unit.audio_ms,
        }
        return Record(unit.key, str(unit.stage), self._payload(unit), provenance)

    def _payload(self, unit: Unit) -> bytes:
        if unit.language:
            cues = unit.inputs[cues_slot(unit.window)]
            lines = tuple(TranslatedLine("", " ".join(reversed(cue.text.split()))) for cue in cues)
            return stage_named("translate").encode(Translation(lines))
        return stage_named("transcribe").encode(Transcript(self._words()))

    def _words(self) -> tuple[Word, ...]:
        step, found = WINDOW_MS // WORDS, []
        for place in range(WORDS):
            end = "." if place % 9 == 8 else ""
            text = f" {self._random.choice(_TEXT)}{end}"
            found.append(Word(place * step, place * step + step - 40, text, self._random.randint(700, 999)))
        return tuple(found)


def _engines(runtime: Runtime) -> dict[str, EngineSpec]:
    return {stage.role: runtime.engine_spec(stage.role) for stage in engine_stages()}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode("ascii")
