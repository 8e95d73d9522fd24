"""What a line knows of other files, and that two files which know each other hide no change."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import to_builtins

from cache.journal import encode_line
from journals.chain import Anchor, Chain, Flaw, read_file, verify_file
from journals.positions import anchor_in, claims_of, seen_fact, with_anchor

HEAD = "ab" * 32
END = Anchor("attempts/p.jsonl", 3, HEAD)


def test_a_line_says_which_ends_it_knows() -> None:
    anchors = Anchor("ledger/anchors/b.jsonl", 1, HEAD)
    line = with_anchor(seen_fact([END, anchors], "2026-11-22T02:00:00.000+00:00"), anchors)
    assert set(claims_of(line)) == {END, anchors}
    assert claims_of({"fact": "beat"}) == []


@pytest.mark.parametrize(
    "words",
    [
        {"anchored": 3},
        {"anchored": {"file": 1, "lines": 1, "head": HEAD}},
        {"anchored": {"file": "a", "lines": "1", "head": HEAD}},
        {"anchored": {"file": "a", "lines": 1}},
        {"fact": "journals_seen"},
        {"fact": "journals_seen", "seen": {"file": "a"}},
        {"fact": "journals_seen", "seen": [None, 3, {"file": "a"}]},
        {"fact": "beat", "seen": [to_builtins(END)]},
    ],
)
def test_words_that_are_not_ours_know_nothing(words: dict[str, Any]) -> None:
    assert claims_of(words) == []


def test_an_anchor_is_read_back_whatever_its_line_says_beside_it() -> None:
    assert anchor_in({**to_builtins(END), "n": 4, "prev": HEAD}) == END


def test_a_file_that_was_read_before_its_anchors_were_known_is_compared_afterwards() -> None:
    chain = Chain("f.jsonl")
    lines = [encode_line(chain.seal({"fact": "beat", "at": place})) for place in range(3)]
    whole, cut = read_file("f.jsonl", b"".join(lines)), read_file("f.jsonl", b"".join(lines[:2]))
    assert whole.check([chain.anchor]).problems == ()
    assert {problem.flaw for problem in cut.check([chain.anchor]).problems} == {Flaw.TRUNCATED}


def test_a_writer_that_goes_on_with_a_file_keeps_its_chain() -> None:
    first = Chain("f.jsonl")
    data = encode_line(first.seal({"fact": "job_wanted"}))
    second = Chain("f.jsonl", first.anchor)
    data += encode_line(second.seal({"fact": "job_ended"}))
    assert verify_file("f.jsonl", data, [first.anchor, second.anchor]).problems == ()
    second.doubt()
    data += encode_line(second.seal({"fact": "job_ended"}))
    assert verify_file("f.jsonl", data, [second.anchor]).problems == ()
