"""What a worker's machine is, as its cloud's metadata service says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from journals.node_session import NodeFacts, local_facts
from worker.notices.aws import AwsMetadata
from worker.notices.azure import AzureMetadata
from worker.notices.detection import detect_cloud
from worker.notices.gcp import GcpMetadata
from worker.notices.metadata import Cloud, MetadataError, MetadataHttp

#: The metadata are asked so often: without them two processes of one VM might take themselves for two nodes.
_READ_TRIES = 4


def read_node(choice: str, url: str = "", say: Callable[[str], None] = lambda _line: None) -> NodeFacts:
    """The facts of this machine; ``choice`` and ``url`` as in `worker.notices.open_watcher`.

    A metadata service that does not answer leaves its facts empty and is said in one line. Raises SettingsError for a
    URL that is none.
    """
    cloud = Cloud(choice) if choice in set(Cloud) else detect_cloud(url) if choice == "auto" else None
    told: dict[str, Any] = {}
    if cloud is not None:
        try:
            told = {"cloud": str(cloud), **_ask_cloud(cloud, url)}
        except MetadataError as error:
            told = {"cloud": str(cloud)}
            say(f"{error.message}: size, zone and price class of this node are not known")
    return replace(local_facts(), **told)


def _ask_cloud(cloud: Cloud, url: str) -> dict[str, Any]:
    """The cloud's facts, each asked for a few times. Raises MetadataError."""
    http = MetadataHttp(url, timeout=2.0, tries=_READ_TRIES)
    try:
        if cloud is Cloud.AZURE:
            return _azure_facts(http)
        return _aws_facts(http) if cloud is Cloud.AWS else _gcp_facts(http)
    finally:
        http.close()


def _azure_facts(http: MetadataHttp) -> dict[str, Any]:
    compute = AzureMetadata(http).compute()
    told = {name: str(compute.get(name) or "") for name in ("vmId", "name", "vmSize", "location", "zone", "priority")}
    return {
        "instance_id": told["vmId"],
        "name": told["name"],
        "size": told["vmSize"],
        "region": told["location"],
        # Azure numbers the zones of each region: 1, 2, 3.
        "zone": f"{told['location']}-{told['zone']}" if told["zone"] else "",
        # Low is what Spot was called before.
        "spot": told["priority"].lower() in ("spot", "low") if told["priority"] else None,
    }


def _aws_facts(http: MetadataHttp) -> dict[str, Any]:
    service = AwsMetadata(http)
    zone = _stripped(service.read("placement/availability-zone"))
    life_cycle = _stripped(service.read("instance-life-cycle"))
    return {
        "instance_id": _stripped(service.read("instance-id")),
        "name": _stripped(service.read("local-hostname")),
        "size": _stripped(service.read("instance-type")),
        "region": _stripped(service.read("placement/region")),
        "zone": zone,
        "spot": life_cycle == "spot" if life_cycle else None,
    }


def _stripped(text: str | None) -> str:
    return (text or "").strip()


def _gcp_facts(http: MetadataHttp) -> dict[str, Any]:
    service = GcpMetadata(http)

    def read(name: str) -> str:
        value = service.read(f"instance/{name}")
        return value.text.rpartition("/")[2] if value is not None else ""

    zone, preemptible = read("zone"), read("scheduling/preemptible").upper()
    return {
        "instance_id": read("id"),
        "name": read("name"),
        "size": read("machine-type"),
        "region": zone.rpartition("-")[0],
        "zone": zone,
        "spot": preemptible == "TRUE" if preemptible else None,
    }
