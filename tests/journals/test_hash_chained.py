"""A journal and its anchors hold each other, whatever the disk refuses in between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import to_builtins

from accounting.checks import verify as books_verify
from accounting.checks.verify import verify_store
from cache.journal import decode_body
from cache.names import JOBS
from cache.store import Store
from core.errors import StoreError
from journals import hash_chained
from journals.chain import Anchor, LogProblem, read_file
from journals.demand import DemandLog
from journals.hash_chained import HashChainedLog
from journals.log_ends import EndOfLogRecorder, read_end
from journals.positions import anchor_in, claims_of
from pipeline.jobs import JobFolder

PARTS = ("attempts", "p.jsonl")
PLACE, ANCHORS = "attempts/p.jsonl", "ledger/anchors/p.jsonl"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(hash_chained, "ANCHOR_SECONDS", 0.0)
    return Store.open(tmp_path)


class Refusing:
    """A disk that refuses the appends whose numbers are given; each may leave a piece of what it was to write."""

    def __init__(self, store: Store, refused: Sequence[int], *, piece: bool) -> None:
        self._append, self._home, self._refused, self._piece = store.append, store.home, set(refused), piece
        self._count = 0

    def __call__(self, parts: Sequence[str], entries: Sequence[Mapping[str, Any]], *, durable: bool = True) -> None:
        self._count += 1
        if self._count - 1 not in self._refused:
            self._append(parts, entries, durable=durable)
            return
        if self._piece:
            path = self._home.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(b"\n0123456789abcdef {")
        raise StoreError("the disk is full", "make room")


def check(home: Path) -> list[LogProblem]:
    """The two files against each other, as `verify` compares them."""
    found: list[Anchor] = []
    journal = read_file(PLACE, (home / PLACE).read_bytes(), lambda line: found.extend(claims_of(decode_body(line))))
    held: list[Anchor] = []
    anchors = read_file(
        ANCHORS,
        (home / ANCHORS).read_bytes(),
        lambda line: held.extend(each for each in [anchor_in(decode_body(line))] if each is not None),
    )
    return [*journal.check(held).problems, *anchors.check(found).problems]


def test_the_first_line_is_durable_and_anchored_whatever_was_asked_for(store: Store) -> None:
    HashChainedLog(store, PARTS).append([{"fact": "beat"}], durable=False)
    end, anchor = read_end(store, PLACE), read_end(store, ANCHORS)
    assert end is not None
    assert anchor is not None
    assert anchor_in(anchor.entry) == end.anchor


def test_each_line_knows_the_anchor_before_it_once(store: Store) -> None:
    journal = HashChainedLog(store, PARTS)
    for durable in (True, False, True, False, False):
        journal.append([{"fact": "beat"}], durable=durable)
    journal.close()
    entries = store.read_journal(PARTS).entries
    assert [bool(claims_of(entry)) for entry in entries] == [False, True, False, True, False]
    assert len(store.read_journal(("ledger", "anchors", "p.jsonl")).entries) == 3
    assert check(store.home) == []


@pytest.mark.parametrize("piece", [False, True])
@pytest.mark.parametrize("refused", [[1], [2], [3], [2, 3], [3, 4], [4, 5, 6]])
def test_a_disk_that_refuses_some_writes_leaves_two_files_that_agree(
    store: Store, monkeypatch: pytest.MonkeyPatch, refused: list[int], *, piece: bool
) -> None:
    journal = HashChainedLog(store, PARTS)
    with monkeypatch.context() as patch:
        patch.setattr(store, "append", Refusing(store, refused, piece=piece))
        for number in range(6):
            try:
                journal.append([{"fact": "beat", "number": number}], durable=True)
            except StoreError:
                continue
    journal.append([{"fact": "session_closed"}], durable=True)
    journal.close()
    assert check(store.home) == []
    for place in (PLACE, ANCHORS):
        whole = (store.home / place).read_bytes()
        lines = [b"\n" + line + b"\n" for line in whole.split(b"\n") if line]
        for drop in range(len(lines) - (place == ANCHORS)):
            if b'"n":' not in lines[drop]:
                continue  # The piece that the disk left.
            (store.home / place).write_bytes(b"".join(lines[:drop] + lines[drop + 1 :]))
            assert check(store.home)
        (store.home / place).write_bytes(whole)


@pytest.mark.parametrize("piece", [False, True])
def test_a_want_that_the_disk_refused_is_said_again_and_the_chain_holds(
    store: Store, monkeypatch: pytest.MonkeyPatch, *, piece: bool
) -> None:
    witness = EndOfLogRecorder(store, "run")
    wants, folder = DemandLog(witness), JobFolder(store, "a" * 24)
    name = f"{JOBS}/{folder.job_id}/wants-run.jsonl"
    wants.wanted(folder)
    with monkeypatch.context() as patch:
        patch.setattr(store, "append", Refusing(store, [0], piece=piece))
        with pytest.raises(StoreError):
            wants.ended(folder, ["k"])
        wants.ended(folder, ["k"])
    wants.wanted(folder)
    found = read_file(name, (store.home / name).read_bytes())
    claims = [
        claim
        for entry in store.read_journal(("ledger", "log-ends", "seen-run.jsonl")).entries
        for claim in claims_of(entry)
        if claim.file == name
    ]
    checked = found.check(claims)
    assert checked.problems == ()
    assert checked.anchor in claims
    assert len(claims) == 3


def test_a_want_is_written_even_if_its_end_cannot_be_noted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    witness = EndOfLogRecorder(store, "run")
    wants, first, second = DemandLog(witness), JobFolder(store, "a" * 24), JobFolder(store, "b" * 24)
    with monkeypatch.context() as patch:
        patch.setattr(store, "append", Refusing(store, [1], piece=False))
        wants.wanted(first)
    wants.wanted(second)
    noted = {
        claim.file
        for entry in store.read_journal(("ledger", "log-ends", "seen-run.jsonl")).entries
        for claim in claims_of(entry)
    }
    assert noted >= {f"{JOBS}/{folder.job_id}/wants-run.jsonl" for folder in (first, second)}


def test_the_end_of_a_journal_is_found_behind_a_long_line_and_a_torn_one(store: Store) -> None:
    journal = HashChainedLog(store, PARTS)
    journal.append([{"fact": "beat"}], durable=True)
    journal.append([{"fact": "long", "text": "x" * 200_000}], durable=True)
    with (store.home / PLACE).open("ab") as file:
        file.write(b"\n0123456789abcdef {" + b"y" * 70_000)
    end = read_end(store, PLACE)
    assert end is not None
    assert (end.anchor.lines, end.entry["fact"]) == (2, "long")


def test_what_is_written_while_the_ledger_is_verified_is_no_problem(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, ended = HashChainedLog(store, PARTS), HashChainedLog(store, ("attempts", "q.jsonl"))
    for each in (journal, ended):
        each.append([{"fact": "x"}], durable=True)
    listed = books_verify._journals
    ends = [ended]

    def meanwhile(of: Store) -> Iterator[str]:
        # The files of anchors have been read, the journals have not.
        for _ in range(2):
            journal.append([{"fact": "x"}], durable=True)
        while ends:
            each = ends.pop()
            each.append([{"fact": "process_ended"}], durable=True)
            each.close()
        return listed(of)

    monkeypatch.setattr(books_verify, "_journals", meanwhile)
    assert verify_store(store).problems == ()
    # What is really wrong is found all the same.
    path = store.home / PLACE
    path.write_bytes(path.read_bytes().replace(b'"fact":"x","n":0', b'"fact":"y","n":0'))
    assert {problem.file for problem in verify_store(store).problems} == {PLACE}


def test_anchors_from_before_they_were_chained_may_be_there_twice(store: Store) -> None:
    journal = HashChainedLog(store, PARTS)
    journal.append([{"fact": "x"}], durable=True)
    end = read_end(store, PLACE)
    assert end is not None
    (store.home / ANCHORS).unlink()
    # When a journal was closed right after a durable line, its end was anchored by both.
    for _ in range(2):
        store.append(("ledger", "anchors", "p.jsonl"), [to_builtins(end.anchor)])
    found = verify_store(store)
    assert (found.problems, found.unsealed, found.unseen) == ((), (ANCHORS,), ())


def test_a_line_whose_newline_a_crash_took_is_no_end_that_somebody_must_know(store: Store) -> None:
    journal = HashChainedLog(store, PARTS)
    journal.append([{"fact": "x"}], durable=True)
    journal.append([{"fact": "process_ended"}], durable=True)
    journal.close()
    whole, anchors = (store.home / PLACE).read_bytes(), (store.home / ANCHORS).read_bytes()
    # The process was killed in the write of its last line, before that was anchored.
    (store.home / PLACE).write_bytes(whole[:-1])
    (store.home / ANCHORS).write_bytes(anchors[: anchors.index(b"\n\n") + 1])
    assert verify_store(store).problems == ()
    (store.home / ANCHORS).write_bytes(anchors)
    assert [problem.file for problem in verify_store(store).problems] == [PLACE]
