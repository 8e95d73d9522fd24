"""What a worker tells Prometheus, and where its time goes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from core.errors import SettingsError, UsageError


class TimeUse(StrEnum):
    """What a worker's second went to; each second is in exactly one."""

    #: The engine computed, or its results became durable.
    BUSY = "busy"
    #: The engine's process started and loaded models.
    LOAD = "load"
    IDLE = "idle"
    #: A notice had come.
    DRAIN = "drain"
    #: The disk was full or away, or a remote engine was.
    PAUSED = "paused"


class WorkerMetrics:
    """Counters of one worker, in a registry of their own. Safe for several threads."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry = CollectorRegistry()
        self._bucket, self._since = TimeUse.LOAD, time.monotonic()
        self._lock = threading.Lock()

        def counter(name: str, text: str, *labels: str) -> Any:
            return Counter(name, text, labels, registry=self.registry)

        self.units = counter("segue_units_total", "Units by how they ended", "stage", "outcome")
        self.engine_seconds = counter("segue_engine_seconds_total", "Time in engines", "stage")
        self.bucket_seconds = counter("segue_bucket_seconds_total", "Where the worker's time went", "bucket")
        self.leases_lost = counter("segue_leases_lost_total", "Units that another worker took over")
        self.refused = counter("segue_messages_refused_total", "Messages that were not acted on", "reason")
        self.deaths = counter("segue_deaths_total", "Deaths of the engine's process while it computed")
        self.commit_seconds = Histogram(
            "segue_commit_seconds",
            "Time until a group of results was durable",
            registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
        )
        self.gpu = Gauge("segue_gpu_utilization_percent", "Mean utilization of the GPUs", registry=self.registry)
        for bucket in TimeUse:
            self.bucket_seconds.labels(bucket)

    @property
    def bucket(self) -> TimeUse:
        """What the worker's time goes to now."""
        return self._bucket

    def enter(self, bucket: TimeUse) -> None:
        """From now on time goes to ``bucket``."""
        with self._lock:
            self._settle()
            self._bucket = bucket

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        from prometheus_client import generate_latest

        with self._lock:
            self._settle()
        return generate_latest(self.registry)

    def _settle(self) -> None:
        now = time.monotonic()
        self.bucket_seconds.labels(self._bucket).inc(now - self._since)
        self._since = now


def parse_listen(text: str) -> tuple[str, int]:
    """``host:port`` as a pair; an IPv6 host stands in brackets. Raises SettingsError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"SEGUE_LISTEN is {text!r}", "use host:port, e.g. 127.0.0.1:9187")
    return host.strip("[]") or "127.0.0.1", int(port)


class MetricsServer:
    """``/metrics`` and ``/healthz`` over HTTP, while it is open."""

    def __init__(self, listen: str, metrics: WorkerMetrics, health: Callable[[], dict[str, Any]]) -> None:
        host, port = parse_listen(listen)

        class MetricsHandler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/metrics":
                    self._answer(200, metrics.render(), "text/plain; version=0.0.4; charset=utf-8")
                elif path == "/healthz":
                    self._answer(200, json.dumps(health()).encode(), "application/json")
                else:
                    self._answer(404, b"not here\n", "text/plain")

            def _answer(self, code: int, body: bytes, kind: str) -> None:
                with suppress(BrokenPipeError, ConnectionResetError):
                    self.send_response(code)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                """A scrape every few seconds is not worth a line."""

        try:
            self._server = ThreadingHTTPServer((host, port), MetricsHandler)
        except OSError as error:
            raise UsageError(
                f"cannot listen at {listen}: {error.strerror}", "set SEGUE_LISTEN to a free one"
            ) from error
        self._server.daemon_threads = True
        #: The port in use; the one asked for, or a free one for 0.
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def close(self) -> None:
        """Ends the server."""
        self._server.shutdown()
        self._server.server_close()
