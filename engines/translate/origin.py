"""What an answer of an endpoint belongs to: the model, and who or what says which weights stand behind its name. Pure.

At an API that is the base address. At a server of one's own it is the revision that a person sets or the server states,
and not the host: a server that moves keeps its answers. Only where nobody states one does the address stand in for it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from core.addresses import UNREADABLE, shown_url

_LONGEST_NAME = 200
_LARGEST_COUNT = 10**18
#: Ends of names that no public address has.
_PRIVATE_NAMES = (".local", ".localhost", ".localdomain", ".lan", ".internal", ".home.arpa", ".svc", ".cluster.local")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_plain_name(value: object) -> bool:
    """True for a text that may stand in a terminal and in a file: printable, no direction marks, not endless."""
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable() and value == value.strip()


def listed_models(value: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Model id -> its entry in an endpoint's list; entries that name no model, or not in plain words, are left out."""
    entries = value.get("data")
    models = entries if isinstance(entries, list) else []
    return {entry["id"]: entry for entry in models if isinstance(entry, dict) and is_plain_name(entry.get("id"))}


def revision_of(url: str, entry: Mapping[str, Any] | None, configured: str = "") -> str:
    """The revision of a model that ``entry`` of the endpoint's list describes; ``configured`` is a person's word."""
    if configured:
        return f"set={configured}"
    stated = _stated(entry or {})
    if stated and is_own_server(url):
        return stated
    return ";".join(filter(None, (f"at={base_address(url)}", stated)))


def is_elsewhere(revision: str, url: str) -> bool:
    """Whether a revision names another address than this one."""
    said = revision.partition(";")[0]
    return said.startswith("at=") and said != f"at={base_address(url)}"


def base_address(url: str) -> str:
    """Scheme, host, port and path, each written in one way; nothing that may be secret."""
    shown = shown_url(url)
    if shown == UNREADABLE:
        return shown
    parts = urlsplit(shown)
    host = (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def is_own_server(url: str) -> bool:
    """True for an address that only machines near this one can reach."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE_NAMES)


def _stated(entry: Mapping[str, Any]) -> str:
    """What the list says about the model and does not change between restarts: its ``root`` (vLLM: the weights that a
    served name stands for) and, from llama.cpp, the sizes of the weights. ``created`` is left out: vLLM puts the time
    of the request there."""
    parts = []
    root = entry.get("root")
    if isinstance(root, str) and is_plain_name(root):
        # A folder on the server's disk may be mounted elsewhere tomorrow: its own name is what stays.
        parts.append(f"root={PurePosixPath(root).name if root.startswith('/') else root}")
    meta = entry.get("meta")
    sizes = meta if isinstance(meta, dict) else {}
    for name in ("n_params", "size", "n_vocab"):
        count = sizes.get(name)
        if type(count) is int and 0 <= count <= _LARGEST_COUNT:
            parts.append(f"{name}={count}")
    return ";".join(parts)
