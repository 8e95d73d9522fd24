"""Which jobs wanted a unit when it was computed: they pay for it equally, and who comes later has a cache hit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from journals.facts import DemandInterval, UnitUse


class Demand:
    """Who wanted a unit when, found by unit and instant."""

    def __init__(self, intervals: Iterable[DemandInterval]) -> None:
        # An interval that is told twice is one interval; the order of telling means nothing.
        ordered = sorted(
            intervals, key=lambda interval: (interval.at, interval.job, interval.until is None, interval.until or 0)
        )
        self._by_key: dict[str, tuple[DemandInterval, ...]] = {}
        self._owners: dict[str, str] = {}
        self._labels: dict[str, Mapping[str, str]] = {}
        self._languages: dict[str, dict[str, str]] = {}
        for interval in ordered:
            self._owners[interval.job], self._labels[interval.job] = interval.owner, interval.labels
            self._languages.setdefault(interval.job, {}).update(interval.languages)
            # Nearly every unit is wanted by one job once: those share one tuple.
            alone = (interval,)
            for key in interval.keys:
                held = self._by_key.get(key)
                self._by_key[key] = alone if held is None else (*held, interval)

    def jobs(self, key: str, at: int, own: str) -> tuple[str, ...]:
        """The jobs that wanted the unit at this instant, by name; ``own`` where none is known."""
        found = self._by_key.get(key)
        if found is None:
            return (own,)
        if len(found) == 1:
            interval = found[0]
            return (interval.job,) if interval.at <= at and (interval.until is None or at < interval.until) else (own,)
        jobs = {
            interval.job for interval in found if interval.at <= at and (interval.until is None or at < interval.until)
        }
        return tuple(sorted(jobs)) if jobs else (own,)

    def payers(self, units: Iterable[UnitUse], at: int) -> list[tuple[str, ...]]:
        """As `jobs`, for each unit of an attempt that began at this instant."""
        known, jobs = self._by_key, self.jobs
        return [jobs(unit.key, at, unit.job) if unit.key in known else (unit.job,) for unit in units]

    def owner(self, job: str) -> str:
        """Whose job it is; empty when nobody says."""
        return self._owners.get(job, "")

    def labels(self, job: str) -> Mapping[str, str]:
        """The job's labels."""
        return self._labels.get(job, {})

    def has_languages(self, job: str) -> bool:
        """Whether any unit of the job has a language."""
        return bool(self._languages.get(job))

    def language(self, job: str, key: str) -> str:
        """The unit's language in this job; empty when nobody says."""
        found = self._languages.get(job)
        return found.get(key, "") if found else ""
