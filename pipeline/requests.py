"""From what a person asked for to the entries of a run: files, folders and manifests, each with its options."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.errors import (
    EngineError,
    EngineMissingError,
    ListedError,
    MediaError,
    SegueError,
    SettingsError,
    UsageError,
)
from core.keys import canonical_json, digest_value
from core.specs import EngineSpec
from core.version import VERSION
from media.inputs import InputFile, expand_inputs
from media.sources import check_source, one_line, shown
from pipeline.delivery import DEFAULT_FORMATS, Delivery
from pipeline.executor import Entry
from pipeline.job import Caption, GlossaryTerm, JobSettings
from pipeline.jobs import JobFolder
from pipeline.languages import guess_language, normalise_language, parse_targets, same_text
from pipeline.planning import PlanRequest
from pipeline.report import FileResult, JobState
from pipeline.runtime import Runtime, expand_home
from pipeline.sources import known_digest
from pipeline.work import JobWork
from subtitles.events import join_lines
from subtitles.formats import FORMATS
from subtitles.read import inspect_captions

MANIFEST_SUFFIXES = (".csv", ".jsonl")
#: Columns of a manifest; every one but ``media`` may be left out or empty and then means what the flags say.
MANIFEST_COLUMNS = ("media", "to", "from", "out", "track", "transcript", "glossary")


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


def parse_formats(text: str) -> tuple[str, ...]:
    """``srt,ass`` -> ``("srt", "ass")``. Raises UsageError. The JSON document is always written."""
    names = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise UsageError(f"unknown format: {', '.join(unknown) or text!r}", f"choose from {', '.join(FORMATS)}")
    return tuple(name for name in names if name != "json")


def gather(paths: Sequence[Path], options: RunOptions) -> Requests:
    """All inputs of a run. Raises UsageError for a manifest with bad rows, naming every one of them."""
    plain = [path for path in paths if not is_manifest(path)]
    if options.transcript is not None and (len(plain) != 1 or plain[0].is_dir() or len(paths) != 1):
        raise UsageError("--transcript belongs to one media file", "use a manifest with a 'transcript' column for more")
    rows: dict[Path, RunOptions] = {}
    for manifest in (path for path in paths if is_manifest(path)):
        for media, chosen in read_manifest(manifest, options).items():
            if rows.setdefault(media, chosen) != chosen:
                raise UsageError(f"{shown(media)} stands in two manifests with different options", "name it in one")
    # All at once, so that files of one name from different lists get different places.
    found = expand_inputs([*plain, *rows], [expand_home(options.out)] if options.out else [])
    requests = tuple(Request(file, rows.get(file.path, options)) for file in found.files)
    problems = [
        FileResult(problem.path, JobState.FAILED, reason=f"{problem.message} ({problem.hint})")
        for problem in found.problems
    ]
    return Requests(requests, tuple(problems))


def is_manifest(path: Path) -> bool:
    """True for a file that lists inputs."""
    return path.suffix.lower() in MANIFEST_SUFFIXES and path.is_file()


# -- manifests -----------------------------------------------------------------------------------------------


def read_manifest(path: Path, options: RunOptions) -> dict[Path, RunOptions]:
    """Media and options of each row of a CSV or JSONL manifest; paths in it are relative to its own folder.

    Raises UsageError with one line for each bad row, before anything is done.
    """
    rows: dict[Path, tuple[int, RunOptions]] = {}
    problems: list[str] = []
    for number, row in _manifest_rows(path, problems):
        try:
            media, chosen = _manifest_request(row, path.parent, options)
        except SegueError as error:
            problems.append(f"row {number}: {error}")
            continue
        if media not in rows:
            rows[media] = (number, chosen)
        elif rows[media][1] != chosen:
            # Both would write the same files; which one held would be chance.
            problems.append(f"row {number}: {shown(media)} stands in row {rows[media][0]} with other options")
    if not rows and not problems:
        problems.append("it has no rows")
    if problems:
        raise ListedError.of(f"{path} cannot be used as a manifest", problems, "correct these rows; nothing was done")
    return {media: chosen for media, (_, chosen) in rows.items()}


def _manifest_rows(path: Path, problems: list[str]) -> Iterable[tuple[int, Mapping[str, Any]]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as UTF-8 text", "save the manifest as UTF-8") from error
    if path.suffix.lower() == ".csv":
        yield from _csv_rows(path, text, problems)
        return
    # Not splitlines: JSON strings may hold what Python takes for other ends of a line (U+2028, form feed).
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError:
            problems.append(f"row {number}: not valid JSON")
            continue
        if isinstance(value, dict):
            yield number, value
        else:
            problems.append(f"row {number}: not a JSON object")


def _csv_rows(path: Path, text: str, problems: list[str]) -> Iterable[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        names = reader.fieldnames or ()
        unknown = [name for name in names if name not in MANIFEST_COLUMNS]
        if unknown or "media" not in names:
            raise UsageError(
                f"{path}: the first line must name the columns; unknown: {', '.join(unknown) or 'none'}",
                f"columns are {', '.join(MANIFEST_COLUMNS)}; 'media' is needed",
            )
        for row in reader:
            if None in row:
                problems.append(f"row {reader.line_num}: more values than columns (quote values that hold commas)")
            elif any(row.values()):
                yield reader.line_num, row
    except csv.Error as error:
        problems.append(f"row {reader.line_num}: {error} (is a quote left open?)")


def _manifest_request(row: Mapping[str, Any], base: Path, options: RunOptions) -> tuple[Path, RunOptions]:
    unknown = [name for name in row if name not in MANIFEST_COLUMNS]
    if unknown:
        raise UsageError(f"unknown column {', '.join(unknown)}", f"columns are {', '.join(MANIFEST_COLUMNS)}")
    said = {name: _cell(value) for name, value in row.items() if _cell(value)}
    if "media" not in said:
        raise UsageError("no media named")
    media = _absolute(base, said["media"])
    if media.is_dir():
        raise UsageError(f"{media} is a folder", "name files in a manifest; folders go on the command line")
    check_source(media)
    changes: dict[str, Any] = {}
    if "to" in said:
        changes["targets"] = parse_targets(said["to"])
    if "from" in said:
        changes["source_language"] = parse_source(said["from"])
    for name in ("out", "transcript", "glossary"):
        if name in said:
            changes[name] = _absolute(base, said[name])
    if "track" in said:
        changes["track"] = said["track"]
    for name in ("transcript", "glossary"):
        if name in changes and not changes[name].is_file():
            raise UsageError(f"the {name} {changes[name]} is not a file")
    chosen = replace(options, **changes)
    return media, chosen


def _absolute(base: Path, text: str) -> Path:
    """A manifest's path, which is relative to its folder, as an absolute one without ``..``. Raises UsageError."""
    if "\0" in text:
        raise UsageError(f"{shown(text)} is not a name that a file can have")
    return Path(os.path.abspath(base / expand_home(Path(text))))  # noqa: PTH100 - resolve() would follow links


def _cell(value: Any) -> str:
    """A cell's text; a list of languages may be written as a JSON list."""
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return "" if value is None else str(value).strip()


def parse_source(text: str) -> str:
    """The source language; ``auto`` and nothing mean that it is decided by vote."""
    return "" if text.strip().lower() in ("", "auto") else normalise_language(text)


# -- entries -------------------------------------------------------------------------------------------------


def make_entries(requests: Sequence[Request], runtime: Runtime) -> list[Entry]:
    """What an executor runs. Engine specs are frozen here, once for all. Raises SettingsError, EngineError.

    An endpoint that does not answer is no obstacle where everything that it was to do is in the store.
    """
    for request in requests:
        options = request.options
        if options.glossary is not None:
            read_glossary(options.glossary)
        if options.transcript is None:
            _ = runtime.transcriber_spec
    translated = [request for request in requests if needs_translator(request.options)]
    translator = _frozen_translator(translated, runtime) if translated else None
    _check_transcriber([request for request in requests if request.options.transcript is None], runtime, translator)
    return [Entry(delivery_of(request), _planner(request, runtime, translator)) for request in requests]


def _frozen_translator(requests: Sequence[Request], runtime: Runtime) -> EngineSpec:
    """The translator that these are frozen with: as it answers now, else as it last did if nobody needs it any more."""
    if not runtime.translates_remotely:
        return runtime.translator_spec
    settings = runtime.settings
    asked = digest_value([VERSION, settings.translator_url, settings.translator_model, settings.translator_revision])
    note = ("state", f"translator-{asked[:16]}.state")
    try:
        spec = runtime.translator_spec
    except EngineMissingError:
        raise
    except EngineError as error:
        known = runtime.store.read_state(note)
        if known is None:
            raise
        spec = EngineSpec.from_json(json.loads(known))
        if not all(_is_complete(request, runtime, spec) for request in requests):
            raise
        runtime.announce(f"{error.message}; all of it was translated before, so nobody needs to answer")
        return spec
    value = canonical_json(spec.as_json())
    if runtime.store.read_state(note) != value:
        runtime.store.replace_state(note, value)
    return spec


def _check_transcriber(requests: Sequence[Request], runtime: Runtime, translator: EngineSpec | None) -> None:
    """Raises SettingsError when this machine cannot compute in the frozen type, and something is left to compute."""
    from engines.transcribe.factory import check_here

    try:
        if requests:
            check_here(runtime.transcriber_spec, runtime.resources)
    except SettingsError:
        if not all(_is_complete(request, runtime, translator) for request in requests):
            raise


def _is_complete(request: Request, runtime: Runtime, translator: EngineSpec | None) -> bool:
    """True when every unit of the request's job is in the store, or when it can be no job at all."""
    try:
        wanted = plan_request(request, runtime, translator)
    except MediaError:
        return True  # Said when it is planned.
    plan = JobFolder(runtime.store, wanted.job_id).read_plan()
    return plan is not None and JobWork.open(plan, runtime.store, {}).finished


def needs_translator(options: RunOptions) -> bool:
    """True unless every target is the stated source language."""
    source = options.source_language
    return any(not source or not same_text(source, target) for target in options.targets)


def delivery_of(request: Request) -> Delivery:
    """Where a request's outputs go: below --out in its own sub-folder, or beside the media."""
    file, options = request.file, request.options
    folder = file.path.parent if options.out is None else expand_home(options.out).absolute() / file.relative.parent
    stem = file.stem.name
    return Delivery(file.path, folder, stem, options.formats, options.bilingual, options.mux, options.force)


def _planner(request: Request, runtime: Runtime, translator: EngineSpec | None) -> Callable[[], PlanRequest]:
    return lambda: plan_request(request, runtime, translator)


def plan_request(request: Request, runtime: Runtime, translator: EngineSpec | None = None) -> PlanRequest:
    """Reads what a plan depends on: the media's digest, captions, glossary. Raises MediaError, UsageError.

    ``translator`` where it is not the one that the runtime would find now.
    """
    options = request.options
    captions, notes = _captions(options.transcript, options.source_language) if options.transcript else ((), ())
    if options.transcript is not None and not options.source_language:
        options = replace(options, source_language=captions_language(options.transcript, captions))
    settings = JobSettings(
        source_language=options.source_language,
        target_languages=options.targets,
        track=options.track,
        transcriber=None if options.transcript else runtime.transcriber_spec,
        translator=(translator or runtime.translator_spec) if needs_translator(options) else None,
        segmenter={} if options.transcript else runtime.segmenter.as_json(),
        glossary=read_glossary(options.glossary) if options.glossary else (),
        captions=digest_value([[c.start_ms, c.end_ms, c.text] for c in captions]) if captions else "",
    )
    return PlanRequest(
        path=request.file.path,
        digest=known_digest(request.file.path, runtime.store),
        owner=runtime.settings.owner,
        settings=settings,
        params=runtime.segmenter,
        captions=captions,
        notes=notes,
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


@lru_cache(maxsize=64)
def read_glossary(path: Path) -> tuple[GlossaryTerm, ...]:
    """Terms from a CSV file with the columns source, target and, if wanted, language. Raises UsageError."""
    try:
        rows = list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"the glossary {path} cannot be read as UTF-8 CSV", "save it as UTF-8 CSV") from error
    if rows and [cell.strip().lower() for cell in rows[0][:2]] == ["source", "target"]:
        rows = rows[1:]
    terms = []
    for number, row in enumerate(rows, start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if len(cells) not in (2, 3) or not cells[0] or not cells[1]:
            raise UsageError(
                f"{path}: entry {number} is not 'source,target[,language]'", "one term a line, commas quoted"
            )
        language = normalise_language(cells[2]) if len(cells) == 3 and cells[2] else ""
        terms.append(GlossaryTerm(cells[0], cells[1], language))
    return tuple(sorted(terms, key=lambda term: (term.source, term.target, term.language)))
