"""Views: named blobs of the source that planning publishes, so that no worker ever opens the media itself."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from pipeline.job import SPEECH, Plan

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from cache.blobs import BlobReader
    from cache.store import Store


class OpenViews:
    """The views of the jobs in one batch, each opened once. Close it, or use it in a ``with``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: dict[str, BlobReader] = {}
        self._stack = ExitStack()

    def __enter__(self) -> OpenViews:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def window(self, plan: Plan, index: int) -> npt.NDArray[np.float32]:
        """A window's speech, its segments end to end: shape (n,), 16 kHz mono float32 in [-1, 1).

        Raises BlobDamagedError when the view is gone or damaged.
        """
        from pipeline.analysis import open_audio, window_samples

        digest = plan.view(SPEECH)
        if digest not in self._open:
            self._open[digest] = self._stack.enter_context(open_audio(self._store, digest))
        return window_samples(self._open[digest], plan.windows[index].window)
