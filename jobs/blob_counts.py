"""What the blobs of a store are to its jobs, and how much room they take."""

from __future__ import annotations

from dataclasses import dataclass, field

from cache.envelope import Retention
from cache.store import Store
from cache.survey import FileCount
from core.errors import StoreError
from jobs.retention import BlobUse, blob_uses
from pipeline.jobs import list_jobs


@dataclass(frozen=True)
class BlobCounts:
    """Each blob counts once: as a result, else as a view, else as scratch, else as unreferenced."""

    #: By name, such as ``speech``.
    views: dict[str, FileCount] = field(default_factory=dict)
    results: FileCount = field(default_factory=FileCount)
    scratch: FileCount = field(default_factory=FileCount)
    #: What no job refers to, but for those of `unread`.
    unreferenced: FileCount = field(default_factory=FileCount)
    #: Why what a job refers to is not known, a line for each such job.
    unread: tuple[str, ...] = ()

    def by_name(self) -> dict[str, FileCount]:
        """For a table: what it is, and how much."""
        views = {f"view {name}": tally for name, tally in self.views.items()} or {"views": FileCount()}
        return {**views, "results": self.results, "scratch": self.scratch, "unreferenced": self.unreferenced}


def count_blobs(store: Store) -> BlobCounts:
    """Looks at the plans and summaries of all jobs; opens the records of those only that have changed since."""
    sizes, uses, unread = store.blob_sizes(), dict[str, BlobUse](), []
    order = list(Retention)
    for folder in list_jobs(store):
        try:
            found = blob_uses(folder)
        except StoreError as error:
            unread.append(f"job {folder.job_id[:12]}: {error.message}")
            continue
        for use in found:
            known = uses.get(use.digest)
            if known is None or (order.index(use.retention), use.name) < (order.index(known.retention), known.name):
                uses[use.digest] = use
    views: dict[str, FileCount] = {}
    others = dict.fromkeys((Retention.RESULT, Retention.SCRATCH, None), FileCount())
    for digest, size in sizes.items():
        most = uses.get(digest)
        if most is not None and most.retention is Retention.VIEW:
            views[most.name] = views.get(most.name, FileCount()).plus(size)
        else:
            retention = most.retention if most else None
            others[retention] = others[retention].plus(size)
    return BlobCounts(
        dict(sorted(views.items())),
        others[Retention.RESULT],
        others[Retention.SCRATCH],
        others[None],
        tuple(unread),
    )
