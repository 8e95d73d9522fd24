"""Earlier outputs that a delivery leaves behind: it would write them differently now, or not at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from cache.faults import BlobDamagedError
from cache.store import Store
from pipeline.jobs import JobFolder
from pipeline.outputs.assemble import Assembly, assemble_job
from pipeline.outputs.delivery import PARTIAL, Delivery, holds, is_ours, outputs_of_media, read_mux_note
from pipeline.outputs.documents import mux_inputs, outputs_of
from pipeline.report import FileResult, LeftBehind
from pipeline.stages import switch_for
from pipeline.work import JobWork
from subtitles.formats import FORMATS

_OUT_OF_DATE = "of an earlier run"


def left_by_job(folder: JobFolder) -> tuple[LeftBehind, ...]:
    """What all deliveries of a job have left behind, each as of the time it was made."""
    found: list[LeftBehind] = []
    for delivery, result in folder.results():
        if result.outputs:
            found.extend(left_by(folder, delivery, result))
    return tuple(found)


def left_by(folder: JobFolder, delivery: Delivery, result: FileResult) -> tuple[LeftBehind, ...]:
    """What an earlier delivery of this job left behind; the job is only opened where there is anything.

    What came since is no older than it.
    """
    at = datetime.fromisoformat(result.noted_at).timestamp()
    earlier = [path for path in _others(delivery, result.outputs, folder.store) if path.stat().st_mtime <= at]
    plan = folder.read_plan() if earlier else None
    if plan is None:
        return ()
    assembly = assemble_job(JobWork.open(plan, folder.store, folder.failures()))
    try:
        return _differing(earlier, delivery, assembly, folder.store)
    except BlobDamagedError:
        return ()  # What was delivered is there, and whoever delivers it again hears of the damage.


def left_behind(
    delivery: Delivery, written: Collection[Path], assembly: Assembly, store: Store
) -> tuple[LeftBehind, ...]:
    """Outputs of this media in the place where others were just ``written``, and that do not say the same.

    What is in another folder is a delivery of its own, and what somebody has edited is theirs.
    """
    return _differing(_others(delivery, written, store), delivery, assembly, store)


def _differing(
    earlier: Collection[Path], delivery: Delivery, assembly: Assembly, store: Store
) -> tuple[LeftBehind, ...]:
    if not earlier:
        return ()
    asking_for_all = replace(delivery, formats=tuple(name for name in FORMATS if name != "json"), bilingual=True)
    judge = _Judge(delivery, assembly, outputs_of(assembly, asking_for_all), store)
    found = (judge.look_at(path) for path in earlier)
    return tuple(each for each in found if each is not None)


def _others(delivery: Delivery, written: Collection[Path], store: Store) -> list[Path]:
    """Further outputs of this media in this place, as Segue wrote them."""
    known = outputs_of_media(delivery.media, store, besides=written)
    there = (path for path in known if path.parent == delivery.folder and path.is_file())
    return [path for path in there if is_ours(path, delivery.media, store)]


@dataclass(frozen=True)
class _Judge:
    """Says of an earlier output whether, and how, it differs from what the job would write."""

    delivery: Delivery
    assembly: Assembly
    #: Everything that the job could write, in all formats.
    now: Mapping[Path, bytes]
    store: Store

    def look_at(self, path: Path) -> LeftBehind | None:
        from media.mux import muxed_path

        if path == muxed_path(self.delivery.media, self.delivery.folder):
            noted = read_mux_note(path, self.delivery.media, self.store)
            same = noted is not None and noted.inputs == mux_inputs(self.assembly)[1]
            return None if same else LeftBehind(path, "with the subtitles of an earlier run", "--mux")
        data = self.now.get(path)
        if data is not None and holds(path, data):
            return None
        rest = path.name.removeprefix(self.delivery.stem)
        if rest.startswith(f"{PARTIAL}.") and not self.assembly.partial:
            return LeftBehind(path, "with gaps, unlike the finished ones", "")
        suffix = rest.removeprefix(PARTIAL).removeprefix(".")
        languages, _, format_ = suffix.rpartition(".")
        if format_ not in FORMATS:
            switch = switch_for(suffix, self.assembly.plan.settings)
            return LeftBehind(path, _OUT_OF_DATE, f"--{switch.replace('_', '-')}" if switch else "")
        known = {self.assembly.language, *self.assembly.translations}
        gone = [name for name in languages.split("+") if name and name not in known]
        if gone:
            return LeftBehind(path, f"{gone[-1]} is not asked for any more", f"{gone[-1]} in --to")
        if "+" in languages and not self.delivery.bilingual:
            return LeftBehind(path, _OUT_OF_DATE, "--bilingual")
        return LeftBehind(path, _OUT_OF_DATE, "" if format_ in self.delivery.formats else f"{format_} in --format")
