"""Groups of commands of which one may be left out: ``segue prices`` is ``segue prices list``."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class DefaultCommandGroup(TyperGroup):
    """Whatever is no command's name is an argument or option of `default_command`."""

    default_command = ""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts the left out word back."""
        if not args and ctx.resilient_parsing:
            # A shell asks what could stand here: `shell_complete` says both.
            return super().parse_args(ctx, args)
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = [self.default_command, *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """The commands, and what the one that may be left out takes."""
        default = self.commands[self.default_command]
        with default.make_context(self.default_command, [], parent=ctx, resilient_parsing=True) as inner:
            arguments = [each for each in default.params if each.param_type_name == "argument"]
            offered = [item for each in arguments for item in each.shell_complete(inner, incomplete)]
            return [*super().shell_complete(ctx, incomplete), *default.shell_complete(inner, incomplete), *offered]
