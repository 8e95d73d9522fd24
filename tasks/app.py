"""The Celery app: JSON only, acknowledged early, no results, no remote control, no settings from the environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import Celery
from kombu.entity import Exchange, Queue

from tasks.address import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, BrokerAddress
from tasks.envelope import TASK
from tasks.messages import BatchMessage
from tasks.queues import PRIORITY_STEPS, STEP_SEPARATOR
from tasks.transport import ADDRESS_OPTION, AdmittingTransport

__all__ = ["TASK", "app_for", "make_app", "publish"]

#: Within kombu's event loop: how often an idle connection is looked after.
_LOOP_HEALTH_S = 5
_RETRY_POLICY = {"max_retries": 2, "interval_start": 0.1, "interval_step": 0.3, "interval_max": 0.5}

_SETTINGS: dict[str, Any] = {
    # Pickle in a message would be code of a stranger's.
    "accept_content": ["json"],
    "task_serializer": "json",
    "result_serializer": "json",
    "result_accept_content": ["json"],
    "result_backend": None,
    "task_ignore_result": True,
    "task_store_errors_even_if_ignored": False,
    # A message is a hint: what becomes of its units is seen on disk, so nothing is given back by the broker.
    "task_acks_late": False,
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": True,
    "worker_concurrency": 1,
    "worker_pool": "threads",
    "worker_enable_remote_control": False,
    "worker_send_task_events": False,
    "task_send_sent_event": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "worker_proc_alive_timeout": 4.0,
    "broker_connection_retry": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_channel_error_retry": True,
    "broker_connection_timeout": CONNECT_TIMEOUT_S,
    # Only tasks that are acknowledged late would be cancelled, and there are none; False prints a warning instead.
    "worker_cancel_long_running_tasks_on_connection_loss": True,
    "worker_enable_prefetch_count_reduction": False,
    "worker_detect_quorum_queues": False,
    "task_create_missing_queues": False,
    # The nameless exchange: nothing but the queues' own lists is kept in the broker.
    "task_default_exchange": "",
    "enable_utc": True,
    "timezone": "UTC",
}


class _SegueApp(Celery):  # type: ignore[misc]
    """A Celery app that speaks to one address, whatever ``CELERY_BROKER_URL`` is on this machine."""

    segue_address: BrokerAddress
    segue_store: str
    #: What the task does with its keyword arguments; set by the consumer that runs.
    segue_take: Callable[[dict[str, Any]], None]

    def _connection(self, url: Any, *args: Any, transport_options: Any = None, **kwargs: Any) -> Any:
        address = self.segue_address
        return self.amqp.Connection(
            # For messages only: `tasks.transport` connects to the address in the options.
            hostname=address.path or address.host,
            port=address.port,
            virtual_host=str(address.database),
            transport=AdmittingTransport,
            transport_options={**self.conf.broker_transport_options, **(transport_options or {})},
            connect_timeout=CONNECT_TIMEOUT_S,
        )


def make_app(url: str, store_id: str) -> Celery:
    """The app for one store's queues; connects when it is first used. Raises SettingsError for a URL that is none."""
    return app_for(BrokerAddress.parse(url), store_id)


def app_for(address: BrokerAddress, store_id: str) -> Celery:
    """`make_app` for an address that was read before."""
    app = _SegueApp("segue", loader="app", fixups=[], set_as_current=False, broker="redis://", backend=None)
    app.segue_address = address
    app.segue_store = store_id
    app.conf.update(_SETTINGS)
    app.conf.broker_transport_options = {
        ADDRESS_OPTION: address,
        # kombu's own redelivery is not used: a message that is lost is sent again by the coordinator, from the disk.
        "ack_emulation": False,
        "visibility_timeout": 3600,
        "priority_steps": list(PRIORITY_STEPS.values()),
        "sep": STEP_SEPARATOR,
        "queue_order_strategy": "priority",
        "socket_timeout": READ_TIMEOUT_S,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "health_check_interval": _LOOP_HEALTH_S,
    }

    # Not shared: Celery would put it into every app of the process.
    @app.task(name=TASK, shared=False, ignore_result=True, acks_late=False, typing=False)  # type: ignore[untyped-decorator]
    def batch(**kwargs: Any) -> None:
        app.segue_take(kwargs)

    return app


def queue_of(name: str) -> Queue:
    """A queue without an exchange of its own: the broker keeps nothing but its lists."""
    return Queue(name, Exchange(""), routing_key=name, durable=True)  # type: ignore[no-untyped-call]


def publish(app: Celery, queue: str, message: BatchMessage) -> None:
    """Puts a message into a queue. Raises what kombu and redis-py raise."""
    app.send_task(
        TASK,
        kwargs=message.as_kwargs(),
        task_id=message.batch,
        queue=queue_of(queue),
        priority=PRIORITY_STEPS[message.priority],
        # Celery would print the units into a header, too.
        argsrepr="()",
        kwargsrepr="{}",
        ignore_result=True,
        retry=True,
        retry_policy=_RETRY_POLICY,
    )
