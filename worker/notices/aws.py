"""AWS: the instance metadata service, version 2, with spot interruption notices and rebalance recommendations.

Protocol: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html. A notice comes two
minutes ahead where it comes at all, and there is nothing to acknowledge.
"""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Any

from worker.notices.metadata import MetadataAnswer, MetadataError, MetadataHttp, Pace, refused
from worker.notices.notice import SUDDEN_SECONDS, Notice, NoticeKind, NoticeSource, Sighting, notice_within

_TOKEN = "/latest/api/token"
_TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"
_TOKEN_HEADER = "X-aws-ec2-metadata-token"
_META_DATA = "/latest/meta-data/"
_TTL_SECONDS = 21_600

_ACTION = "spot/instance-action"
_REBALANCE = "events/recommendations/rebalance"


class AwsMetadata:
    """AWS's metadata service; the token is renewed at half its life, and when the service does not know it."""

    def __init__(self, http: MetadataHttp) -> None:
        self._http = http
        self._token = ""
        self._renew_at = 0.0

    def read(self, name: str) -> str | None:
        """The text under ``meta-data/``; None when there is no such thing (404). Raises MetadataError."""
        answer = self.ask(name)
        return None if answer is None else answer.text

    def ask(self, name: str) -> MetadataAnswer | None:
        """As `read`, with the headers."""
        answer = self._ask_with_token(name)
        if answer.status == 401:
            # The service was restarted, or the machine slept through the token's life.
            self._token = ""
            answer = self._ask_with_token(name)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise refused(f"AWS's metadata {name}", answer)
        return answer

    def _ask_with_token(self, name: str) -> MetadataAnswer:
        if not self._token or time.monotonic() >= self._renew_at:
            self._token = self._new_token()
            self._renew_at = time.monotonic() + _TTL_SECONDS / 2
        return self._http.ask("GET", _META_DATA + name, {_TOKEN_HEADER: self._token})

    def _new_token(self) -> str:
        answer = self._http.ask("PUT", _TOKEN, {_TTL_HEADER: str(_TTL_SECONDS)})
        token = answer.text.strip()
        if answer.status != 200 or not token:
            raise refused("AWS's metadata token", answer)
        if not token.isprintable() or not token.isascii():
            raise MetadataError("AWS's metadata token is no token")
        return token


class AwsFeed:
    """Spot interruptions and rebalance recommendations of this instance."""

    source = NoticeSource.AWS

    def __init__(self, http: MetadataHttp, pace: Pace) -> None:
        self._http, self._service, self._pace = http, AwsMetadata(http), pace
        self._interrupted = False
        self._rebalanced = ""

    def describe(self) -> str:
        return f"AWS spot notices at {self._http.url}"

    def look(self) -> Sighting:
        # The interruption first and by itself: trouble with the hint must not swallow it.
        notice = self._interruption() or self._recommendation()
        return Sighting(() if notice is None else (notice,), pause_s=self._pace.interval)

    def _interruption(self) -> Notice | None:
        answer = self._service.ask(_ACTION)
        if answer is None:
            # Also after waking from hibernation, when the next interruption is a new one.
            self._interrupted = False
            return None
        said = answer.json_object("AWS's spot instance-action")
        if self._interrupted:
            return None
        self._interrupted = True
        action, moment = str(said.get("action", "interruption")), _moment(said.get("time"))
        seconds = SUDDEN_SECONDS
        # Hibernation begins with its notice.
        if moment is not None and action != "hibernate":
            seconds = max(0.0, answer.seconds_until(moment))
        return notice_within(self.source, seconds, f"AWS: spot {action} in {seconds:.0f} s")

    def _recommendation(self) -> Notice | None:
        answer = self._service.ask(_REBALANCE)
        if answer is None:
            return None
        at = str(answer.json_object("AWS's rebalance recommendation").get("noticeTime", "unknown time"))
        if at == self._rebalanced:
            return None
        self._rebalanced = at
        detail = f"AWS: rebalance recommended at {at}"
        return notice_within(self.source, math.inf, detail, NoticeKind.REBALANCE)

    def acknowledge(self, _notice: Notice) -> bool:
        return False

    def close(self) -> None:
        self._http.close()


def _moment(text: Any) -> datetime | None:
    """The time that AWS writes as ``2020-01-07T01:03:47Z``; None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
