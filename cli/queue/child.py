"""The way in for processes that `segue up` starts: a command of Segue that cannot outlive its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

#: From <sys/prctl.h>.
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """``python -P -m cli.queue.child PARENT ARGUMENT...`` runs ``segue ARGUMENT...`` and dies with PARENT."""
    parent = int(sys.argv.pop(1))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # It ended before we could ask to be told.
        sys.exit(0)
    from cli.entry import main as run

    run()


if __name__ == "__main__":
    main()
