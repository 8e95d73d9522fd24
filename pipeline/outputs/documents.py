"""The files a job delivers: subtitles in each language, and the JSON document that says everything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.keys import digest_bytes, digest_value
from core.version import VERSION
from engines.translate.interface import TranslatedLine
from pipeline.outputs.assemble import Assembly
from pipeline.outputs.delivery import Delivery
from subtitles.cues import Cue
from subtitles.events import SubtitleEvent, bilingual
from subtitles.formats import render
from subtitles.lines import break_lines
from subtitles.rules import rules_for

#: Version of the JSON document's shape.
DOCUMENT_VERSION = 2
#: What a subtitle shows where there is no translation: the source, plainly marked as not translated.
UNTRANSLATED = "[{}]"


def outputs_of(assembly: Assembly, delivery: Delivery) -> dict[Path, bytes]:
    """Path -> content of every text output of a delivery, without the muxed video."""
    partial = assembly.partial
    outputs: dict[Path, bytes] = {}
    for language, events in tracks_of(assembly).items():
        for name in delivery.formats:
            path = delivery.path(f"{language}.{name}", partial=partial)
            outputs[path] = render(events, name, language, delivery.stem)
    if delivery.bilingual:
        tracks = tracks_of(assembly)
        for target in assembly.translations:
            if target == assembly.language:
                continue
            stacked = bilingual(tracks[assembly.language], tracks[target]) if assembly.language else ()
            for name in delivery.formats:
                path = delivery.path(f"{assembly.language or 'und'}+{target}.{name}", partial=partial)
                outputs[path] = render(stacked, name, target, delivery.stem)
    for suffix, data in assembly.stage_files().items():
        outputs[delivery.path(suffix, partial=partial)] = data
    outputs[delivery.path("json", partial=partial)] = dump_document(document_of(assembly, delivery.media.name))
    return outputs


def tracks_of(assembly: Assembly) -> dict[str, tuple[SubtitleEvent, ...]]:
    """Language -> its subtitle events, lines broken; the source language comes first."""
    tracks: dict[str, tuple[SubtitleEvent, ...]] = {}
    if assembly.language:
        tracks[assembly.language] = _events(assembly.cues, [cue.text for cue in assembly.cues], assembly.language)
    for target, lines in assembly.translations.items():
        tracks[target] = _events(assembly.cues, _shown(assembly.cues, lines), target)
    return tracks


def _shown(cues: Sequence[Cue], lines: Sequence[TranslatedLine]) -> list[str]:
    return [line.text or UNTRANSLATED.format(cue.text) for cue, line in zip(cues, lines, strict=True)]


def mux_inputs(assembly: Assembly) -> tuple[dict[str, bytes], str]:
    """The subtitles that go into a copy of the video, by language, and a digest of all that the copy is made from."""
    tracks = {language: render(events, "srt", language) for language, events in tracks_of(assembly).items()}
    return tracks, digest_value(
        [assembly.plan.media.digest, {name: digest_bytes(data) for name, data in tracks.items()}]
    )


def _events(cues: Sequence[Cue], texts: Sequence[str], language: str) -> tuple[SubtitleEvent, ...]:
    rules = rules_for(language)
    return tuple(
        SubtitleEvent(cue.start_ms, cue.end_ms, break_lines(text, rules)) for cue, text in zip(cues, texts, strict=True)
    )


def dump_document(document: dict[str, Any]) -> bytes:
    """The JSON document as people read it: indented, in order, UTF-8.

    What UTF-8 cannot hold (a file's name may be any bytes) is written as JSON's own escape.
    """
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode(errors="backslashreplace")


def document_of(assembly: Assembly, media_name: str) -> dict[str, Any]:
    """The JSON document of a job. No time of day, no name of a machine: the same job gives the same bytes."""
    plan = assembly.plan
    settings = plan.settings
    return {
        "version": DOCUMENT_VERSION,
        "language": assembly.language,
        "duration_ms": plan.media.duration_ms,
        "cues": [
            {
                "id": int(cue.id),
                "start_ms": cue.start_ms,
                "end_ms": cue.end_ms,
                "text": cue.text,
                "words": [
                    {
                        "start_ms": word.start_ms,
                        "end_ms": word.end_ms,
                        "text": word.text.strip(),
                        "probability": word.probability / 1000,
                    }
                    for word in cue.words
                ],
                "flags": list(flags),
            }
            for cue, flags in zip(assembly.cues, assembly.flags, strict=True)
        ],
        "translations": {
            target: [{"id": int(line.id), "text": line.text, "flags": list(line.flags)} for line in lines]
            for target, lines in assembly.translations.items()
        },
        "gaps": [gap.as_json() for gap in assembly.gaps],
        "dropped": [
            {"start_ms": each.start_ms, "end_ms": each.end_ms, "text": each.text, "reason": each.reason}
            for each in assembly.dropped
        ],
        "lint": {
            language: [
                {"id": int(each.cue_id), "rule": each.rule.value, "measured": each.measured, "limit": each.limit}
                for each in findings
            ]
            for language, findings in assembly.findings.items()
        },
        "provenance": {
            "segue": VERSION,
            "job": plan.job_id,
            "media": {"name": media_name, "sha256": plan.media.digest},
            "engines": {role: spec.as_json() for role, spec in sorted(settings.engines.items())},
            "captions_given": bool(settings.captions),
            "speech_ms": assembly.tally.speech_ms,
            "skipped_ms": assembly.tally.skipped_ms,
            "segments": len(plan.segments),
            "windows": len(plan.windows),
            "warnings": list(plan.media.warnings),
        },
    }
