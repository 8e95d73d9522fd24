"""AWS's spot notices, against the emulator."""

from __future__ import annotations

import math

from notice_box import NoticeBox, wait_until

from worker.emulator import EmulatorPlan, MetadataEmulator, Scenario
from worker.notices import Cloud, NoticeKind, NoticeSource
from worker.notices.aws import AwsMetadata
from worker.notices.metadata import MetadataHttp

_ACTION = "GET /latest/meta-data/spot/instance-action"


def see_more(cloud: MetadataEmulator, count: int = 4) -> None:
    seen = cloud.requests.count(_ACTION)
    wait_until(lambda: cloud.requests.count(_ACTION) >= seen + count)


def test_instance_action_is_a_notice_with_its_time_and_comes_once() -> None:
    box = NoticeBox()
    with MetadataEmulator(Cloud.AWS) as cloud, box.watching("aws", cloud.url) as watcher:
        see_more(cloud)
        assert box.notices == []
        cloud.preempt(3600)
        notice = box.first()
        see_more(cloud)
        assert box.notices == [notice]
        assert (notice.source, notice.kind, notice.event_id) == (NoticeSource.AWS, NoticeKind.PREEMPT, "")
        assert 3500 < notice.seconds_left <= 3600
        assert not watcher.acknowledge(notice), "AWS has nothing to acknowledge"


def test_hibernation_begins_at_once_whatever_its_time_says() -> None:
    box = NoticeBox()
    with MetadataEmulator(Cloud.AWS) as cloud, box.watching("aws", cloud.url):
        cloud.preempt(3600, action="hibernate")
        assert box.first().seconds_left <= 5
        assert "hibernate" in box.first().detail


def test_a_rebalance_recommendation_is_a_hint_without_a_deadline() -> None:
    box = NoticeBox()
    plan = EmulatorPlan(Scenario.REBALANCE)
    with MetadataEmulator(Cloud.AWS, plan) as cloud, box.watching("aws", cloud.url):
        hint = box.first()
        see_more(cloud)
        assert box.notices == [hint]
        assert (hint.kind, hint.deadline, hint.seconds_left) == (NoticeKind.REBALANCE, math.inf, math.inf)
        cloud.preempt(3600)
        wait_until(lambda: len(box.notices) == 2)
        assert box.notices[1].kind is NoticeKind.PREEMPT


def test_one_token_serves_many_questions() -> None:
    box = NoticeBox()
    with MetadataEmulator(Cloud.AWS) as cloud, box.watching("aws", cloud.url):
        see_more(cloud, 6)
        assert cloud.requests.count("PUT /latest/api/token") == 1


def test_a_token_that_the_service_no_longer_knows_is_renewed_at_once() -> None:
    with MetadataEmulator(Cloud.AWS, vm_name="old") as cloud:
        http = MetadataHttp(cloud.url)
        service = AwsMetadata(http)
        assert service.read("local-hostname") == "old"
        port = int(cloud.url.rpartition(":")[2])
        cloud.stop()
        with MetadataEmulator(Cloud.AWS, port=port, vm_name="new") as restarted:
            assert service.read("local-hostname") == "new"
            assert restarted.requests.count("PUT /latest/api/token") == 1
        http.close()


def test_after_the_action_is_gone_the_next_one_is_a_new_notice() -> None:
    box = NoticeBox()
    with MetadataEmulator(Cloud.AWS) as cloud, box.watching("aws", cloud.url):
        event_id = cloud.preempt(3600)
        assert box.first()
        cloud.cancel(event_id)
        see_more(cloud)
        cloud.preempt(1800)
        wait_until(lambda: len(box.notices) == 2)
        assert box.withdrawn == []
