"""A host with a network of its own: a network namespace whose only wire can be pulled."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from types import TracebackType

from link_proxy import LinkProxy


@cache
def may_network() -> bool:
    """True where this process may make network namespaces and the wires between them."""
    if shutil.which("ip") is None:
        return False
    name = f"segue-{os.getpid()}-try"
    made = _ip("netns", "add", name, check=False)
    try:
        return made and _ip(
            "link", "add", _near(255), "type", "veth", "peer", "name", "far", "netns", name, check=False
        )
    finally:
        _ip("netns", "delete", name, check=False)


class NetHost:
    """A network namespace and its wire to the broker, with the face of a `LinkProxy`. A context manager.

    Pulling the wire loses packets, as a switch that fails does; TCP sends them again when it is back.
    """

    def __init__(self, target_port: int, number: int = 1) -> None:
        self._name, self._near = f"segue-{os.getpid()}-{number}", _near(number)
        ours, theirs = (f"10.231.{number}.{end}" for end in (1, 2))
        _ip("netns", "add", self._name)
        try:
            _ip("link", "add", self._near, "type", "veth", "peer", "name", "far", "netns", self._name)
            _ip("address", "add", f"{ours}/24", "dev", self._near)
            _ip("link", "set", self._near, "up")
            for command in (f"address add {theirs}/24 dev far", "link set far up", "link set lo up"):
                _ip("-n", self._name, *command.split())
            self._door = LinkProxy(target_port, ours)
        except BaseException:
            _ip("netns", "delete", self._name, check=False)
            raise

    @property
    def prefix(self) -> tuple[str, ...]:
        """Put in front of a command that is to run on this host."""
        return ("ip", "netns", "exec", self._name)

    def url(self) -> str:
        """The broker as this host sees it."""
        return self._door.url()

    def cut(self) -> None:
        """Pulls the wire."""
        _ip("link", "set", self._near, "down")

    def heal(self) -> None:
        """Puts it back."""
        _ip("link", "set", self._near, "up")

    def __enter__(self) -> NetHost:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._door.close()
        _ip("link", "delete", self._near, check=False)
        _ip("netns", "delete", self._name, check=False)


def _near(number: int) -> str:
    """The broker's end of a wire: 15 characters at most, and no other process's."""
    return f"sg{os.getpid() % 10**7}-{number}"


def _ip(*arguments: str, check: bool = True) -> bool:
    return subprocess.run(["ip", *arguments], check=check, capture_output=True).returncode == 0
