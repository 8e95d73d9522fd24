"""The stages of a job. Read `stage`, which says what a stage declares; then any stage beside it.

Everything else (what is ready, batches, queues, progress, estimates, ledger, collection) walks `STAGES` and knows no
stage by name. docs/adding-a-stage.md is the recipe for another one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from core.specs import EngineSpec
from engines.roles import is_remote
from pipeline.job import JobSettings
from pipeline.stages.cues import Cues
from pipeline.stages.detect import Detect
from pipeline.stages.language import SpokenLanguage
from pipeline.stages.probe import Probe
from pipeline.stages.stage import ChargedBy, Stage, StageOption, Unit
from pipeline.stages.transcribe import Transcribe
from pipeline.stages.translate import Translate

#: In the order in which they feed each other.
STAGES: tuple[Stage, ...] = (Detect(), SpokenLanguage(), Transcribe(), Cues(), Translate(), Probe())

_BY_NAME = {stage.name: stage for stage in STAGES}


def find_stage(name: str) -> Stage | None:
    """The stage of that name; None for a name that this Segue does not know."""
    return _BY_NAME.get(name)


def is_done_in_turn(name: str, *, remote: bool) -> bool:
    """Whether a stage's engine does the units of a batch one after the other, so that it can be left between two."""
    stage = find_stage(name)
    return stage is not None and stage.divisible and not remote


def stage_named(name: str) -> Stage:
    """The stage of that name. Raises KeyError for a name that this Segue does not know."""
    return _BY_NAME[name]


def engine_stages() -> tuple[Stage, ...]:
    """The stages that engines compute: those whose units are queued, shown, recorded and paid for."""
    return tuple(stage for stage in STAGES if stage.role)


def main_stages() -> tuple[Stage, ...]:
    """The stages that people are shown: an engine's work without what is only `Stage.part_of` it."""
    return tuple(stage for stage in engine_stages() if not stage.part_of)


def loaded_for(role: str) -> str:
    """The stage that the time to load a role's engine belongs to."""
    return next(stage.name for stage in main_stages() if stage.role == role)


def with_parts(name: str) -> tuple[Stage, ...]:
    """The stages that are served, shown and accounted together under the name of one."""
    return tuple(stage for stage in engine_stages() if name in (stage.name, stage.part_of))


def shown_as(name: str) -> str:
    """The name under which people are shown a stage: its own, or that of the stage which it is part of."""
    stage = _BY_NAME.get(name)
    return stage.part_of or name if stage else name


def charged_by(name: str) -> ChargedBy:
    """What APIs that do the work of a stage count; nothing for a name that this Segue does not know."""
    stage = _BY_NAME.get(name)
    return stage.charged_by if stage else ChargedBy.NOTHING


def charged_stages() -> tuple[Stage, ...]:
    """The stages that people are shown and whose work APIs charge for: what prices and comparisons are for."""
    return tuple(stage for stage in main_stages() if stage.charged_by is not ChargedBy.NOTHING)


def priced_names() -> tuple[str, ...]:
    """The stages that a row of the price book may be for."""
    return tuple(stage.name for stage in charged_stages())


def compared_first() -> str:
    """The stage that is compared with an API where nobody says which: the first that has a `Stage.usual_api`."""
    return next((stage.name for stage in charged_stages() if stage.usual_api), "")


def declared_options() -> tuple[StageOption, ...]:
    """The settings and flags that stages add."""
    return tuple(option for stage in STAGES for option in stage.options)


def options_said(settings: object) -> dict[str, Any]:
    """What the settings say for the options of stages, by name; what is not said changes no job."""
    said = {option.name: getattr(settings, option.name, option.default) for option in declared_options()}
    return {option.name: said[option.name] for option in declared_options() if said[option.name] != option.default}


def suffixes_of(settings: JobSettings) -> tuple[str, ...]:
    """What the names of the files end in that the stages of such a job may deliver."""
    return tuple(suffix for stage in STAGES if stage.active(settings) for suffix in stage.suffixes(settings))


def switch_for(suffix: str, settings: JobSettings) -> str:
    """The option that would make such a job deliver a file whose name ends so; empty where none would."""
    off = (stage for stage in STAGES if stage.switch and not stage.active(settings))
    return next((stage.switch for stage in off if suffix in stage.suffixes(settings)), "")


def stages_served(settings: object) -> tuple[Stage, ...]:
    """The stages that a worker with these settings serves unless it is told which."""
    return tuple(stage for stage in main_stages() if not stage.switch or getattr(settings, stage.switch, False))


def views_of(units: Iterable[Unit]) -> frozenset[str]:
    """The views of the source that these units read."""
    return frozenset(view for unit in units for view in _BY_NAME[unit.stage].views)


def engines_of_views(settings: JobSettings) -> dict[str, EngineSpec]:
    """The engines, by role, that a job gives its source to: worth loading while it is being decoded."""
    return {
        stage.role: settings.engines[stage.role]
        for stage in engine_stages()
        if stage.views and stage.active(settings) and not is_remote(stage.role, settings.engines[stage.role].provider)
    }
