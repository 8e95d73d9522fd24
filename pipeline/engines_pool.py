"""Engines that are open, by what they are: loaded when first needed, shared by all jobs of the process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from core.specs import EngineSpec
from engines.engine import Engine
from engines.resources import EngineResources
from engines.roles import open_engine
from pipeline.stages import loaded_for

#: Told once an engine is ready: for which stage, which one, and the seconds that loading it took.
Loaded = Callable[[str, EngineSpec, float], None]


class EnginePool:
    """Loads each engine once. `prefetch` starts loading before the first unit is ready."""

    def __init__(self, resources: EngineResources, loaded: Loaded) -> None:
        self._resources, self._loaded = resources, loaded
        self._lock = threading.Lock()
        self._loader = ThreadPoolExecutor(max_workers=2, thread_name_prefix="load")
        self._engines: dict[tuple[str, EngineSpec], Future[Engine]] = {}

    def prefetch(self, role: str, spec: EngineSpec) -> Future[Engine]:
        """Begins to load; the engine or the EngineError is in the future."""
        with self._lock:
            if (role, spec) not in self._engines:
                self._engines[role, spec] = self._loader.submit(self._load, role, spec)
            return self._engines[role, spec]

    def open(self, role: str, spec: EngineSpec) -> Engine:
        """The engine, loaded. Raises EngineError."""
        return self.prefetch(role, spec).result()

    def _load(self, role: str, spec: EngineSpec) -> Engine:
        began = time.monotonic()
        engine = open_engine(role, spec, self._resources)
        self._loaded(loaded_for(role), spec, time.monotonic() - began)
        return engine

    def close(self) -> None:
        """Closes what was opened."""
        self._loader.shutdown(wait=True, cancel_futures=True)
        for future in self._engines.values():
            if future.done() and not future.cancelled() and future.exception() is None:
                future.result().close()
