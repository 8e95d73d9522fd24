"""``segue coordinator``: plans submitted jobs and hands their work out."""

from __future__ import annotations

from cli.context import HomeFlag, note, open_runtime


def coordinator_command(home: HomeFlag = None) -> int:
    """Plan submitted jobs, hand their work to workers, deliver what is finished. One leads, others stand by.

    Needs the store's disk and SEGUE_BROKER_URL, little else; put it on a machine that is not taken away. It may be
    restarted at any time. SEGUE_LISTEN=127.0.0.1:9187 answers /metrics, /healthz and KEDA.
    """
    from coordinator.main import run_coordinator

    return run_coordinator(open_runtime({"home": home}), announce=note)
