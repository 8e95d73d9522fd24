"""A coordinator in this process, without workers: how long its passes take, and how much memory it needs.

    python tests/support/pass_clock.py BROKER_URL HOME SECONDS

Prints JSON. A pretended worker takes messages and commits empty results between two passes, outside of the clock, so
that there is something to settle. Every pass is made a full one: queues, leases and results are all looked at.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

import psutil  # noqa: E402
from planned_jobs import fake_runtime  # noqa: E402

from cache.envelope import Record  # noqa: E402
from coordinator.admission import MOST_ACTIVE  # noqa: E402
from coordinator.coordinator import Coordinator  # noqa: E402
from engines.transcribe.interface import Transcript  # noqa: E402
from jobs.submissions import open_jobs, order_names  # noqa: E402
from pipeline.runtime import Runtime  # noqa: E402
from pipeline.stages import stage_named  # noqa: E402
from tasks.broker import Broker  # noqa: E402
from tasks.envelope import open_envelope  # noqa: E402
from tasks.queues import queue_name, step_keys  # noqa: E402

_WORKERS = 8
#: Passes between two messages that the pretended worker takes.
_EVERY = 5


class PassClock:
    """One coordinator and what it takes."""

    def __init__(self, runtime: Runtime, broker: Broker) -> None:
        self.runtime, self.broker = runtime, broker
        self.coordinator = Coordinator(runtime, broker, lambda _line: None)
        self.queue = queue_name(runtime.store.identity.id, "transcribe", runtime.engine_spec("transcriber"))

    def show_workers(self) -> None:
        serves = [{"stage": "transcribe", "engine": "fake", "queue": self.queue}]
        for number in range(_WORKERS):
            self.broker.beat(f"w{number}", {"state": "busy", "serves": serves}, 600_000)

    def step(self) -> float:
        """One full pass; seconds."""
        self.coordinator.dispatcher._looked = self.coordinator._results._swept = 0.0
        began = time.perf_counter()
        self.coordinator.step(0.0)
        return time.perf_counter() - began

    def work(self) -> int:
        """Takes one message as a worker does, and commits its units; how many those were."""
        for name in step_keys(self.queue):
            raw = self.broker._redis.rpop(name)
            if raw is not None:
                message = open_envelope(raw, self.runtime.store.identity.id, self.queue).message
                self.runtime.store.put_many([empty_record(ref.key) for ref in message.units])
                self.broker.hint({"fact": "batch_done", "batch": message.batch, "queue": self.queue})
                return len(message.units)
        return 0

    def measure(self, seconds: float) -> dict[str, float]:
        """Starts, opens as many jobs as may be open, and then makes passes for so long."""
        store, memory = self.runtime.store, psutil.Process()
        before = memory.memory_info().rss
        began = time.perf_counter()
        self.coordinator.start()
        started = time.perf_counter() - began
        self.show_workers()
        opening = []
        wanted = min(MOST_ACTIVE, max(len(open_jobs(store)), len(order_names(store))))
        while order_names(store) or len(self.coordinator.jobs) < wanted:
            opening.append(self.step())
            time.sleep(0.02)
        opened = time.perf_counter() - began
        first = memory.memory_info().rss
        passes, units, end = [], 0, time.monotonic() + seconds
        while time.monotonic() < end:
            passes.append(self.step())
            units += self.work() if len(passes) % _EVERY == 0 else 0
            time.sleep(0.02)
        last = memory.memory_info().rss
        self.coordinator.close()
        return {
            "active": wanted,
            "start_s": started,
            "opening_s": opened,
            "opening_max_s": max(opening, default=0.0),
            "passes": len(passes),
            "median_s": statistics.median(passes),
            "max_s": max(passes),
            "settled_units": units,
            "rss_bare_mb": before / 2**20,
            "rss_opened_mb": first / 2**20,
            "rss_end_mb": last / 2**20,
        }


def empty_record(key: str) -> Record:
    """A transcript without words."""
    return Record(key, "transcribe", stage_named("transcribe").encode(Transcript(())), {})  # type: ignore[arg-type]


def main() -> None:
    url, home, seconds = sys.argv[1:]
    runtime = fake_runtime(Path(home), broker_url=url)
    broker = Broker.connect(url, runtime.store.identity.id, 6000)
    print(json.dumps(PassClock(runtime, broker).measure(float(seconds))))
    broker.close()


if __name__ == "__main__":
    main()
