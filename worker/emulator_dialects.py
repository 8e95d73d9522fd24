"""The three clouds' metadata services, as a machine sees them: paths, headers, tokens, etags and status codes."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from worker.emulator_node import EmulatedEvent, EmulatedNode
from worker.notices.metadata import Cloud


@dataclass(frozen=True)
class MetadataRequest:
    """One request that reached the emulator."""

    method: str
    #: Without the query.
    path: str
    query: Mapping[str, str]
    #: Header names in lower case.
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def parse(cls, method: str, target: str, headers: Mapping[str, str], body: bytes) -> MetadataRequest:
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        return cls(method, parts.path, query, {name.lower(): value for name, value in headers.items()}, body)


@dataclass(frozen=True)
class MetadataReply:
    """What the emulator answers."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


class MetadataDialect(Protocol):
    """One cloud's way of answering."""

    def reply(self, request: MetadataRequest) -> MetadataReply: ...

    def is_spoken(self, request: MetadataRequest) -> bool:
        """Whether the request is in this dialect, rather than another cloud's."""
        ...

    def is_notice(self, request: MetadataRequest) -> bool:
        """Whether the request asks for notices, rather than who the machine is."""
        ...


def open_dialect(node: EmulatedNode) -> MetadataDialect:
    """The dialect of the node's cloud."""
    cloud = node.facts.cloud
    if cloud is Cloud.AZURE:
        return _Azure(node)
    return _Aws(node) if cloud is Cloud.AWS else _Gcp(node)


def _json(value: Any, status: int = 200) -> MetadataReply:
    return MetadataReply(status, json.dumps(value), {"Content-Type": "application/json; charset=utf-8"})


def _plain(text: str, status: int = 200, **headers: str) -> MetadataReply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return MetadataReply(status, text, {"Content-Type": "text/plain", **named})


class _Azure:
    """``/metadata/instance`` and ``/metadata/scheduledevents``."""

    def __init__(self, node: EmulatedNode) -> None:
        self._node = node

    def is_spoken(self, request: MetadataRequest) -> bool:
        return request.path.startswith("/metadata/")

    def is_notice(self, request: MetadataRequest) -> bool:
        return request.path == "/metadata/scheduledevents"

    def reply(self, request: MetadataRequest) -> MetadataReply:
        if request.headers.get("metadata", "").lower() != "true":
            return _json({"error": "Bad request. Required metadata header not specified"}, 400)
        if "x-forwarded-for" in request.headers:
            return _json({"error": "Bad request. Request was forwarded"}, 400)
        if not request.query.get("api-version"):
            return _json({"error": "Bad request. api-version was not specified in the request"}, 400)
        if request.path == "/metadata/instance" and request.method == "GET":
            return _json({"compute": self._compute(), "network": {"interface": []}})
        if self.is_notice(request) and request.method == "GET":
            return _json(self._events())
        if self.is_notice(request) and request.method == "POST":
            return self._start(request.body)
        if request.path in ("/metadata/instance", "/metadata/scheduledevents"):
            return _json({"error": "Method not allowed"}, 405)
        return _json({"error": "Not found"}, 404)

    def _compute(self) -> dict[str, Any]:
        facts = self._node.facts
        return {
            "azEnvironment": "AzurePublicCloud",
            "location": facts.region,
            "name": facts.name,
            "osType": "Linux",
            "priority": "Spot" if facts.spot else "Regular",
            "evictionPolicy": "Delete" if facts.spot else "",
            "provider": "Microsoft.Compute",
            "vmId": facts.instance_id,
            "vmScaleSetName": "",
            "vmSize": facts.size,
            "zone": facts.zone,
        }

    def _events(self) -> dict[str, Any]:
        with self._node.changed:
            events = [self._event(event) for event in self._node.events]
            return {"DocumentIncarnation": self._node.incarnation, "Events": events}

    def _event(self, event: EmulatedEvent) -> dict[str, Any]:
        return {
            "EventId": event.event_id,
            "EventStatus": "Started" if event.started else "Scheduled",
            "EventType": event.event_type,
            "ResourceType": "VirtualMachine",
            "Resources": list(event.resources),
            "NotBefore": "" if event.started else format_datetime(event.deadline, usegmt=True),
            "Description": "",
            "EventSource": "Platform",
            "DurationInSeconds": -1,
        }

    def _start(self, body: bytes) -> MetadataReply:
        try:
            requests = json.loads(body)["StartRequests"]
            event_ids = [str(request["EventId"]) for request in requests]
        except (ValueError, KeyError, TypeError):
            return _json({"error": "Bad request. StartRequests with an EventId each are needed"}, 400)
        if not event_ids or not self._node.acknowledge(event_ids):
            return _json({"error": "Bad request. No such event"}, 400)
        return MetadataReply(200, "")


class _Aws:
    """``/latest/api/token`` and ``/latest/meta-data/``, tokens required (IMDSv2)."""

    def __init__(self, node: EmulatedNode) -> None:
        self._node = node
        self._lock = threading.Lock()
        #: Token -> `time.monotonic` of its end.
        self._tokens: dict[str, float] = {}

    def is_spoken(self, request: MetadataRequest) -> bool:
        return request.path.startswith("/latest/")

    def is_notice(self, request: MetadataRequest) -> bool:
        return request.path.startswith(("/latest/meta-data/spot/", "/latest/meta-data/events/"))

    def reply(self, request: MetadataRequest) -> MetadataReply:
        if request.path == "/latest/api/token":
            return self._new_token(request) if request.method == "PUT" else _plain("", 405)
        if request.method != "GET":
            return _plain("", 405)
        if not self._known(request.headers.get("x-aws-ec2-metadata-token", "")):
            return _plain("401 - Unauthorized", 401)
        prefix = "/latest/meta-data/"
        value = self._value(request.path.removeprefix(prefix)) if request.path.startswith(prefix) else None
        return _plain("404 - Not Found", 404) if value is None else _plain(value)

    def _new_token(self, request: MetadataRequest) -> MetadataReply:
        if "x-forwarded-for" in request.headers:
            return _plain("403 - Forbidden", 403)
        wanted = request.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
        if not wanted.isdecimal() or not 1 <= int(wanted) <= 21_600:
            return _plain("400 - Bad Request", 400)
        token = secrets.token_urlsafe(40)
        with self._lock:
            self._tokens[token] = time.monotonic() + int(wanted)
        return _plain(token, X_aws_ec2_metadata_token_ttl_seconds=wanted)

    def _known(self, token: str) -> bool:
        with self._lock:
            return self._tokens.get(token, 0.0) > time.monotonic()

    def _value(self, name: str) -> str | None:
        facts = self._node.facts
        fixed = {
            "instance-id": facts.instance_id,
            "instance-type": facts.size,
            "instance-life-cycle": "spot" if facts.spot else "on-demand",
            "local-hostname": facts.name,
            "placement/availability-zone": facts.zone,
            "placement/region": facts.region,
        }
        if name in fixed:
            return fixed[name]
        with self._node.changed:
            event, rebalance_at = self._node.own_event(), self._node.rebalance_at
        if name == "spot/instance-action" and event is not None:
            return json.dumps({"action": event.action, "time": _stamp(event.deadline)})
        if name == "spot/termination-time" and event is not None and event.action == "terminate":
            return _stamp(event.deadline)
        if name == "events/recommendations/rebalance" and rebalance_at is not None:
            return json.dumps({"noticeTime": _stamp(rebalance_at)})
        return None


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class _Gcp:
    """``/computeMetadata/v1/instance/`` with long polls."""

    def __init__(self, node: EmulatedNode) -> None:
        self._node = node

    def is_spoken(self, request: MetadataRequest) -> bool:
        return request.path.startswith("/computeMetadata/")

    def is_notice(self, request: MetadataRequest) -> bool:
        return request.path == "/computeMetadata/v1/instance/preempted"

    def reply(self, request: MetadataRequest) -> MetadataReply:
        if request.headers.get("metadata-flavor") != "Google" or "x-forwarded-for" in request.headers:
            return self._text("Missing Metadata-Flavor:Google header.", 403)
        if request.method != "GET":
            return self._text("", 405)
        prefix = "/computeMetadata/v1/instance/"
        name = request.path.removeprefix(prefix) if request.path.startswith(prefix) else ""
        if self._value(name) is None:
            return self._text("Not Found", 404)
        if request.query.get("wait_for_change", "").lower() == "true":
            self._wait_for_change(name, request.query)
        value = self._value(name) or ""
        return self._text(value, ETag=self._etag(value))

    def _wait_for_change(self, name: str, query: Mapping[str, str]) -> None:
        """Returns when the value is no longer the one of ``last_etag`` (or of now), or the time is over."""
        known = query.get("last_etag") or self._etag(self._value(name) or "")
        wait = query.get("timeout_sec", "")
        until = time.monotonic() + float(wait) if wait.isdecimal() else None
        with self._node.changed:
            while self._etag(self._value(name) or "") == known and not self._node.leaving:
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    return
                self._node.changed.wait(left)

    def _value(self, name: str) -> str | None:
        facts = self._node.facts
        project = "projects/123456789012"
        fixed = {
            "id": facts.instance_id,
            "name": facts.name,
            "zone": f"{project}/zones/{facts.zone}",
            "machine-type": f"{project}/machineTypes/{facts.size}",
            "scheduling/preemptible": "TRUE" if facts.spot else "FALSE",
            "scheduling/automatic-restart": "FALSE" if facts.spot else "TRUE",
            "maintenance-event": "NONE",
        }
        if name == "preempted":
            with self._node.changed:
                return "FALSE" if self._node.own_event() is None else "TRUE"
        return fixed.get(name)

    def _etag(self, value: str) -> str:
        """16 hexadecimal digits, as the real server's; the same value has the same one."""
        return hashlib.sha256(value.encode()).hexdigest()[:16]

    def _text(self, body: str, status: int = 200, **headers: str) -> MetadataReply:
        named = {"Content-Type": "application/text", "Metadata-Flavor": "Google", "Server": "Metadata Server for VM"}
        return MetadataReply(status, body, {**named, **headers})
