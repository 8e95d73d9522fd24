"""From what a person asked for to the entries of a run: files, folders and manifests, each with its options."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.errors import (
    EngineError,
    EngineMissingError,
    ListedError,
    MediaError,
    SettingsError,
    UsageError,
)
from core.keys import canonical_json, digest_value
from core.specs import EngineSpec
from engines.roles import check_here
from media.inputs import InputFile, expand_inputs
from media.sources import one_line, shown
from pipeline.executor import Entry
from pipeline.inputs.glossaries import Glossary, read_glossary
from pipeline.inputs.manifests import is_manifest, read_manifest
from pipeline.inputs.sources import known_digest
from pipeline.job import Caption, GlossaryTerm, JobSettings
from pipeline.jobs import JobFolder
from pipeline.languages import guess_language, normalise_language
from pipeline.outputs.delivery import DEFAULT_FORMATS, Delivery
from pipeline.planning import PlanRequest
from pipeline.report import FileResult, JobState
from pipeline.runtime import Runtime, expand_home
from pipeline.stages import engine_stages
from pipeline.work import JobWork
from subtitles.events import join_lines
from subtitles.formats import FORMATS
from subtitles.read import inspect_captions


@dataclass(frozen=True)
class RunOptions:
    """What holds for a file: from its manifest row, else from the flags."""

    targets: tuple[str, ...] = ()
    #: Empty to decide it by vote.
    source_language: str = ""
    #: None writes beside each media file.
    out: Path | None = None
    track: str = ""
    transcript: Path | None = None
    glossary: Path | None = None
    formats: tuple[str, ...] = DEFAULT_FORMATS
    bilingual: bool = False
    mux: bool = False
    force: bool = False
    #: What was said for the options that stages declare.
    stage_options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """One input with its options."""

    file: InputFile
    options: RunOptions


@dataclass(frozen=True)
class Requests:
    """Every input of a run, and those that cannot be one."""

    requests: tuple[Request, ...]
    problems: tuple[FileResult, ...]
    #: What a person should know about how its lists were read.
    notes: tuple[str, ...] = ()


def parse_formats(text: str) -> tuple[str, ...]:
    """``srt,ass`` -> ``("srt", "ass")``. Raises UsageError. The JSON document is always written."""
    names = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise UsageError(f"unknown format: {', '.join(unknown) or text!r}", f"choose from {', '.join(FORMATS)}")
    return tuple(name for name in names if name != "json")


def gather(paths: Sequence[Path], options: RunOptions) -> Requests:
    """All inputs of a run. Raises UsageError for a name that is not there, and for a manifest with bad rows."""
    refuse_missing(paths)
    plain = [path for path in paths if not is_manifest(path)]
    if options.transcript is not None and (len(plain) != 1 or plain[0].is_dir() or len(paths) != 1):
        raise UsageError("--transcript belongs to one media file", "use a manifest with a 'transcript' column for more")
    rows: dict[Path, RunOptions] = {}
    notes = []
    for path in (path for path in paths if is_manifest(path)):
        manifest = read_manifest(path)
        notes += [f"{one_line(path.name)}: {manifest.doubt}"] if manifest.doubt else []
        for media, changes in manifest.rows.items():
            chosen = replace(options, **changes) if changes else options
            if rows.setdefault(media, chosen) != chosen:
                raise UsageError(f"{shown(media)} stands in two manifests with different options", "name it in one")
    # All at once, so that files of one name from different lists get different places.
    found = expand_inputs([*plain, *rows], [expand_home(options.out)] if options.out else [])
    requests = tuple(Request(file, rows.get(file.path, options)) for file in found.files)
    problems = [
        FileResult(problem.path, JobState.FAILED, reason=f"{problem.message} ({problem.hint})")
        for problem in found.problems
    ]
    return Requests(requests, tuple(problems), tuple(notes))


def refuse_missing(paths: Sequence[Path]) -> None:
    """Raises UsageError for names that nothing has: most likely misspelt, and nothing is spent yet."""
    missing = [shown(path) for path in paths if not os.path.lexists(path)]
    hint = "check the name and the folder; nothing was done"
    if len(missing) == 1:
        raise UsageError(f"{missing[0]}: there is no such file or folder", hint)
    if missing:
        raise ListedError.of("there is no such file or folder", missing, hint)


def make_entries(requests: Sequence[Request], runtime: Runtime) -> list[Entry]:
    """What an executor runs. Engine specs are frozen here, once for all. Raises SettingsError, EngineError.

    An endpoint that does not answer is no obstacle where everything that it was to do is in the store.
    """
    for request in requests:
        if request.options.glossary is not None:
            read_glossary(request.options.glossary)
    engines: dict[str, EngineSpec] = {}
    users = {
        stage.role: [request for request in requests if stage.role in roles_of(request.options)]
        for stage in engine_stages()
    }
    for role in (role for role, wanted in users.items() if wanted):
        engines[role] = _frozen(role, users[role], engines, runtime)
    for role, spec in engines.items():
        _check_here(role, spec, users[role], engines, runtime)
    return [Entry(delivery_of(request), _planner(request, runtime, engines)) for request in requests]


def roles_of(options: RunOptions) -> tuple[str, ...]:
    """The roles that a job with these options needs an engine for."""
    settings = _settings(options, "given" if options.transcript else "", (), {}, {})
    return tuple(dict.fromkeys(stage.role for stage in engine_stages() if stage.active(settings)))


def _frozen(role: str, requests: Sequence[Request], engines: Mapping[str, EngineSpec], runtime: Runtime) -> EngineSpec:
    """The engine that these are frozen with: as it answers now, else as it last did if nobody needs it any more."""
    if not runtime.is_remote(role):
        return runtime.engine_spec(role)
    note = ("state", f"{role}-{runtime.asked_for(role)[:16]}.state")
    try:
        spec = runtime.engine_spec(role)
    except EngineMissingError:
        raise
    except EngineError as error:
        known = runtime.store.read_state(note)
        if known is None:
            raise
        spec = EngineSpec.from_json(json.loads(known))
        if not all(_is_complete(request, runtime, {**engines, role: spec}) for request in requests):
            raise
        runtime.announce(f"{error.message}; it is not needed, since all of its work was done before")
        return spec
    value = canonical_json(spec.as_json())
    if runtime.store.read_state(note) != value:
        runtime.store.replace_state(note, value)
    return spec


def _check_here(
    role: str,
    spec: EngineSpec,
    requests: Sequence[Request],
    engines: Mapping[str, EngineSpec],
    runtime: Runtime,
) -> None:
    """Raises SettingsError when this machine cannot compute what was frozen, and something is left to compute."""
    try:
        check_here(role, spec, runtime.resources)
    except SettingsError:
        if not all(_is_complete(request, runtime, engines) for request in requests):
            raise


def _is_complete(request: Request, runtime: Runtime, engines: Mapping[str, EngineSpec]) -> bool:
    """True when every unit of the request's job is in the store, or when it can be no job at all."""
    try:
        wanted = plan_request(request, runtime, engines)
    except MediaError:
        return True  # Said when it is planned.
    plan = JobFolder(runtime.store, wanted.job_id).read_plan()
    return plan is not None and JobWork.open(plan, runtime.store, {}).finished


def delivery_of(request: Request) -> Delivery:
    """Where a request's outputs go: below --out in its own sub-folder, or beside the media."""
    file, options = request.file, request.options
    folder = file.path.parent if options.out is None else expand_home(options.out).absolute() / file.relative.parent
    stem = file.stem.name
    return Delivery(file.path, folder, stem, options.formats, options.bilingual, options.mux, options.force)


def _planner(request: Request, runtime: Runtime, engines: Mapping[str, EngineSpec]) -> Callable[[], PlanRequest]:
    return lambda: plan_request(request, runtime, engines)


def plan_request(request: Request, runtime: Runtime, engines: Mapping[str, EngineSpec] | None = None) -> PlanRequest:
    """Reads what a plan depends on: the media's digest, captions, glossary. Raises MediaError, UsageError.

    ``engines`` by role, where they are not those that the runtime would find now.
    """
    options = request.options
    captions, notes = _captions(options.transcript, options.source_language) if options.transcript else ((), ())
    if options.transcript is not None and not options.source_language:
        options = replace(options, source_language=captions_language(options.transcript, captions))
    glossary = read_glossary(options.glossary) if options.glossary else Glossary()
    if options.glossary and glossary.doubt:
        notes = (*notes, f"{one_line(options.glossary.name)}: {glossary.doubt}")
    digest = digest_value([[c.start_ms, c.end_ms, c.text] for c in captions]) if captions else ""
    chosen = {role: (engines or {}).get(role) or runtime.engine_spec(role) for role in roles_of(options)}
    segmenter = {} if options.transcript else runtime.segmenter.as_json()
    return PlanRequest(
        path=request.file.path,
        digest=known_digest(request.file.path, runtime.store),
        owner=runtime.settings.owner,
        settings=_settings(options, digest, glossary.terms, segmenter, chosen),
        params=runtime.segmenter,
        captions=captions,
        notes=notes,
    )


def _settings(
    options: RunOptions,
    captions: str,
    glossary: tuple[GlossaryTerm, ...],
    segmenter: Mapping[str, Any],
    engines: Mapping[str, EngineSpec],
) -> JobSettings:
    return JobSettings(
        source_language=options.source_language,
        target_languages=options.targets,
        track=options.track,
        engines=engines,
        segmenter=segmenter,
        glossary=glossary,
        captions=captions,
        options=options.stage_options,
    )


def captions_language(path: Path, captions: Sequence[Caption]) -> str:
    """The language of captions: the one in their file's name (``ep1.pt-BR.srt``), else what the text looks like."""
    return _named_language(path) or guess_language("\n".join(caption.text for caption in captions))


def _named_language(path: Path) -> str:
    try:
        return normalise_language(path.stem.rpartition(".")[2] if "." in path.stem else "")
    except UsageError:
        return ""


def _captions(path: Path, language: str) -> tuple[tuple[Caption, ...], tuple[str, ...]]:
    """The captions, and what had to be put right to read them. The language is evidence of how they are written."""
    track = inspect_captions(path, shown(path), language or _named_language(path))
    captions = tuple(Caption(event.start_ms, event.end_ms, join_lines(event.lines)) for event in track.events)
    return captions, tuple(f"{one_line(path.name)}: {note}" for note in track.notes)
