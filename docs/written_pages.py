"""What the commands that write pages share: `--write` writes them, `--check` says what is out of date."""

from __future__ import annotations

import argparse


def asked_to_write(about: str | None) -> bool:
    """True for ``--write``, False for ``--check``; one of them has to be given."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true")
    action.add_argument("--check", action="store_true")
    return bool(parser.parse_args().write)
