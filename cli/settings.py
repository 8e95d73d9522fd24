"""``segue settings``: every setting, where it can be said, and what it is now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from cli.context import HomeFlag, JsonFlag, open_runtime, print_json
from core.addresses import shown_url


def settings_command(home: HomeFlag = None, json: JsonFlag = False) -> None:
    """Show every setting: its name in the environment, what it is now, and what it means.

    The same names in lower case, without SEGUE_, work in ~/.config/segue/segue.toml, or in the file that SEGUE_CONFIG
    names. In segue.toml of the working directory only those work that change outputs harmlessly. Secrets can also be
    given as NAME_FILE, the path of a file that holds them.
    """
    runtime = open_runtime({"home": home})
    values = runtime.settings.model_dump()
    described = type(runtime.settings).model_fields
    if json:
        print_json({name: _shown(name, value) for name, value in values.items()})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("environment", "now", "meaning"):
        table.add_column(heading, overflow="fold")
    for name, value in values.items():
        table.add_row(f"SEGUE_{name.upper()}", str(_shown(name, value) or "-"), described[name].description or "")
    Console().print(table)


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, SecretStr):
        return "(set)" if value.get_secret_value() else ""
    if isinstance(value, str) and value and (name.endswith("_url") or "://" in value):
        return shown_url(value)
    return str(value) if isinstance(value, Path) else value
