"""What the coordinator tells machines: how much work there is, for KEDA, and its metrics, for Prometheus."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from core.errors import SettingsError
from pipeline.stages import main_stages

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

#: Asked for by scalers of workers that serve everything.
ALL = "all"


@dataclass(frozen=True)
class Snapshot:
    """One look at the queue."""

    #: True while this process leads; a standby knows nothing.
    leading: bool = False
    #: Stage -> {"queued": batches waiting or not yet sent, "running": batches that workers hold}.
    batches: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    workers: int = 0
    #: Jobs by state: open, waiting to be opened.
    jobs: Mapping[str, int] = field(default_factory=dict)
    #: Age of the oldest batch that no worker has begun, or of work that no worker serves, in seconds.
    queue_age_s: float = 0.0
    #: Batches that were handed out again since this process began.
    requeued: int = 0

    def scale(self, stage: str) -> dict[str, int] | None:
        """What KEDA is told about a stage, or about all; None for a stage that does not exist."""
        if stage != ALL and stage not in {each.name for each in main_stages()}:
            return None
        chosen = [counts for name, counts in self.batches.items() if stage in (ALL, name)]
        queued = sum(counts["queued"] for counts in chosen)
        running = sum(counts["running"] for counts in chosen)
        work = queued + running
        return {"queued": queued, "running": running, "work": work, "workers": self.workers, "wanted": work}


class _Collector:
    def __init__(self, board: StatusBoard) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        now = self._board.snapshot
        yield GaugeMetricFamily("segue_leading", "1 for the coordinator that leads", float(now.leading))
        batches = GaugeMetricFamily("segue_queue_batches", "Batches by stage and state", labels=["stage", "state"])
        for stage, counts in now.batches.items():
            for state, number in counts.items():
                batches.add_metric([stage, state], number)
        yield batches
        jobs = GaugeMetricFamily("segue_jobs", "Jobs that have not ended, by state", labels=["state"])
        for state, number in now.jobs.items():
            jobs.add_metric([state], number)
        yield jobs
        yield GaugeMetricFamily("segue_workers", "Workers that are alive", now.workers)
        yield GaugeMetricFamily(
            "segue_queue_age_seconds",
            "Age of the oldest batch that nobody has begun, or of work that nobody serves",
            now.queue_age_s,
        )
        yield CounterMetricFamily("segue_batches_requeued", "Batches that were lost and handed out again", now.requeued)


class StatusBoard:
    """Answers /healthz, /metrics and /keda/<stage> from the latest snapshot."""

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self._server: ThreadingHTTPServer | None = None

    def listen(self, address: str) -> str:
        """Starts to answer at ``host:port``; returns the address with the port in use. Raises SettingsError."""
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.exposition import CONTENT_TYPE_LATEST

        host, _, port = address.rpartition(":")
        if not port.isdigit():
            raise SettingsError(f"'{address}' is no address to listen at", "write SEGUE_LISTEN as host:port")
        registry = CollectorRegistry()
        registry.register(_Collector(self))
        board = self

        class SnapshotHandler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/healthz":
                    self._answer(200, "text/plain", b"ok\n")
                elif path == "/metrics":
                    self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
                elif path.startswith("/keda/") and (value := board.snapshot.scale(path.removeprefix("/keda/"))):
                    # A standby must not tell a scaler that there is no work.
                    status = 200 if board.snapshot.leading else 503
                    self._answer(status, "application/json", json.dumps(value).encode())
                else:
                    names = "|".join([ALL, *(each.name for each in main_stages())])
                    self._answer(404, "text/plain", f"/healthz, /metrics, /keda/{names}\n".encode())

            def _answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Scrapes are no news."""

        try:
            self._server = ThreadingHTTPServer((host.strip("[]") or "127.0.0.1", int(port)), SnapshotHandler)
        except (OSError, OverflowError) as error:
            raise SettingsError(f"cannot listen at {address}: {error}", "choose another SEGUE_LISTEN") from error
        threading.Thread(target=self._server.serve_forever, name="status", daemon=True).start()
        return f"{host}:{self._server.server_address[1]}"

    def close(self) -> None:
        """Answers no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
