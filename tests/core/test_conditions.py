"""What the machine or the request lacks is told as such, and never called a defect."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle

import pytest

from core.conditions import condition_of, reason_of
from core.errors import MachineError, SegueError, UsageError


def raised_by(code: str) -> BaseException:
    with pytest.raises(BaseException) as caught:
        exec(code, {"json": json, "os": os})
    return caught.value


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (MemoryError(), MachineError, "no memory is left"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), MachineError, "no memory is left"),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), MachineError, "no room is left on the disk: /x"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), MachineError, "no room is left"),
        (OSError(errno.EMFILE, "Too many open files"), MachineError, "too many files are open"),
        (OSError(errno.EIO, "Input/output error", "/x"), MachineError, "Input/output error: /x"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), MachineError, "temporarily unavailable"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), MachineError, "Connection reset"),
        (TimeoutError(), MachineError, "TimeoutError"),
        (RuntimeError("can't start new thread"), MachineError, "no more threads"),
        (ImportError("libx.so: failed to map segment from shared object"), MachineError, "no memory is left"),
        (ImportError("libx.so.1: cannot open shared object file"), MachineError, "a library cannot be loaded: libx"),
        (PermissionError(errno.EPERM, "Operation not permitted", "/x"), UsageError, "may not do that: /x"),
        (PermissionError(errno.EACCES, "Permission denied", b"/\xff"), UsageError, "may not do that: /"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "n" * 5000), UsageError, "a name is too long"),
        (OSError(errno.EROFS, "Read-only file system"), UsageError, "the disk is read-only"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/a\x1b[31m\n"), UsageError, "any more: /a [31m "),
        (raised_by("json.loads('[' * 100_000)"), UsageError, "nested too deeply"),
        (raised_by("'\\udcff'.encode()"), UsageError, "no UTF-8"),
        (raised_by("os.stat('a\\0b')"), UsageError, "NUL"),
        (UsageError("as it is"), UsageError, "as it is"),
    ],
)
def test_a_condition_is_one_line_that_says_what_to_do(error: BaseException, kind: type[SegueError], said: str) -> None:
    found = condition_of(error)
    assert type(found) is kind
    assert said in found.message
    assert found.message.isprintable()
    assert len(found.message) < 300
    assert found.hint or error is found
    assert "defect" not in reason_of(error)
    assert type(pickle.loads(pickle.dumps(found))) is kind


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("x"),
        KeyError("x"),
        ImportError("cannot import name 'x' from 'y'"),
        ValueError("x"),
        RuntimeError("x"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        OSError(errno.EBADF, "Bad file descriptor"),
        io.UnsupportedOperation("not readable"),
        KeyboardInterrupt(),
    ],
)
def test_what_only_wrong_code_meets_stays_a_defect(error: BaseException) -> None:
    assert condition_of(error) is None
    assert "defect in Segue" in reason_of(error)
