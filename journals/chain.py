"""Tamper evidence: each line of a journal names the line before it by hash, and the heads are noted in a second place.

A chain alone sees neither a lost tail nor a lost file, so others hold it: anchors (a file's head and how many lines
it had, kept elsewhere by its writer or in an end-of-log record, `journals.positions`) and records, which carry the hash
of the line that began their attempt. What none of them has seen yet may be lost without a trace: a line that a crash
tore is counted, and is no problem unless one of them says that it was whole.

A line is ``16 hexadecimal digits of SHA-256 of the body, space, body``, written with a newline before and after it; the
body is JSON. Its hash is SHA-256 of the body's bytes. In a sealed line ``n`` is its number in the file, from 0, and
``prev`` the hash of the line before it (of the file's first line: `ORIGIN`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from itertools import islice
from typing import Any

from msgspec import Struct, convert
from msgspec.json import Decoder

from cache.journal import decode_body, encode_body

#: ``prev`` of a file's first line.
ORIGIN = "0" * 64

_CHECK_DIGITS = 16
_JOURNAL = ".jsonl"
Body = dict[str, Any]


def hash_of(body: bytes) -> str:
    """The hash that names a line: 64 hexadecimal digits."""
    return sha256(body).hexdigest()


@dataclass(frozen=True, order=True)
class Anchor:
    """That a file had ``lines`` sealed lines, of which the last had the hash ``head``. Kept away from the file."""

    #: The journal's name.
    file: str
    #: How many lines it had.
    lines: int
    #: Hash of the last of them.
    head: str


class Chain:
    """The writer's end of one file's chain. Safe for several threads, as long as lines are written in sealed order."""

    def __init__(self, file: str, end: Anchor | None = None) -> None:
        """``end``: how far the file has been written before, for whoever goes on with it."""
        self._file, self._lines = file, end.lines if end else 0
        #: Hash of the last line that was written; the lines sealed last, of which that is not yet known; and the lines
        #: after the last written one of which it will never be known.
        self._sure, self._last, self._doubted = end.head if end else ORIGIN, list[str](), list[str]()
        self._lock = threading.Lock()

    @property
    def head(self) -> str:
        """Hash of the last sealed line; `ORIGIN` before the first. A record names its attempt's line by it."""
        return self._last[-1] if self._last else self._sure

    @property
    def anchor(self) -> Anchor:
        """What is to be noted in a second place, once the sealed lines are durable and none of them was in doubt."""
        return Anchor(self._file, self._lines, self.head)

    def seal(self, fact: Mapping[str, Any]) -> Body:
        """The fact with its number and the hash of the line before it, to be appended next and as it is."""
        return self.seal_all([fact])[0]

    def seal_all(self, facts: Sequence[Mapping[str, Any]]) -> list[Body]:
        """As `seal`, for facts that are appended by one write."""
        with self._lock:
            if self._last:
                # Nobody doubted the lines before, so they are there.
                self._sure, self._last, self._doubted = self._last[-1], [], []
            sealed = []
            for fact in facts:
                entry = {**fact, "n": self._lines, "prev": self.head}
                if self._doubted and not self._last:
                    entry["doubted"] = list(self._doubted)
                sealed.append(entry)
                self._last.append(hash_of(encode_body(entry)))
                self._lines += 1
            return sealed

    def doubt(self) -> None:
        """The append of the lines sealed last failed: each may be on the disk or not. The next line will say so, which
        is how `verify` tells a full disk from a line that was taken away."""
        with self._lock:
            self._doubted += self._last
            self._last = []


class Flaw(StrEnum):
    """What is wrong."""

    #: A line's checksum fails, or what is between two lines is no line.
    DAMAGED = "damaged"
    #: A line is whole, and has no number and no hash: it was not written by us, or before lines were sealed.
    UNSEALED = "unsealed"
    #: A line does not follow the one before it: something between them was dropped, or they were put in another order.
    BROKEN = "broken"
    #: A line is there again.
    REPEATED = "repeated"
    #: The file ends before the line that an anchor or a record knows.
    TRUNCATED = "truncated"
    #: A file that an anchor, a record or a line knows is gone.
    MISSING = "missing"
    #: The file has another line than the one that an anchor or a record knows.
    CHANGED = "changed"


@dataclass(frozen=True, order=True)
class LogProblem:
    """One thing that is wrong, and where."""

    #: The file's name.
    file: str
    #: The line, from 1; 0 for the file as a whole.
    line: int
    #: What is wrong.
    flaw: Flaw
    #: In words.
    detail: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.flaw}: {self.detail}"


@dataclass(frozen=True)
class FileCheck:
    """What one journal showed."""

    #: The journal's name.
    file: str
    #: Its head, to be anchored; of the lines that are there, whether or not something is wrong with them.
    anchor: Anchor
    #: What is wrong with it.
    problems: tuple[LogProblem, ...]
    #: Pieces that failed writes left, and that nobody has seen whole.
    torn: int
    #: Hash of a last line that is whole but for its newline; empty for none.
    unclosed: str = ""
    #: Hash of the line that began an attempt, by attempt.
    attempts: Mapping[str, str] = field(default_factory=dict)
    #: SHA-256 of a document (not a journal), as lines of this file knew it, by name.
    documents: Mapping[str, str] = field(default_factory=dict)


class _ChainedLine(Struct, gc=False):
    """What of a line chains it, and what others know of it by its hash. Whether the values are ours is asked later."""

    n: Any = None
    prev: Any = None
    doubted: Any = None
    fact: Any = None
    attempt: Any = None
    documents: Any = None


_CHAINED = Decoder(_ChainedLine)


def _chained(body: bytes) -> _ChainedLine | None:
    """None for what is no JSON object."""
    try:
        return _CHAINED.decode(body)
    except (ValueError, RecursionError):
        pass
    try:
        return convert(decode_body(body), _ChainedLine)
    except ValueError:
        return None


class LogReader:
    """One journal, read line by line; `check` says what it showed, once everything that knows of it is known."""

    def __init__(self, file: str, on_line: Callable[[bytes], None] | None) -> None:
        self._file, self._on_line = file, on_line
        self.problems: list[LogProblem] = []
        self.attempts: dict[str, str] = {}
        self.documents: dict[str, str] = {}
        #: Number of each whole line, in the file's order, and the place of each hash, in that order as well.
        self.numbers: list[int] = []
        self._places: dict[str, int] = {}
        self.torn = 0
        self.unclosed = ""
        #: Hash of the last whole line, and the number of the next.
        self.head, self.lines = ORIGIN, 0
        #: What is between the last whole line and here.
        self._pieces: list[tuple[int, str]] = []

    def read(self, data: bytes) -> None:
        pieces = data.split(b"\n") if data else []
        number, last, before = 0, len(pieces) - 1, b"?"
        for place, piece in enumerate(pieces):
            if piece:
                number += 1
                body = piece[_CHECK_DIGITS + 1 :]
                digest = sha256(body).hexdigest()
                if piece.startswith((digest[:_CHECK_DIGITS] + " ").encode()):
                    line = _chained(body)
                    self._whole(number, line, body, digest, spaced=not before)
                    if place == last and line is not None:
                        self.unclosed = digest
                else:
                    self._pieces.append((number, "its checksum fails"))
            elif not before and place:
                self._pieces.append((number, "an empty line too many"))
            before = piece
        # A crash leaves the beginning of a line and nothing after it, or (some file systems) zeros for what was not
        # written back in time. A broken line with its newline was whole once.
        if self._pieces and not self._is_tear(pieces):
            self._damaged()
        self.torn += len(self._pieces)

    def _is_tear(self, pieces: Sequence[bytes]) -> bool:
        if len(self._pieces) != 1:
            return False
        return bool(pieces[-1]) or not pieces[-2] or b"\0" in pieces[-2]

    def _whole(self, number: int, line: _ChainedLine | None, body: bytes, digest: str, *, spaced: bool) -> None:
        """A line whose checksum holds."""
        if line is None:
            self._flaw(number, Flaw.DAMAGED, "it is no JSON object")
            return
        count, prev = line.n, line.prev
        if (
            # Nearly every line: nothing is left before it, and it follows.
            spaced
            and count == self.lines
            and prev == self.head
            and type(count) is int
            and digest not in self._places
            and not self._pieces
            and line.doubted is None
        ):
            self._take(line, body, digest, count)
            return
        doubted = line.doubted if isinstance(line.doubted, list) else []
        if self._pieces:
            # Whoever writes on after a failed write says so; anything else between two lines was not left by a crash.
            if not doubted:
                self._damaged()
            self.torn += len(self._pieces)
            self._pieces.clear()
        elif not spaced:
            self._flaw(number, Flaw.DAMAGED, "there is no empty line before it")
        if not isinstance(count, int) or not isinstance(prev, str):
            self._flaw(number, Flaw.UNSEALED, "it has no number and no hash of the line before it")
            return
        if digest in self._places:
            self._flaw(number, Flaw.REPEATED, f"it is line {count} again")
            return
        if (doubted or prev != self.head or count != self.lines) and not self._follows(count, prev, doubted):
            self._flaw(number, Flaw.BROKEN, f"line {count} does not follow the line before it")
        self._take(line, body, digest, count)

    def _take(self, line: _ChainedLine, body: bytes, digest: str, count: int) -> None:
        self._places[digest] = len(self.numbers)
        self.numbers.append(count)
        self.head, self.lines = digest, count + 1
        if line.fact == "attempt_started":
            self.attempts[str(line.attempt)] = digest
        if isinstance(line.documents, dict):
            self.documents.update(line.documents)
        if self._on_line is not None:
            self._on_line(body)

    def _follows(self, count: int, prev: str, doubted: list[str]) -> bool:
        """A line names the last one that was surely written. Between the two there may be lines that it doubts, in
        their order, and no other."""
        if not doubted:
            return False
        place = -1 if prev == ORIGIN else self._places.get(prev)
        if place is None:
            return False
        sure = self.numbers[place] if place >= 0 else -1
        left, between = iter(doubted), islice(self._places, place + 1, None)
        return count == sure + 1 + len(doubted) and all(digest in left for digest in between)

    def _damaged(self) -> None:
        for number, words in self._pieces:
            self._flaw(number, Flaw.DAMAGED, words)
        self._pieces.clear()

    def _flaw(self, number: int, flaw: Flaw, detail: str) -> None:
        self.problems.append(LogProblem(self._file, number, flaw, detail))

    def check(self, anchors: Iterable[Anchor]) -> FileCheck:
        """What the journal showed, compared with what others know of it. To be called once."""
        problems, file = self.problems, self._file
        by_number = dict(zip(self.numbers, self._places, strict=True))
        known = {anchor for anchor in anchors if anchor.lines > 0}
        for anchor in sorted(known):
            if by_number.get(anchor.lines - 1) == anchor.head:
                continue
            flaw = Flaw.TRUNCATED if self.lines < anchor.lines else Flaw.CHANGED
            problems.append(
                LogProblem(file, 0, flaw, f"line {anchor.lines - 1} was anchored, and is not there as it was")
            )
        if self.unclosed and any(anchor.head == self.unclosed for anchor in known):
            problems.append(_unclosed(file))
        problems.sort()
        found = Anchor(file, self.lines, self.head)
        return FileCheck(file, found, tuple(problems), self.torn, self.unclosed, self.attempts, self.documents)


def verify_file(
    file: str,
    data: bytes | Iterable[bytes],
    anchors: Iterable[Anchor] = (),
    on_line: Callable[[bytes], None] | None = None,
) -> FileCheck:
    """Checks one journal against itself and its anchors; ``on_line`` is given the JSON of each whole line, once."""
    return read_file(file, data, on_line).check(anchors)


def read_file(file: str, data: bytes | Iterable[bytes], on_line: Callable[[bytes], None] | None = None) -> LogReader:
    """As `verify_file`, in two steps: for files whose anchors are known only when others have been read."""
    reading = LogReader(file, on_line)
    reading.read(data if isinstance(data, bytes) else b"".join(data))
    return reading


def _unclosed(file: str) -> LogProblem:
    return LogProblem(file, 0, Flaw.TRUNCATED, "the last line was seen whole, and its newline is missing")


def verify(
    files: Mapping[str, bytes | Iterable[bytes]],
    anchors: Iterable[Anchor] = (),
    references: Mapping[str, str] | None = None,
) -> list[LogProblem]:
    """Every problem of these files; none is what an untouched ledger has.

    ``files`` gives bytes by name: journals end in ``.jsonl``, anything else is a document that a journal's line may
    know by hash (``documents``: name -> SHA-256). ``references`` are what records say: the hash of the line that began
    an attempt, by attempt (``<process>/<stage>/<number>``, begun in the file ``<process>.jsonl`` of any folder).
    """
    by_file: dict[str, list[Anchor]] = {}
    for anchor in anchors:
        by_file.setdefault(anchor.file, []).append(anchor)
    checks, documents = [], {}
    for name, data in files.items():
        if name.endswith(_JOURNAL):
            checks.append(verify_file(name, data, by_file.get(name, ())))
        else:
            documents[name] = hash_of(data if isinstance(data, bytes) else b"".join(data))
    return join_checks(checks, documents, by_file, references or {})


def join_checks(
    checks: Iterable[FileCheck],
    documents: Mapping[str, str],
    anchored: Iterable[str],
    references: Mapping[str, str],
) -> list[LogProblem]:
    """What the checks of all files say together, for a caller that checks files in several processes.

    ``documents`` are the SHA-256 of the documents that are there, ``anchored`` the files that anchors name.
    """
    found = list(checks)
    problems = [problem for check in found for problem in check.problems]
    present = {check.file for check in found}
    gone = sorted(file for file in set(anchored) - present if file.endswith(_JOURNAL))
    problems += [LogProblem(file, 0, Flaw.MISSING, "an anchor knows it") for file in gone]
    problems += _check_references(found, references)
    problems += _check_documents(found, documents)
    return sorted(set(problems))


def _check_references(checks: Sequence[FileCheck], references: Mapping[str, str]) -> list[LogProblem]:
    problems = []
    attempts = {attempt: (check.file, digest) for check in checks for attempt, digest in check.attempts.items()}
    by_name = {check.file.rpartition("/")[2]: check.file for check in checks}
    for attempt, digest in references.items():
        name = f"{attempt.partition('/')[0]}{_JOURNAL}"
        file, held = attempts.get(attempt, (by_name.get(name, ""), ""))
        if not file:
            problems.append(LogProblem(name, 0, Flaw.MISSING, f"a record knows its attempt {attempt}"))
        elif not held:
            problems.append(LogProblem(file, 0, Flaw.TRUNCATED, f"a record knows attempt {attempt}, and no line does"))
        elif held != digest:
            problems.append(LogProblem(file, 0, Flaw.CHANGED, f"attempt {attempt} is not the one that a record knows"))
    seen = set(references.values())
    return problems + [_unclosed(check.file) for check in checks if check.unclosed and check.unclosed in seen]


def _check_documents(checks: Sequence[FileCheck], documents: Mapping[str, str]) -> list[LogProblem]:
    problems, known = [], set[str]()
    for check in checks:
        for name, digest in check.documents.items():
            known.add(name)
            if name not in documents:
                problems.append(LogProblem(name, 0, Flaw.MISSING, f"{check.file} knows it"))
            elif documents[name] != digest:
                problems.append(LogProblem(name, 0, Flaw.CHANGED, f"it is not the one that {check.file} knows"))
    loose = sorted(documents.keys() - known)
    return problems + [LogProblem(name, 0, Flaw.UNSEALED, "no journal knows it by hash") for name in loose]
