"""Draws the rooms of docs/architecture.md from the imports.

python docs/architecture.py --write   draws them again
python docs/architecture.py --check   fails if the page shows other rooms, layers, imports or purposes than the code,
                                      or sizes that are more than a tenth off
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import grimp
from written_pages import asked_to_write

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- drawn from the imports by docs/architecture.py -->", "<!-- end of the drawing -->"
_SIZE = re.compile(r"(\d+) files, ([\d,]+) lines")


def main() -> int:
    write = asked_to_write(__doc__)
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN, 1)
    shown, after = rest.split(END, 1)
    drawn = f"\n{drawing()}\n"
    if write:
        PAGE.write_text(f"{before}{BEGIN}{drawn}{END}{after}", encoding="utf-8")
    elif not same_house(shown, drawn):
        print(f"{PAGE.relative_to(ROOT)} is out of date: run `make docs`", file=sys.stderr)
        return 1
    return 0


def drawing() -> str:
    """A picture of the rooms, and what each is for and imports."""
    layers = layers_of(ROOT)
    imports = imports_between([room for layer in layers for room in layer])
    return "\n".join([*picture(layers, imports), "", *table(layers, imports)])


def layers_of(root: Path) -> list[list[str]]:
    """The rooms from the top layer to the lowest, as the first import contract orders them."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    (contract, *_) = (each for each in settings["tool"]["importlinter"]["contracts"] if each["type"] == "layers")
    return [[room.strip() for room in layer.split("|")] for layer in contract["layers"]]


def imports_between(rooms: list[str]) -> dict[str, set[str]]:
    """By room, the rooms that its modules import."""
    graph = grimp.build_graph(*rooms, cache_dir=None)
    imports: dict[str, set[str]] = {room: set() for room in rooms}
    for module in graph.modules:
        room = module.split(".")[0]
        imports[room] |= {each.split(".")[0] for each in graph.find_modules_directly_imported_by(module)} - {room}
    return imports


def needed_arrows(imports: Mapping[str, set[str]]) -> list[tuple[str, str]]:
    """The arrows from which all others follow: no arrow to a room that is reached through another one."""

    def below(room: str) -> set[str]:
        return imports[room].union(*(below(each) for each in imports[room]))

    return [
        (room, other)
        for room in imports
        for other in imports
        if other in imports[room] and not any(other in below(third) for third in imports[room])
    ]


def picture(layers: list[list[str]], imports: Mapping[str, set[str]]) -> list[str]:
    """The rooms as a Mermaid flowchart, one row a layer."""
    lines = ["```mermaid", "flowchart TB"]
    for layer in layers:
        lines += [f'    {room}["<b>{room}</b><br/>{size_of(ROOT / room)}"]' for room in layer]
    lines += [f"    {room} --> {other}" for room, other in needed_arrows(imports)]
    return [*lines, "```"]


def table(layers: list[list[str]], imports: Mapping[str, set[str]]) -> list[str]:
    """What each room is for, in the words of its own docstring, and all that it imports."""
    order = [room for layer in layers for room in layer]
    lines = ["| room | what it is for | imports |", "| --- | --- | --- |"]
    for room in order:
        others = ", ".join(other for other in order if other in imports[room])
        lines.append(f"| `{room}/` | {purpose_of(ROOT / room)} | {others or '-'} |")
    return lines


def size_of(folder: Path) -> str:
    """Files and lines of a room, the lines rounded to hundreds."""
    files = sorted(folder.rglob("*.py"))
    lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)
    return f"{len(files)} files, {round(lines, -2):,} lines"


def purpose_of(folder: Path) -> str:
    """The first paragraph of a room's docstring."""
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")


def same_house(shown: str, drawn: str) -> bool:
    """True if both say the same but for sizes, and these differ by a tenth at most."""
    if _SIZE.sub("", shown) != _SIZE.sub("", drawn):
        return False
    pairs = zip(_SIZE.findall(shown), _SIZE.findall(drawn), strict=True)
    return all(
        abs(int(was.replace(",", "")) - int(now.replace(",", ""))) * 10 <= max(int(now.replace(",", "")), 20)
        for sizes in pairs
        for was, now in zip(*sizes, strict=True)
    )


if __name__ == "__main__":
    sys.exit(main())
