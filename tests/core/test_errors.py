"""Errors in bulk are summed up."""

from __future__ import annotations

import pickle

from core.errors import LISTED, ListedError, summed_up


def test_the_first_problems_are_said_and_the_rest_counted() -> None:
    assert summed_up(["a", "b"]) == ["a", "b"]
    assert summed_up([str(number) for number in range(LISTED)]) == [str(number) for number in range(LISTED)]
    many = summed_up([f"row {number}: bad" for number in range(100_000)])
    assert (len(many), many[0], many[-1]) == (LISTED + 1, "row 0: bad", f"and {100_000 - LISTED} more")


def test_one_endless_problem_is_cut() -> None:
    (line,) = summed_up(["x" * 1_000_000])
    assert len(line) == 300
    assert line.endswith("...")


def test_a_listed_error_counts_all_and_survives_a_pickle() -> None:
    error = ListedError.of("list.csv cannot be used", [f"row {number}" for number in range(1000)], "correct them")
    again = pickle.loads(pickle.dumps(error))
    assert (again.total, again.hint, again.message) == (1000, "correct them", error.message)
    assert error.message.startswith("list.csv cannot be used:\n  row 0\n")
    assert error.message.endswith(f"\n  and {1000 - LISTED} more")
