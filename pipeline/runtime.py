"""Settings, and what is built from them. Nothing else reads SEGUE_ variables and secrets."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, SecretStr, ValidationError, create_model, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from core.errors import SettingsError, StoreError, summed_up
from core.keys import Digest, canonical_json, digest_bytes, digest_value
from core.specs import EngineSpec
from core.version import VERSION
from engines import roles
from engines.engine import EngineChoice
from engines.resources import EngineResources
from pipeline.settings_files import CONFIG_VARIABLE, GoesTo, Harmless, Trust, read_settings_files, refuse_leaks
from pipeline.stages import declared_options

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from cache.store import Store
    from media.builds import FfmpegBuild
    from segmenter.params import SegmenterParams


#: What the working directory's file may say (see `pipeline.settings_files`); every other type is refused there.
HarmlessText = Annotated[str, Harmless()]
HarmlessSwitch = Annotated[bool, Harmless()]
PathInside = Annotated[Path | None, Harmless(inside=True)]
#: The broker's password is part of its address, and webhooks are signed, so neither can go elsewhere.
TranslatorKey = Annotated[SecretStr, GoesTo("translator_url")]


class CoreSettings(BaseSettings):
    """Every setting but those that stages declare, with its environment name ``SEGUE_<NAME>``.

    Flags win, then environment, then the user's own settings file, then the working directory's, which may say only
    what is declared `Harmless` here.
    """

    model_config = SettingsConfigDict(
        env_prefix="SEGUE_", env_ignore_empty=True, extra="forbid", frozen=True, validate_default=False
    )

    home: Path = Field(default=Path("~/.segue"), description="where jobs, records and audio live")
    owner: str = Field(default="", description="whom new jobs belong to (default: the user's name)")
    transcriber: str = Field(
        default="", description=f"provider: {', '.join(roles.providers('transcriber'))} (default: faster-whisper)"
    )
    transcriber_model: str = Field(default="", description="name, hub id or folder (default: by device)")
    transcriber_compute_type: str = Field(default="", description="int8, int8_float16, float16 (default: by device)")
    translator: str = Field(
        default="",
        description=f"provider: {', '.join(roles.providers('translator'))} "
        "(default: openai when a URL is set, else llama)",
    )
    translator_model: str = Field(default="", description="name, hub id, folder or .gguf file (default: by device)")
    translator_url: str = Field(default="", description="an OpenAI-compatible endpoint, e.g. http://127.0.0.1:8000/v1")
    translator_api_key: TranslatorKey = Field(default=SecretStr(""), description="secret for that endpoint")
    translator_revision: str = Field(
        default="", description="which weights that endpoint serves; while it is the same, so are their answers"
    )
    translator_concurrency: int = Field(default=8, ge=1, le=512, description="requests in flight at that endpoint")
    device: str = Field(default="auto", pattern="^(auto|cpu|cuda)$", description="auto, cpu or cuda")
    threads: int = Field(default=0, ge=0, description="CPU threads for engines (0: all)")
    batch_size: int = Field(default=0, ge=0, le=256, description="units given to an engine at once (0: by device)")
    whole_media: HarmlessSwitch = Field(
        default=False, description="skip no silence: engines hear the media end to end, to see what skipping saves"
    )
    offline: bool = Field(default=False, description="never download anything (HF_HUB_OFFLINE=1 says the same)")
    to: HarmlessText = Field(default="", description="target languages, BCP 47: es,ja,pt-BR")
    source: HarmlessText = Field(
        default="auto", description="language spoken, or auto to decide it by vote (flag: --from)"
    )
    out: PathInside = Field(default=None, description="folder for outputs (default: beside each media file)")
    format: HarmlessText = Field(default="srt,vtt", description="subtitle formats: srt, vtt, ass, ttml")
    track: HarmlessText = Field(
        default="", description="audio track: an index or a language (default: the file's own default)"
    )
    glossary: PathInside = Field(default=None, description="CSV of terms: source,target[,language]")
    bilingual: HarmlessSwitch = Field(
        default=False, description="also write subtitles with source and translation stacked"
    )
    mux: HarmlessSwitch = Field(default=False, description="also write a copy of each video with the subtitles in it")
    ffmpeg: str = Field(
        default="",
        description="an ffmpeg binary for --mux (default: the system's, else the packaged one)",
    )
    broker_url: SecretStr = Field(
        default=SecretStr(""), description="Redis or Valkey: redis://[:password@]host:6379/0, or rediss:// for TLS"
    )
    lease_seconds: int = Field(
        default=6, ge=1, le=600, description="seconds without a sign of a worker after which others get its units"
    )
    stall_seconds: int = Field(
        default=300,
        ge=1,
        description="seconds without a result (or ten times what was predicted) after which an engine is ended",
    )
    batch_seconds: int = Field(
        default=60, ge=1, le=3600, description="seconds of engine time that a batch is meant to take"
    )
    preemption: str = Field(
        default="auto",
        pattern="^(auto|azure|aws|gcp|file|none)$",
        description="where notices come from: auto, azure, aws, gcp, file, none",
    )
    preemption_file: Path | None = Field(default=None, description="a file whose appearance is a notice")
    metadata_url: str = Field(
        default="",
        description="the cloud's metadata service (default: the cloud's own; set it for `segue emulate-metadata`)",
    )
    grace_seconds: int = Field(
        default=25, ge=1, le=3600, description="time that SIGTERM leaves a worker before it is killed"
    )
    node_price: str = Field(
        default="",
        description="what this node costs an hour, e.g. 0.149 USD; also prices finished work without any other price",
    )
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$", description="of the ledger's amounts: USD, EUR, ...")
    exchange_rate: str = Field(
        default="", description="dated rates into that currency: USD EUR 0.92 2026-11-20 ECB (several: separated by ;)"
    )
    exchange_rates_file: Path | None = Field(
        default=None,
        description="more of them: CSV with date,from,to,rate,source, or the ECB's reference rates (CSV, XML)",
    )
    exchange_rate_days: int = Field(
        default=7, ge=0, description="days after which an exchange rate is old, and said to be"
    )
    price_file: Path | None = Field(
        default=None, description="your own price rows, over the shipped ones (default: prices.toml under SEGUE_HOME)"
    )
    engineering_hours: str = Field(
        default="",
        description="people's hours a month that self-hosting takes, e.g. 6 or 4-8 (without it their cost is unknown)",
    )
    engineering_rate: str = Field(default="", description="what such an hour costs, e.g. 90 USD")
    expected_use: str = Field(
        default="",
        description="what a month is expected to be used for, by which people are shared: 400 audio hours",
    )
    idle_rule: str = Field(
        default="shared",
        pattern="^(shared|fleet)$",
        description="who pays for a fleet's idle: shared (the month's jobs, by node time) or fleet (no job)",
    )
    budgets: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict,
        description="what owners may spend a month: [budgets] with anna = '200 USD', or anna=200 USD; bert=50 USD",
    )
    budget_alert: int = Field(
        default=80, ge=1, le=100, description="per cent of an owner's budget from which `segue ledger` says so"
    )
    budget_refuse: bool = Field(
        default=False,
        description="`segue submit` refuses an owner whose budget of the month is spent; else it says so",
    )
    own_engines: str = Field(
        default="", description="engines on servers of your own, as the ledger names them; they charge no fee"
    )
    notify_secret: SecretStr = Field(default=SecretStr(""), description="signs webhooks (HMAC-SHA256)")
    listen: str = Field(
        default="",
        description="address for /metrics, and KEDA at the coordinator, e.g. 127.0.0.1:9187 (default: off)",
    )
    fake_delay_ms: int = Field(default=0, ge=0, description="fake engines only: time a unit takes")
    fake_faults: str = Field(default="", description="fake engines only: faults to inject, e.g. fail:7")

    @field_validator("budgets", mode="before")
    @classmethod
    def _read_budgets(cls, said: object) -> object:
        """``anna=200 USD; bert=50 USD``, as the environment says it; a table of a file is one already."""
        if not isinstance(said, str):
            return said
        parts = [part.partition("=") for part in said.split(";") if part.strip()]
        return {owner.strip(): amount.strip() for owner, _, amount in parts}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then environment; `load_settings` puts what files say below them."""
        return init_settings, env_settings


if TYPE_CHECKING:
    Settings = CoreSettings
else:
    #: Every setting; those of stages come last.
    Settings = create_model(
        "Settings",
        __base__=CoreSettings,
        **{
            option.name: (
                option.type,
                Field(default=option.default, description=option.help, json_schema_extra={"hidden": option.hidden}),
            )
            for option in declared_options()
        },
    )

#: Names under SEGUE_ that are not settings of this table.
_OTHER_NAMES = {CONFIG_VARIABLE}


def load_settings(flags: Mapping[str, Any], say: Callable[[str], None] | None = None) -> Settings:
    """The settings in force. ``flags`` holds what the command line said; None means not said.

    ``say`` is told which files were read. Raises SettingsError, one line a problem, for unknown names, values out of
    range, and what a file may not say.
    """
    fields = Settings.model_fields
    said = {name: value for name, value in flags.items() if value is not None}
    said |= _secrets_from_files(said)
    # As pydantic reads them: in any case, and an empty one is none.
    spoken = {name.lower() for name, value in os.environ.items() if value}
    spoken = {name for name in fields if f"segue_{name}" in spoken}
    trusts = dict.fromkeys([*said, *spoken], Trust.USER)
    origins: dict[str, Path] = {}
    for file in read_settings_files(fields):
        fresh = {name: value for name, value in file.values.items() if name not in trusts}
        said |= fresh
        trusts |= dict.fromkeys(fresh, file.trust)
        origins |= dict.fromkeys(fresh, file.path)
        if say is not None:
            say(f"settings from {file.describe(fresh)}")
    refuse_leaks(trusts, fields)
    try:
        settings = Settings(**said)
    except ValidationError as error:
        problems = [_problem(problem, origins) for problem in error.errors(include_input=False, include_url=False)]
        raise SettingsError(
            f"settings: {'; '.join(summed_up(problems))}", "see 'segue settings' for every name"
        ) from error
    updates: dict[str, Any] = {"home": expand_home(settings.home).absolute()}
    if not settings.owner:
        updates["owner"] = _user_name()
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        updates["offline"] = True
    return settings.model_copy(update=updates)


def _problem(problem: ErrorDetails, origins: Mapping[str, Path]) -> str:
    name = ".".join(str(part) for part in problem["loc"]) or "settings"
    place = f" in {origins[name]}" if name in origins else ""
    return f"{name}{place}: {problem['msg'].lower()}"


def expand_home(path: Path) -> Path:
    """``~/subs`` as a path from the root; a name that only begins with ``~`` stays a name. Raises SettingsError."""
    try:
        return path.expanduser() if path.parts[:1] == ("~",) else path
    except RuntimeError as error:
        raise SettingsError(f"{path}: there is no home folder", "set HOME, or write the path in full") from error


def unknown_names() -> list[str]:
    """Names under SEGUE_ in the environment that are no setting: most likely misspelt."""
    known = {f"SEGUE_{name.upper()}" for name in Settings.model_fields} | _OTHER_NAMES
    known |= {f"{name}_FILE" for name in known}
    return sorted(name for name in os.environ if name.startswith("SEGUE_") and name not in known)


def _secrets_from_files(said: Mapping[str, Any]) -> dict[str, str]:
    """Secrets given as ``NAME_FILE``: the file's text without its last newline."""
    secrets = {}
    for name, definition in Settings.model_fields.items():
        path = os.environ.get(f"SEGUE_{name.upper()}_FILE")
        if definition.annotation is not SecretStr or not path or name in said:
            continue
        try:
            secrets[name] = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise SettingsError(
                f"SEGUE_{name.upper()}_FILE: {path}: {reason}", "name a readable file that holds the secret"
            ) from error
    return secrets


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number without a name.
        return f"uid-{os.getuid()}"


@dataclass(frozen=True)
class Runtime:
    """What the settings make: opened when first used, once."""

    settings: Settings
    #: Told one line before a download and at every fallback.
    announce: Callable[[str], None]
    #: A damaged file of the store stays where it is, for commands that only look.
    in_place: bool = False

    @cached_property
    def store(self) -> Store:
        """The checkpoint store under SEGUE_HOME. Raises StoreError."""
        from cache.store import Store

        return Store.open(self.settings.home, notice=self.announce, in_place=self.in_place)

    @cached_property
    def ffmpeg(self) -> FfmpegBuild:
        """The ffmpeg that decodes. Raises EngineMissingError."""
        from media.builds import find_ffmpeg

        return find_ffmpeg(self.settings.ffmpeg)

    @cached_property
    def segmenter(self) -> SegmenterParams:
        """The segmenter's parameters; one set for everything but whether silence is skipped."""
        from segmenter.params import SegmenterParams

        return SegmenterParams(whole_media=self.settings.whole_media)

    @cached_property
    def resources(self) -> EngineResources:
        """What engines are given."""
        settings = self.settings
        return EngineResources(
            models_dir=settings.home / "models",
            device=settings.device,
            threads=settings.threads,
            batch_size=settings.batch_size,
            url=settings.translator_url,
            api_key=settings.translator_api_key.get_secret_value(),
            concurrency=settings.translator_concurrency,
            offline=settings.offline,
            announce=self.announce,
            announce_once=self._announce_once,
            fake_delay_ms=settings.fake_delay_ms,
            fake_faults=settings.fake_faults,
        )

    def _announce_once(self, line: str) -> None:
        """Says a line unless the store knows that it was said. Said before it is noted, so that no crash hides it."""
        note = ("state", "said", f"{digest_bytes(line.encode())[:32]}.state")
        with suppress(StoreError):  # Whoever needs the store finds out; this line does not.
            if self.store.read_state(note) is not None:
                return
        self.announce(line)
        with suppress(StoreError):
            self.store.replace_state(note, canonical_json({"line": line}))

    def asked_for(self, role: str) -> Digest:
        """A digest of what the settings say of a role's engine, but for its secret and how many requests it takes."""
        names = [name for name in type(self.settings).model_fields if name.startswith(role)]
        said = {name: getattr(self.settings, name) for name in names if not name.endswith(("_api_key", "_concurrency"))}
        return digest_value([VERSION, said])

    def provider(self, role: str) -> str:
        """The provider asked for, or the one that the other settings mean."""
        return getattr(self.settings, role, "") or roles.default_provider(role, self.resources)

    def is_remote(self, role: str) -> bool:
        """True when the role's work happens elsewhere and can overlap with this machine's."""
        return roles.is_remote(role, self.provider(role))

    def choice(self, role: str) -> EngineChoice:
        """What a person asked for."""
        model, compute_type, revision = (
            getattr(self.settings, f"{role}_{name}", "") for name in ("model", "compute_type", "revision")
        )
        return EngineChoice(self.provider(role), model, compute_type, revision)

    def engine_spec(self, role: str) -> EngineSpec:
        """The engine that new jobs are frozen with. Raises SettingsError, EngineError."""
        if role not in self._specs:
            self._specs[role] = roles.freeze(role, self.choice(role), self.resources)
        return self._specs[role]

    @cached_property
    def _specs(self) -> dict[str, EngineSpec]:
        return {}
