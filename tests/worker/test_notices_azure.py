"""Azure's scheduled events, against the emulator."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from notice_box import QUICK, NoticeBox, wait_until

from worker.emulator import EmulatorPlan, MetadataEmulator, Scenario
from worker.emulator_node import OTHER_VM
from worker.notices import Cloud, NoticeKind, NoticeSource
from worker.notices.azure import AzureMetadata
from worker.notices.metadata import MetadataAnswer, MetadataError, MetadataHttp


def looks(cloud: MetadataEmulator) -> int:
    """How often the events were asked for."""
    return cloud.requests.count("GET /metadata/scheduledevents")


def see_more(cloud: MetadataEmulator, count: int = 4) -> None:
    """Lets the watcher look again, so that what it would do it has done."""
    seen = looks(cloud)
    wait_until(lambda: looks(cloud) >= seen + count)


def test_preempt_is_a_notice_with_the_deadline_of_the_event_and_comes_once() -> None:
    box = NoticeBox()
    with MetadataEmulator(Cloud.AZURE, vm_name="gpu_7") as cloud, box.watching("azure", cloud.url):
        event_id = cloud.preempt(3600)
        notice = box.first()
        see_more(cloud)
        assert box.notices == [notice]
        assert (notice.source, notice.kind, notice.event_id) == (NoticeSource.AZURE, NoticeKind.PREEMPT, event_id)
        # The event's time has whole seconds, and the wait above is part of it.
        assert 3500 < notice.seconds_left <= 3600
        assert "gpu_7" in notice.detail
        assert "\n" not in notice.detail


def test_an_event_that_has_started_leaves_a_moment_only() -> None:
    box = NoticeBox()
    with MetadataEmulator(Cloud.AZURE) as cloud:
        event_id = cloud.preempt(3600)
        assert cloud.node.begin(event_id)
        with box.watching("azure", cloud.url):
            assert box.first().seconds_left <= 5
            assert "has started" in box.first().detail


def test_an_event_of_another_vm_is_none_of_ours() -> None:
    box = NoticeBox()
    with MetadataEmulator(Cloud.AZURE) as cloud, box.watching("azure", cloud.url):
        cloud.preempt(3600, resources=[OTHER_VM])
        see_more(cloud)
        assert box.notices == []


def test_names_are_compared_as_azure_compares_them() -> None:
    box = NoticeBox()
    with MetadataEmulator(Cloud.AZURE, vm_name="Gpu_7") as cloud, box.watching("azure", cloud.url):
        cloud.preempt(3600, resources=["gpu_7"])
        assert box.first().source is NoticeSource.AZURE


def test_acknowledging_tells_azure_and_the_event_starts() -> None:
    box = NoticeBox()
    with MetadataEmulator(Cloud.AZURE) as cloud, box.watching("azure", cloud.url) as watcher:
        event_id = cloud.preempt(3600)
        assert watcher.acknowledge(box.first())
        assert cloud.acknowledged == [event_id]
        wait_until(lambda: cloud.node.events == [] or cloud.node.events[0].started)
        see_more(cloud)
        assert not watcher.acknowledge(box.first()), "an event that has started needs no word"
        assert cloud.acknowledged == [event_id]


def test_an_event_that_names_other_vms_too_is_never_acknowledged() -> None:
    box = NoticeBox()
    with MetadataEmulator(Cloud.AZURE) as cloud, box.watching("azure", cloud.url) as watcher:
        cloud.preempt(3600, resources=["segue-vm", OTHER_VM])
        assert box.first().kind is NoticeKind.PREEMPT
        assert not watcher.acknowledge(box.first())
        assert cloud.acknowledged == []
        assert "POST /metadata/scheduledevents" not in cloud.requests


def test_acknowledging_when_azure_is_away_says_so_and_does_not_raise() -> None:
    box = NoticeBox()
    with MetadataEmulator(Cloud.AZURE) as cloud, box.watching("azure", cloud.url) as watcher:
        cloud.preempt(3600)
        notice = box.first()
        cloud.stop()
        assert not watcher.acknowledge(notice)
        assert any("could not be acknowledged" in line for line in box.lines)


def test_a_cancelled_event_is_withdrawn_once() -> None:
    box = NoticeBox()
    plan = EmulatorPlan(Scenario.CANCELLED, after=0.05, notice=1.0)
    with MetadataEmulator(Cloud.AZURE, plan) as cloud, box.watching("azure", cloud.url) as watcher:
        notice = box.first()
        wait_until(lambda: box.withdrawn)
        see_more(cloud)
        assert box.withdrawn == [notice]
        assert not watcher.acknowledge(notice)


def test_an_event_that_is_over_after_its_start_is_not_withdrawn() -> None:
    box = NoticeBox()
    with MetadataEmulator(Cloud.AZURE) as cloud, box.watching("azure", cloud.url):
        event_id = cloud.preempt(3600)
        assert box.first()
        cloud.node.begin(event_id)
        see_more(cloud)
        cloud.node.remove(event_id)
        see_more(cloud)
        assert box.withdrawn == []


def test_terminate_is_a_notice_and_freeze_is_not() -> None:
    box = NoticeBox()
    with MetadataEmulator(Cloud.AZURE) as cloud, box.watching("azure", cloud.url):
        cloud.preempt(900, event_type="Freeze")
        see_more(cloud)
        event_id = cloud.preempt(900, event_type="Terminate")
        assert box.first().event_id == event_id
        assert len(box.notices) == 1


def test_a_redeploy_that_is_days_away_is_worked_on_until_it_is_near() -> None:
    box = NoticeBox()
    with MetadataEmulator(Cloud.AZURE) as cloud, box.watching("azure", cloud.url):
        far = cloud.preempt(3 * 86_400, event_type="Redeploy")
        see_more(cloud)
        assert box.notices == []
        near = cloud.preempt(60, event_type="Reboot")
        assert box.first().event_id == near
        cloud.node.begin(far)
        wait_until(lambda: len(box.notices) == 2)
        assert box.notices[1].event_id == far


def test_the_slow_first_call_is_waited_for() -> None:
    box = NoticeBox()
    plan = EmulatorPlan(Scenario.SLOW_FIRST_CALL, after=0.0, notice=3600, slow_seconds=1.5)
    # An answer may take 0.5 s only, and the first one longer.
    pace = type(QUICK)(interval=0.05, timeout=0.5, first_timeout=20.0)
    with MetadataEmulator(Cloud.AZURE, plan) as cloud, box.watching("azure", cloud.url, pace=pace):
        assert box.first().kind is NoticeKind.PREEMPT
        assert looks(cloud) == 1
        assert box.lines == []


def test_a_late_notice_states_how_little_is_left() -> None:
    box = NoticeBox()
    plan = EmulatorPlan(Scenario.LATE_NOTICE, after=0.0, notice=1.0)
    with MetadataEmulator(Cloud.AZURE, plan) as cloud, box.watching("azure", cloud.url):
        assert box.first().seconds_left <= 5


class _Saying(MetadataHttp):
    """A service that answers one text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def ask(self, *_: object, **__: object) -> MetadataAnswer:
        return MetadataAnswer(200, self._text, {})


@pytest.mark.parametrize(
    "text", ["", "<html>", "[]", '{"Events": {}}', '{"Events": [{"EventId": 7}]}', '{"Events": [7]}']
)
def test_what_is_no_answer_is_trouble_and_no_notice(text: str) -> None:
    with pytest.raises(MetadataError, match="Azure"):
        AzureMetadata(_Saying(text)).events()


def test_the_deadline_is_the_services_when_our_clock_is_wrong() -> None:
    answer = MetadataAnswer(200, "", {"date": "Mon, 19 Sep 2016 18:29:17 GMT"})
    assert answer.seconds_until(datetime(2016, 9, 19, 18, 29, 47, tzinfo=UTC)) == 30
