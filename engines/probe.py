"""The engine of the stage that exists for tests: a tone as long as a text. It means nothing and is called fake."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from core.keys import digest_value
from core.specs import EngineSpec
from engines.engine import EngineChoice, Result, Stopping, never
from engines.resources import EngineResources
from engines.transcribe.fake import DEATH_STATUS, parse_faults

DEFAULT_MODEL = "fake-tones"
#: Changes when the same text would get another tone.
_REVISION = 1
_BATCH_SIZE = 4
#: Samples for each character: 10 ms at 16 kHz.
_SAMPLES_A_CHARACTER = 160


@dataclass(frozen=True)
class ProbeRequest:
    """A text that a tone is to stand for."""

    #: The caller's name for it; the result carries it back.
    id: str
    text: str
    #: Characters that there is room for: the text is cut to them. Below 0, it is not cut, and only said to fit or not.
    room: int


@dataclass(frozen=True)
class Tone:
    """A tone."""

    #: What it stands for.
    text: str
    #: Whether the text had room.
    fits: bool
    #: 16 kHz mono, signed 16-bit, little-endian.
    samples: bytes


def freeze(choice: EngineChoice, resources: EngineResources) -> EngineSpec:
    """The fake's spec. Raises SettingsError for any option: it has none."""
    del resources
    choice.refuse_options("the fake prober")
    return EngineSpec("fake", choice.model or DEFAULT_MODEL, digest_value({"fake-prober": _REVISION}))


def open_engine(spec: EngineSpec, resources: EngineResources) -> FakeProber:
    """Ready at once. Raises SettingsError when ``resources.fake_faults`` cannot be read."""
    return FakeProber(spec, resources)


class FakeProber:
    """Deterministic tones. ``die:<n>`` of ``resources.fake_faults`` ends the process at the n-th, as SIGKILL would."""

    remote = False

    def __init__(self, spec: EngineSpec, resources: EngineResources) -> None:
        self.spec = spec
        self.batch_size = resources.batch_size or _BATCH_SIZE
        self._delay_s = resources.fake_delay_ms / 1000
        self._faults = parse_faults(resources.fake_faults)
        self._begun = 0

    def run(self, requests: Sequence[ProbeRequest], stopping: Stopping = never) -> Iterator[Result]:
        for request in requests:
            self._begun += 1
            if self._begun == self._faults.get("die"):
                os._exit(DEATH_STATUS)
            if self._delay_s:
                time.sleep(self._delay_s)
            text = request.text if request.room < 0 else request.text[: request.room]
            fits = len(request.text) <= -request.room if request.room < 0 else True
            samples = b"".join(
                (ord(letter) % 251 * 100).to_bytes(2, "little") * _SAMPLES_A_CHARACTER for letter in text
            )
            yield Result(request.id, Tone(text, fits, samples), usage={"characters": len(text)})
            if stopping():
                return

    def usage(self) -> Mapping[str, int]:
        return {}

    def close(self) -> None:
        """Nothing to give back."""
