"""Groups of commands of which one may be left out: ``segue prices`` is ``segue prices list``."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class DefaultCommandGroup(TyperGroup):
    """Whatever is no command's name is an argument or option of `default_command`."""

    default_command = ""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts the left out word back."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = [self.default_command, *args]
        return super().parse_args(ctx, args)
