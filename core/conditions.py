"""Exceptions that say something of the machine or of what was asked: one line for a person, and no defect in Segue."""

from __future__ import annotations

import errno
import io

from core.errors import MachineError, SegueError, UsageError

_LONGEST = 200
_CONTINUE = "nothing finished is lost: the same command continues"
#: Only wrong code meets these.
_DEFECTS = frozenset({errno.EBADF, errno.EFAULT, errno.ENOTSOCK})
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})
#: What the request itself has wrong: said and what helps.
_ASKED_WRONGLY = {
    errno.EROFS: ("the disk is read-only", "remount it writable, or write elsewhere"),
    errno.ENAMETOOLONG: ("a name is too long for this disk", "give the file a shorter name, or write elsewhere"),
    errno.ELOOP: ("links lead round in a circle", "correct the links"),
    errno.ENOENT: ("there is no such file any more", "is somebody else at these files? Run it again"),
    errno.ENOTDIR: ("a file stands where a folder should be", "correct the path"),
    errno.EISDIR: ("a folder stands where a file should be", "correct the path"),
}
_MEMORY = ("no memory is left", f"end other programs, or lower SEGUE_THREADS and SEGUE_BATCH_SIZE; {_CONTINUE}")


def condition_of(error: BaseException) -> SegueError | None:
    """What is said to a person instead of ``error``; None for a defect in Segue and for what is no error."""
    if isinstance(error, SegueError):
        return error
    if isinstance(error, MemoryError):
        return MachineError(*_MEMORY)
    if isinstance(error, OSError) and not isinstance(error, io.UnsupportedOperation):
        return _of_system(error)
    if isinstance(error, RecursionError):
        return UsageError("something that was read is nested too deeply", "correct the file; no real one is like that")
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        text = _line(error.object)
        return UsageError(f"a name holds bytes that are no UTF-8 text: {text}", "rename the file")
    if isinstance(error, ValueError) and str(error).startswith("embedded null"):
        return UsageError("a path holds a NUL character", "correct the path")
    if isinstance(error, ImportError) and ".so" in str(error):
        # The loader has no numbers for what it lacks.
        if any(sign in str(error) for sign in ("failed to map segment", "cannot allocate memory")):
            return MachineError(*_MEMORY)
        return MachineError(f"a library cannot be loaded: {_line(error)}", "install Segue and its dependencies again")
    if isinstance(error, RuntimeError) and str(error) == "can't start new thread":
        return MachineError("no more threads can be started", f"raise the limit (ulimit -u); {_CONTINUE}")
    return None


def reason_of(error: BaseException) -> str:
    """One line for an exception that ended the work on something: the condition, or that it is a defect."""
    found = condition_of(error)
    if found is not None:
        return str(found)
    return f"this is a defect in Segue, please report it: {type(error).__name__}: {_line(error)}"


def _of_system(error: OSError) -> SegueError | None:
    number = error.errno
    if number in _DEFECTS:
        return None
    place = f": {_line(error.filename)}" if error.filename else ""
    if number == errno.ENOMEM:
        return MachineError(*_MEMORY)
    if number in _NO_ROOM:
        return MachineError(f"no room is left on the disk{place}", f"free some space; {_CONTINUE}")
    if number in (errno.EMFILE, errno.ENFILE):
        return MachineError("too many files are open", f"raise the limit (ulimit -n 4096); {_CONTINUE}")
    if number in _FORBIDDEN:
        return UsageError(f"this user may not do that{place}", "give this user access to it")
    if number in _ASKED_WRONGLY:
        said, hint = _ASKED_WRONGLY[number]
        return UsageError(f"{said}{place}", hint)
    said = error.strerror or _line(error) or type(error).__name__
    return MachineError(f"the system answers: {said}{place}", f"'segue doctor' looks at this machine; {_CONTINUE}")


def _line(thing: object) -> str:
    text = thing.decode("utf-8", "replace") if isinstance(thing, bytes) else str(thing)
    text = "".join(char if char.isprintable() else " " for char in text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
