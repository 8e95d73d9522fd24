"""A node's session in the store, from boot to end: what the machine is, and signs of life from each of its processes.

A session is one VM, whatever the number of processes on it; an embedded run is a session of its own. Its facts are
written once by the first process; each process appends its own beats, so that the time that was paid for can be told
later from the disk alone.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import UNSET, Struct, UnsetType, convert, structs, to_builtins

from cache.journal import decode_body
from cache.store import Store
from core.errors import StoreError
from core.keys import digest_bytes, digest_value
from core.version import VERSION
from journals.facts import Fact, FactError, PriceChanged, SessionClosed, SessionOpened, parse_instant
from journals.hash_chained import HashChainedLog
from journals.lines import BeatLine, EndSeenLine, PriceChangedLine, SessionClosedLine, read_node_line, sound_facts
from journals.log_ends import ends_of, journal_of_process, read_end
from journals.positions import seen_fact

#: Folder under the store's home, one folder a session in it.
FOLDER = "nodes"
OPENED = "opened.json"
BEAT_SECONDS = 10.0
#: Of so many beats one is durable.
DURABLE_EVERY = 6

#: A process that has missed so many beats is taken for dead.
_BEATS_MISSED = 3

_SESSION_DIGITS = 24
_OPENING_TRIES = 3


class NodeFacts(Struct, frozen=True):
    """What is known of the machine; empty where nobody says."""

    #: azure, aws or gcp; empty outside of them.
    cloud: str = ""
    #: As the cloud writes it.
    instance_id: str = ""
    #: The VM's name (AWS: its local host name).
    name: str = ""
    #: Such as Standard_NC4as_T4_v3, g4dn.xlarge, g2-standard-4.
    size: str = ""
    region: str = ""
    zone: str = ""
    #: Whether it is a spot machine; None when nobody says.
    spot: bool | None = None
    #: A name for each GPU, in the driver's order.
    gpu_names: tuple[str, ...] = ()
    #: Memory of each GPU in MiB.
    gpu_memory_mib: tuple[int, ...] = ()
    #: Host name; a container's own in a container.
    host: str = ""
    #: New at each boot of the machine; the same in all its containers.
    boot_id: str = ""

    @property
    def session_id(self) -> str:
        """The id of its session: 24 hexadecimal digits, the same for every process of this boot of this machine."""
        return digest_value([self.boot_id, self.instance_id or self.host])[:_SESSION_DIGITS]

    def describe(self) -> str:
        """One short line for people: ``azure Standard_NC4as_T4_v3 westeurope spot, 1 x Tesla T4``."""
        kind = {True: "spot", False: "on demand", None: ""}[self.spot]
        place = " ".join(part for part in (self.cloud, self.size, self.zone or self.region, kind) if part)
        gpus = f"{len(self.gpu_names)} x {self.gpu_names[0]}" if self.gpu_names else "no GPU"
        return f"{place or self.host}, {gpus}"


class Opening(NodeFacts, frozen=True, kw_only=True):
    """The document with which a session begins: the machine, as its first process found it."""

    #: Version of this document.
    v: int = 1
    #: The session's id; the name of its process for an embedded run.
    session: str
    #: When that process wrote it.
    at: str
    #: When the machine was switched on, from which a cloud bills it; empty outside of clouds.
    booted: str = ""
    #: Segue's.
    version: str = ""
    #: Price an hour, as that process was told; empty where the book is to be asked.
    price: str = ""
    #: Worker that wrote it.
    worker: str = ""

    def encode(self) -> bytes:
        """The document's bytes."""
        return json.dumps(to_builtins(self), sort_keys=True).encode("ascii")

    def fact(self) -> SessionOpened:
        """What the ledger knows of it. Raises FactError."""
        return SessionOpened(
            self.session,
            parse_instant(self.booted or self.at),
            self.cloud,
            self.size,
            self.region,
            self.zone,
            self.spot,
            self.gpu_names,
            self.price,
        )


def parse_opening(data: bytes) -> Opening:
    """The opening of a machine from its document. Raises FactError."""
    try:
        return convert(decode_body(data), Opening)
    except ValueError as error:
        raise FactError(f"an opening of a node session is not what it says: {error}") from error


def read_opening(store: Store, session: str) -> Opening | None:
    """The opening of a machine; None when there is none. Raises FactError, StoreError."""
    data = store.read_document((FOLDER, session, OPENED))
    return None if data is None else parse_opening(data)


def local_facts() -> NodeFacts:
    """What this machine knows of itself, without asking any cloud."""
    gpus = read_gpus()
    return NodeFacts(
        gpu_names=tuple(name for name, _ in gpus),
        gpu_memory_mib=tuple(memory for _, memory in gpus),
        host=socket.gethostname(),
        boot_id=boot_id(),
    )


def boot_id() -> str:
    """New at each boot: the kernel's own id, else the second of the boot."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    import psutil

    return f"booted-{int(psutil.boot_time())}"


def read_gpus() -> list[tuple[str, int]]:
    """(name, MiB) of each GPU that the driver sees; empty without a driver."""
    meter = GpuMeter()
    try:
        return meter.gpus()
    finally:
        meter.close()


@dataclass(frozen=True)
class GpuSample:
    """How busy the GPUs are at one moment."""

    #: Mean utilization in percent; None without a GPU, or when the driver does not say.
    util_percent: int | None = None
    #: Memory in use on all of them, in MiB; None as above.
    memory_mib: int | None = None


class GpuMeter:
    """Asks NVIDIA's driver; harmless where there is none."""

    def __init__(self) -> None:
        import pynvml

        self._nvml = pynvml
        self._handles: list[Any] = []
        self._open = False
        try:
            pynvml.nvmlInit()
            self._open = True
            self._handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        except pynvml.NVMLError:
            self._handles = []

    def gpus(self) -> list[tuple[str, int]]:
        """(name, MiB) of each GPU."""
        found = []
        for handle in self._handles:
            try:
                name = self._nvml.nvmlDeviceGetName(handle)
                memory = int(self._nvml.nvmlDeviceGetMemoryInfo(handle).total) // 2**20
            except self._nvml.NVMLError:
                continue
            found.append((name.decode() if isinstance(name, bytes) else str(name), memory))
        return found

    def sample(self) -> GpuSample:
        """The GPUs now; a value that the driver does not know (as on shared ones) is None."""
        utils, memories = [], []
        for handle in self._handles:
            with suppress(self._nvml.NVMLError):
                utils.append(int(self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu))
            with suppress(self._nvml.NVMLError):
                memories.append(int(self._nvml.nvmlDeviceGetMemoryInfo(handle).used) // 2**20)
        return GpuSample(round(sum(utils) / len(utils)) if utils else None, sum(memories) if memories else None)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._handles = []
            with suppress(self._nvml.NVMLError):
                self._nvml.nvmlShutdown()


class NodeSession:
    """This process's part of the node's session. `open` it once, `close` it when leaving."""

    def __init__(
        self, store: Store, facts: NodeFacts, opening: tuple[Opening, str], worker: str, interval: float
    ) -> None:
        #: The session's opening as the first process of this VM wrote it.
        self.opened, self._opening_digest = opening
        #: 24 hexadecimal digits, or the name of an embedded run's process.
        self.session = self.opened.session
        #: This machine's facts as this process read them.
        self.facts = facts
        self._store, self._worker, self._interval = store, worker, interval
        self._name = f"beats-{os.getpid()}-{os.urandom(4).hex()}.jsonl"
        self._journal = HashChainedLog(store, (FOLDER, self.session, self._name))
        self._beats = 0
        #: Engine processes that are over, and when; what is noted of them goes.
        self._ends: list[tuple[str, str]] = []
        self._ends_lock = threading.Lock()
        #: Whether the last line has been written.
        self._over = False
        #: What this process was told that the machine costs, until that is known to be what its journals say.
        self._price = ""
        self._meter = GpuMeter()
        self._left = threading.Event()
        self._thread: threading.Thread | None = None
        self._say: Callable[[str], None] = lambda _line: None

    @classmethod
    def open(
        cls,
        store: Store,
        facts: NodeFacts,
        price: str,
        *,
        name: str = "",
        worker: str = "",
        interval: float = BEAT_SECONDS,
        say: Callable[[str], None] = lambda _line: None,
    ) -> NodeSession:
        """Writes the opening, or reads the one of the VM's first process, and begins to beat.

        ``price`` is the text of the setting; one that is not the price in force is a step, noted with the first beat.
        ``worker`` is the id of this worker, ``name`` the session's where it is not that of the machine's boot. Raises
        StoreError.
        """
        session = cls(store, facts, _opening(store, facts, price, name or facts.session_id, worker), worker, interval)
        session._say, session._price = say, price
        session._thread = threading.Thread(target=session._beat_on, name="segue-node-beats", daemon=True)
        session._thread.start()
        return session

    def close(self, reason: str) -> None:
        """Ends the beats and notes durably why this process leaves; once is enough. Raises StoreError."""
        if self._left.is_set():
            return
        self._left.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
        self._meter.close()
        with suppress(StoreError):  # A coordinator sees them when this worker is gone.
            self._note_ends()
        line = SessionClosedLine(at=_now(), reason=reason, worker=self._worker)
        with self._ends_lock:
            self._over = True
            self._journal.append([line.entry()], durable=True)
        self._journal.close()

    @property
    def beats(self) -> str:
        """Path of this process's own journal below the store's home."""
        return f"{FOLDER}/{self.session}/{self._name}"

    def note_process_end(self, process: str) -> None:
        """Notes that an engine process of this worker is over, now, and how far its journal has come.

        What the disk refuses is tried again with each beat. Once the session is closed nothing is noted here any more.
        """
        with self._ends_lock:
            self._ends.append((process, _now()))
        try:
            self._note_ends()
        except StoreError as error:
            self._say(f"the end of an engine process could not be noted yet: {error}")

    def _note_ends(self) -> None:
        with self._ends_lock:
            while self._ends and not self._over:
                process, at = self._ends[0]
                name = journal_of_process(process)
                end = read_end(self._store, name)
                seen = ends_of(self._store, [name])
                if end is not None and seen:
                    over = [] if end.in_order else [EndSeenLine(at=at, process=process).entry()]
                    self._journal.append([*over, seen_fact(seen, at)], durable=True)
                del self._ends[0]

    def others(self) -> int:
        """How many other processes of this session are still at work: no end noted, and a beat not long ago.

        Whoever speaks for the whole VM (an acknowledgement lets Azure end it) closes its own part first and then asks:
        of several that leave together at least one sees nobody. Raises StoreError.
        """
        oldest = parse_instant(_now()) - round(_BEATS_MISSED * self._interval * 1000)
        alive = 0
        for name in self._store.children((FOLDER, self.session)):
            if not name.startswith("beats-") or name == self._name:
                continue
            last = next(reversed(self._facts(name)), None)
            alive += last is not None and not isinstance(last, SessionClosed) and last.at >= oldest
        return alive

    def sample(self) -> GpuSample:
        """How busy this node's GPUs are now, for metrics."""
        return self._meter.sample()

    def _beat_on(self) -> None:
        said = False
        while not self._left.is_set():
            try:
                self._beat()
                self._note_ends()
                said = False
            except StoreError as error:
                # The disk is full or away: the node still costs money, and the next beat says so.
                if not said:
                    self._say(f"a beat of this node could not be written: {error}")
                said = True
            self._left.wait(self._interval)

    def _beat(self) -> None:
        gpu, now = self._meter.sample(), _now()
        documents: dict[str, str] | UnsetType = UNSET
        steps: list[PriceChangedLine] = []
        # The first beat knows the opening by its hash; a durable line now and then can be anchored.
        if self._beats == 0:
            documents = {f"{FOLDER}/{self.session}/{OPENED}": self._opening_digest}
            if self._price and self._price != self._price_in_force():
                steps = [PriceChangedLine(at=now, price=self._price, worker=self._worker)]
        beat = BeatLine(
            at=now,
            worker=self._worker,
            gpu_util=gpu.util_percent,
            gpu_mem_mib=gpu.memory_mib,
            documents=documents,
        )
        self._journal.append([line.entry() for line in (*steps, beat)], durable=self._beats % DURABLE_EVERY == 0)
        self._beats += 1

    def _price_in_force(self) -> str:
        """The last price that a process of this machine was started with. Raises StoreError."""
        found = [(parse_instant(self.opened.at), self.opened.price)]
        for name in self._store.children((FOLDER, self.session)):
            if name.startswith("beats-"):
                found += [(fact.at, fact.price) for fact in self._facts(name) if isinstance(fact, PriceChanged)]
        return max(found)[1]

    def _facts(self, name: str) -> list[Fact]:
        """What a process of this machine noted, but for lines that are not what they say: the ledger names those."""
        lines = self._store.read_lines((FOLDER, self.session, name))
        return [fact for _, fact in sound_facts(read_node_line, self.session, lines.bodies, [])]


def _opening(store: Store, facts: NodeFacts, price: str, session: str, worker: str) -> tuple[Opening, str]:
    """The opening in force and its digest: ours, or the one that another process of this VM wrote before."""
    parts = (FOLDER, session, OPENED)
    # A cloud bills from the machine's start, not from ours.
    booted = _booted() if facts.cloud else ""
    known = structs.asdict(facts)
    ours = Opening(session=session, at=_now(), booted=booted, version=VERSION, price=price, worker=worker, **known)
    for _ in range(_OPENING_TRIES):
        store.write_once(parts, ours.encode())
        # None: what was there was damaged, and is out of the way now.
        payload = store.read_document(parts)
        if payload is not None:
            return parse_opening(payload), digest_bytes(payload)
    raise StoreError(f"{'/'.join(parts)} is damaged whenever it is written", "check the disk that holds SEGUE_HOME")


def _booted() -> str:
    import psutil

    return datetime.fromtimestamp(psutil.boot_time(), UTC).isoformat(timespec="milliseconds")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
