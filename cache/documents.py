"""Documents: files that are written once under a name that the caller chooses, such as ``jobs/<id>/plan.json``.

Also states: small files that are replaced whole and are never the truth (a list of outputs, a cursor).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from cache import names
from cache.checked import read_checked, settle
from cache.envelope import decode_document, encode_document
from cache.faults import CorruptDataError
from cache.publish import PutOutcome
from cache.volume import Pending, Volume


def document_parts(parts: Sequence[str]) -> tuple[str, ...]:
    """The checked place of a document. Raises ValueError."""
    checked = names.check_parts(parts)
    if checked[-1].endswith((names.JOURNAL_SUFFIX, names.STATE_SUFFIX)):
        raise ValueError(f"{checked[-1]!r} is the name of a journal or a state, not of a document")
    return checked


def state_parts(parts: Sequence[str]) -> tuple[str, ...]:
    """The checked place of a state, whose name ends in ``.state``. Raises ValueError."""
    checked = names.check_parts(parts)
    if not checked[-1].endswith(names.STATE_SUFFIX):
        raise ValueError(f"a state's name ends in {names.STATE_SUFFIX}: {checked[-1]!r}")
    return checked


class Documents:
    """The named files of one store."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume

    def write_once(self, parts: Sequence[str], payload: bytes) -> PutOutcome:
        checked = document_parts(parts)
        self._volume.confirm()
        pending = self._volume.write_file(checked, encode_document(checked, payload))
        return self._volume.commit([pending], self._settle)[0]

    def read(self, parts: Sequence[str]) -> bytes | None:
        """The payload at checked ``parts``; None when it is missing, or was damaged and is now in quarantine."""
        return read_checked(self._volume, parts, partial(decode_document, parts))

    def read_state(self, parts: Sequence[str]) -> bytes | None:
        """As `read`; an empty file is missing: it was not made durable, and the power failed."""
        checked = state_parts(parts)
        return read_checked(self._volume, checked, lambda data: decode_document(checked, data) if data else None)

    def replace(self, parts: Sequence[str], payload: bytes, *, durable: bool) -> None:
        checked = state_parts(parts)
        self._volume.confirm()
        pending = self._volume.write_file(checked, encode_document(checked, payload), durable=durable)
        try:
            filesystem = self._volume.filesystem
            if durable:
                filesystem.fsync(pending.fd)
            filesystem.replace(pending.temp, self._volume.path(checked))
            pending.on_disk = False
            if durable:
                filesystem.fsync_directory(self._volume.path(checked[:-1]) if checked[:-1] else self._volume.home)
        finally:
            self._volume.discard(pending)

    def _settle(self, pending: Pending) -> bool:
        return settle(self._volume, pending, partial(decode_document, pending.parts))

    def is_sound(self, path: str, parts: Sequence[str]) -> bool:
        """True when the file at ``path`` is the document that belongs at ``parts``; nothing is moved."""
        try:
            decode_document(parts, self._volume.filesystem.read(path))
        except CorruptDataError:
            return False
        return True
