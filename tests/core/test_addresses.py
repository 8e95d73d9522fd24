"""What of an address may be shown, and where a path goes when the address has a query."""

from __future__ import annotations

import pytest

from core.addresses import UNREADABLE, join_url, secrets_in, shown_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("https://user:word@host/v1?key=secret#secret", "https://host/v1"),
        ("https://host/v1?key=se@cret", "https://host/v1"),
        ("redis://:p@ss@host:1/0", "redis://host:1/0"),
        ("unix:///tmp/a.sock?password=secret", "unix:///tmp/a.sock"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("host:8000/v1?key=secret", "host:8000/v1"),
        ("host/v1?key=secret", "host/v1"),
        # A password with a slash in it: neither half is shown.
        ("http://user:p@se/cret@host/v1", UNREADABLE),
        ("http://user:se/cret@host/v1", UNREADABLE),
        ("user:secret@host/v1", UNREADABLE),
        ("http://[::1/v1?key=secret", UNREADABLE),
        ("", UNREADABLE),
        ("http://host/\x1b[31m", "http://host/?[31m"),
    ],
)
def test_an_address_is_shown_without_user_query_and_fragment(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_the_path_of_a_webhook_is_not_shown_either() -> None:
    assert shown_url("https://u:p@example.org:8443/a/b?c=d", path=False) == "https://example.org:8443"


@pytest.mark.parametrize(
    ("base", "path", "joined"),
    [
        ("http://h/v1", "models", "http://h/v1/models"),
        ("http://h/v1/", "chat/completions", "http://h/v1/chat/completions"),
        ("http://h/v1?key=x", "chat/completions", "http://h/v1/chat/completions?key=x"),
        ("http://u:p@h?a=1&b=2#part", "/meta?api-version=3", "http://u:p@h/meta?a=1&b=2&api-version=3"),
        ("http://h/a%2Fb/", "models", "http://h/a%2Fb/models"),
    ],
)
def test_a_path_goes_before_the_query(base: str, path: str, joined: str) -> None:
    assert join_url(base, path) == joined


def test_secrets_are_known_as_they_are_written_and_as_they_are_meant() -> None:
    found = secrets_in("https://us%40er:pa%20ss@host/v1?key=to%2Bken&api-version=2024#frag")
    assert {"us%40er", "us@er", "pa%20ss", "pa ss", "to%2Bken", "to+ken", "2024", "frag"} <= set(found)
    assert secrets_in("http://host/v1") == secrets_in("http://[::1/v1") == ()
