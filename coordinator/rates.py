"""How fast this fleet's engines are: measured from what workers report, used to size batches."""

from __future__ import annotations

import msgspec

from cache.store import Store
from ledger.speed import RECENT, Speeds
from pipeline.stages import stage_named

_STATE = ("state", "speeds.state")
#: Bounds of a batch's engine time, in ms for 1,000 ms of speech: no engine that anybody waits for takes a quarter of an
#: hour for a second of it. Hints come from the broker, where anybody may have written them: a speed without bounds
#: would make batches that no worker accepts.
_FASTEST, _SLOWEST = 1, 1_000_000
#: No batch has a day of speech; whoever says so would outweigh all the others.
_MOST_AUDIO_MS = 86_400_000
#: Queues that are remembered; a year of engine upgrades makes a few dozen.
_MOST_QUEUES = 256


class Rates:
    """Engine time by queue, of its latest batches."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._speeds = Speeds[str](RECENT, _MOST_QUEUES)
        data = store.read_state(_STATE)
        kept = msgspec.json.decode(data, type=dict[str, list[tuple[int, int]]]) if data else {}
        for queue, pairs in kept.items():
            for engine_ms, audio_ms in pairs:
                self.note(queue, audio_ms, engine_ms)
        self._dirty = False

    def note(self, queue: str, audio_ms: int, engine_ms: int) -> None:
        """Takes a measured batch into account."""
        if engine_ms >= 0 and audio_ms <= _MOST_AUDIO_MS:
            least, most = audio_ms * _FASTEST // 1000, audio_ms * _SLOWEST // 1000
            self._speeds.note(queue, min(max(engine_ms, least), most), audio_ms)
            self._dirty = True

    def predict(self, queue: str, stage: str, audio_ms: int) -> int:
        """Engine milliseconds that so much speech will take."""
        found = self._speeds.predict(queue, audio_ms)
        return audio_ms * stage_named(stage).usual_pace // 1000 if found is None else found

    def is_measured(self, queue: str) -> bool:
        """Whether a prediction for this queue is more than a guess."""
        return queue in self._speeds

    def keep(self) -> None:
        """Writes what was learnt, so that a new coordinator starts with it."""
        if self._dirty:
            self._dirty = False
            kept = {queue: self._speeds.pairs(queue) for queue in self._speeds}
            self._store.replace_state(_STATE, msgspec.json.encode(kept))
