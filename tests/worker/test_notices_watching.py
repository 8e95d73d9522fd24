"""Choosing what to watch, files, signals, and services in trouble."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from notice_box import NoticeBox, wait_until

from core.errors import SettingsError
from worker.emulator import EmulatorPlan, MetadataEmulator, Scenario
from worker.notices import Cloud, NoticeKind, NoticeSource, Pace, open_watcher, signal_notice
from worker.notices.detection import detect_cloud


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("cloud", list(Cloud))
def test_auto_recognises_each_cloud_by_what_answers(cloud: Cloud) -> None:
    box = NoticeBox()
    with MetadataEmulator(cloud) as emulator, box.watching("auto", emulator.url) as watcher:
        assert watcher.cloud is cloud
        emulator.preempt(3600)
        assert box.first().source == str(cloud)


@pytest.mark.parametrize("cloud", list(Cloud))
def test_auto_recognises_a_service_that_fails_every_other_time(cloud: Cloud) -> None:
    plan = EmulatorPlan(Scenario.ERRORS, after=3600)
    with MetadataEmulator(cloud, plan) as emulator:
        assert detect_cloud(emulator.url, timeout=0.5) is cloud


def test_auto_without_a_cloud_watches_the_file_alone_and_says_so(tmp_path: Path) -> None:
    box = NoticeBox()
    url = f"http://127.0.0.1:{free_port()}"
    with box.watching("auto", url, file=tmp_path / "go") as watcher:
        assert watcher.cloud is None
        assert [line for line in box.lines if "no cloud's metadata service" in line]
        (tmp_path / "go").write_text("{}")
        assert box.first().source is NoticeSource.FILE


@pytest.mark.parametrize(
    ("name", "text", "cloud"),
    [
        ("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77\n", Cloud.AZURE),
        ("sys_vendor", "Amazon EC2\n", Cloud.AWS),
        ("product_name", "Google Compute Engine\n", Cloud.GCP),
    ],
)
def test_the_machines_firmware_is_believed_without_asking(tmp_path: Path, name: str, text: str, cloud: Cloud) -> None:
    (tmp_path / name).write_text(text)
    assert detect_cloud("", firmware=tmp_path) is cloud


def test_a_microsoft_machine_that_is_not_azure_is_no_cloud(tmp_path: Path) -> None:
    (tmp_path / "sys_vendor").write_text("Microsoft Corporation\n")
    assert detect_cloud(f"http://127.0.0.1:{free_port()}", firmware=tmp_path) is None


@pytest.mark.parametrize(
    ("choice", "url", "said"),
    [("azur", "", "azur"), ("file", "", "no file"), ("azure", "127.0.0.1:80", "no URL"), ("aws", "http://", "no URL")],
)
def test_settings_that_cannot_be_meant_are_refused(choice: str, url: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as refusal:
        open_watcher(choice, url=url)
    assert refusal.value.hint


def test_none_watches_nothing(tmp_path: Path) -> None:
    assert open_watcher("none", file=tmp_path / "go").describe() == ""


# Files


def test_a_file_leaves_the_grace_period_and_comes_once(tmp_path: Path) -> None:
    box = NoticeBox()
    path = tmp_path / "go"
    with box.watching("file", file=path, grace_seconds=1800):
        path.touch()
        notice = box.first()
        path.write_text("still there")
        os.utime(path)
        assert (notice.source, notice.kind) == (NoticeSource.FILE, NoticeKind.PREEMPT)
        assert 1700 < notice.seconds_left <= 1800
        path.unlink()
        # Only after it was gone is it a new notice.
        assert box.notices == [notice]


def test_a_file_may_state_its_deadline(tmp_path: Path) -> None:
    box = NoticeBox()
    path = tmp_path / "go"
    path.write_text('{"deadline_seconds": 600}')
    with box.watching("file", file=path, grace_seconds=5):
        assert 500 < box.first().seconds_left <= 600


@pytest.mark.parametrize(
    "content",
    [
        "please",
        "[" * 4000,
        '{"deadline_seconds": 1' + "0" * 400 + "}",
        '{"deadline_seconds": 6',
        "[600]",
        '{"deadline_seconds": "600"}',
        '{"deadline_seconds": -1}',
        '{"deadline_seconds": NaN}',
        "null",
    ],
)
def test_a_file_that_states_nonsense_leaves_the_grace_period(tmp_path: Path, content: str) -> None:
    box = NoticeBox()
    path = tmp_path / "go"
    path.write_text(content)
    with box.watching("file", file=path, grace_seconds=1800):
        assert 1700 < box.first().seconds_left <= 1800


def test_a_file_that_cannot_even_be_looked_for_is_said_and_harms_nothing(tmp_path: Path) -> None:
    box = NoticeBox()
    path = tmp_path / "go"
    path.symlink_to(path)
    with box.watching("file", file=path):
        wait_until(lambda: box.lines)
        assert "cannot look for it" in box.lines[0]
        path.unlink()
        path.write_text("{}")
        assert box.first().source is NoticeSource.FILE


def test_a_file_is_watched_beside_a_cloud(tmp_path: Path) -> None:
    box = NoticeBox()
    with MetadataEmulator(Cloud.AWS) as cloud, box.watching("aws", cloud.url, file=tmp_path / "go"):
        (tmp_path / "go").mkdir()
        assert box.first().source is NoticeSource.FILE


def test_sigterm_is_a_notice_with_the_grace_period() -> None:
    notice = signal_notice(1800)
    assert (notice.source, notice.kind) == (NoticeSource.SIGNAL, NoticeKind.PREEMPT)
    assert 1700 < notice.seconds_left <= 1800


# Trouble


@pytest.mark.parametrize("cloud", list(Cloud))
def test_errors_and_time_outs_are_survived_and_said_once(cloud: Cloud) -> None:
    box = NoticeBox()
    plan = EmulatorPlan(Scenario.ERRORS, after=0.2, notice=3600)
    pace = Pace(interval=0.05, timeout=0.3, first_timeout=0.3, long_poll=1)
    with MetadataEmulator(cloud, plan) as emulator, box.watching(str(cloud), emulator.url, pace=pace):
        assert box.first().source == str(cloud)
        assert len([line for line in box.lines if "trying again" in line]) == 1
        assert len(box.notices) == 1


@pytest.mark.parametrize("cloud", list(Cloud))
def test_a_service_that_goes_away_and_comes_back_still_brings_the_notice(cloud: Cloud) -> None:
    box = NoticeBox()
    with MetadataEmulator(cloud) as emulator, box.watching(str(cloud), emulator.url):
        wait_until(lambda: len(emulator.requests) >= 3)
        emulator.stop()
        wait_until(lambda: box.lines)
        emulator.start()
        wait_until(lambda: len(box.lines) == 2)
        assert "trying again" in box.lines[0]
        assert "answers again" in box.lines[1]
        emulator.preempt(3600)
        assert box.first().source == str(cloud)


def test_a_service_that_was_never_there_harms_nothing(tmp_path: Path) -> None:
    box = NoticeBox()
    with box.watching("azure", f"http://127.0.0.1:{free_port()}", file=tmp_path / "go"):
        wait_until(lambda: box.lines)
        (tmp_path / "go").write_text("now")
        assert box.first().source is NoticeSource.FILE


def test_proxies_are_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with MetadataEmulator(Cloud.GCP) as emulator:
        assert detect_cloud(emulator.url) is Cloud.GCP


def test_nothing_is_told_after_stop() -> None:
    box = NoticeBox()
    with MetadataEmulator(Cloud.AZURE) as emulator:
        with box.watching("azure", emulator.url):
            wait_until(lambda: len(emulator.requests) >= 2)
        emulator.preempt(3600)
        assert box.notices == []
