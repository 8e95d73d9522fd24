"""kombu's Redis transport with three things of our own: how to connect, what may come in, and where it waits.

Only what `tests/tasks` holds fast is relied on: the reply of one BRPOP is read in `_brpop_read`, connections are made
from `_connparams`. kombu is held to the version that they were written for.
"""

from __future__ import annotations

from queue import Empty
from typing import Any

from kombu.transport.redis import Channel, Transport
from redis.exceptions import ResponseError

from tasks.queues import queue_of_key

#: Names of our own transport options.
ADDRESS_OPTION = "segue_address"
ADMIT_OPTION = "segue_admit"
#: A sender's commands are tried again on a fresh connection; the consumer's connection is made anew by the consumer.
_SENDER_ATTEMPTS = 3


class AdmittingChannel(Channel):
    """A channel that lets nothing in but what ``segue_admit`` returns."""

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        address = self.connection.client.transport_options[ADDRESS_OPTION]
        options: dict[str, Any] = address.connection_options(1 if asynchronous else _SENDER_ATTEMPTS)
        if asynchronous:
            options["connection_class"] = _watched(self, options["connection_class"])
        return options

    def _size(self, queue: str) -> int:
        """Asked for whenever a queue is declared, and used by nobody here: one question less to the broker."""
        return 0

    def _brpop_read(self, **options: Any) -> bool:
        try:
            try:
                reply = self.client.parse_response(self.client.connection, "BRPOP", **options)
            except self.connection_errors:
                # So that the next connection is a fresh one.
                self.client.connection.disconnect()
                raise
            except ResponseError as error:
                raise self._without_bad_lists(error) from error
            if not reply:
                raise Empty
            name, entry = reply
            queue = queue_of_key(name.decode(errors="replace"))
            self._queue_cycle.rotate(queue)
            payload = self.connection.client.transport_options[ADMIT_OPTION](entry, queue)
            if payload is not None:
                self.connection._deliver(payload, queue)
            return True
        finally:
            self._in_poll = None  # type: ignore[assignment]
            self._flush_brpop_reauth()  # type: ignore[no-untyped-call]

    def _without_bad_lists(self, error: ResponseError) -> Exception:
        """One of our lists was replaced by something that is no list: it is removed, as a refused message is."""
        if not str(error).startswith("WRONGTYPE"):
            return error
        for queue in self.active_queues:
            for step in self.priority_steps:
                name = self._q_for_pri(queue, step)  # type: ignore[no-untyped-call]
                if self.client.type(name) not in (b"list", b"none"):
                    self.client.delete(name)
                    self.connection.client.transport_options[ADMIT_OPTION](b"", queue)
        return Empty()


class AdmittingTransport(Transport):
    """The transport of every connection of Segue's app."""

    Channel = AdmittingChannel
    #: Seconds; a consumer that has nothing to do needs up to so long to stop. Redis 6 takes fractions.
    brpop_timeout = 0.5  # type: ignore[assignment]


def _watched(channel: Any, base: Any) -> Any:
    """A connection that leaves the event loop's poller when it is closed, as kombu's own do."""

    class WatchedConnection(base):  # type: ignore[misc]
        def disconnect(self, *args: Any, **kwargs: Any) -> None:
            super().disconnect(*args, **kwargs)
            if channel._registered:
                channel._on_connection_disconnect(self)

    return WatchedConnection
