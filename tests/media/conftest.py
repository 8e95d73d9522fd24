"""The ffmpeg that the tests of this room use."""

from __future__ import annotations

import pytest

from media.builds import FfmpegBuild, find_ffmpeg


@pytest.fixture(scope="session")
def build() -> FfmpegBuild:
    return find_ffmpeg()
