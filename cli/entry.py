"""The way in: small enough that Ctrl-C during start-up is answered like any other."""

from __future__ import annotations

import signal
import sys
from types import FrameType

#: As in `cli.exits`, which is not imported here because that takes its time.
_INTERRUPTED = 75


def main() -> None:
    """Runs ``segue``; an interruption before the command has begun leaves with 75 and one line."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        from cli.main import main as run

        run()
    except (MemoryError, OSError) as error:
        # While the program itself was being read: what a command meets, `cli.main` says.
        print(f"segue: cannot start: {error or 'no memory is left'}", file=sys.stderr)
        sys.exit(_INTERRUPTED)
    except KeyboardInterrupt:
        print("segue: interrupted; the same command continues", file=sys.stderr)
        sys.exit(_INTERRUPTED)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
