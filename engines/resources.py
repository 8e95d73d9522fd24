"""What an engine is given to run with: where models live, which device, which endpoint. None of it is in a key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


def _say_nothing(_line: str) -> None:
    """The announcer of those who do not listen."""


@dataclass(frozen=True)
class EngineResources:
    """The surroundings of an engine. Nothing here may change what it outputs."""

    #: Folder for models that Segue assembles from packages; the hub's own cache is elsewhere.
    models_dir: Path
    #: ``auto``, ``cpu`` or ``cuda``.
    device: str = "auto"
    #: CPU threads an engine may use; 0 leaves the choice to the engine.
    threads: int = 0
    #: Units given to the engine at once; 0 chooses by device and memory.
    batch_size: int = 0
    #: Base URL of a remote endpoint (``http://127.0.0.1:8000/v1``); empty for local engines.
    url: str = ""
    #: Secret for the endpoint; never shown, never in a key.
    api_key: str = field(default="", repr=False)
    #: Requests in flight at once at a remote endpoint.
    concurrency: int = 8
    #: True forbids every download.
    offline: bool = False
    #: Called with one line before anything large is downloaded or anything surprising is chosen.
    announce: Callable[[str], None] = _say_nothing
    #: Called with a line that a person needs to read once: a licence, a choice made for want of a hub. It is at liberty
    #: not to say it again; None: `announce`, once a process.
    announce_once: Callable[[str], None] | None = None
    #: The fake engines sleep this long for each unit; it changes when their output comes, never what it is.
    fake_delay_ms: int = 0
    #: Faults that fake engines play, for tests: ``fail:<n>``, ``oom:<k>``, ``crash:<n>``, ``die:<n>``, ``kill:<n>``,
    #: ``hang:<n>``, ``sick:<n>``, comma between.
    fake_faults: str = ""
