"""``segue workers``: who computes right now."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cli.context import HomeFlag, JsonFlag, open_runtime, print_json

if TYPE_CHECKING:
    from rich.table import Table

_PIPE_WIDTH = 240


def workers_command(home: HomeFlag = None, json: JsonFlag = False) -> None:
    """Show the workers that are running now: node, GPU, price, what they serve and what they work on.

    They are asked for at the broker: SEGUE_BROKER_URL, or the 'segue up' that runs on this store.
    """
    from jobs.presence import broker_url
    from tasks.broker import Broker

    runtime = open_runtime({"home": home})
    url = broker_url(runtime)
    broker = Broker.connect(url, runtime.store.identity.id, runtime.settings.lease_seconds * 1000)
    try:
        workers = broker.workers()
    finally:
        broker.close()
    if json:
        print_json({"workers": workers})
        return
    if not workers:
        print("no worker is running; start one with: segue worker")
        return
    from rich.console import Console

    # Whoever reads a pipe wants whole lines.
    Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(_table(workers))


def _table(workers: list[dict[str, Any]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from cli.wording import printable

    table = Table(box=None, pad_edge=False)
    for heading in ("worker", "node", "machine", "GPU", "price", "serves", "state", "batch", "last heard"):
        table.add_column(heading, no_wrap=heading != "serves", overflow="fold" if heading == "serves" else "ellipsis")
    for info in workers:
        table.add_row(*(Text(printable(cell)) for cell in _row(info)))
    return table


def _row(info: Mapping[str, Any]) -> tuple[str, ...]:
    """A worker's cells. They come from the network: whatever they hold, a row comes out."""
    place = [str(info.get(name) or "") for name in ("cloud", "size", "zone")]
    spot = ["spot"] if info.get("spot") else []
    serves = info.get("serves")
    served = (
        [f"{each.get('stage')}: {each.get('engine')}" for each in serves if isinstance(each, Mapping)]
        if (isinstance(serves, list))
        else []
    )
    state = str(info.get("state") or "?")
    reason = str(info.get("reason") or "")
    batch = " ".join(str(info.get(name) or "") for name in ("stage", "batch")).strip()
    return (
        f"{info.get('host') or '?'}:{info.get('pid') or '?'}",
        str(info.get("node") or "-")[:12],
        " ".join(part for part in [*place, *spot] if part) or "-",
        _gpu(info.get("gpu")),
        str(info.get("price") or "-"),
        "; ".join(served) or "-",
        f"{state}: {reason}" if reason else state,
        batch[:24] or "-",
        f"{float(info.get('beat_age_s') or 0):.1f} s ago",
    )


def _gpu(value: Any) -> str:
    if not isinstance(value, list) or not value:
        return "-"
    names = [str(each.get("name", "?")) if isinstance(each, Mapping) else str(each) for each in value]
    counts = {name: names.count(name) for name in names}
    return ", ".join(f"{count} x {name}" if count > 1 else name for name, count in counts.items())
