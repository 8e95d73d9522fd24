"""What a shell offers where TAB is pressed: jobs, languages, formats.

Nothing is written, and where a store or a setting is at fault nothing is offered. Typer takes of it what begins with
what was typed.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import typer

from core.errors import SegueError


def complete_job(ctx: typer.Context) -> list[str]:
    """Ids of the store's jobs, and ``last``."""
    from cache.store import Store
    from jobs.submissions import ordered_jobs
    from pipeline.jobs import list_jobs
    from pipeline.runtime import load_settings

    home: Path | None = ctx.params.get("home")
    try:
        with Store.open(load_settings({"home": home}).home, create=False) as store:
            return ["last", *sorted({folder.job_id for folder in list_jobs(store)} | ordered_jobs(store))]
    except SegueError:
        return []


def complete_language() -> list[str]:
    """A language, or ``auto``."""
    return ["auto", *_languages()]


def complete_languages(incomplete: str) -> list[str]:
    """The last of several languages."""
    return _more(incomplete, _languages())


def complete_formats(incomplete: str) -> list[str]:
    """The last of several subtitle formats."""
    from subtitles.formats import FORMATS

    return _more(incomplete, FORMATS)


def _more(incomplete: str, words: Iterable[str]) -> list[str]:
    """``es,j`` -> ``es,ja``: each word behind those that stand before the last comma already."""
    before, comma, _ = incomplete.rpartition(",")
    taken = before.split(",")
    return [f"{before}{comma}{word}" for word in words if word not in taken]


def _languages() -> list[str]:
    from langcodes.language_lists import CLDR_LANGUAGES

    return sorted(CLDR_LANGUAGES)
