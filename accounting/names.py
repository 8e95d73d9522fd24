"""What the ids in the books are called: media of jobs, kinds of machines."""

from __future__ import annotations

from collections.abc import Iterable

from accounting.typed_facts import describe_node, read_node
from cache.store import Store
from jobs.queue_view import read_view
from pipeline.jobs import JobFolder


def media_names(store: Store, jobs: Iterable[str]) -> dict[str, str]:
    """Names of each job's media files; jobs whose folder is gone are left out. Raises StoreError."""
    found = {}
    for job in jobs:
        view = read_view(store, job)
        media = view.media if view is not None else [result.media for _, result in JobFolder(store, job).results()]
        if media:
            found[job] = ", ".join(dict.fromkeys(path.name for path in media))
    return found


def machine_names(store: Store, sessions: Iterable[str]) -> dict[str, str]:
    """Each node session's machine: ``Tesla T4, azure Standard_NC4as_T4_v3 eastus spot``. Raises StoreError."""
    found = {}
    for session in sessions:
        opening = read_node(store, session, []).opening
        if opening is not None:
            gpus = opening.gpu_names
            hardware = f"{len(gpus)} x {gpus[0]}" if gpus else "cpu"
            found[session] = ", ".join(part for part in (hardware, describe_node(opening)) if part)
    return found
