"""How a cloud's metadata service is asked: no proxy, no redirect, and every trouble is a MetadataError."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

from core.addresses import join_url, shown_url
from core.errors import SegueError, SettingsError

#: Where all three clouds answer. GCP's documented name (metadata.google.internal) stands for the same address; the
#: address also works in a container whose resolver does not know that name.
CLOUD_ADDRESS = "http://169.254.169.254"

#: Clocks that differ by less than this are the same clock: the header Date has whole seconds.
_SAME_CLOCK_S = 2.0
_TRY_AGAIN_S = 0.3
#: Answers of the clouds are below 10 kB; none of their questions takes longer than Azure's first.
_BODY_BYTES, _LONGEST_S = 1_000_000, 180.0


class Cloud(StrEnum):
    """Whose metadata service it is."""

    AZURE = "azure"
    AWS = "aws"
    GCP = "gcp"


class MetadataError(SegueError):
    """The metadata service does not answer, refuses, or answers what cannot be understood. Worth another try."""


class MetadataAbsentError(MetadataError):
    """Nothing can be connected to at that address."""


@dataclass(frozen=True)
class Pace:
    """How often and how patiently a service is asked."""

    #: Seconds between two looks.
    interval: float
    #: Seconds that an answer may take.
    timeout: float = 5.0
    #: Seconds that the first answer may take: Azure switches its events on with it, which can take two minutes.
    first_timeout: float = 130.0
    #: Seconds that one long poll stays open.
    long_poll: int = 20


@dataclass(frozen=True)
class MetadataAnswer:
    """One HTTP answer."""

    status: int
    text: str
    #: Header names in lower case.
    headers: Mapping[str, str]

    def json_object(self, what: str) -> dict[str, Any]:
        """The body as a JSON object. Raises MetadataError."""
        try:
            value = json.loads(self.text)
        except (ValueError, RecursionError) as error:
            raise MetadataError(f"{what}: not JSON: {self.text[:60]!r}") from error
        if not isinstance(value, dict):
            raise MetadataError(f"{what}: not a JSON object: {self.text[:60]!r}")
        return value

    def seconds_until(self, moment: datetime) -> float:
        """Seconds from now to ``moment`` by the service's clock where it tells it, else by ours.

        A spot node that was just cloned or resumed may have a clock that is minutes off; the deadline is the service's.
        """
        now = datetime.now(UTC)
        try:
            theirs = parsedate_to_datetime(self.headers["date"])
        except (KeyError, ValueError):
            theirs = now
        if theirs.tzinfo is not None and abs((theirs - now).total_seconds()) > _SAME_CLOCK_S:
            now = theirs
        return (moment - now).total_seconds()


def is_loopback(url: str) -> bool:
    """Whether the address is on this machine: then it is the emulator's, and may be asked as often as one likes."""
    import httpx

    return httpx.URL(url).host in ("127.0.0.1", "localhost", "::1")


def check_address(url: str) -> str:
    """The service's address without a slash at its end; the clouds' own for an empty one. Raises SettingsError."""
    import httpx

    if not url:
        return CLOUD_ADDRESS
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise SettingsError(f"metadata_url {shown_url(url)!r} is no URL", "give http://HOST:PORT") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise SettingsError(f"metadata_url {shown_url(url)!r} is no URL", "give http://HOST:PORT")
    return url.rstrip("/")


class MetadataHttp:
    """Asks one service. Safe to use from several threads.

    ``tries`` is how often a question is asked that gets no answer in time, or a status of 500 and above.
    """

    def __init__(self, url: str, timeout: float = 5.0, *, tries: int = 1) -> None:
        from engines.bounded_http import BoundedClient, Limits

        self._address = check_address(url)
        #: As it may be shown.
        self.url = shown_url(self._address)
        self._tries, self._timeout = tries, timeout
        # A metadata service must be reached from this very machine: a proxy's answer would be about the proxy's.
        # Reading the system's certificates takes 30 ms, and plain HTTP needs none.
        secure = not self._address.startswith("http://")
        self._client = BoundedClient(Limits(_BODY_BYTES, _LONGEST_S), timeout, certificates=secure, proxies=False)

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        body: Any = None,
        timeout: float | None = None,
    ) -> MetadataAnswer:
        """One question; ``body`` is sent as JSON. Any status is an answer. Raises MetadataError for none in time."""
        for _ in range(1, self._tries):
            try:
                answer = self._ask_once(method, path, headers, body, timeout)
            except MetadataAbsentError:
                raise
            except MetadataError:
                answer = None
            if answer is not None and answer.status < 500:
                return answer
            time.sleep(_TRY_AGAIN_S)
        return self._ask_once(method, path, headers, body, timeout)

    def _ask_once(
        self, method: str, path: str, headers: Mapping[str, str], body: Any, timeout: float | None
    ) -> MetadataAnswer:
        import httpx

        if self._client.is_closed:
            raise MetadataError("the metadata service is not watched any more")
        limit_s = self._timeout if timeout is None else timeout
        try:
            address = join_url(self._address, path)
            answer = self._client.ask(method, address, headers=headers, value=body, timeout=limit_s)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise MetadataAbsentError(f"nothing answers at {self.url}: {_reason(error)}") from error
        except httpx.TimeoutException as error:
            raise MetadataError(f"no answer in time from {self.url}{_short(path)}") from error
        except httpx.HTTPError as error:
            raise MetadataError(f"no answer from {self.url}{_short(path)}: {_reason(error)}") from error
        return MetadataAnswer(answer.status, answer.text, answer.headers)

    def close(self) -> None:
        self._client.close()


def _short(path: str) -> str:
    return path.partition("?")[0]


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def refused(what: str, answer: MetadataAnswer) -> MetadataError:
    """The error for a status that is no answer to the question."""
    said = " ".join(answer.text.split())[:80]
    return MetadataError(f"{what}: status {answer.status}" + (f" ({said})" if said else ""))
