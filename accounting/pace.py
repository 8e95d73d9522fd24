"""How long an engine's batches and loading it take, from the facts that budgets read anyway."""

from __future__ import annotations

from collections.abc import Sequence

from journals.facts import AttemptEnded, AttemptStarted, EngineLoaded
from pipeline.stages import Stage


class Pace:
    """The mean over what it has been told of. Not thread-safe."""

    def __init__(self) -> None:
        #: (engine time, speech) of finished batches in ms, by stage and engine.
        self._took: dict[tuple[str, str], tuple[int, int]] = {}
        #: How long the last loading took, in ms, by engine.
        self._loads: dict[str, int] = {}

    def note_batch(self, started: AttemptStarted, ended: AttemptEnded) -> None:
        """A batch is through; units that the engine was stopped before are no part of it."""
        audio_ms = sum(unit.audio_ms for unit in started.units if unit.key not in ended.left)
        took, speech = self._took.get((started.stage, started.engine), (0, 0))
        self._took[started.stage, started.engine] = took + ended.engine_ms, speech + audio_ms

    def note_load(self, load: EngineLoaded) -> None:
        """An engine was loaded."""
        self._loads[load.engine] = load.seconds_ms

    def loaded(self, engine: str) -> bool:
        """Whether loading this engine was noted."""
        return engine in self._loads

    def load_ms(self, engine: str) -> int:
        """How long loading is expected to take; 0 where it was never noted."""
        return self._loads.get(engine, 0)

    def batch_ms(self, batch: AttemptStarted) -> int | None:
        """How long a batch is expected to keep the machine before it can be left; None where nothing was measured.

        A local translator can be left after each unit, so its longest one counts.
        """
        took, speech = self._took.get((batch.stage, batch.engine), (0, 0))
        return took * _indivisible_ms(batch) // speech if speech else None


def _indivisible_ms(batch: AttemptStarted) -> int:
    lengths: Sequence[int] = [unit.audio_ms for unit in batch.units]
    return sum(lengths) if batch.remote or batch.stage != Stage.TRANSLATE else max(lengths, default=0)
