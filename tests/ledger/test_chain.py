"""Whatever is done to a journal, `verify` sees it; what a crash leaves is counted and is no problem."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import pytest

from cache.journal import decode_lines, encode_body, encode_line
from core.keys import digest_bytes
from journals.chain import (
    Anchor,
    Chain,
    FileCheck,
    Flaw,
    LogProblem,
    hash_of,
    join_checks,
    verify,
    verify_file,
)

FILE = "attempts/p1.jsonl"
ATTEMPT = "p1/transcribe/1"
OPENING = b'{"price":"0.149 USD"}'


def facts() -> list[dict[str, Any]]:
    return [
        {"fact": "process_started", "node": "vm1", "at": "2026-11-21T10:00:00.000+00:00"},
        {"fact": "attempt_started", "attempt": ATTEMPT, "units": [{"key": "ab", "audio_ms": 900}]},
        {"fact": "attempt_ended", "attempt": ATTEMPT, "usage": {"audio_ms": 900}},
        {"fact": "engine_loaded", "engine": "fake späß"},
    ]


def sealed(file: str = FILE, said: Sequence[Mapping[str, Any]] | None = None) -> tuple[list[bytes], Chain]:
    """The lines of a journal as the store writes them, and the chain after the last of them."""
    chain = Chain(file)
    return [encode_line(chain.seal(fact)) for fact in (facts() if said is None else said)], chain


def flaws(problems: Sequence[LogProblem]) -> set[Flaw]:
    return {problem.flaw for problem in problems}


def test_an_untouched_journal_has_no_problem_and_the_store_reads_it() -> None:
    lines, chain = sealed()
    data = b"".join(lines)
    check = verify_file(FILE, data, [chain.anchor])
    assert check.problems == ()
    assert check.anchor == chain.anchor == Anchor(FILE, 4, chain.head)
    assert check.torn == 0
    read = decode_lines(data)
    assert read.damaged == 0
    assert [{k: v for k, v in entry.items() if k not in ("n", "prev")} for entry in read.entries] == facts()
    assert check.attempts == {ATTEMPT: hash_of(encode_body(read.entries[1]))}


@pytest.mark.parametrize("change", [lambda b: b ^ 1, lambda b: b ^ 0x80, lambda b: 10, lambda b: 0, lambda b: 32])
def test_every_flipped_byte_is_found(change: Any) -> None:
    lines, chain = sealed()
    data = b"".join(lines)
    missed = []
    for place, byte in enumerate(data):
        if change(byte) == byte:
            continue
        flipped = data[:place] + bytes([change(byte)]) + data[place + 1 :]
        if not verify({FILE: flipped}, [chain.anchor]):
            missed.append(place)
    assert missed == []


def test_every_flipped_byte_but_the_last_newline_is_found_without_an_anchor() -> None:
    data = b"".join(sealed()[0])
    missed = [
        place
        for place, byte in enumerate(data)
        if not verify({FILE: data[:place] + bytes([byte ^ 1]) + data[place + 1 :]})
    ]
    # A line without its newline is what a crash leaves.
    assert missed == [len(data) - 1]


@pytest.mark.parametrize("inserted", [b"\n", b"x", b"\n\n", b"\nx\n"])
def test_every_removed_and_every_added_byte_is_found(inserted: bytes) -> None:
    lines, chain = sealed()
    data = b"".join(lines)
    removed = [p for p in range(len(data)) if not verify({FILE: data[:p] + data[p + 1 :]}, [chain.anchor])]
    assert removed == []
    added = [p for p in range(len(data)) if not verify({FILE: data[:p] + inserted + data[p:]}, [chain.anchor])]
    # One more newline at the end is the first byte of a line that a crash tore.
    assert added == ([len(data) - 1] if inserted == b"\n" else [])


def test_every_dropped_line_is_found() -> None:
    lines, chain = sealed()
    for drop in range(len(lines)):
        left = b"".join(lines[:drop] + lines[drop + 1 :])
        expected = Flaw.TRUNCATED if drop == len(lines) - 1 else Flaw.BROKEN
        assert expected in flaws(verify({FILE: left}, [chain.anchor]))
        # The chain alone sees every one but the last.
        assert bool(verify({FILE: left})) == (drop < len(lines) - 1)


def test_every_order_of_the_lines_but_the_right_one_is_found() -> None:
    lines, _ = sealed()
    for order in permutations(range(len(lines))):
        problems = verify({FILE: b"".join(lines[place] for place in order)})
        assert bool(problems) == (list(order) != sorted(order))


def test_every_repeated_line_is_found_wherever_it_is_put() -> None:
    lines, chain = sealed()
    for again in range(len(lines)):
        for place in range(len(lines) + 1):
            data = b"".join([*lines[:place], lines[again], *lines[place:]])
            assert flaws(verify({FILE: data}, [chain.anchor])) & {Flaw.REPEATED, Flaw.BROKEN}
            assert verify({FILE: data})


def test_every_truncation_is_found_against_an_anchor() -> None:
    lines, chain = sealed()
    data = b"".join(lines)
    for length in range(len(data)):
        assert verify({FILE: data[:length]}, [chain.anchor]), length


def test_a_truncation_is_a_torn_line_without_an_anchor_and_is_counted() -> None:
    lines, _ = sealed()
    whole = b"".join(lines[:2])
    for length in range(1, len(lines[2])):
        check = verify_file(FILE, whole + lines[2][:length])
        assert check.problems == ()
        assert check.torn + bool(check.unclosed) == 1
    assert verify_file(FILE, whole + lines[2][:40] + b"\0" * 60 + b"\n").problems == ()


def test_a_truncation_is_found_by_a_record_that_names_the_line() -> None:
    lines, _ = sealed()
    digest = verify_file(FILE, b"".join(lines)).attempts[ATTEMPT]
    before, line = lines[0], lines[1]
    for length in range(len(line)):
        assert verify({FILE: before + line[:length]}, references={ATTEMPT: digest}), length
    assert verify({FILE: before + line}, references={ATTEMPT: digest}) == []
    assert flaws(verify({FILE: before + line}, references={ATTEMPT: "0" * 64})) == {Flaw.CHANGED}


def test_a_rewritten_history_is_found_by_an_older_anchor_and_by_records() -> None:
    lines, _ = sealed()
    older = verify_file(FILE, b"".join(lines[:2])).anchor
    said = facts()
    said[1]["units"] = [{"key": "ab", "audio_ms": 9}]
    forged, chain = sealed(said=said)
    data = b"".join(forged)
    # A forger who knows the format leaves no trace in the file itself.
    assert verify({FILE: data}) == []
    assert flaws(verify({FILE: data}, [older])) == {Flaw.CHANGED}
    digest = verify_file(FILE, b"".join(lines)).attempts[ATTEMPT]
    assert flaws(verify({FILE: data}, [chain.anchor], {ATTEMPT: digest})) == {Flaw.CHANGED}


def test_an_edited_line_with_a_new_checksum_is_found() -> None:
    lines, chain = sealed()
    for place in range(len(lines)):
        entry = json.loads(lines[place][18:])
        entry["price"] = "0"
        data = b"".join([*lines[:place], encode_line(entry), *lines[place + 1 :]])
        assert verify({FILE: data}, [chain.anchor])
        assert bool(verify({FILE: data})) == (place < len(lines) - 1)


def test_a_line_of_another_file_or_without_a_seal_is_found() -> None:
    lines, chain = sealed()
    alien, _ = sealed("attempts/p2.jsonl", [{"fact": "beat"}, {"fact": "beat", "x": 1}])
    plain = encode_line({"fact": "beat"})
    for place in range(len(lines) + 1):
        for extra in (*alien, plain, encode_line({"fact": "beat", "n": 1, "prev": "0" * 64, "doubted": 3})):
            assert verify({FILE: b"".join([*lines[:place], extra, *lines[place:]])}, [chain.anchor])
    assert flaws(verify({FILE: plain})) == {Flaw.UNSEALED}


def test_every_missing_file_is_found() -> None:
    files, anchors, references = {}, [], {}
    for process in ("p1", "p2", "p3"):
        name = f"attempts/{process}.jsonl"
        lines, chain = sealed(name, [{"fact": "attempt_started", "attempt": f"{process}/transcribe/1"}])
        files[name] = b"".join(lines)
        anchors.append(chain.anchor)
        references[f"{process}/transcribe/1"] = chain.head
    assert verify(files, anchors, references) == []
    for name in files:
        left = {other: data for other, data in files.items() if other != name}
        assert [problem.flaw for problem in verify(left, anchors)] == [Flaw.MISSING]
        assert [problem.flaw for problem in verify(left, (), references)] == [Flaw.MISSING]
        emptied = {**files, name: b""}
        assert flaws(verify(emptied, anchors)) == {Flaw.TRUNCATED}
        swapped = {**files, name: files["attempts/p1.jsonl" if "p1" not in name else "attempts/p2.jsonl"]}
        assert Flaw.CHANGED in flaws(verify(swapped, anchors))


def test_a_document_is_held_by_the_line_that_knows_its_hash() -> None:
    name = "nodes/vm1/opened.json"
    lines, chain = sealed(said=[{"fact": "beat", "documents": {name: digest_bytes(OPENING)}}])
    data = {FILE: b"".join(lines), name: OPENING}
    assert verify(data, [chain.anchor]) == []
    for place in range(len(OPENING)):
        changed = OPENING[:place] + bytes([OPENING[place] ^ 1]) + OPENING[place + 1 :]
        assert flaws(verify({**data, name: changed})) == {Flaw.CHANGED}
    assert flaws(verify({FILE: data[FILE]})) == {Flaw.MISSING}
    assert flaws(verify({**data, "nodes/vm2/opened.json": OPENING})) == {Flaw.UNSEALED}


@pytest.mark.parametrize("written", ["nothing", "a part", "all"])
@pytest.mark.parametrize("failures", [1, 2, 3])
def test_a_writer_that_goes_on_after_a_failed_write_breaks_no_chain(written: str, failures: int) -> None:
    chain, data = Chain(FILE), b""
    data += encode_line(chain.seal({"fact": "beat", "at": 0}))
    for failure in range(failures):
        pair = chain.seal_all([{"fact": "beat", "at": failure, "x": part} for part in range(2)])
        both = b"".join(encode_line(entry) for entry in pair)
        data += {"nothing": b"", "a part": both[: len(both) * (failure + 1) // 4], "all": both}[written]
        chain.doubt()
    data += encode_line(chain.seal({"fact": "beat", "at": 8})) + encode_line(chain.seal({"fact": "beat", "at": 9}))
    assert verify({FILE: data}, [chain.anchor]) == []
    lines = [b"\n" + line + b"\n" for line in data.split(b"\n") if line]
    for drop in (0, len(lines) - 2, len(lines) - 1):
        assert verify({FILE: b"".join(lines[:drop] + lines[drop + 1 :])}, [chain.anchor])


def test_random_damage_to_a_longer_journal_is_always_found() -> None:
    rng = random.Random(7)
    lines, chain = sealed(said=[{"fact": "beat", "at": place, "gpu": rng.randrange(100)} for place in range(60)])
    data = b"".join(lines)
    for _ in range(400):
        start = rng.randrange(len(data))
        end = min(len(data), start + rng.randrange(1, 300))
        shred = rng.choice([b"", bytes(rng.randrange(256) for _ in range(end - start)), data[: end - start]])
        broken = data[:start] + shred + data[end:]
        assert broken == data or verify({FILE: broken}, [chain.anchor])


def test_files_checked_in_several_places_join_to_the_same_verdict() -> None:
    lines, chain = sealed()
    files = {FILE: b"".join(lines[1:]), "attempts/p2.jsonl": b"".join(sealed("attempts/p2.jsonl")[0])}
    checks: list[FileCheck] = [verify_file(name, data, [chain.anchor] * (name == FILE)) for name, data in files.items()]
    assert join_checks(checks, {}, [FILE], {}) == verify(files, [chain.anchor])


def test_a_problem_says_where_it_is_and_what() -> None:
    lines, _ = sealed()
    (problem,) = verify({FILE: lines[0] + lines[2] + lines[3]})
    assert str(problem) == "attempts/p1.jsonl:2: broken: line 2 does not follow the line before it"


def test_a_line_with_odd_names_and_numbers_is_chained_as_any_other() -> None:
    odd = {"fact": "beat", "deep": json.loads("[" * 300 + "]" * 300), "huge": 10**40, "lone": "\ud800", "doubted": None}
    lines, chain = sealed(FILE, [odd, {"fact": "beat", "documents": 5}])
    assert verify_file(FILE, b"".join(lines), [chain.anchor]).problems == ()
