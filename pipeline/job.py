"""A job as it is frozen at planning: settings, plan, and the names both have on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from core.errors import StoreError
from core.keys import Digest, Key, digest_value
from core.specs import EngineSpec
from core.speech import Segment, Segmentation, Span, Window
from media.tracks import Lost

#: Version of plan.json; a plan of another version is refused by name, never guessed at.
PLAN_VERSION = 3
#: The view that engines hear: the decoded audio, 16 kHz mono signed 16-bit, little endian, no header.
SPEECH = "speech"
JOB_ID_LENGTH = 24


class PlanVersionError(StoreError):
    """A plan that another version of Segue wrote."""


@dataclass(frozen=True)
class GlossaryTerm:
    """One term that must be translated in one way."""

    source: str
    target: str
    #: Target language it holds for; empty for all.
    language: str = ""


@dataclass(frozen=True)
class JobSettings:
    """Everything a person chose that changes what the outputs say. Frozen when the job is made."""

    #: BCP 47, or empty to decide it from the speech by vote.
    source_language: str
    target_languages: tuple[str, ...]
    #: Audio track wanted: empty for the default one, an index, or a language.
    track: str
    #: The engine of each role that the job needs.
    engines: Mapping[str, EngineSpec]
    #: The segmenter's parameters and detector versions, as JSON.
    segmenter: Mapping[str, Any]
    glossary: tuple[GlossaryTerm, ...] = ()
    #: Digest of the captions given as the transcript; empty when there are none.
    captions: str = ""
    #: What was said for the options that stages declare; those left as they are do not stand here.
    options: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """A JSON object; the job's id is made from it."""
        return {
            "source_language": self.source_language,
            "target_languages": list(self.target_languages),
            "track": self.track,
            "engines": {role: spec.as_json() for role, spec in self.engines.items()},
            "segmenter": dict(self.segmenter),
            "glossary": [[term.source, term.target, term.language] for term in self.glossary],
            "captions": self.captions,
            "options": dict(self.options),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> JobSettings:
        """The settings that `as_json` wrote."""
        return cls(
            source_language=value["source_language"],
            target_languages=tuple(value["target_languages"]),
            track=value["track"],
            engines={role: EngineSpec.from_json(spec) for role, spec in value["engines"].items()},
            segmenter=value["segmenter"],
            glossary=tuple(GlossaryTerm(*term) for term in value["glossary"]),
            captions=value["captions"],
            options=value["options"],
        )

    def describe_engines(self) -> str:
        """One line for a person."""
        given = ["captions given"] if self.captions else []
        return ", ".join(given + [spec.describe() for spec in self.engines.values()])


def make_job_id(owner: str, media: Digest, settings: JobSettings) -> str:
    """The same owner, media and settings is the same job."""
    return digest_value({"owner": owner, "media": media, "settings": settings.as_json()})[:JOB_ID_LENGTH]


@dataclass(frozen=True)
class Caption:
    """One event of the captions that were given as the transcript."""

    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True)
class PlannedWindow:
    """One unit of transcription and of translation."""

    window: Window
    #: SHA-256 of the joined samples; empty when captions were given.
    audio: str
    #: The captions in it, when captions were given.
    captions: tuple[Caption, ...] = ()

    @property
    def index(self) -> int:
        return self.window.index

    def layout(self) -> tuple[tuple[int, int, int], ...]:
        """(start, end, score) of each segment within the joined audio, in its milliseconds.

        Scores are rounded to hundreds: a detector's last digit must not decide what counts as the same work.
        """
        spans, at = [], 0
        for segment, stretch in zip(self.window.segments, self.window.spans, strict=True):
            spans.append((at, at + stretch.duration_ms, (segment.score + 50) // 100 * 100))
            at += stretch.duration_ms
        return tuple(spans)


@dataclass(frozen=True)
class MediaFacts:
    """What planning found out about the media."""

    digest: Digest
    duration_ms: int
    #: Frames a second of the picture, or None without one.
    fps: Fraction | None
    #: Things a person should know: truncated, odd, guessed.
    warnings: tuple[str, ...] = ()
    #: Sound that the media should hold and that did not come out of it.
    lost: tuple[Lost, ...] = ()


def _check_version(value: Mapping[str, Any]) -> None:
    if value.get("plan_version") != PLAN_VERSION:
        raise PlanVersionError(
            f"a plan of version {value.get('plan_version')} cannot be read by this Segue",
            "run it with the version that made it, or use another SEGUE_HOME",
        )


@dataclass(frozen=True)
class PlanOutline:
    """A plan without its windows: building those of thousands of plans takes longer than reading them."""

    owner: str
    settings: JobSettings
    duration_ms: int
    speech_ms: int

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PlanOutline:
        """The outline of what `Plan.as_json` wrote. Raises StoreError for another version."""
        _check_version(value)
        return cls(
            owner=value["owner"],
            settings=JobSettings.from_json(value["settings"]),
            duration_ms=value["media"]["duration_ms"],
            speech_ms=sum(end_ms - start_ms for start_ms, end_ms, _ in value["segments"]),
        )


@dataclass(frozen=True)
class Plan:
    """A job cut into windows, written once; whatever its keys do not find in the store is work."""

    job_id: str
    owner: str
    media: MediaFacts
    settings: JobSettings
    #: Key of the analysis record that this plan was made from; empty when captions were given.
    analysis: str
    #: Name -> blob of each form of the media that units read; empty when captions were given.
    views: Mapping[str, Digest]
    segments: tuple[Segment, ...]
    windows: tuple[PlannedWindow, ...]

    def view(self, name: str) -> Digest:
        """The blob of a view. Raises StoreError when the job was planned without it."""
        if name not in self.views:
            raise StoreError(
                f"job {self.job_id[:12]} was planned without the view '{name}'",
                "please report it; what has been computed is kept",
            )
        return self.views[name]

    @property
    def segmentation(self) -> Segmentation:
        return Segmentation(self.media.duration_ms, self.segments)

    def as_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        media = self.media
        return {
            "plan_version": PLAN_VERSION,
            "job_id": self.job_id,
            "owner": self.owner,
            "media": {
                "digest": media.digest,
                "duration_ms": media.duration_ms,
                "fps": [media.fps.numerator, media.fps.denominator] if media.fps else None,
                "warnings": list(media.warnings),
                "lost": [each.as_json() for each in media.lost],
            },
            "settings": self.settings.as_json(),
            "analysis": self.analysis,
            "views": dict(self.views),
            "segments": [[s.start_ms, s.end_ms, s.score] for s in self.segments],
            "windows": [
                {
                    "segments": [segment.index for segment in planned.window.segments],
                    "spans": [[stretch.start_ms, stretch.end_ms] for stretch in planned.window.spans],
                    "audio": planned.audio,
                    "captions": [[c.start_ms, c.end_ms, c.text] for c in planned.captions],
                }
                for planned in self.windows
            ],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Plan:
        """The plan that `as_json` wrote. Raises StoreError for another version."""
        _check_version(value)
        segments = tuple(Segment(i, *numbers) for i, numbers in enumerate(value["segments"]))
        media = value["media"]
        return cls(
            job_id=value["job_id"],
            owner=value["owner"],
            media=MediaFacts(
                digest=Digest(media["digest"]),
                duration_ms=media["duration_ms"],
                fps=Fraction(*media["fps"]) if media["fps"] else None,
                warnings=tuple(media["warnings"]),
                lost=tuple(Lost(*fields) for fields in media["lost"]),
            ),
            settings=JobSettings.from_json(value["settings"]),
            analysis=value["analysis"],
            views={name: Digest(digest) for name, digest in value["views"].items()},
            segments=segments,
            windows=tuple(
                PlannedWindow(
                    Window(
                        index,
                        tuple(segments[i] for i in entry["segments"]),
                        tuple(Span(*ends) for ends in entry["spans"]),
                    ),
                    entry["audio"],
                    tuple(Caption(*fields) for fields in entry["captions"]),
                )
                for index, entry in enumerate(value["windows"])
            ),
        )

    @staticmethod
    def owner_in(value: Mapping[str, Any]) -> str:
        """The owner in what `as_json` wrote, without its windows. Raises StoreError for another version."""
        _check_version(value)
        return str(value["owner"])

    @staticmethod
    def held_in(value: Mapping[str, Any]) -> tuple[Key, dict[str, Digest]]:
        """Analysis and views in what `as_json` wrote, empty where there are none. Raises StoreError as above."""
        _check_version(value)
        return Key(value["analysis"]), {name: Digest(digest) for name, digest in value["views"].items()}
