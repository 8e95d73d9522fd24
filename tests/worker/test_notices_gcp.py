"""GCP's preempted flag, against the emulator."""

from __future__ import annotations

from notice_box import NoticeBox, wait_until

from worker.emulator import MetadataEmulator
from worker.notices import Cloud, NoticeKind, NoticeSource, Pace

_FLAG = "GET /computeMetadata/v1/instance/preempted"


def test_the_flag_is_a_notice_and_comes_once() -> None:
    box = NoticeBox()
    with MetadataEmulator(Cloud.GCP) as cloud, box.watching("gcp", cloud.url) as watcher:
        wait_until(lambda: cloud.requests.count(_FLAG) >= 2)
        assert box.notices == []
        cloud.preempt(3600)
        notice = box.first()
        seen = cloud.requests.count(_FLAG)
        wait_until(lambda: cloud.requests.count(_FLAG) >= seen + 2)
        assert box.notices == [notice]
        assert (notice.source, notice.kind) == (NoticeSource.GCP, NoticeKind.PREEMPT)
        assert notice.seconds_left <= 30
        assert not watcher.acknowledge(notice)


def test_a_flag_that_is_already_up_is_seen_at_the_first_look() -> None:
    box = NoticeBox()
    with MetadataEmulator(Cloud.GCP) as cloud:
        cloud.preempt(3600)
        with box.watching("gcp", cloud.url):
            assert box.first().source is NoticeSource.GCP
            assert cloud.requests.count(_FLAG) <= 2


def test_a_long_poll_is_one_request_until_something_happens() -> None:
    box = NoticeBox()
    with (
        MetadataEmulator(Cloud.GCP) as cloud,
        box.watching("gcp", cloud.url, pace=Pace(interval=0.05, timeout=5.0, long_poll=3600)),
    ):
        wait_until(lambda: cloud.requests.count(_FLAG) == 2)
        cloud.preempt(3600)
        assert box.first()
        # The first value, the poll that brought the notice, and at most the poll after it.
        assert cloud.requests.count(_FLAG) <= 3


def test_a_change_while_the_service_was_away_is_not_slept_through() -> None:
    box = NoticeBox()
    with MetadataEmulator(Cloud.GCP) as cloud, box.watching("gcp", cloud.url):
        wait_until(lambda: cloud.requests.count(_FLAG) >= 2)
        cloud.stop()
        cloud.preempt(3600)
        wait_until(lambda: box.lines)
        cloud.start()
        assert box.first().source is NoticeSource.GCP
