"""Jobs in any state, computed without an engine, in a store that can be made old."""

from __future__ import annotations

import os
import random
import time
from dataclasses import replace
from pathlib import Path

from planned_jobs import JobMaker, fake_runtime

from cache.envelope import Record
from cache.removal import DAY_S
from core.keys import Digest, Key, digest_value, make_key
from core.text import Word
from engines.transcribe.interface import LanguageGuess, Transcript
from engines.translate.interface import TranslatedLine, Translation
from pipeline.job import make_job_id
from pipeline.jobs import JobFolder
from pipeline.stages import stage_named
from pipeline.stages.cues import cues_slot
from pipeline.stages.stage import Unit
from pipeline.work import JobWork

LANGUAGES = ("en", "de", "fr")


def computed(unit: Unit) -> bytes:
    """What a deterministic engine makes of a unit."""
    number = int(unit.key[:8], 16)
    if unit.stage == "detect":
        return stage_named("detect").encode(LanguageGuess(LANGUAGES[number % len(LANGUAGES)], 900))
    if unit.stage == "transcribe":
        words = (Word(0, 400, f" Word{number % 5}.", 900), Word(400, 900, f" Again{number}.", 900))
        return stage_named("transcribe").encode(Transcript(words if number % 7 else ()))
    cues = unit.inputs[cues_slot(unit.window)]
    lines = tuple(TranslatedLine("", f"{cue.text} ({unit.language})") for cue in cues)
    return stage_named("translate").encode(Translation(lines))


def complete(folder: JobFolder) -> list[str]:
    """Does everything that is left of a job; the keys that had to be computed."""
    plan = folder.read_plan()
    assert plan is not None
    work, done = JobWork.open(plan, folder.store, folder.failures()), []
    while ready := work.ready():
        for unit in ready:
            payload = computed(unit)
            provenance = {"attempt": "one/transcribe/1", "engine": "fake"}
            record = Record(unit.key, str(unit.stage), payload, provenance)
            folder.store.put(record)
            done.append(str(unit.key))
            work.settle(unit, record)
    assert work.finished
    return done


class Shop:
    """A store with jobs in any state; `age` makes all of it old."""

    def __init__(self, base: Path, chance: random.Random) -> None:
        self.chance = chance
        self.runtime = fake_runtime(base / "home")
        self.store, self.maker = self.runtime.store, JobMaker(self.runtime, base)

    def job(self, name: str, windows: int) -> JobFolder:
        """A planned job whose windows may be others' as well."""
        chance = self.chance
        targets = tuple(chance.sample(["es", "ja", "pt"], chance.randrange(0, 3)))
        given = self.maker.submission(name, targets, "tester", "normal", {}, "")  # type: ignore[arg-type]
        settings = replace(given.settings, source_language=chance.choice(["", "", "en"]))
        plan = self.maker._plan(replace(given, settings=settings), windows)
        shared = [digest_value({"sound": chance.randrange(12)}) for _ in plan.windows]
        planned = tuple(replace(window, audio=audio) for window, audio in zip(plan.windows, shared, strict=True))
        job_id = make_job_id(given.owner, given.digest, settings)
        folder = JobFolder(self.store, job_id)
        folder.write_plan(replace(plan, job_id=job_id, settings=settings, windows=planned))
        return folder

    def loose(self, kind: str) -> Key:
        key = make_key(kind, 1, nonce=self.chance.getrandbits(40))
        self.store.put(Record(key, kind, b"{}", {}))
        return key

    def blob(self, kind: str = "audio") -> Digest:
        with self.store.blob_writer(kind) as writer:
            writer.write(os.urandom(32))
        assert writer.digest is not None
        return writer.digest

    def lose(self, keys: list[str]) -> None:
        self.store.purge(keys=keys, dry_run=False)

    def age(self, seconds: float = 30 * DAY_S) -> None:
        old = time.time() - seconds
        for path in self.store.home.rglob("*"):
            if path.is_file():
                os.utime(path, (old, old))
