"""Documents written once, states replaced whole, journals appended to."""

from __future__ import annotations

import pytest

from cache.store import PutOutcome, Store

PLAN = ("jobs", "j1", "plan.json")
FACTS = ("attempts", "facts.jsonl")


def test_the_first_document_of_a_name_stays(store: Store) -> None:
    assert store.write_once(PLAN, b'{"a":1}') is PutOutcome.COMMITTED
    assert store.write_once(PLAN, b'{"a":2}') is PutOutcome.LOST_RACE
    assert store.read_document(PLAN) == b'{"a":1}'
    assert store.children(("jobs",)) == ("j1",)
    assert store.children(("jobs", "j1")) == ("plan.json",)


def test_a_document_that_is_not_there_is_none(store: Store) -> None:
    assert store.read_document(PLAN) is None
    assert store.children(("jobs",)) == ()


def test_a_document_starts_with_what_was_written(store: Store) -> None:
    store.write_once(PLAN, b'{"a":1}')
    assert (store.home / "jobs/j1/plan.json").read_bytes().startswith(b'{"a":1}\n')


def test_a_changed_byte_anywhere_in_a_document_is_found(store: Store) -> None:
    store.write_once(PLAN, b'{"segments":[1,2,3]}')
    path = store.home.joinpath(*PLAN)
    sound = path.read_bytes()
    for offset in range(len(sound)):
        damaged = bytearray(sound)
        damaged[offset] ^= 0x04
        path.write_bytes(damaged)
        assert store.read_document(PLAN) is None
        assert store.write_once(PLAN, b'{"segments":[1,2,3]}') is PutOutcome.COMMITTED
    for length in range(len(sound)):
        path.write_bytes(sound[:length])
        assert store.read_document(PLAN) is None
    assert store.write_once(PLAN, b"another") is PutOutcome.COMMITTED


def test_a_document_in_another_jobs_folder_is_damage(store: Store) -> None:
    store.write_once(PLAN, b"{}")
    store.write_once(("jobs", "j2", "other.json"), b"{}")
    (store.home / "jobs/j2/plan.json").write_bytes(store.home.joinpath(*PLAN).read_bytes())
    assert store.read_document(("jobs", "j2", "plan.json")) is None


@pytest.mark.parametrize(
    "parts",
    [
        (),
        "jobs",
        ("jobs", ".."),
        ("jobs", "."),
        ("jobs", ""),
        ("jobs", "a/b"),
        ("jobs", "a\0b"),
        ("jobs", "a\n"),
        ("jobs", ".hidden"),
        ("jobs", "-dash"),
        ("jobs", "x" * 200),
        ("jobs", *["long-name" * 5] * 5),
        ("objects", "ab", "x"),
        ("..", "jobs", "x"),
        ("store.json",),
        ("models", "x"),
    ],
)
def test_a_name_that_could_leave_its_place_is_refused(store: Store, parts: tuple[str, ...]) -> None:
    for action in (store.read_document, store.read_journal, store.read_state, store.children):
        with pytest.raises(ValueError):
            action(parts)
    with pytest.raises(ValueError):
        store.write_once(parts, b"")
    with pytest.raises(ValueError):
        store.purge(trees=[parts], dry_run=False)


def test_a_name_says_what_it_is(store: Store) -> None:
    for wrong in (("jobs", "x.jsonl"), ("jobs", "x.state")):
        with pytest.raises(ValueError):
            store.write_once(wrong, b"")
    with pytest.raises(ValueError):
        store.append(("jobs", "x.json"), [{}])
    with pytest.raises(ValueError):
        store.replace_state(("state", "x.json"), b"")


def test_a_state_is_what_was_written_last(store: Store) -> None:
    name = ("state", "outputs.state")
    assert store.read_state(name) is None
    for payload in (b"one", b"", b"three\n"):
        store.replace_state(name, payload)
        assert store.read_state(name) == payload
    path = store.home.joinpath(*name)
    path.write_bytes(path.read_bytes()[1:])
    assert store.read_state(name) is None
    store.replace_state(name, b"four")
    assert store.read_state(name) == b"four"


def test_a_journal_keeps_its_entries_in_order(store: Store) -> None:
    assert store.read_journal(FACTS).entries == ()
    store.append(FACTS, [{"n": 1, "text": "a\nb ÿ 日本\u2028"}, {"n": 2.5}])
    store.append(FACTS, [])
    store.append(FACTS, [{"n": 3}], durable=False)
    assert store.read_journal(FACTS).entries == ({"n": 1, "text": "a\nb ÿ 日本\u2028"}, {"n": 2.5}, {"n": 3})
    assert store.read_journal(FACTS).damaged == 0


def test_a_journal_keeps_names_of_any_bytes_and_numbers_of_any_size(store: Store) -> None:
    entries = [{"file": "\udcff.mp4", "text": "\u4e2d\U0001f3ac"}, {"count": 2**80, "exact": 0.1, "deep": [[[{}]]] * 2}]
    store.append(FACTS, entries)
    assert list(store.read_journal(FACTS).entries) == entries


def test_a_torn_last_line_is_counted_and_does_not_swallow_the_next(store: Store) -> None:
    store.append(FACTS, [{"n": 1}])
    path = store.home.joinpath(*FACTS)
    whole = path.read_bytes()
    store.append(FACTS, [{"n": 2}])
    both = path.read_bytes()
    for length in range(len(whole) + 2, len(both) - 1):
        path.write_bytes(both[:length])
        assert store.read_journal(FACTS).entries == ({"n": 1},)
        assert store.read_journal(FACTS).damaged == 1
        store.append(FACTS, [{"n": 3}])
        assert store.read_journal(FACTS).entries == ({"n": 1}, {"n": 3})


def test_a_changed_byte_in_a_journal_costs_at_most_the_lines_it_touches(store: Store) -> None:
    store.append(FACTS, [{"n": number} for number in range(3)])
    path = store.home.joinpath(*FACTS)
    sound = path.read_bytes()
    for offset in range(len(sound)):
        damaged = bytearray(sound)
        damaged[offset] ^= 0x11
        path.write_bytes(damaged)
        journal = store.read_journal(FACTS)
        assert {entry["n"] for entry in journal.entries} <= {0, 1, 2}
        assert len(journal.entries) >= 2
        assert journal.damaged or len(journal.entries) == 3
