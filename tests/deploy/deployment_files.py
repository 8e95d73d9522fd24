"""Reads what lies in deploy/ the way the programs do that it is written for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
import yaml

from cli.main import app
from pipeline.runtime import Settings

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"

#: Seconds between a notice and the end of the machine, and what of it the machine's own shutdown may need.
NOTICE_SECONDS = {"azure": 30, "aws": 120, "gcp": 30}
SHUTDOWN_SECONDS = 5
_VARIABLE = re.compile(r"\$\$|\$\{(?P<name>[A-Z_]+)(?:(?P<how>:-|:\?)(?P<word>[^}]*))?\}")


class _AnyTag(yaml.SafeLoader):
    """YAML with tags of its own, as CloudFormation writes: the tag is dropped, the value kept."""


def _drop_tag(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)  # type: ignore[arg-type]


_AnyTag.add_multi_constructor("!", _drop_tag)


def load_yaml(path: Path) -> list[Any]:
    """The documents of a file."""
    return [document for document in yaml.load_all(path.read_text("utf-8"), _AnyTag) if document is not None]


def manifests() -> list[dict[str, Any]]:
    """Every Kubernetes object that `kubectl apply -k` would make, as it stands in its file."""
    base = KUBERNETES / "base"
    (kustomization,) = load_yaml(base / "kustomization.yaml")
    return [document for name in kustomization["resources"] for document in load_yaml(base / name)]


def manifest(kind: str, name: str) -> dict[str, Any]:
    """One of `manifests`."""
    (found,) = (m for m in manifests() if m["kind"] == kind and m["metadata"]["name"] == name)
    return found


def pod_specs() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, pod template) of everything that runs."""
    for each in manifests():
        if each["kind"] in ("Deployment", "StatefulSet"):
            yield each["metadata"]["name"], each["spec"]["template"]
        elif each["kind"] == "ScaledJob":
            yield each["metadata"]["name"], each["spec"]["jobTargetRef"]["template"]


def interpolate(value: Any, variables: Mapping[str, str]) -> Any:
    """``value`` as docker compose reads it. Raises KeyError for a variable that must be set."""
    if isinstance(value, dict):
        return {key: interpolate(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, variables) for item in value]
    if not isinstance(value, str):
        return value

    def replacement(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        given = variables.get(found["name"], "")
        if given or found["how"] is None:
            return given
        if found["how"] == ":?":
            raise KeyError(found["name"])
        return found["word"]

    return _VARIABLE.sub(replacement, value)


def compose(variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """docker-compose.yml with a password and ``variables`` filled in."""
    (document,) = load_yaml(ROOT / "docker-compose.yml")
    filled = interpolate(document, {"REDIS_PASSWORD": "0123abcd", **(variables or {})})
    assert isinstance(filled, dict)
    return filled


def env_file(path: Path) -> dict[str, str]:
    """The variables of an environment file, in docker's and systemd's common form."""
    lines = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def check_settings(environment: Mapping[str, str]) -> None:
    """Fails unless every SEGUE_ name is a setting and takes the value. ``NAME_FILE`` is the file of a secret."""
    fields = Settings.model_fields
    given: dict[str, str] = {}
    for name, value in environment.items():
        if not name.startswith("SEGUE_"):
            continue
        setting = name.removeprefix("SEGUE_").lower()
        if setting.endswith("_file") and setting not in fields:
            owner = setting.removesuffix("_file")
            assert owner in fields, f"{name}: {owner} is no setting"
            assert "SecretStr" in str(fields[owner].annotation), f"{name}: {owner} is no secret"
            continue
        assert setting in fields, f"{name} is no setting"
        if value:
            given[setting] = value
    Settings(**given)


def check_command(arguments: list[str]) -> None:
    """Fails unless ``segue <arguments>`` is a command with these options."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert arguments[0] in commands, f"there is no 'segue {arguments[0]}'"
    known = {option for parameter in commands[arguments[0]].params for option in parameter.opts}
    used = {argument.split("=")[0] for argument in arguments[1:] if argument.startswith("--")}
    assert used <= known, f"segue {arguments[0]} has no {', '.join(sorted(used - known))}"


def is_pinned(image: str) -> bool:
    """True for ``name:tag`` with a version in the tag, and for ``name@sha256:...``."""
    name, _, tag = image.rpartition(":")
    return bool(name) and "/" not in tag and (name.endswith("@sha256") or bool(re.search(r"\d+\.\d+\.\d+", tag)))


def seconds(text: str) -> int:
    """``30s`` as 30."""
    found = re.fullmatch(r"(\d+)s", text)
    assert found, f"not whole seconds: {text}"
    return int(found[1])
