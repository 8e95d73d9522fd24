"""Watching for notices: one thread a feed, no trouble of a metadata service is ever fatal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from core.addresses import shown_url
from core.errors import SettingsError
from worker.notices.aws import AwsFeed
from worker.notices.azure import AzureFeed
from worker.notices.detection import detect_cloud
from worker.notices.files import FileFeed
from worker.notices.gcp import GcpFeed
from worker.notices.metadata import Cloud, MetadataError, MetadataHttp, Pace, check_address, is_loopback
from worker.notices.notice import Notice, NoticeFeed

#: Seconds between two looks, from the clouds' own recommendations. GCP's is that between two long polls gone wrong.
_INTERVALS = {Cloud.AZURE: 1.0, Cloud.AWS: 5.0, Cloud.GCP: 1.0}
#: The emulator is asked more often, so that rehearsals and tests need not wait.
_EMULATOR_INTERVAL_S = 0.2
#: Seconds between two tries while a service is in trouble, at most: a notice leaves 30 s.
_LONGEST_PAUSE_S = 2.0
#: Trouble is said once; new trouble is worth another line after so many seconds.
_SAY_AGAIN_S = 600.0
_JOIN_S = 1.0

CHOICES = ("auto", *(str(cloud) for cloud in Cloud), "file", "none")


def say_nothing(_line: str) -> None:
    """The listener of those who do not listen."""


def _ignore(_notice: Notice) -> None:
    """For callers to whom a withdrawn notice makes no difference."""


class NoticeWatcher:
    """Watches feeds and hands on each notice once. Callbacks run in the watcher's threads, one at a time."""

    def __init__(
        self, feeds: Sequence[NoticeFeed], say: Callable[[str], None] = say_nothing, cloud: Cloud | None = None
    ) -> None:
        #: The cloud that is watched; None for none.
        self.cloud = cloud
        self._feeds, self._say = tuple(feeds), say
        self._stopped = threading.Event()
        self._calling = threading.RLock()
        self._threads: list[threading.Thread] = []

    def describe(self) -> str:
        """What is watched, for people; empty when nothing is."""
        return " and ".join(feed.describe() for feed in self._feeds)

    def start(self, on_notice: Callable[[Notice], None], on_withdrawn: Callable[[Notice], None] = _ignore) -> None:
        """Begins to watch; ``on_withdrawn`` is given a notice again when Azure cancelled its event before the start."""
        for feed in self._feeds:
            watch = _Watch(feed, self._say, self._stopped, self._calling)
            thread = threading.Thread(
                target=watch.run, args=(on_notice, on_withdrawn), name=f"segue-notices-{feed.source}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """No callback is begun after this returns. A request in flight ends by itself in its daemon thread."""
        with self._calling:
            self._stopped.set()
        until = time.monotonic() + _JOIN_S
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))

    def acknowledge(self, notice: Notice) -> bool:
        """Tells Azure that we are drained, so that it need not wait; call it before `stop`.

        True when Azure took it. False for every other source, for an event that also names other VMs (it would start
        for them too), for one that has started or is gone, and when Azure cannot be told. Never raises.
        """
        for feed in self._feeds:
            if feed.source is not notice.source or not notice.event_id:
                continue
            try:
                return feed.acknowledge(notice)
            except MetadataError as error:
                self._say(f"the notice could not be acknowledged: {error}")
        return False


class _Watch:
    """One feed's thread."""

    def __init__(
        self, feed: NoticeFeed, say: Callable[[str], None], stopped: threading.Event, calling: threading.RLock
    ) -> None:
        self._feed, self._say, self._stopped, self._calling = feed, say, stopped, calling
        self._failures = 0
        self._said_at: float | None = None
        self._trouble_said = False

    def run(self, on_notice: Callable[[Notice], None], on_withdrawn: Callable[[Notice], None]) -> None:
        try:
            while not self._stopped.is_set():
                self._stopped.wait(self._look(on_notice, on_withdrawn))
        finally:
            self._feed.close()

    def _look(self, on_notice: Callable[[Notice], None], on_withdrawn: Callable[[Notice], None]) -> float:
        """One look; returns the seconds to pause."""
        try:
            sighting = self._feed.look()
        except MetadataError as error:
            self._failures += 1
            self._say_trouble(error)
            return min(_LONGEST_PAUSE_S, 0.25 * float(1 << min(self._failures, 8)))
        self._say_recovery()
        with self._calling:
            for callback, notices in ((on_notice, sighting.notices), (on_withdrawn, sighting.withdrawn)):
                for notice in notices:
                    if not self._stopped.is_set():
                        callback(notice)
        return sighting.pause_s

    def _say_trouble(self, error: MetadataError) -> None:
        now = time.monotonic()
        if self._stopped.is_set() or (self._said_at is not None and now - self._said_at < _SAY_AGAIN_S):
            return
        self._said_at, self._trouble_said = now, True
        self._say(f"{self._feed.describe()}: {error.message}; trying again, and working on meanwhile")

    def _say_recovery(self) -> None:
        if self._trouble_said:
            self._say(f"{self._feed.describe()}: answers again")
        self._failures, self._trouble_said = 0, False


def open_watcher(
    choice: str,
    *,
    url: str = "",
    file: Path | None = None,
    grace_seconds: int = 25,
    say: Callable[[str], None] = say_nothing,
    pace: Pace | None = None,
) -> NoticeWatcher:
    """The watcher for ``choice``: auto, azure, aws, gcp, file or none; nothing is watched before `start`.

    ``url`` is another address of the metadata service (the emulator's); ``file`` is watched whenever it is given,
    except for ``none``. ``auto`` takes up to a few seconds to learn the cloud, and ``say`` is told what it found.
    Raises SettingsError for what cannot be meant.
    """
    if choice not in CHOICES:
        raise SettingsError(f"preemption is {choice!r}", f"use {', '.join(CHOICES)}")
    if choice == "file" and file is None:
        raise SettingsError("preemption is file, and no file is named", "set SEGUE_PREEMPTION_FILE")
    address = check_address(url)
    cloud = None
    if choice == "auto":
        cloud = detect_cloud(url)
        if cloud is None and url:
            say(f"no cloud's metadata service answers at {shown_url(address)}: no notices from there")
    elif choice in set(Cloud):
        cloud = Cloud(choice)
    feeds: list[NoticeFeed] = []
    if cloud is not None:
        usual = _EMULATOR_INTERVAL_S if is_loopback(address) else _INTERVALS[cloud]
        feeds.append(_cloud_feed(cloud, url, pace or Pace(usual)))
    if file is not None and choice != "none":
        feeds.append(FileFeed(file, grace_seconds, pace.interval if pace else None))
    return NoticeWatcher(feeds, say, cloud)


def _cloud_feed(cloud: Cloud, url: str, pace: Pace) -> NoticeFeed:
    http = MetadataHttp(url, pace.timeout)
    if cloud is Cloud.AZURE:
        return AzureFeed(http, pace)
    if cloud is Cloud.AWS:
        return AwsFeed(http, pace)
    return GcpFeed(http, pace)
