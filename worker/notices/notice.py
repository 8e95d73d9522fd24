"""What a notice is: word that this machine will be taken, whoever brings it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class NoticeSource(StrEnum):
    """Who said it."""

    AZURE = "azure"
    AWS = "aws"
    GCP = "gcp"
    FILE = "file"
    SIGNAL = "signal"


class NoticeKind(StrEnum):
    """What it means for the work."""

    #: The machine or the process will be killed at the deadline.
    PREEMPT = "preempt"
    #: A hint that this may come: take no more long work. Nothing is killed, and there is no deadline.
    REBALANCE = "rebalance"


@dataclass(frozen=True)
class Notice:
    """One notice, delivered once."""

    source: NoticeSource
    kind: NoticeKind
    #: `time.monotonic` seconds by which we must be gone; `math.inf` for a hint.
    deadline: float
    #: One line for people: what was said.
    detail: str
    #: Azure's name of the event, which acknowledging needs; empty elsewhere.
    event_id: str = ""

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline, never negative; `math.inf` for a hint."""
        return max(0.0, self.deadline - time.monotonic())


#: Seconds believed to be left when the machine is being taken and nobody says when: enough to commit what the engine
#: has already yielded, and nothing is lost if the end comes sooner.
SUDDEN_SECONDS = 5.0


def notice_within(
    source: NoticeSource, seconds: float, detail: str, kind: NoticeKind = NoticeKind.PREEMPT, event_id: str = ""
) -> Notice:
    """A notice whose deadline is ``seconds`` from now (`math.inf` for none)."""
    deadline = math.inf if math.isinf(seconds) else time.monotonic() + max(0.0, seconds)
    return Notice(source, kind, deadline, detail, event_id)


def signal_notice(grace_seconds: int) -> Notice:
    """What SIGTERM means: the platform kills this process when its grace period is over."""
    return notice_within(NoticeSource.SIGNAL, grace_seconds, f"SIGTERM: {grace_seconds} s until this process is killed")


@dataclass(frozen=True)
class Sighting:
    """What one look at a feed showed."""

    #: Notices that no earlier look has shown.
    notices: tuple[Notice, ...] = ()
    #: Notices of earlier looks that were taken back.
    withdrawn: tuple[Notice, ...] = ()
    #: Seconds to wait before the next look.
    pause_s: float = 1.0


class NoticeFeed(Protocol):
    """One place that notices come from. Used by one thread, except for `acknowledge`."""

    @property
    def source(self) -> NoticeSource: ...

    def describe(self) -> str:
        """The place in a few words for a person."""
        ...

    def look(self) -> Sighting:
        """What is new; may block for a while. Raises MetadataError when the place cannot be asked."""
        ...

    def acknowledge(self, notice: Notice) -> bool:
        """Says that we are ready; False when that is not ours to say. Raises MetadataError."""
        ...

    def close(self) -> None: ...
