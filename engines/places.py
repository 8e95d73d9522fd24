"""Where the files of a model's revision lie: a spec names a local model by its own name only, not by its folder."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from core.errors import EngineError
from core.specs import EngineSpec
from engines.models import ModelFiles
from engines.resources import EngineResources

_PLACES = "places"

Resolve = Callable[[str, EngineResources], ModelFiles]


def remember_place(files: ModelFiles, resources: EngineResources) -> None:
    """Notes where a revision lies, for later processes."""
    note = resources.models_dir / _PLACES / files.revision
    with suppress(OSError):  # Without the note, the name is looked up again.
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(str(files.path.resolve()), encoding="utf-8")


def find_frozen(spec: EngineSpec, resources: EngineResources, resolve: Resolve) -> ModelFiles:
    """Exactly the files that were frozen: where they were then, or where the spec's name leads now.

    Raises EngineError when they are gone, or are not what they were.
    """
    note = resources.models_dir / _PLACES / spec.revision
    names = ([note.read_text(encoding="utf-8")] if note.is_file() else []) + [spec.model]
    refusal: EngineError | None = None
    for name in names:
        try:
            files = resolve(name, resources)
        except EngineError as error:
            refusal = refusal or error
            continue
        if files.revision == spec.revision:
            return files
        refusal = EngineError(
            f"the files of the model {spec.model} are not those that the job was planned with",
            "bring the model back, or run the job again with the new one",
        )
    assert refusal is not None, "the spec's own name was looked up at least"
    raise refusal
