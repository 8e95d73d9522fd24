"""What a node is, and its session on the disk."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec import convert, to_builtins
from notice_box import wait_until

from cache.store import Store
from core.version import VERSION
from journals.lines import BeatLine
from journals.node_session import NodeFacts, NodeSession
from worker.emulator import EmulatorPlan, MetadataEmulator, Scenario
from worker.node import read_node
from worker.notices import Cloud

ROOT = Path(__file__).resolve().parent.parent.parent
FACTS = NodeFacts(
    "azure",
    "vm-id-1",
    "vm",
    "Standard_NC4as_T4_v3",
    "westeurope",
    "westeurope-1",
    True,
    ("Tesla T4",),
    (15360,),
    "h",
    "b",
)


@pytest.mark.parametrize(
    ("cloud", "size", "region", "zone"),
    [
        (Cloud.AZURE, "Standard_NC4as_T4_v3", "westeurope", "westeurope-1"),
        (Cloud.AWS, "g4dn.xlarge", "eu-west-1", "eu-west-1b"),
        (Cloud.GCP, "g2-standard-4", "europe-west4", "europe-west4-b"),
    ],
)
def test_the_clouds_say_what_the_node_is(cloud: Cloud, size: str, region: str, zone: str) -> None:
    with MetadataEmulator(cloud, vm_name="gpu-7") as emulator:
        facts = read_node("auto", emulator.url)
        assert (facts.cloud, facts.name, facts.size, facts.region, facts.zone) == (cloud, "gpu-7", size, region, zone)
        assert facts.instance_id == emulator.node.facts.instance_id
        assert facts.spot is True
    with MetadataEmulator(cloud, spot=False) as emulator:
        assert read_node(str(cloud), emulator.url).spot is False


@pytest.mark.parametrize("cloud", list(Cloud))
def test_a_service_that_fails_now_and_then_is_asked_again(cloud: Cloud) -> None:
    # Only the 500s of the scenario: a hanging answer would take its two seconds.
    plan = EmulatorPlan(Scenario.ERRORS, after=3600, hang_seconds=0.0)
    with MetadataEmulator(cloud, plan, vm_name="gpu-7") as emulator:
        lines: list[str] = []
        facts = read_node(str(cloud), emulator.url, lines.append)
        assert facts.cloud == cloud
        assert facts.name == "gpu-7"
        assert lines == []


def test_without_a_cloud_the_machine_speaks_for_itself() -> None:
    facts = read_node("none")
    assert (facts.cloud, facts.instance_id, facts.spot) == ("", "", None)
    assert facts.host
    assert facts.boot_id
    assert re.fullmatch("[0-9a-f]{24}", facts.session_id)
    assert facts == read_node("none")


def test_facts_survive_json_and_names_that_a_later_version_adds() -> None:
    value = json.loads(json.dumps(to_builtins(FACTS)))
    assert convert({**value, "later": 1}, NodeFacts) == FACTS
    assert FACTS.describe() == "azure Standard_NC4as_T4_v3 westeurope-1 spot, 1 x Tesla T4"


def test_a_session_is_one_boot_of_one_machine() -> None:
    def session(**changes: str) -> str:
        return NodeFacts(**{"instance_id": "i-1", "host": "a", "boot_id": "b1", **changes}).session_id  # type: ignore[arg-type]

    assert session() == session(host="another container")
    assert session() != session(boot_id="b2")
    assert session() != session(instance_id="i-2")
    assert session(instance_id="") != session(instance_id="", host="c")


class _TwoGpus:
    """The driver's library as on a node with two GPUs, of which one is shared and tells no utilization."""

    class NVMLError(Exception):
        """As the library's."""

    def __init__(self) -> None:
        self.open = 0

    def nvmlInit(self) -> None:
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetName(self, handle: int) -> object:
        return ["Tesla T4", b"NVIDIA A10"][handle]

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(total=[16, 24][handle] * 2**30, used=[2, 3][handle] * 2**30)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:
        if handle == 1:
            raise self.NVMLError("Not Supported")
        return SimpleNamespace(gpu=85)


def test_gpus_are_read_from_the_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    driver = _TwoGpus()
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    facts = read_node("none")
    assert (facts.gpu_names, facts.gpu_memory_mib) == (("Tesla T4", "NVIDIA A10"), (16384, 24576))
    assert driver.open == 0
    with Store.open(tmp_path / "home") as store:
        session = NodeSession.open(store, facts, "", worker="w1", interval=0.02)
        wait_until(lambda: any(_journals(store, facts.session_id)))
        beat = _journals(store, facts.session_id)[0][0]
        assert (beat["gpu_util"], beat["gpu_mem_mib"]) == (85, 5 * 1024)
        session.close("told")
    assert driver.open == 0


def _journals(store: Store, session: str) -> list[list[dict[str, object]]]:
    names = [name for name in store.children(("nodes", session)) if name.startswith("beats-")]
    return [list(store.read_journal(("nodes", session, name)).entries) for name in names]


def test_the_first_process_of_a_vm_opens_the_session_and_others_read_it(tmp_path: Path) -> None:
    with Store.open(tmp_path / "home") as store:
        first = NodeSession.open(store, FACTS, "0.149 USD", worker="w1", interval=0.02)
        second = NodeSession.open(store, FACTS, "9 USD", worker="w2", interval=0.02)
        assert first.session == second.session == FACTS.session_id
        assert first.opened == second.opened
        opened = first.opened
        assert (opened.price, opened.worker, opened.version) == ("0.149 USD", "w1", VERSION)
        assert opened.spot is True
        assert convert(to_builtins(opened), NodeFacts) == FACTS
        assert datetime.fromisoformat(opened.at).utcoffset() is not None
        wait_until(lambda: [len(entries) >= 2 for entries in _journals(store, FACTS.session_id)] == [True, True])
        first.close("told: SIGTERM")
        second.close("notice: azure")


def test_a_worker_that_starts_with_another_price_notes_a_step(tmp_path: Path) -> None:
    """A price is in force until a later worker of the machine says another; one without a price says none."""
    with Store.open(tmp_path / "home") as store:
        for worker, price in enumerate(("0.149 USD", "0.149 USD", "0.2 USD", "", "0.2 USD", "0.149 USD")):
            known = len(_journals(store, FACTS.session_id))
            session = NodeSession.open(store, FACTS, price, worker=f"w{worker}")
            wait_until(lambda known=known: len(_journals(store, FACTS.session_id)) > known)
            assert session.others() == 0
            session.close("told")
        told = sorted((fact for journal in _journals(store, FACTS.session_id) for fact in journal), key=_moment)
        steps = [(fact["worker"], fact["price"]) for fact in told if fact["fact"] == "price_changed"]
        assert steps == [("w2", "0.2 USD"), ("w5", "0.149 USD")]
        assert json.loads(store.read_document(("nodes", FACTS.session_id, "opened.json")) or "")["price"] == "0.149 USD"


def test_a_step_of_the_price_does_not_hide_that_its_worker_is_alive(tmp_path: Path) -> None:
    with Store.open(tmp_path / "home") as store:
        first = NodeSession.open(store, FACTS, "1 USD", worker="w1")
        second = NodeSession.open(store, FACTS, "2 USD", worker="w2")
        wait_until(lambda: sorted(map(len, _journals(store, FACTS.session_id))) == [1, 2])
        first.close("notice")
        assert first.others() == 1
        second.close("notice")


def _moment(fact: dict[str, object]) -> str:
    return str(fact["at"])


def test_beats_and_the_end_of_each_process_are_in_its_own_journal(tmp_path: Path) -> None:
    with Store.open(tmp_path / "home") as store:
        session = NodeSession.open(store, FACTS, "", worker="w1", interval=0.02)
        wait_until(lambda: any(len(entries) >= 3 for entries in _journals(store, FACTS.session_id)))
        session.close("told")
        session.close("again")
        ((*beats, last),) = _journals(store, FACTS.session_id)
        assert {beat["fact"] for beat in beats} == {"beat"}
        assert {beat["worker"] for beat in beats} == {"w1"}
        assert all({"gpu_util", "gpu_mem_mib"} <= set(beat) for beat in beats)
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", str(beat["at"])) for beat in beats)
        assert (last["fact"], last["reason"], last["worker"]) == ("session_closed", "told", "w1")


def test_the_last_process_to_leave_knows_that_it_is_the_last(tmp_path: Path) -> None:
    with Store.open(tmp_path / "home") as store:
        first = NodeSession.open(store, FACTS, "", worker="w1")
        second = NodeSession.open(store, FACTS, "", worker="w2")
        wait_until(lambda: [len(entries) for entries in _journals(store, FACTS.session_id)] == [1, 1])
        long_ago = BeatLine(at="2020-01-01T00:00:00.000+00:00", worker="killed")
        store.append(("nodes", FACTS.session_id, "beats-1-0.jsonl"), [long_ago.entry()])
        first.close("notice")
        assert first.others() == 1
        second.close("notice")
        assert (first.others(), second.others()) == (0, 0)


def test_a_damaged_opening_is_written_anew(tmp_path: Path) -> None:
    with Store.open(tmp_path / "home") as store:
        NodeSession.open(store, FACTS, "1 USD").close("told")
        path = tmp_path / "home" / "nodes" / FACTS.session_id / "opened.json"
        path.chmod(0o600)
        path.write_bytes(b"x" * 40)
        session = NodeSession.open(store, FACTS, "2 USD")
        assert session.opened.price == "2 USD"
        session.close("told")


def test_a_killed_process_leaves_its_beats_and_no_end(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom cache.store import Store\n"
        "from journals.node_session import NodeFacts, NodeSession\n"
        "NodeSession.open(Store.open(Path(sys.argv[1])), NodeFacts(boot_id='b', host='h'), '', interval=0.02)\n"
        "print('open', flush=True)\ntime.sleep(600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "home")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        session = NodeFacts(boot_id="b", host="h").session_id
        with Store.open(tmp_path / "home") as store:
            wait_until(lambda: any(len(entries) >= 2 for entries in _journals(store, session)))
            process.kill()
            process.wait()
            ((*beats, last),) = _journals(store, session)
            assert {fact["fact"] for fact in [*beats, last]} == {"beat"}
    finally:
        process.kill()
        process.wait()
        process.stdout.close() if process.stdout else None


def test_a_disk_in_trouble_is_said_once_and_the_beats_go_on(tmp_path: Path) -> None:
    lines: list[str] = []
    with Store.open(tmp_path / "home") as store:
        session = NodeSession.open(store, FACTS, "", worker="w1", interval=0.02, say=lines.append)
        wait_until(lambda: _journals(store, FACTS.session_id))
        home, away = tmp_path / "home", tmp_path / "away"
        home.rename(away)
        wait_until(lambda: lines)
        away.rename(home)
        before = len(_journals(store, FACTS.session_id)[0])
        wait_until(lambda: len(_journals(store, FACTS.session_id)[0]) > before)
        assert len(lines) == 1
        session.close("told")
