"""URLs, passwords, TLS and Unix sockets: redis-py and kombu get the same; a refusal is one line without a secret."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker_server import BrokerServer, TlsFront, free_port, make_certificates
from queue_bench import QUEUE, STORE, QueueBench, make_message, wait_until

from core.errors import SettingsError
from tasks import address
from tasks.address import BrokerAddress, BrokerAwayError
from tasks.app import make_app
from tasks.broker import Broker

SECRET = "p@ss:w/rd#?"
ESCAPED = "p%40ss%3Aw%2Frd%23%3F"


@pytest.fixture
def guarded() -> Iterator[BrokerServer]:
    """A server that wants the password."""
    with BrokerServer(password=SECRET) as server:
        yield server


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """Path of a CA whose certificate the TLS port shows."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return make_certificates(tmp_path)


@pytest.fixture
def secure(broker_server: BrokerServer, certificates: Path) -> Iterator[TlsFront]:
    """A TLS port in front of the server (the packaged Valkey is built without TLS)."""
    with TlsFront(certificates.parent, broker_server.port) as front:
        yield front


def _refusal(url: str) -> BrokerAwayError:
    """What a ping and a message are told at this URL."""
    broker = Broker.connect(url, STORE, 1000)
    with pytest.raises(BrokerAwayError) as at_ping:
        broker.ping()
    with pytest.raises(BrokerAwayError) as at_send:
        broker.send(QUEUE, make_message())
    broker.close()
    assert str(at_send.value) == str(at_ping.value)
    assert "\n" not in str(at_ping.value)
    assert at_ping.value.hint
    return at_ping.value


def _works(url: str) -> None:
    """A broker and a consumer both reach each other through this URL."""
    broker = Broker.connect(url, STORE, 1000)
    try:
        broker.ping()
        assert broker.lease(["a" * 64], "one") == {"a" * 64}
        with QueueBench(broker, url) as bench:
            bench.start()
            bench.proves_alive()
    finally:
        broker.close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://", "redis://127.0.0.1:6379/0"),
        ("redis://cache.example", "redis://cache.example:6379/0"),
        (" redis://:secret@cache.example:6390/3 ", "redis://cache.example:6390/3"),
        ("redis://me:secret@cache.example?db=2", "redis://cache.example:6379/2"),
        ("rediss://:secret@cache.example", "rediss://cache.example:6379/0"),
        ("redis://[::1]:6380", "redis://[::1]:6380/0"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("unix://:secret@/run/redis.sock?db=1", "unix:///run/redis.sock"),
        ("redis+socket:///run/redis.sock", "unix:///run/redis.sock"),
    ],
)
def test_urls_are_understood_and_shown_without_password(url: str, shown: str) -> None:
    found = BrokerAddress.parse(url)
    assert str(found) == shown
    assert "secret" not in str(found) + repr(found)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "no broker is set"),
        ("amqp://guest:secret@host//", "begins with amqp://"),
        ("http://me:secret@host", "begins with http://"),
        ("host:6379", "has no scheme"),
        ("me:secret@host", "has no scheme"),
        ("redis://:secret@host:port/0", "cannot be read"),
        ("redis://:secret@host:99999/0", "cannot be read"),
        ("redis://:secret@[host/0", "cannot be read"),
        ("redis://:secret@host/zero", "database number"),
        ("redis://:se#cret@host/0", "."),
        ("redis://:secret@host/0?ssl_cert_reqs=none", "ssl_cert_reqs"),
        ("redis://:secret@host/0?timeout=5", "timeout"),
        ("rediss://:secret@host/0?ssl_cert_reqs=maybe", "ssl_cert_reqs"),
        ("rediss://:secret@host/0?ssl_ca_cert=/ca.pem", "ssl_ca_cert"),
        ("unix://host/socket", "absolute socket"),
        ("unix://", "absolute socket"),
    ],
)
def test_what_is_no_broker_url_is_said_without_quoting_it(url: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as at_broker:
        Broker.connect(url, STORE, 1000)
    with pytest.raises(SettingsError) as at_app:
        make_app(url, STORE)
    assert str(at_broker.value) == str(at_app.value)
    assert "secret" not in str(at_broker.value)
    assert "\n" not in str(at_broker.value)
    assert at_broker.value.hint


def test_certificates_are_required_unless_told_otherwise() -> None:
    def tls(query: str) -> dict[str, object]:
        return dict(BrokerAddress.parse(f"rediss://host/0{query}").tls or ())

    assert tls("") == {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}
    assert tls("?ssl_cert_reqs=CERT_REQUIRED&ssl_ca_certs=/ca.pem")["ssl_ca_certs"] == "/ca.pem"
    assert tls("?ssl_cert_reqs=none") == {"ssl_cert_reqs": ssl.CERT_NONE, "ssl_check_hostname": False}
    assert tls("?ssl_check_hostname=false") == {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": False}


def test_a_password_with_every_awkward_sign_works(guarded: BrokerServer) -> None:
    _works(f"redis://:{ESCAPED}@127.0.0.1:{guarded.port}/0")


def test_a_wrong_password_is_said_and_not_shown(guarded: BrokerServer) -> None:
    error = _refusal(f"redis://:not-the-password@127.0.0.1:{guarded.port}/0")
    assert "refuses the password" in error.message
    assert "not-the-password" not in str(error)


def test_a_missing_password_is_asked_for(guarded: BrokerServer) -> None:
    assert "wants a password" in _refusal(f"redis://127.0.0.1:{guarded.port}/0").message


def test_a_server_that_is_not_there_is_named() -> None:
    port = free_port()
    error = _refusal(f"redis://:secret@127.0.0.1:{port}/0")
    assert f"127.0.0.1:{port}" in error.message
    assert "secret" not in str(error)


def test_a_socket_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "none.sock") in _refusal(f"unix://{tmp_path}/none.sock").message


def test_a_database_that_is_not_there_is_said(broker_server: BrokerServer) -> None:
    assert "no such database" in _refusal(f"redis://127.0.0.1:{broker_server.port}/999").message


def test_a_consumer_with_a_wrong_password_says_so_and_works_once_it_is_right(
    guarded: BrokerServer, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Broker.connect(guarded.url.replace(SECRET, ESCAPED), STORE, 1000)
    with QueueBench(broker, f"redis://:later@127.0.0.1:{guarded.port}/0") as bench:
        bench.start()
        wait_until(lambda: "refuses the password" in caplog.text)
        client = guarded.client()
        client.ping()
        client.config_set("requirepass", "later")
        bench.broker = Broker.connect(f"redis://:later@127.0.0.1:{guarded.port}/0", STORE, 1000)
        bench.proves_alive()
        bench.broker.close()
    broker.close()
    assert "later@" not in caplog.text


def test_the_rights_in_the_documentation_are_enough(broker_server: BrokerServer) -> None:
    page = (Path(__file__).parents[2] / "docs" / "broker.md").read_text()
    line = page[page.index("    user segue ") : page.index("(one line in the ACL file)")]
    rules = line.replace("PASSWORD", "secret").split()[2:]
    client = broker_server.client()
    client.execute_command("ACL", "SETUSER", "segue", *rules)
    url = f"redis://segue:secret@127.0.0.1:{broker_server.port}/0"
    broker = Broker.connect(url, STORE, 1000)
    broker.ping()
    broker.beat("w1", {}, 5000)
    broker.hint({"fact": "worker_up"})
    assert [info["id"] for info in broker.workers()] == ["w1"]
    broker.retire("w1")
    assert broker.hints(0.1) == [{"fact": "worker_up"}]
    assert broker.hints(0.1) == []
    assert broker.lead("one", 5000)
    broker.step_down("one")
    assert broker.epoch() == broker.epoch()
    broker.send(QUEUE, make_message())
    assert broker.queues() == [QUEUE]
    assert len(broker.waiting(QUEUE)) == broker.empty(QUEUE) == 1
    broker.release(["a" * 64], "one")
    broker.close()
    _works(url)
    client.execute_command("ACL", "SETUSER", "segue", "-evalsha")
    with pytest.raises(BrokerAwayError, match="does not permit"):
        Broker.connect(url, STORE, 1000).lease(["a" * 64], "one")


def test_another_database_of_the_server_is_another_broker(broker: Broker, broker_server: BrokerServer) -> None:
    other = Broker.connect(f"redis://127.0.0.1:{broker_server.port}/5", STORE, 1000)
    broker.lease(["a" * 64], "one")
    assert other.lease(["a" * 64], "two") == {"a" * 64}
    other.close()
    _works(f"redis://127.0.0.1:{broker_server.port}/6")


def test_tls_with_the_right_ca_works(secure: TlsFront, certificates: Path) -> None:
    _works(f"rediss://127.0.0.1:{secure.port}/0?ssl_ca_certs={certificates}")


def test_tls_without_the_ca_is_refused_by_us(secure: TlsFront) -> None:
    error = _refusal(f"rediss://127.0.0.1:{secure.port}/0")
    assert "certificate that cannot be verified" in error.message
    assert "ssl_ca_certs" in error.hint


def test_tls_for_another_host_name_is_refused_by_us(secure: TlsFront, certificates: Path, tmp_path: Path) -> None:
    (tmp_path / "extensions").write_text("")
    error = _refusal(f"rediss://127.0.0.2:{secure.port}/0?ssl_ca_certs={certificates}")
    assert "127.0.0.2" in error.message


def test_tls_that_is_not_verified_works_when_asked_for(secure: TlsFront) -> None:
    _works(f"rediss://127.0.0.1:{secure.port}/0?ssl_cert_reqs=none")


def test_tls_to_a_plain_port_is_said(broker_server: BrokerServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "CONNECT_TIMEOUT_S", 0.2)
    monkeypatch.setattr(address, "READ_TIMEOUT_S", 0.2)
    error = _refusal(f"rediss://127.0.0.1:{broker_server.port}/0")
    assert "TLS" in str(error)


def test_a_ca_file_that_is_not_there_is_said(secure: TlsFront, tmp_path: Path) -> None:
    error = _refusal(f"rediss://127.0.0.1:{secure.port}/0?ssl_ca_certs={tmp_path}/none.pem")
    assert "ssl_ca_certs" in error.message
