"""Which cloud this machine is in."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from worker.notices.aws import AwsMetadata
from worker.notices.azure import AzureMetadata
from worker.notices.gcp import GcpMetadata
from worker.notices.metadata import Cloud, MetadataError, MetadataHttp

_TIMEOUT_S = 1.5
#: A service that fails now and then is asked so often for each thing.
_TRIES = 3

_DMI = Path("/sys/class/dmi/id")
#: (file, start of its text, cloud). Azure's is the tag that Microsoft gives its own hosts: the vendor alone would also
#: fit a Hyper-V at home.
_DMI_SIGNS = (
    ("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77", Cloud.AZURE),
    ("sys_vendor", "Amazon EC2", Cloud.AWS),
    ("bios_vendor", "Amazon EC2", Cloud.AWS),
    ("product_name", "Google Compute Engine", Cloud.GCP),
)


def detect_cloud(url: str, *, timeout: float = _TIMEOUT_S, firmware: Path = _DMI) -> Cloud | None:
    """The cloud of this machine, or the one that answers at ``url``; None for none.

    The machine's own firmware is believed without a question; else all three dialects are tried at once.
    """
    if not url and (known := _from_firmware(firmware)) is not None:
        return known
    http = MetadataHttp(url, timeout, tries=_TRIES)
    try:
        return next((cloud for cloud, answered in _probe_all(http).items() if answered), None)
    finally:
        http.close()


def _from_firmware(folder: Path) -> Cloud | None:
    for name, sign, cloud in _DMI_SIGNS:
        try:
            text = (folder / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if text.strip().startswith(sign):
            return cloud
    return None


def _probe_all(http: MetadataHttp) -> dict[Cloud, bool]:
    """For each cloud whether its dialect is what is spoken there."""
    probes: dict[Cloud, Callable[[], bool]] = {
        Cloud.AZURE: lambda: bool(AzureMetadata(http).compute()),
        Cloud.AWS: lambda: (AwsMetadata(http).read("instance-id") or "").startswith("i-"),
        Cloud.GCP: lambda: GcpMetadata(http).read("instance/id") is not None,
    }
    with ThreadPoolExecutor(len(probes), thread_name_prefix="segue-probe") as pool:
        running = {cloud: pool.submit(_answered, probe) for cloud, probe in probes.items()}
        return {cloud: future.result() for cloud, future in running.items()}


def _answered(probe: Callable[[], bool]) -> bool:
    try:
        return probe()
    except MetadataError:
        return False
