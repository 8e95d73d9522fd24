"""Engines that are open, by what they are: loaded when first needed, shared by all jobs of the process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from core.specs import EngineSpec
from engines.resources import EngineResources
from engines.transcribe.factory import open_transcriber
from engines.transcribe.interface import Transcriber
from engines.translate.factory import open_translator
from engines.translate.interface import Translator
from pipeline.stages import Stage

#: Told once an engine is ready: for which stage, which one, and the seconds that loading it took.
Loaded = Callable[[Stage, EngineSpec, float], None]
_Engine = TypeVar("_Engine", Transcriber, Translator)


class EnginePool:
    """Loads each engine once. `prefetch_transcriber` starts loading before the first unit is ready."""

    def __init__(self, resources: EngineResources, loaded: Loaded) -> None:
        self._resources, self._loaded = resources, loaded
        self._lock = threading.Lock()
        self._loader = ThreadPoolExecutor(max_workers=2, thread_name_prefix="load")
        self._transcribers: dict[EngineSpec, Future[Transcriber]] = {}
        self._translators: dict[EngineSpec, Future[Translator]] = {}

    def prefetch_transcriber(self, spec: EngineSpec) -> Future[Transcriber]:
        """Begins to load; the result or the EngineError is in the future."""
        with self._lock:
            if spec not in self._transcribers:
                self._transcribers[spec] = self._loader.submit(self._load, Stage.TRANSCRIBE, open_transcriber, spec)
            return self._transcribers[spec]

    def transcriber(self, spec: EngineSpec) -> Transcriber:
        """The transcriber, loaded. Raises EngineError."""
        return self.prefetch_transcriber(spec).result()

    def translator(self, spec: EngineSpec) -> Translator:
        """The translator, loaded. Raises EngineError."""
        with self._lock:
            if spec not in self._translators:
                self._translators[spec] = self._loader.submit(self._load, Stage.TRANSLATE, open_translator, spec)
            future = self._translators[spec]
        return future.result()

    def _load(
        self, stage: Stage, open_engine: Callable[[EngineSpec, EngineResources], _Engine], spec: EngineSpec
    ) -> _Engine:
        began = time.monotonic()
        engine = open_engine(spec, self._resources)
        self._loaded(stage, spec, time.monotonic() - began)
        return engine

    def close(self) -> None:
        """Closes what was opened."""
        self._loader.shutdown(wait=True, cancel_futures=True)
        opened: list[Future[Transcriber] | Future[Translator]] = [
            *self._transcribers.values(),
            *self._translators.values(),
        ]
        for future in opened:
            if future.done() and not future.cancelled() and future.exception() is None:
                future.result().close()
