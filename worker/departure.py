"""That a worker is to leave: why, and until when."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from worker.notices.notice import Notice


class WorkerEnd(StrEnum):
    """Why a worker ended."""

    #: A signal or a notice said so.
    TOLD = "told"
    #: Nothing came for as long as it was to wait.
    IDLE = "idle"
    #: It cannot compute.
    SICK = "sick"


@dataclass
class Departure:
    """That this worker is to leave, why, and until when."""

    end: WorkerEnd
    reason: str
    #: `time.monotonic`; infinite when nobody will kill us.
    deadline: float = math.inf
    notice: Notice | None = None
