"""segue.toml: settings, or one line that says what is wrong."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from damage import damaged
from fuzzing import Target, expect_told
from hypothesis import strategies as st

from core.errors import SettingsError
from pipeline.runtime import Settings, load_settings

_FILES = (
    b'to = "es,ja"\nfrom = "en"\nformat = "srt,ass"\nbilingual = true\n',
    b'# ours\nhome = "store"\nbatch_size = 4\nlease_seconds = 6\ncurrency = "EUR"\n',
    b'out = "subs"\nglossary = "terms.csv"\ndevice = "cpu"\nfake_delay_ms = 1\nnode_price = "0.149 USD"\n',
)
_TOKENS = tuple(f"{name} = ".encode() for name in Settings.model_fields)
_TOKENS += (b"true", b"-1", b"1e400", b"0x10", b'"""', b"[table]", b"[[x]]", b"a.b = 1", b"2026-01-01", b"nan", b"~x")


def _check(data: bytes) -> None:
    kept = {name: value for name, value in os.environ.items() if name.startswith("SEGUE_")}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "segue.toml")
        path.write_bytes(data)
        for name in kept:
            del os.environ[name]
        os.environ["SEGUE_CONFIG"] = str(path)
        try:
            settings = load_settings({})
        except SettingsError as error:
            expect_told(error)
            return
        finally:
            del os.environ["SEGUE_CONFIG"]
            os.environ.update(kept)
    assert settings.home.is_absolute()


TARGET = Target("configuration", damaged(st.sampled_from(_FILES), _TOKENS), _check)
