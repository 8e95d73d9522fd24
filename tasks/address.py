"""Where the broker is and how to speak to it: one reading of the URL for redis-py and kombu alike."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from core.errors import SegueError, SettingsError

#: Seconds until a connection attempt, or a command without an answer, has failed.
CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 5.0
#: A connection that was idle for so many seconds is asked whether it lives before it is used.
HEALTH_CHECK_S = 15

_FORMS = "redis://[:PASSWORD@]HOST:6379/0, rediss://... for TLS, or unix:///path/to/socket"
_ESCAPES = "% escapes @ : / in a password"
_SOCKET_SCHEMES = frozenset({"unix", "redis+socket", "socket"})
_FILES = frozenset({"ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"})
_CERT_REQS = {
    name: value
    for value in (ssl.CERT_REQUIRED, ssl.CERT_OPTIONAL, ssl.CERT_NONE)
    for name in (value.name.lower(), value.name.lower().removeprefix("cert_"))
}


class BrokerAwayError(SegueError):
    """The broker cannot be reached, or refuses us. Nothing is lost: the work is on disk."""


@dataclass(frozen=True)
class BrokerAddress:
    """A broker's URL, taken apart. Its `str` and `repr` never show the password."""

    host: str = "127.0.0.1"
    port: int = 6379
    #: Path of a Unix socket; empty for TCP.
    path: str = ""
    database: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    #: redis-py's ``ssl_*`` options; None for no TLS.
    tls: tuple[tuple[str, Any], ...] | None = None

    @classmethod
    def parse(cls, url: str) -> BrokerAddress:
        """Raises SettingsError for what is not one of the forms; it never quotes the URL, a password is in it."""
        text = url.strip()
        if not text:
            raise SettingsError("no broker is set", f"set SEGUE_BROKER_URL to {_FORMS}; `segue up` needs none")
        scheme = text.partition("://")[0].lower() if "://" in text else ""
        if scheme not in {"redis", "rediss"} | _SOCKET_SCHEMES:
            named = f"begins with {scheme}://" if scheme.replace("+", "").isalnum() else "has no scheme"
            raise SettingsError(f"the broker URL {named}, which is no Redis", f"write {_FORMS}")
        try:
            # The scheme is replaced, since only some are split into parts.
            parts = urlsplit("redis://" + text.partition("://")[2])
            options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query), keep_blank_values=True))
            port = parts.port
        except ValueError:
            # The error of urlsplit would quote the URL.
            raise SettingsError("the broker URL cannot be read", f"write {_FORMS}; {_ESCAPES}") from None
        if scheme in _SOCKET_SCHEMES:
            return cls._of_socket(parts, options)
        if parts.fragment:
            raise SettingsError("the broker URL has a #", "write it as %23 when it is part of the password")
        database = _database(parts.path.strip("/") or options.pop("db", "0"))
        tls = _tls(options) if scheme == "rediss" else None
        _no_options(options)
        return cls(
            host=parts.hostname or "127.0.0.1",
            port=port or 6379,
            database=database,
            username=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            tls=tls,
        )

    @classmethod
    def _of_socket(cls, parts: SplitResult, options: dict[str, str]) -> BrokerAddress:
        path = unquote(parts.path)
        if parts.hostname or not path.startswith("/") or path == "/":
            raise SettingsError("the broker URL names no absolute socket", "write unix:///path/to/socket, with three /")
        database = _database(options.pop("db", options.pop("virtual_host", "0")))
        _no_options(options)
        username, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(path=path, database=database, username=username, password=password)

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'redis' if self.tls is None else 'rediss'}://{host}:{self.port}/{self.database}"

    def connection_options(self, attempts: int) -> dict[str, Any]:
        """Keyword arguments of a redis-py connection pool.

        ``attempts`` are made for a command; a refused password is not tried again.
        """
        import redis
        from redis.backoff import ExponentialBackoff
        from redis.retry import Retry

        options: dict[str, Any] = {
            "db": self.database,
            # Without a HELLO, which old servers and narrow ACLs refuse.
            "protocol": 2,
            "username": self.username or None,
            "password": self.password or None,
            "socket_timeout": READ_TIMEOUT_S,
            "health_check_interval": HEALTH_CHECK_S,
            "retry": Retry(ExponentialBackoff(cap=0.5, base=0.05), attempts - 1),
            "retry_on_error": [redis.ConnectionError, redis.TimeoutError],
        }
        if self.path:
            return options | {"connection_class": redis.UnixDomainSocketConnection, "path": self.path}
        options |= {"host": self.host, "port": self.port, "socket_connect_timeout": CONNECT_TIMEOUT_S}
        options["socket_keepalive"] = True
        if self.tls is None:
            return options | {"connection_class": redis.Connection}
        return options | dict(self.tls) | {"connection_class": redis.SSLConnection}

    def away(self, error: BaseException) -> BrokerAwayError:
        """What a person is told of an error of redis-py, kombu or the socket; one line, without the password."""
        where = str(self)
        cause = _deepest(error)
        text = " ".join(str(cause).split())[:200]
        if self.password:
            text = text.replace(self.password, "***")
        lower = text.lower()
        missing = [name for name, value in self.tls or () if name in _FILES and not Path(value).exists()]
        if missing:
            return BrokerAwayError(
                f"{missing[0]} in the broker URL names no file", "correct the path in SEGUE_BROKER_URL"
            )
        if self.tls is not None and "timeout" in lower:
            return BrokerAwayError(
                f"the broker at {where} does not answer in TLS",
                "does it listen there, and for TLS? redis:// is without",
            )
        for sign, said, hint in _SIGNS:
            if sign in lower:
                return BrokerAwayError(f"the broker at {where} {said}", hint)
        text = text or type(cause).__name__
        return BrokerAwayError(
            f"the broker at {where} does not answer: {text}", "is it running, and is SEGUE_BROKER_URL right?"
        )


#: What an error's text contains (lower case), what is said of it, what to do.
_SIGNS = (
    ("wrongpass", "refuses the password", "correct user name and password in SEGUE_BROKER_URL; % escapes @ : /"),
    ("invalid password", "refuses the password", "correct the password in SEGUE_BROKER_URL; % escapes @ : /"),
    ("invalid username-password", "refuses the password", "correct SEGUE_BROKER_URL; % escapes @ : / in a password"),
    ("without any password configured", "has no password, but one was given", "leave it out of SEGUE_BROKER_URL"),
    ("noauth", "wants a password", "put it into SEGUE_BROKER_URL: redis://:PASSWORD@HOST:6379/0"),
    ("authentication required", "wants a password", "put it into SEGUE_BROKER_URL: redis://:PASSWORD@HOST:6379/0"),
    (
        "no permissions",
        "does not permit us a command or a key",
        "docs/broker.md lists the rights that Segue needs",
    ),
    (
        "certificate verify failed",
        "has a certificate that cannot be verified",
        "name its CA in the URL: ?ssl_ca_certs=/path/ca.pem; its host name must be in the certificate",
    ),
    ("[ssl", "does not speak TLS as we expect", "use rediss:// for a TLS port only, and redis:// for a plain one"),
    ("ssl:", "does not speak TLS as we expect", "use rediss:// for a TLS port only, and redis:// for a plain one"),
    (
        "wrongtype",
        "holds a stranger's value under a name of ours",
        "remove the keys that begin with segue: all is rebuilt",
    ),
    ("used memory >", "is full", "give it more memory; Segue needs a few MB, and maxmemory-policy noeviction"),
    ("misconf", "cannot write its snapshot and refuses writes", "fix its disk, or set stop-writes-on-bgsave-error no"),
    ("read only replica", "is a read-only replica", "point SEGUE_BROKER_URL at the primary"),
    ("db index is out of range", "has no such database", "correct the number at the end of SEGUE_BROKER_URL"),
)


def is_wrong_type(error: BaseException) -> bool:
    """True for an error of redis-py or kombu that says that a key holds a value of another type."""
    return "wrongtype" in str(_deepest(error)).lower()


def _deepest(error: BaseException) -> BaseException:
    """The error that an error of kombu wraps."""
    seen = {id(error)}
    while error.__cause__ is not None and id(error.__cause__) not in seen:
        error = error.__cause__
        seen.add(id(error))
    return error


def _database(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise SettingsError("the broker URL ends in no database number", "write redis://HOST:6379/0")
    return int(text)


def _no_options(options: dict[str, str]) -> None:
    if options:
        raise SettingsError(
            f"the broker URL has options that mean nothing here: {', '.join(sorted(options))[:80]}",
            "ssl_... options need rediss://",
        )


def _tls(options: dict[str, str]) -> tuple[tuple[str, Any], ...]:
    found: dict[str, Any] = {name: options.pop(name) for name in sorted(_FILES & set(options))}
    wanted = options.pop("ssl_cert_reqs", "required").lower()
    if wanted not in _CERT_REQS:
        raise SettingsError("ssl_cert_reqs in the broker URL is not known", "write required, optional or none")
    requirement = _CERT_REQS[wanted]
    check = options.pop("ssl_check_hostname", "true").lower() not in {"false", "0", "no"}
    found |= {"ssl_cert_reqs": requirement, "ssl_check_hostname": check and requirement is not ssl.CERT_NONE}
    return tuple(found.items())
