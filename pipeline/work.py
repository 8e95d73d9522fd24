"""What is left of a job: its frontier, rebuilt from the store at any time and advanced as results arrive.

A pure function of plan, records and recorded failures. Presence in the store schedules; what is read is verified
by the store, and a record that turns out damaged is simply missing again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cache.store import Store
from core.keys import Key
from engines.transcribe.interface import Transcript
from engines.translate.interface import Line, TranslatedLine, TranslationTask
from engines.translate.prompt import relevant_glossary
from pipeline import records
from pipeline.job import Plan, PlannedWindow
from pipeline.languages import same_text
from pipeline.stages import Stage, Unit, detect_key, transcribe_key, translate_key
from pipeline.timeline import window_cues
from pipeline.vote import choose_voters, decide_language
from subtitles.cues import CueDraft

#: Cues of the neighbouring windows that a translator sees as context.
CONTEXT_BEFORE = 2
CONTEXT_AFTER = 1


@dataclass
class StageCount:
    """How far one stage of one job is, in units and in speech."""

    total: int = 0
    done: int = 0
    #: Found in the store when the job was opened.
    cached: int = 0
    failed: int = 0
    total_ms: int = 0
    done_ms: int = 0
    cached_ms: int = 0


@dataclass
class JobWork:
    """One job's progress through its stages. Not thread-safe: its owner serialises access."""

    plan: Plan
    store: Store
    #: Recorded failures: unit key -> one line.
    failed: dict[Key, str]
    language: str = ""
    transcripts: dict[int, Transcript | None] = field(default_factory=dict)
    cues: dict[int, tuple[CueDraft, ...]] = field(default_factory=dict)
    translations: dict[tuple[int, str], tuple[TranslatedLine, ...] | None] = field(default_factory=dict)
    counts: dict[Stage, StageCount] = field(default_factory=dict)
    #: Every key this job has asked the store for.
    keys: set[Key] = field(default_factory=set)
    #: Units whose inputs are there and whose outputs are not, by key and job position, in order.
    _ready: dict[tuple[Stage, int, str], Unit] = field(default_factory=dict)
    _guesses: dict[int, tuple[str, int] | None] = field(default_factory=dict)
    _voters: tuple[int, ...] = ()
    _gap_reasons: dict[int, str] = field(default_factory=dict)
    #: True while records found are from before this opening.
    _opening: bool = True

    @classmethod
    def open(cls, plan: Plan, store: Store, failed: Mapping[Key, str]) -> JobWork:
        """The job's frontier as the disk shows it now."""
        work = cls(plan, store, dict(failed))
        work.counts = {stage: StageCount() for stage in Stage}
        work._start()
        work._opening = False
        return work

    @classmethod
    def derive(
        cls, plan: Plan, store: Store, failed: Mapping[Key, str], stage: Stage, index: int, source: str, target: str
    ) -> Unit | None:
        """One unit by its place in the job, from the plan and the records it reads; None while it cannot be ready.

        ``source`` is the job's spoken language, ``target`` that of a translation, else empty.
        """
        settings, planned = plan.settings, plan.windows[index]
        audio_ms = planned.window.audio_ms
        if stage is Stage.TRANSLATE:
            return cls(plan, store, dict(failed), language=source)._derive_translation(index, target)
        if settings.transcriber is None:
            return None
        if stage is Stage.DETECT:
            return Unit(stage, plan.job_id, index, detect_key(settings.transcriber, planned), audio_ms)
        key = transcribe_key(settings.transcriber, planned, source)
        return Unit(stage, plan.job_id, index, key, audio_ms, source=source)

    def _derive_translation(self, index: int, target: str) -> Unit | None:
        settings = self.plan.settings
        if settings.translator is None or target not in settings.target_languages or not self.language:
            return None
        for near in range(max(index - 1, 0), min(index + 2, len(self.plan.windows))):
            planned, transcript = self.plan.windows[near], None
            if settings.transcriber is not None:
                key = transcribe_key(settings.transcriber, planned, self.language)
                record = None if key in self.failed else self.store.get(key)
                if record is None and key not in self.failed:
                    return None
                transcript = records.load_transcript(record.payload) if record else None
            self.cues[near] = window_cues(planned, transcript, self.language)
        if not self.cues[index]:
            return None
        task = self._task(index, target)
        audio_ms = self.plan.windows[index].window.audio_ms
        key = translate_key(settings.translator, task)
        return Unit(Stage.TRANSLATE, self.plan.job_id, index, key, audio_ms, language=target, task=task)

    # -- what to do next -------------------------------------------------------------------------------------

    def ready(self) -> tuple[Unit, ...]:
        """Units that can be run now."""
        return tuple(self._ready.values())

    @property
    def finished(self) -> bool:
        """True when nothing is left to wait for: every unit is done or has failed."""
        return not self._ready and len(self.cues) == len(self.plan.windows) and self._translations_settled()

    @property
    def has_failures(self) -> bool:
        """True when something is missing from the outputs; a voter that failed while others decided is not."""
        voted = {Stage.DETECT} if self.language else set()
        return any(count.failed for stage, count in self.counts.items() if stage not in voted)

    def gap_reasons(self) -> dict[int, str]:
        """Windows that have no transcript though there is speech in them, and why."""
        return dict(self._gap_reasons)

    # -- results ---------------------------------------------------------------------------------------------

    def settle(self, unit: Unit, payload: bytes) -> None:
        """Takes a unit's committed record into account."""
        slot = (unit.stage, unit.window, unit.language)
        if self._ready.pop(slot, None) is None:
            return
        self._count_done(unit)
        self._absorb(unit, payload)

    def fail(self, unit: Unit, reason: str) -> None:
        """Takes a unit's failure into account; what depends on it goes on without it."""
        if self._ready.pop((unit.stage, unit.window, unit.language), None) is None:
            return
        self._note_failure(unit, reason)

    # -- building --------------------------------------------------------------------------------------------

    def _start(self) -> None:
        settings = self.plan.settings
        translated = self.paid_targets() if settings.translator else ()
        audio_ms = sum(planned.window.audio_ms for planned in self.plan.windows)
        if settings.transcriber is None:
            self.language = settings.source_language
            self._expect(translated, audio_ms)
            for planned in self.plan.windows:
                self._set_cues(planned, None)
            return
        count = self.counts[Stage.TRANSCRIBE]
        count.total, count.total_ms = len(self.plan.windows), audio_ms
        self._expect(translated, audio_ms)
        if settings.source_language:
            self._language_known(settings.source_language)
            return
        self._voters = choose_voters(self.plan.windows)
        self.counts[Stage.DETECT].total = len(self._voters)
        for index in self._voters:
            planned = self.plan.windows[index]
            key = detect_key(settings.transcriber, planned)
            self._want(Unit(Stage.DETECT, self.plan.job_id, index, key, planned.window.audio_ms))

    def _expect(self, targets: Iterable[str], audio_ms: int) -> None:
        number = len(tuple(targets))
        count = self.counts[Stage.TRANSLATE]
        count.total, count.total_ms = len(self.plan.windows) * number, audio_ms * number

    def paid_targets(self) -> tuple[str, ...]:
        """Targets that need a translator; before the language is known, all of them."""
        targets = self.plan.settings.target_languages
        return tuple(target for target in targets if not self.language or not same_text(self.language, target))

    def _language_known(self, language: str) -> None:
        self.language = language
        spec = self.plan.settings.transcriber
        assert spec is not None
        self._expect(self.paid_targets(), sum(planned.window.audio_ms for planned in self.plan.windows))
        for planned in self.plan.windows:
            key = transcribe_key(spec, planned, language)
            audio_ms = planned.window.audio_ms
            self._want(Unit(Stage.TRANSCRIBE, self.plan.job_id, planned.index, key, audio_ms, source=language))

    def _want(self, unit: Unit) -> None:
        """Finds the unit's record, or its recorded failure, or puts it in line."""
        self.keys.add(unit.key)
        if unit.key in self.failed:
            self._note_failure(unit, self.failed[unit.key])
            return
        record = self.store.get(unit.key)
        if record is None:
            self._ready[(unit.stage, unit.window, unit.language)] = unit
            return
        self._count_done(unit, cached=self._opening)
        self._absorb(unit, record.payload)

    def _count_done(self, unit: Unit, *, cached: bool = False) -> None:
        count = self.counts[unit.stage]
        count.done += 1
        count.done_ms += unit.audio_ms
        if cached:
            count.cached += 1
            count.cached_ms += unit.audio_ms

    def _note_failure(self, unit: Unit, reason: str) -> None:
        self.failed[unit.key] = reason
        self.counts[unit.stage].failed += 1
        if unit.stage is Stage.DETECT:
            self._guesses[unit.window] = None
            self._vote()
        elif unit.stage is Stage.TRANSCRIBE:
            self._gap_reasons[unit.window] = reason
            self._set_cues(self.plan.windows[unit.window], None)
        else:
            self.translations[(unit.window, unit.language)] = None

    def _absorb(self, unit: Unit, payload: bytes) -> None:
        if unit.stage is Stage.DETECT:
            self._guesses[unit.window] = records.load_guess(payload)
            self._vote()
        elif unit.stage is Stage.TRANSCRIBE:
            self._set_cues(self.plan.windows[unit.window], records.load_transcript(payload))
        else:
            self.translations[(unit.window, unit.language)] = records.load_translation(payload)

    def _vote(self) -> None:
        if len(self._guesses) < len(self._voters):
            return
        guesses = {index: guess for index, guess in self._guesses.items() if guess is not None}
        language = decide_language(self.plan.windows, guesses)
        if language:
            self._language_known(language)
            return
        # Nobody could say: without a language no window can be transcribed, and each is a gap to report.
        self.counts[Stage.TRANSCRIBE].failed = len(self.plan.windows)
        for planned in self.plan.windows:
            self._gap_reasons[planned.index] = "the language could not be decided; say it with --from"
            self._set_cues(planned, None)

    def _set_cues(self, planned: PlannedWindow, transcript: Transcript | None) -> None:
        if not planned.captions:
            self.transcripts[planned.index] = transcript
        self.cues[planned.index] = window_cues(planned, transcript, self.language)
        for index in (planned.index - 1, planned.index, planned.index + 1):
            if 0 <= index < len(self.plan.windows) and self._context_known(index):
                self._want_translations(index)

    def _context_known(self, index: int) -> bool:
        around = range(max(index - 1, 0), min(index + 2, len(self.plan.windows)))
        return all(near in self.cues for near in around)

    def _want_translations(self, index: int) -> None:
        spec = self.plan.settings.translator
        if not self.language:
            return
        for target in self.plan.settings.target_languages:
            if (index, target) in self.translations or (Stage.TRANSLATE, index, target) in self._ready:
                continue
            cues = self.cues[index]
            if same_text(self.language, target):
                self.translations[(index, target)] = tuple(TranslatedLine("", cue.text) for cue in cues)
                continue
            assert spec is not None
            task = self._task(index, target)
            key = translate_key(spec, task)
            audio_ms = self.plan.windows[index].window.audio_ms
            unit = Unit(Stage.TRANSLATE, self.plan.job_id, index, key, audio_ms, language=target, task=task)
            if cues:
                self._want(unit)
            else:
                # Nothing was said, so there is nothing to translate, and no record to keep of it.
                self.translations[(index, target)] = ()
                self._count_done(unit)

    def _task(self, index: int, target: str) -> TranslationTask:
        texts = [cue.text for cue in self.cues[index]]
        before = [cue.text for cue in self.cues.get(index - 1, ())][-CONTEXT_BEFORE:]
        after = [cue.text for cue in self.cues.get(index + 1, ())][:CONTEXT_AFTER]
        # One target a term: what is said of the language itself goes before what is said of all.
        terms = {
            term.source.casefold(): (term.source, term.target)
            for language in ("", target.split("-", 1)[0], target)
            for term in self.plan.settings.glossary
            if term.language == language
        }
        lines = tuple(Line(str(position), text) for position, text in enumerate(texts))
        return TranslationTask(
            id="",
            source_language=self.language,
            target_language=target,
            lines=lines,
            before=tuple(before),
            after=tuple(after),
            glossary=relevant_glossary(tuple(terms.values()), texts),
        )

    def _translations_settled(self) -> bool:
        if not self.language:
            return True
        return len(self.translations) == len(self.plan.windows) * len(self.plan.settings.target_languages)
