"""Addresses with secrets in them: what of a URL may be shown, and how a path is put to one that has a query."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

UNREADABLE = "(unreadable address)"


def shown_url(url: str, *, path: bool = True) -> str:
    """Scheme, host and path: user, password, query and fragment may be secrets. ``path=False`` for an address whose
    path is one too (webhooks)."""
    try:
        parts = urlsplit(url.strip())
        host = parts.netloc.rpartition("@")[2]
        _ = parts.port
    except ValueError:
        return UNREADABLE
    # A password that holds a slash puts what is left of it before an @ in the path.
    if "@" in parts.path or not (parts.netloc or parts.path):
        return UNREADABLE
    scheme = f"{parts.scheme}:" + ("//" if "://" in url else "") if parts.scheme else ""
    return "".join(char if char.isprintable() else "?" for char in scheme + host + (parts.path if path else ""))


def join_url(base: str, path: str) -> str:
    """The address of ``path`` (which may have a query of its own) below ``base``, whose query stays behind the path.

    Raises ValueError for a base that is no URL.
    """
    parts = urlsplit(base)
    below, _, asked = path.partition("?")
    query = "&".join(filter(None, (parts.query, asked)))
    whole = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/{below.lstrip('/')}"
    return f"{whole}?{query}" if query else whole


def secrets_in(url: str) -> tuple[str, ...]:
    """What must not be shown of a URL, as it is written and as it is meant: user, password, and values of its query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ()
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    written = [password, user, *(pair.partition("=")[2] for pair in parts.query.split("&")), parts.fragment]
    meant = [value for _, value in parse_qsl(parts.query)]
    return tuple(dict.fromkeys(filter(None, [*written, *map(unquote, written), *meant])))
