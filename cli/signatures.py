"""Flags that several commands take, said once and put into the signatures that typer reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import Parameter, Signature, signature
from typing import Any, TypeVar, get_type_hints

Returned = TypeVar("Returned")


def with_parameters(
    command: Callable[..., Returned], name: str, parameters: Iterable[Parameter], gather: Callable[..., Any]
) -> Callable[..., Returned]:
    """The command with ``parameters`` in place of the one called ``name``, which ``gather`` makes of their values."""
    flags = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in parameters]
    spread: list[Parameter] = []
    for own in signature(command, eval_str=True).parameters.values():
        spread += flags if own.name == name else [own.replace(kind=Parameter.KEYWORD_ONLY)]

    def with_flags(**values: Any) -> Returned:
        gathered = gather(**{flag.name: values.pop(flag.name) for flag in flags})
        return command(**{name: gathered}, **values)

    with_flags.__doc__ = command.__doc__
    # Both are how typer reads a command.
    with_flags.__signature__ = Signature(spread)  # type: ignore[attr-defined]
    with_flags.__annotations__ = {parameter.name: parameter.annotation for parameter in spread}
    return with_flags


def with_fields(name: str, flags: type) -> Callable[[Callable[..., Returned]], Callable[..., Returned]]:
    """A decorator: the fields of the dataclass ``flags`` are parameters in place of the one called ``name``."""
    # Fields that are inherited are written in the words of the module that they come from.
    hints = get_type_hints(flags, include_extras=True)
    fields = [field.replace(annotation=hints[field.name]) for field in signature(flags).parameters.values()]
    return lambda command: with_parameters(command, name, fields, flags)
