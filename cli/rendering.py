"""HTML and SVG from the templates beside this file: a value is text there, never markup."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cli.wording import printable


def render(template: str, **values: Any) -> Markup:
    """The template ``cli/templates/TEMPLATE.j2`` with these values; pure, and markup to the next template."""
    return Markup(_templates().get_template(f"{template}.j2").render(values))


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("cli"),
        autoescape=True,
        finalize=_on_one_line,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )


def _on_one_line(value: Any) -> Any:
    """Text from anywhere moves no line and no cursor."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
