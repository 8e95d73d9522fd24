"""Keeps docs/commands.md and docs/settings.md in step with `segue --help` and the settings.

python docs/commands.py --write   writes commands.md and the table of settings.md from the program itself
python docs/commands.py --check   fails if it is out of date, or a text or message names an option that does not exist
"""

from __future__ import annotations

import ast
import difflib
import importlib
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from written_pages import asked_to_write

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "commands.md"
SETTINGS = ROOT / "docs" / "settings.md"
_SETTINGS_BEGIN, _SETTINGS_END = "<!-- settings -->", "<!-- end of settings -->"
#: `segue ...` as it stands in a text: in code marks or at the start of a line of a code block.
_CALL = re.compile(r"(?:`|^\s*(?:\$ )?)(segue(?: [^`\n|]*)?)", re.MULTILINE)
#: The same in a message, between quotes.
_SAID_CALL = re.compile(r"[`'](segue(?: [^`'\n|]*)?)[`']")


def main() -> int:
    write = asked_to_write(__doc__)
    root = load_command()
    text = described(root)
    settings = with_settings(SETTINGS.read_text(encoding="utf-8"))
    if write:
        TARGET.write_text(text, encoding="utf-8")
        SETTINGS.write_text(settings, encoding="utf-8")
        return 0
    problems = [*stale_lines(TARGET, text), *stale_lines(SETTINGS, settings), *unknown_options(root)]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def load_command() -> Any:
    """The click command behind `segue`."""
    sys.path.insert(0, str(ROOT))
    import typer

    module = importlib.import_module("cli.main")
    app = next(value for value in vars(module).values() if isinstance(value, typer.Typer))
    return typer.main.get_command(app)


def walk(command: Any, path: tuple[str, ...] = ("segue",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that call it."""
    yield path, command
    for name, child in sorted(getattr(command, "commands", {}).items()):
        if not child.hidden:
            yield from walk(child, (*path, name))


def described(root: Any) -> str:
    """commands.md as it should be."""
    lines = ["# Commands", "", "Written by `make docs` from `segue --help`; do not edit by hand.", ""]
    for path, command in walk(root):
        lines += [f"## {' '.join(path)}", ""]
        if command.help:
            lines += [paragraph(command.help), ""]
        rows = [parameter_row(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)]
        if rows:
            lines += ["| | |", "| --- | --- |", *rows, ""]
    return "\n".join(lines).rstrip() + "\n"


def paragraph(text: str) -> str:
    """A help text without the marks that only a terminal needs."""
    plain = re.sub(r"\[/?bold\]", "**", text.replace("\b", ""))
    plain = re.sub(r"\[/?[a-z]+(?: [a-z]+)*\]", "", plain)
    parts = re.split(r"\n\s*\n", plain.strip())
    return "\n\n".join(" ".join(part.split()) for part in parts)


def parameter_row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        name = f"`{parameter.name.upper()}`"
    else:
        name = ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))
    words = " ".join((getattr(parameter, "help", None) or "").split())
    return f"| {name} | {words.replace('|', chr(92) + '|')} |"


def with_settings(page: str) -> str:
    """The page with its table of settings as it should be, between the two marks."""
    from pipeline.runtime import Settings
    from pipeline.settings_files import Harmless

    rows = ["| environment | by a folder | meaning |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("hidden"):
            continue
        folder = "yes" if any(isinstance(mark, Harmless) for mark in field.metadata) else ""
        rows.append(f"| `SEGUE_{name.upper()}` | {folder} | {(field.description or '').replace('|', chr(92) + '|')} |")
    before, rest = page.split(_SETTINGS_BEGIN, 1)
    _, after = rest.split(_SETTINGS_END, 1)
    return before + _SETTINGS_BEGIN + "\n" + "\n".join(rows) + "\n" + _SETTINGS_END + after


def stale_lines(target: Path, text: str) -> Iterator[str]:
    """What a file says differently."""
    current = target.read_text(encoding="utf-8") if target.is_file() else ""
    if current != text:
        yield f"{target.relative_to(ROOT)} is out of date: run `make docs`"
        yield from difflib.unified_diff(current.splitlines(), text.splitlines(), "is", "should be", lineterm="", n=0)


def unknown_options(root: Any) -> Iterator[str]:
    """Calls in the texts whose command or options do not exist."""
    known = dict(walk(root))
    for document in [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]:
        if document == TARGET or not document.is_file():
            continue
        for call in _CALL.findall(document.read_text(encoding="utf-8")):
            yield from (f"{document.relative_to(ROOT)}: {problem}" for problem in problems_of(call, known))
    for source, message in messages():
        for call in _SAID_CALL.findall(message):
            yield from (f"{source.relative_to(ROOT)}: {problem}" for problem in problems_of(call, known))


def messages() -> Iterator[tuple[Path, str]]:
    """Every text in the program; what is put into one later stands in it as X."""
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    for source in sorted(file for package in packages for file in ROOT.joinpath(*package.split(".")).glob("*.py")):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
                yield source, "".join(parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield source, node.value


def problems_of(call: str, known: dict[tuple[str, ...], Any]) -> Iterator[str]:
    """What is wrong with one call, such as `segue run film.mp4 --to es`."""
    words = call.split()
    path: tuple[str, ...] = ("segue",)
    while len(words) > len(path) and (*path, words[len(path)]) in known:
        path = (*path, words[len(path)])
    command = known[path]
    following = words[len(path)] if len(words) > len(path) else ""
    if hasattr(command, "default_command") and len(words) > len(path):
        path = (*path, command.default_command)
        command = known[path]
    if getattr(command, "commands", None) and re.fullmatch(r"[a-z]+", following):
        yield f"`{call}`: {' '.join(path)} has no command {following}"
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        name = word.split("=")[0].strip("[],.;:)")
        if re.fullmatch(r"--[a-z][a-z-]*", name) and name not in options | {"--help", "--version"}:
            yield f"`{call}`: {' '.join(path)} has no option {name}"


if __name__ == "__main__":
    sys.exit(main())
