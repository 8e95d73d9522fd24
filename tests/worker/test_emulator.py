"""The emulator speaks as the clouds do: status codes, headers, tokens, etags, the life of an event, and real kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest
from notice_box import wait_until

from core.errors import UsageError
from worker.emulator import EmulatorPlan, MetadataEmulator, Scenario
from worker.emulator_node import OTHER_VM
from worker.notices import Cloud

ROOT = Path(__file__).resolve().parent.parent.parent
EVENTS = "/metadata/scheduledevents?api-version=2020-07-01"
METADATA = {"Metadata": "true"}
GOOGLE = {"Metadata-Flavor": "Google"}
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "X-aws-ec2-metadata-token"
FLAG = "/computeMetadata/v1/instance/preempted"


def ask(cloud: MetadataEmulator, method: str, path: str, headers: dict[str, str], **more: object) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=20) as client:
        return client.request(method, cloud.url + path, headers=headers, **more)  # type: ignore[arg-type]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process to be killed."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


# Azure


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", EVENTS, {}, 400),
        ("GET", EVENTS, {"Metadata": "yes"}, 400),
        ("GET", "/metadata/scheduledevents", METADATA, 400),
        ("GET", EVENTS, {**METADATA, "X-Forwarded-For": "10.0.0.1"}, 400),
        ("GET", "/metadata/other?api-version=2020-07-01", METADATA, 404),
        ("PUT", EVENTS, METADATA, 405),
        ("GET", EVENTS, METADATA, 200),
        ("GET", EVENTS, {"Metadata": "True"}, 200),
    ],
)
def test_azure_answers_the_status_that_azure_does(method: str, path: str, headers: dict[str, str], status: int) -> None:
    with MetadataEmulator(Cloud.AZURE) as cloud:
        assert ask(cloud, method, path, headers).status_code == status


def test_an_azure_event_is_scheduled_then_started_then_gone() -> None:
    with MetadataEmulator(Cloud.AZURE, vm_name="vmss_3") as cloud:
        empty = ask(cloud, "GET", EVENTS, METADATA).json()
        assert empty["Events"] == []
        event_id = cloud.preempt(1.5)
        document = ask(cloud, "GET", EVENTS, METADATA).json()
        event = document["Events"][0]
        assert document["DocumentIncarnation"] > empty["DocumentIncarnation"]
        assert (event["EventId"], event["EventType"], event["EventStatus"]) == (event_id, "Preempt", "Scheduled")
        assert (event["ResourceType"], event["Resources"]) == ("VirtualMachine", ["vmss_3"])
        assert event["NotBefore"].endswith(" GMT")
        assert abs(parsedate_to_datetime(event["NotBefore"]).timestamp() - time.time()) < 30

        def status() -> list[tuple[str, str]]:
            events = ask(cloud, "GET", EVENTS, METADATA).json()["Events"]
            return [(event["EventStatus"], event["NotBefore"]) for event in events]

        wait_until(lambda: status() == [("Started", "")])
        wait_until(lambda: status() == [])


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"StartRequests": 3}', b'{"StartRequests": [{}]}', b'{"StartRequests": []}']
)
def test_azure_refuses_start_requests_that_are_none(body: bytes) -> None:
    with MetadataEmulator(Cloud.AZURE) as cloud:
        cloud.preempt(3600)
        assert ask(cloud, "POST", EVENTS, METADATA, content=body).status_code == 400
        assert cloud.acknowledged == []


def test_azure_starts_an_acknowledged_event_early_and_the_machine_ends(sleeper: subprocess.Popen[bytes]) -> None:
    with MetadataEmulator(Cloud.AZURE, EmulatorPlan(kill=(sleeper.pid,))) as cloud:
        event_id = cloud.preempt(3600)
        answer = ask(cloud, "POST", EVENTS, METADATA, json={"StartRequests": [{"EventId": event_id}]})
        assert answer.status_code == 200
        assert sleeper.wait(timeout=30) == -signal.SIGKILL
        assert cloud.acknowledged == [event_id]
        unknown = {"StartRequests": [{"EventId": "nobody"}]}
        assert ask(cloud, "POST", EVENTS, METADATA, json=unknown).status_code == 400


# AWS


def test_aws_gives_tokens_only_for_a_sensible_life() -> None:
    with MetadataEmulator(Cloud.AWS) as cloud:
        for wanted in ("", "0", "21601", "-1", "six"):
            headers = {TTL: wanted} if wanted else {}
            assert ask(cloud, "PUT", "/latest/api/token", headers).status_code == 400
        forwarded = {TTL: "60", "X-Forwarded-For": "10.0.0.1"}
        assert ask(cloud, "PUT", "/latest/api/token", forwarded).status_code == 403
        answer = ask(cloud, "PUT", "/latest/api/token", {TTL: "21600"})
        assert (answer.status_code, answer.headers[TTL]) == (200, "21600")


def test_aws_answers_nothing_without_a_token_that_lives() -> None:
    with MetadataEmulator(Cloud.AWS) as cloud:
        path = "/latest/meta-data/instance-id"
        assert ask(cloud, "GET", path, {}).status_code == 401
        assert ask(cloud, "GET", path, {TOKEN: "made-up"}).status_code == 401
        token = ask(cloud, "PUT", "/latest/api/token", {TTL: "1"}).text
        wait_until(lambda: ask(cloud, "GET", path, {TOKEN: token}).status_code == 401)


def test_the_time_of_an_aws_notice_does_not_slide() -> None:
    with MetadataEmulator(Cloud.AWS) as cloud:
        headers = {TOKEN: ask(cloud, "PUT", "/latest/api/token", {TTL: "600"}).text}
        path = "/latest/meta-data/spot/instance-action"
        assert ask(cloud, "GET", path, headers).status_code == 404
        cloud.preempt(120)
        first = ask(cloud, "GET", path, headers).json()
        assert first["action"] == "terminate"
        assert first["time"].endswith("Z")
        time.sleep(1.1)
        assert ask(cloud, "GET", path, headers).json() == first
        assert ask(cloud, "GET", "/latest/meta-data/spot/termination-time", headers).text == first["time"]
        assert ask(cloud, "GET", "/latest/meta-data/events/recommendations/rebalance", headers).status_code == 404


# GCP


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (FLAG, {}, 403),
        (FLAG, {"Metadata-Flavor": "Other"}, 403),
        (FLAG, {**GOOGLE, "X-Forwarded-For": "10.0.0.1"}, 403),
        ("/computeMetadata/v1/instance/nothing", GOOGLE, 404),
        (FLAG, GOOGLE, 200),
    ],
)
def test_gcp_answers_the_status_that_gcp_does(path: str, headers: dict[str, str], status: int) -> None:
    with MetadataEmulator(Cloud.GCP) as cloud:
        answer = ask(cloud, "GET", path, headers)
        assert (answer.status_code, answer.headers["Metadata-Flavor"]) == (status, "Google")


def test_a_gcp_long_poll_ends_with_its_time_or_with_a_change() -> None:
    with MetadataEmulator(Cloud.GCP) as cloud:
        now = ask(cloud, "GET", FLAG, GOOGLE)
        assert now.text == "FALSE"
        poll = f"{FLAG}?wait_for_change=true&last_etag={now.headers['ETag']}"
        unchanged = ask(cloud, "GET", f"{poll}&timeout_sec=1", GOOGLE)
        assert (unchanged.text, unchanged.headers["ETag"]) == ("FALSE", now.headers["ETag"])
        cloud.preempt(3600)
        changed = ask(cloud, "GET", f"{poll}&timeout_sec=3600", GOOGLE)
        assert changed.text == "TRUE"
        assert changed.headers["ETag"] != now.headers["ETag"]


# Scenarios


@pytest.mark.parametrize("cloud", list(Cloud))
def test_notice_then_kill_kills_at_the_deadline(cloud: Cloud, sleeper: subprocess.Popen[bytes]) -> None:
    plan = EmulatorPlan(Scenario.NOTICE_THEN_KILL, after=0.1, notice=0.5, kill=(sleeper.pid,))
    lines: list[str] = []
    with MetadataEmulator(cloud, plan, say=lines.append) as emulator:
        assert sleeper.wait(timeout=30) == -signal.SIGKILL
        wait_until(lambda: emulator.killed == [sleeper.pid])
        assert [line.partition(":")[0] for line in lines] == ["notice", f"killed {sleeper.pid}"]


def test_kill_without_notice_says_nothing_before(sleeper: subprocess.Popen[bytes]) -> None:
    plan = EmulatorPlan(Scenario.KILL_WITHOUT_NOTICE, after=0.1, kill=(sleeper.pid,))
    with MetadataEmulator(Cloud.AZURE, plan) as cloud:
        assert sleeper.wait(timeout=30) == -signal.SIGKILL
        assert ask(cloud, "GET", EVENTS, METADATA).json()["Events"] == []


@pytest.mark.parametrize("scenario", [Scenario.CANCELLED, Scenario.OTHER_VM])
def test_what_does_not_strike_this_machine_kills_nothing(scenario: Scenario, sleeper: subprocess.Popen[bytes]) -> None:
    plan = EmulatorPlan(scenario, after=0.0, notice=0.4, kill=(sleeper.pid,))
    with MetadataEmulator(Cloud.AZURE, plan) as cloud:
        seen: list[list[str]] = []

        def over() -> bool:
            events = ask(cloud, "GET", EVENTS, METADATA).json()["Events"]
            seen.extend(event["Resources"] for event in events)
            return bool(seen) and not events

        wait_until(over)
        assert seen[0] == ["segue-vm"] if scenario is Scenario.CANCELLED else [OTHER_VM]
        assert sleeper.poll() is None
        assert cloud.killed == []


def test_a_closed_emulator_kills_nobody_later(sleeper: subprocess.Popen[bytes]) -> None:
    with MetadataEmulator(Cloud.AWS, EmulatorPlan(kill=(sleeper.pid,))) as cloud:
        cloud.preempt(0.3)
    time.sleep(0.6)
    assert sleeper.poll() is None


@pytest.mark.parametrize(
    ("cloud", "scenario"),
    [(Cloud.AWS, Scenario.CANCELLED), (Cloud.GCP, Scenario.OTHER_VM), (Cloud.AZURE, Scenario.REBALANCE)],
)
def test_a_scenario_that_a_cloud_does_not_know_is_refused(cloud: Cloud, scenario: Scenario) -> None:
    with pytest.raises(UsageError, match=str(scenario)):
        MetadataEmulator(cloud, EmulatorPlan(scenario))


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    for plan in (EmulatorPlan(after=seconds), EmulatorPlan(notice=seconds)):
        with pytest.raises(UsageError, match="seconds"):
            MetadataEmulator(Cloud.AZURE, plan)


def test_a_process_that_is_not_there_is_refused() -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    for pid in (done.pid, 0, 1, -5):
        with pytest.raises(UsageError, match=str(pid)):
            MetadataEmulator(Cloud.AZURE, EmulatorPlan(kill=(pid,)))


def test_a_port_that_is_taken_is_refused_in_one_line() -> None:
    with MetadataEmulator(Cloud.AZURE) as cloud:
        port = int(cloud.url.rpartition(":")[2])
        with pytest.raises(UsageError, match="cannot listen"):
            MetadataEmulator(Cloud.AZURE, port=port).start()


# The command


def _command(*arguments: str) -> subprocess.Popen[str]:
    code = "import typer; from cli.queue.emulate import emulate_command; typer.run(emulate_command)"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_command_prints_the_settings_and_kills(sleeper: subprocess.Popen[bytes]) -> None:
    options = ["--cloud", "azure", "--after", "0.1", "--notice", "0.5", "--vm-name", "spot-9"]
    process = _command(*options, "--kill", str(sleeper.pid))
    assert process.stdout is not None
    assert "spot-9" in process.stdout.readline()
    settings = dict(word.split("=") for word in process.stdout.readline().split()[1:])
    assert settings["SEGUE_PREEMPTION"] == "azure"
    with httpx.Client(trust_env=False) as client:
        url = f"{settings['SEGUE_METADATA_URL']}/metadata/instance?api-version=2021-02-01"
        assert json.loads(client.get(url, headers=METADATA).text)["compute"]["name"] == "spot-9"
    assert sleeper.wait(timeout=30) == -signal.SIGKILL
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert [word in errors for word in ("notice: Preempt", f"killed {sleeper.pid}", "ends")] == [True] * 3
