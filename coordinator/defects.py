"""Defects: what nobody foresaw about one job, a bug of ours or a file that none of us wrote, is that job's alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from core.conditions import condition_of
from core.errors import StoreError
from jobs.submissions import OrderVersionError
from tasks.broker import BrokerAwayError

#: Characters of an exception that a person is shown; the log has all of it.
_SHOWN = 160


class JobDefectError(Exception):
    """One job cannot be dealt with; the cause is in ``__cause__``."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.job_id = job_id

    @property
    def text(self) -> str:
        """What happened, one line."""
        error = self.__cause__
        condition = condition_of(error) if error is not None else None
        said = f"{type(error).__name__}: {error}" if condition is None else str(condition)
        line = " ".join(said.split())
        return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."

    @property
    def is_ours(self) -> bool:
        """True when it is no foreseen error of a job's files and nothing that the machine lacks, but a bug."""
        return self.__cause__ is None or condition_of(self.__cause__) is None

    @property
    def passes(self) -> bool:
        """True for what the coordinator's machine lacks (files it may open, room, memory): it says nothing of the job,
        and goes away once somebody has seen to the machine."""
        return isinstance(self.__cause__, (OSError, MemoryError))


class Defects:
    """Defects that were met in jobs which are still to be set aside. Touched by the coordinator's own thread only."""

    def __init__(self) -> None:
        self._met: list[JobDefectError] = []

    def add(self, defect: JobDefectError) -> None:
        """A job is to be set aside at the end of this part of a pass."""
        self._met.append(defect)

    def take(self) -> JobDefectError | None:
        """The next one, which is then forgotten: the disk may refuse to hear of it. None when there is none."""
        return self._met.pop(0) if self._met else None

    @contextmanager
    def isolating(self, job_id: str) -> Iterator[None]:
        """As `blaming`, but the loop over the other jobs goes on."""
        try:
            with blaming(job_id):
                yield
        except JobDefectError as defect:
            self.add(defect)


@contextmanager
def blaming(job_id: str) -> Iterator[None]:
    """Whatever goes wrong while one job is looked at is said of that job, as JobDefectError.

    Not what is the disk's or the broker's: it says nothing about the job and is waited out. An order of another
    version is the job's.
    """
    try:
        yield
    except OrderVersionError as error:
        raise JobDefectError(job_id) from error
    except (StoreError, BrokerAwayError, JobDefectError):
        raise
    except Exception as error:
        raise JobDefectError(job_id) from error
