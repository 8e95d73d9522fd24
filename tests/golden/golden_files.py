"""Where golden results are, and whether this machine can have the same."""

from __future__ import annotations

import json
from pathlib import Path

from golden_jobs import JOBS
from golden_media import machine_samples

EXPECTED = Path(__file__).resolve().parent / "expected"
#: Digests of what the recording machine decoded, by job and input.
SAMPLES = EXPECTED / "samples.json"


def samples_of(name: str, work: Path) -> dict[str, str]:
    """Digests of a job's inputs that machines decode to different samples."""
    return {media: machine_samples(work / media) for media in JOBS[name].decoded_by_machine}


def decoders_differ(name: str, work: Path) -> bool:
    """Whether this machine decodes a job's inputs to other samples than the one that recorded."""
    return samples_of(name, work) != json.loads(SAMPLES.read_text(encoding="ascii")).get(name, {})
