"""How fast this fleet's engines are: measured from what workers report, used to size batches."""

from __future__ import annotations

import json

from cache.store import Store
from core.keys import canonical_json
from pipeline.stages import Stage

_STATE = ("state", "rates.state")
#: Engine milliseconds for 1,000 ms of speech, until something has been measured: careful, so that first batches are
#: short rather than long.
_GUESSES = {Stage.DETECT: 100, Stage.TRANSCRIBE: 500, Stage.TRANSLATE: 500}
#: Weight of the newest measurement, in percent.
_NEWEST = 30
#: No engine that anybody waits for takes a quarter of an hour for a second of speech. Hints come from the broker, where
#: anybody may have written them: a rate without bounds would make batches that no worker accepts.
_SLOWEST = 1_000_000
#: Queues that are remembered; a year of engine upgrades makes a few dozen.
_MOST_QUEUES = 256


class Rates:
    """Engine milliseconds per 1,000 ms of speech, by queue."""

    def __init__(self, store: Store) -> None:
        self._store = store
        data = store.read_state(_STATE)
        kept = json.loads(data) if data else {}
        self._rates: dict[str, int] = {name: min(max(int(rate), 1), _SLOWEST) for name, rate in kept.items()}
        self._dirty = False

    def note(self, queue: str, audio_ms: int, engine_ms: int) -> None:
        """Takes a measured batch into account."""
        if audio_ms <= 0 or engine_ms < 0:
            return
        seen = min(max(engine_ms * 1000 // audio_ms, 1), _SLOWEST)
        # What was measured last is kept longest.
        old = self._rates.pop(queue, None)
        self._rates[queue] = seen if old is None else max((old * (100 - _NEWEST) + seen * _NEWEST) // 100, 1)
        while len(self._rates) > _MOST_QUEUES:
            del self._rates[next(iter(self._rates))]
        self._dirty = True

    def predict(self, queue: str, stage: Stage, audio_ms: int) -> int:
        """Engine milliseconds that so much speech will take."""
        return audio_ms * self._rates.get(queue, _GUESSES[stage]) // 1000

    def is_measured(self, queue: str) -> bool:
        """Whether a prediction for this queue is more than a guess."""
        return queue in self._rates

    def keep(self) -> None:
        """Writes what was learnt, so that a new coordinator starts with it."""
        if self._dirty:
            self._dirty = False
            self._store.replace_state(_STATE, canonical_json(self._rates))
