"""What lies in a queue's list, opened before kombu or Celery see it.

Anybody who can write to the broker can put anything there. kombu ends the worker when an entry is not JSON, and Celery
would obey headers and embedded signatures (an estimated time of arrival, callbacks, tasks of its own). So an entry is
either one of our messages, and then Celery is given a clean copy of it, or it is refused here.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from tasks.messages import (
    MAX_MESSAGE_BYTES,
    BatchMessage,
    MessageRefusedError,
    is_batch_id,
    parse_message,
)
from tasks.queues import PRIORITY_STEPS

#: Name of the only task there is.
TASK = "segue.batch"


@dataclass(frozen=True)
class Envelope:
    """One entry of a queue."""

    message: BatchMessage
    #: What kombu is given in place of the entry; it can be put back as it is.
    payload: dict[str, Any]


def open_envelope(entry: bytes, store_id: str, queue: str) -> Envelope:
    """Raises MessageRefusedError for everything that `tasks.app.publish` cannot have written."""
    outer = _load(entry)
    headers, properties = outer.get("headers"), outer.get("properties")
    if not isinstance(headers, dict) or not isinstance(properties, dict):
        raise _refused("it is no message of Celery's")
    task = headers.get("task")
    if task != TASK:
        raise _refused(f"its task is {ascii(task)[:60] if isinstance(task, str) else 'none'}, not {TASK}")
    if (outer.get("content-type"), outer.get("content-encoding")) != ("application/json", "utf-8"):
        raise _refused(f"its content is {ascii(outer.get('content-type'))[:60]}, not JSON")
    if headers.get("compression") or properties.get("body_encoding") != "base64":
        raise _refused("its body is encoded in a way that we never use")
    if headers.get("eta") or headers.get("expires") or headers.get("retries"):
        raise _refused("it asks to be run at another time, which we never do")
    message = parse_message(_kwargs(outer.get("body")), store_id)
    if headers.get("id") != message.batch:
        raise _refused("its id is not that of its batch")
    return Envelope(message, _clean(message, queue))


def batch_of(entry: bytes) -> str | None:
    """The batch id that an entry states; None for an entry that is not one of ours."""
    try:
        headers = _load(entry).get("headers")
    except MessageRefusedError:
        return None
    if not isinstance(headers, dict) or headers.get("task") != TASK or not is_batch_id(headers.get("id")):
        return None
    return str(headers["id"])


def _load(entry: bytes) -> dict[str, Any]:
    if len(entry) > MAX_MESSAGE_BYTES:
        raise _refused(f"it has {len(entry)} bytes, and {MAX_MESSAGE_BYTES} is the most")
    try:
        outer = json.loads(entry)
    except (ValueError, RecursionError):
        raise _refused("it is not JSON") from None
    if not isinstance(outer, dict):
        raise _refused("it is not an object")
    return outer


def _kwargs(body: object) -> Any:
    if not isinstance(body, str):
        raise _refused("it has no body")
    try:
        inner = json.loads(base64.b64decode(body, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise _refused("its body is not JSON") from None
    if not isinstance(inner, list) or len(inner) != 3 or inner[0] != []:
        raise _refused("its body is not that of a task of ours")
    embedded = inner[2]
    if not isinstance(embedded, dict) or any(embedded.values()):
        raise _refused("it carries further tasks, which we never send")
    return inner[1]


def _clean(message: BatchMessage, queue: str) -> dict[str, Any]:
    embedded = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    body = json.dumps([[], message.as_kwargs(), embedded]).encode()
    return {
        "body": base64.b64encode(body).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {
            "lang": "py",
            "task": TASK,
            "id": message.batch,
            "root_id": message.batch,
            "parent_id": None,
            "group": None,
            "eta": None,
            "expires": None,
            "retries": 0,
            "timelimit": [None, None],
            "argsrepr": "()",
            "kwargsrepr": "{}",
            "ignore_result": True,
        },
        "properties": {
            "correlation_id": message.batch,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "delivery_tag": message.batch,
            "priority": PRIORITY_STEPS[message.priority],
            "body_encoding": "base64",
        },
    }


def _refused(reason: str) -> MessageRefusedError:
    return MessageRefusedError(f"message refused: {reason}")
