"""Reading large books without looking for cycles all the time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Within it the interpreter does not search for unreachable cycles, of which the books have none.

    Millions of facts are made and kept, and each search goes through all of them again. Can decorate a function.
    """
    searching = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searching:
            gc.enable()
