"""The shared recordings, for tests that need real speech."""

from __future__ import annotations

from pathlib import Path

import pytest

MEDIA = Path(__file__).resolve().parents[3] / "shared" / "media"

needs_recordings = pytest.mark.skipif(not (MEDIA / "ami").is_dir(), reason=f"no recordings in {MEDIA.name}/")
