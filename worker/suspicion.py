"""Units over which an engine died: noted on disk before anybody computes them again, and judged by what is there."""

from __future__ import annotations

from collections.abc import Sequence

from core.keys import Key
from pipeline.incidents import Death
from pipeline.jobs import JobFolder
from pipeline.lookup import UnitRef
from worker.context import WorkerContext
from worker.engine_host import TICK_SECONDS
from worker.poison import DeathVerdict, judge
from worker.protocol import Broken, ChunkDone, Gone


class SuspectUnits:
    """The suspects of one batch, as this worker and the journals of all workers see them."""

    def __init__(self, stage: str, place: WorkerContext) -> None:
        self._stage, self._context = stage, place

    def suspects(self, refs: Sequence[UnitRef]) -> set[tuple[str, Key]]:
        """(job, key) of the units that were in flight when an engine died, in this round: they run alone."""
        rounds = {ref.job_id: ref.round for ref in refs}
        return {
            (job_id, key)
            for job_id, round_ in rounds.items()
            for key in JobFolder(self._context.store, job_id).incidents.deaths(round_)
        }

    def note(self, refs: Sequence[UnitRef], reason: str, tail: str, *, alone: bool, device: bool) -> None:
        """Writes down, durably, that the engine died over these units; ``device``: because its device failed."""
        place = self._context
        place.health.note_death([ref.key for ref in refs])
        for job_id in dict.fromkeys(ref.job_id for ref in refs):
            mine = [ref for ref in refs if ref.job_id == job_id]
            deaths = [
                Death(ref.key, alone, reason, tail, ref.round, place.worker, node=place.node, device=device)
                for ref in mine
            ]
            JobFolder(place.store, job_id).incidents.note_deaths(deaths, place.worker)

    def judge(self, ref: UnitRef) -> DeathVerdict:
        """What follows for a unit that has just killed the engine alone.

        Where nothing shows that this machine can compute at all, the engine is tried with a unit that it computed
        before; `DeathVerdict.DOUBT` remains when there is none, or when the engine cannot do that either.
        """
        verdict = self._verdict(ref)
        if verdict is not DeathVerdict.DOUBT or not self._engine_works():
            return verdict
        self._context.health.note_works()
        return self._verdict(ref)

    def _verdict(self, ref: UnitRef) -> DeathVerdict:
        deaths = JobFolder(self._context.store, ref.job_id).incidents.deaths(ref.round).get(ref.key, ())
        health = self._context.health
        lone = [death for death in deaths if death.alone]
        return judge(
            lone, worker=self._context.worker, proven=health.is_proven(ref.key), deaths_in_a_row=health.deaths_in_a_row
        )

    def _engine_works(self) -> bool:
        """Tries the engine with a unit that it has computed before; False when there is none, or it dies of it."""
        engine, stage = self._context.engine, self._stage
        sample = self._context.health.samples.get(stage)
        if sample is None:
            return False
        chunk, limit_s, waited_s = self._context.next_chunk(), float(self._context.stall_seconds), 0.0
        engine.link.try_out(chunk, stage, sample)
        while waited_s < limit_s:
            event = engine.next_event()
            waited_s += TICK_SECONDS
            if isinstance(event, ChunkDone) and event.chunk == chunk:
                return True
            if isinstance(event, (Broken, Gone)):
                break
        return False
