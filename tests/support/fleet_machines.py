"""Machines of several clouds on one host: each has a metadata service, a boot and a price of its own."""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from types import TracebackType

import psutil
from fleet import Fleet
from segue_process import COMMAND, SegueProcess

from worker.emulator import MetadataEmulator
from worker.notices.metadata import Cloud

#: A machine has been on for so long when its first worker starts.
BOOT_S = 20
#: Clouds in the order in which machines come.
_CLOUDS = (Cloud.AWS, Cloud.AZURE, Cloud.GCP)


@dataclass(frozen=True)
class MachineKind:
    """What a cloud lends."""

    size: str
    region: str
    #: Price an hour that each next worker is told (SEGUE_NODE_PRICE); none where the price book has it.
    prices: tuple[str, ...] = ()


KINDS = {
    Cloud.AWS: MachineKind("g4dn.xlarge", "us-east-1"),
    Cloud.AZURE: MachineKind("Standard_NC4as_T4_v3", "eastus", ("0.149 USD", "0.2041 USD", "0.173 USD")),
    Cloud.GCP: MachineKind("g2-standard-4", "us-central1"),
}


@dataclass
class Machine:
    """One VM, from its boot until it is lost."""

    cloud: Cloud
    emulator: MetadataEmulator
    #: `time.time` of its boot.
    booted: float
    #: What its workers serve, one entry a worker.
    duties: tuple[tuple[str, ...], ...]
    prices: itertools.cycle[str]
    workers: list[SegueProcess] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, str]:
        """SEGUE_* variables of its next worker."""
        return {
            "SEGUE_PREEMPTION": str(self.cloud),
            "SEGUE_METADATA_URL": self.emulator.url,
            "SEGUE_NODE_PRICE": next(self.prices),
        }


@dataclass
class MachinePark:
    """The machines around a fleet. A context manager; the fleet ends their processes."""

    fleet: Fleet
    machines: list[Machine] = field(default_factory=list)
    #: Machines that were told to go, and when (`time.monotonic`) they are taken at the latest.
    leaving: list[tuple[Machine, float]] = field(default_factory=list)
    _clouds: itertools.cycle[Cloud] = field(default_factory=lambda: itertools.cycle(_CLOUDS))
    #: Machines so far.
    number: int = 0
    _emulators: list[MetadataEmulator] = field(default_factory=list)

    def __enter__(self) -> MachinePark:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for emulator in self._emulators:
            emulator.close()

    def start(self, duties: Sequence[tuple[str, ...]]) -> Machine:
        """A new machine of the next cloud with one worker for each of the duties (arguments of `segue worker`)."""
        self.number += 1
        cloud = next(self._clouds)
        kind = KINDS[cloud]
        emulator = MetadataEmulator(cloud, vm_name=f"vm{self.number}")
        emulator.node.facts = replace(emulator.node.facts, size=kind.size, region=kind.region, zone=_zone(cloud, kind))
        emulator.start()
        self._emulators.append(emulator)
        prices = itertools.cycle(kind.prices or ("",))
        machine = Machine(cloud, emulator, time.time() - BOOT_S, tuple(duties), prices)
        self.machines.append(machine)
        for place in range(len(duties)):
            self.add_worker(machine, place)
        return machine

    def add_worker(self, machine: Machine, place: int) -> SegueProcess:
        """Starts the worker of one of the machine's duties."""
        settings = {**self.fleet.environment, **machine.settings}
        command = (*_since(machine.booted), *COMMAND)
        worker = SegueProcess(["worker", *machine.duties[place]], self.fleet.place, settings, command=command)
        machine.workers.insert(place, worker)
        self.fleet.workers.append(worker)
        return worker

    def lose_worker(self, machine: Machine, place: int) -> None:
        """SIGKILL for one worker; its machine lives on, and starts it again."""
        self.fleet.lose(machine.workers.pop(place))
        self.add_worker(machine, place)

    def lose(self, machine: Machine) -> None:
        """The machine is gone with all its workers; another one comes in its place."""
        self._take(machine)
        self.start(machine.duties)

    def tell(self, machine: Machine, seconds: float) -> None:
        """The cloud says that it takes the machine in so many seconds; another one comes at once."""
        machine.emulator.preempt(seconds)
        self.leaving.append((machine, time.monotonic() + seconds))
        self.machines.remove(machine)
        self.start(machine.duties)

    def sweep(self) -> int:
        """Takes the machines whose time is over or whose workers have left; workers that it had to kill."""
        killed = 0
        for machine, end in list(self.leaving):
            running = sum(worker.running for worker in machine.workers)
            if not running or time.monotonic() > end:
                killed += running
                self.leaving.remove((machine, end))
                self._take(machine)
        return killed

    def _take(self, machine: Machine) -> None:
        for worker in machine.workers:
            self.fleet.lose(worker)
        if machine in self.machines:
            self.machines.remove(machine)


def _zone(cloud: Cloud, kind: MachineKind) -> str:
    return {Cloud.AWS: f"{kind.region}b", Cloud.AZURE: "1", Cloud.GCP: f"{kind.region}-b"}[cloud]


def _since(booted: float) -> tuple[str, ...]:
    """Put in front of a command: its machine was booted then. Nothing where this process may not make clocks."""
    offset = psutil.boot_time() - booted
    return ("unshare", "--time", "--boottime", str(round(offset))) if may_shift_boots() else ()


@cache
def may_shift_boots() -> bool:
    """True where a process can be given another moment of boot (root, and a kernel that has time namespaces)."""
    show = ("grep", "btime", "/proc/stat")
    try:
        before, after = (
            subprocess.run([*prefix, *show], check=False, capture_output=True).stdout
            for prefix in ((), ("unshare", "--time", "--boottime", "-7"))
        )
    except OSError:
        return False
    return bool(after) and before != after
