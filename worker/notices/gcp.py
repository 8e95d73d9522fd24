"""GCP: the metadata server, whose flag ``instance/preempted`` is waited for with a long poll.

Protocol: https://cloud.google.com/compute/docs/instances/create-use-spot and .../docs/metadata/querying-metadata. The
flag and the shutdown may come together; after that the machine has up to 30 s.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from worker.notices.metadata import MetadataError, MetadataHttp, Pace, refused
from worker.notices.notice import Notice, NoticeSource, Sighting, notice_within

_ROOT = "/computeMetadata/v1/"
_FLAVOR = "Metadata-Flavor"
_GOOGLE = {_FLAVOR: "Google"}
_PREEMPTED = "instance/preempted"

#: Of the 30 s, best effort, that a preempted machine has; the rest is for the system's own shutdown.
_GCP_SECONDS = 25.0


@dataclass(frozen=True)
class GcpValue:
    """One value of the metadata server."""

    text: str
    #: Changes when the value does.
    etag: str


class GcpMetadata:
    """GCP's metadata server."""

    def __init__(self, http: MetadataHttp) -> None:
        self._http = http

    def read(self, name: str, *, last_etag: str = "", wait_s: int = 0, timeout: float | None = None) -> GcpValue | None:
        """The value under ``computeMetadata/v1/``; None when there is none (404).

        With ``wait_s`` the answer comes when the value is no longer that of ``last_etag``, or after so many seconds.
        Raises MetadataError, also for an answer that is not GCP's.
        """
        query = f"?wait_for_change=true&timeout_sec={wait_s}&last_etag={last_etag}" if wait_s else ""
        answer = self._http.ask("GET", _ROOT + name + query, _GOOGLE, timeout=timeout)
        if answer.status < 500 and answer.headers.get(_FLAVOR.lower()) != "Google":
            raise MetadataError(f"what answers at {self._http.url} is not GCP's metadata server")
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise refused(f"GCP's metadata {name}", answer)
        return GcpValue(answer.text.strip(), answer.headers.get("etag", ""))


class GcpFeed:
    """The flag that this instance is being preempted."""

    source = NoticeSource.GCP

    def __init__(self, http: MetadataHttp, pace: Pace) -> None:
        self._http, self._service, self._pace = http, GcpMetadata(http), pace
        self._etag = ""
        self._preempted = False

    def describe(self) -> str:
        return f"GCP's preempted flag at {self._http.url}"

    def look(self) -> Sighting:
        began = time.monotonic()
        etag, self._etag = self._etag, ""
        if etag:
            wait = self._pace.long_poll
            value = self._service.read(_PREEMPTED, last_etag=etag, wait_s=wait, timeout=wait + self._pace.timeout)
        else:
            value = self._service.read(_PREEMPTED)
        if value is None:
            raise MetadataError("GCP's metadata server does not know instance/preempted")
        # Kept only after a sound answer: after trouble the value is read anew, so that no change is slept through.
        self._etag = value.etag
        waited = bool(etag) and (value.etag != etag or time.monotonic() - began >= self._pace.interval)
        pause = 0.0 if waited or (not etag and value.etag) else self._pace.interval
        return Sighting(self._notices(value.text.upper() == "TRUE"), pause_s=pause)

    def _notices(self, preempted: bool) -> tuple[Notice, ...]:
        new, self._preempted = preempted and not self._preempted, preempted
        if not new:
            return ()
        return (notice_within(self.source, _GCP_SECONDS, "GCP: this instance is being preempted"),)

    def acknowledge(self, _notice: Notice) -> bool:
        return False

    def close(self) -> None:
        self._http.close()
