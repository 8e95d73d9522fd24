"""Exit codes, and how an error becomes one line and a code."""

from __future__ import annotations

import sys
import tempfile
import traceback
from enum import IntEnum

from cli.context import print_error
from cli.wording import printable
from core.errors import EngineError, ListedError, MachineError, SegueError, StoreError, UsageError


class Exit(IntEnum):
    """What Segue's exit codes mean."""

    DONE = 0
    #: A defect in Segue; it never happens.
    CRASH = 1
    #: The command, a setting or the machine's set-up does not allow it.
    USAGE = 2
    #: Finished, but something failed or is partial.
    INCOMPLETE = 3
    #: A budget's alert share was reached; `segue ledger --check` says so.
    OVER_BUDGET = 4
    #: Interrupted; the same command continues.
    INTERRUPTED = 75


def code_of(error: SegueError) -> Exit:
    """The exit code for an error that ended a command."""
    if isinstance(error, (StoreError, MachineError)):
        return Exit.INTERRUPTED
    return Exit.USAGE if isinstance(error, (UsageError, EngineError)) else Exit.INCOMPLETE


def report_error(error: SegueError, *, as_json: bool) -> Exit:
    """Says what went wrong and what to do: on standard error for people, on standard output as JSON if asked."""
    if as_json:
        more = {"total": error.total} if isinstance(error, ListedError) else {}
        print_error(error.message, error.hint, **more)
    # A manifest's problems are one line each; nothing else may break or colour a line.
    message = "\n".join(map(printable, error.message.split("\n")))
    print(f"segue: {message}", file=sys.stderr)
    if error.hint:
        print(f"       {printable(error.hint)}", file=sys.stderr)
    return code_of(error)


def report_crash(error: BaseException) -> Exit:
    """Keeps the traceback for whoever fixes Segue, and tells the user one line and where it is."""
    print(f"segue: this is a defect in Segue: {type(error).__name__}: {printable(str(error))}", file=sys.stderr)
    try:
        # Names may hold bytes that are no text.
        with tempfile.NamedTemporaryFile(
            "w", prefix="segue-crash-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as handle:
            traceback.print_exception(error, file=handle)
        what = f"please report it with {handle.name}"
    except OSError as full:
        what = f"please report it (its details cannot be written: {full.strerror})"
    print(f"       finished work is safe; {what}", file=sys.stderr)
    return Exit.CRASH
