"""Which files tell of which machine, by size and time: none is opened but the beginnings of new ones."""

from __future__ import annotations

from collections.abc import Mapping

from accounting.job_demand import WriterLife
from accounting.kept.machine_sums import KeptMachine
from accounting.typed_facts import JOURNAL, machine_of, read_node, read_process
from cache.store import Stamp, Store
from journals.attempts import FOLDER as ATTEMPTS
from journals.node_session import FOLDER as NODES
from journals.node_session import OPENED


class MachineFiles:
    """The files of every machine as they are now, and the machines whose files are those that were kept."""

    def __init__(self, store: Store, kept: Mapping[str, KeptMachine], now: int | None) -> None:
        """``now``: who may still be alive then is not taken for kept."""
        self._store = store
        #: Session -> path below home -> size and time.
        self.files: dict[str, dict[str, Stamp]] = {}
        #: Names of every machine's processes, sorted.
        self.names: dict[str, list[str]] = {}
        #: The machine of each process.
        self.homes: dict[str, str] = {}
        self._list_nodes()
        self._list_processes(kept)
        #: Machines that are over, and whose files have not changed since.
        self.same = {
            session: each
            for session, each in kept.items()
            if each.files == self.files.get(session) and (now is None or now >= each.quiet_from)
        }
        self._lives: dict[str, WriterLife] = {}

    def life(self, writer: str) -> WriterLife:
        """How long whoever wrote a job's wants lived: an embedded run, by its machine's folder and its own journal."""
        found = self._lives.get(writer)
        if found is None:
            found = self._lives[writer] = self._read_life(writer)
        return found

    def _read_life(self, writer: str) -> WriterLife:
        if writer in self.same:
            last, closed = self.same[writer].last, self.same[writer].closed
        else:
            node = read_node(self._store, writer, [])
            last, closed = node.last, node.closed
        home = self.homes.get(writer)
        if home in self.same:
            return WriterLife(max(last, self.same[home].processes[writer]), closed)
        own = read_process(self._store, writer, []) if home is not None else None
        return WriterLife(max(last, own.last if own else 0), closed)

    def _list_nodes(self) -> None:
        for session in self._store.children((NODES,)):
            stamps = self._store.file_stamps((NODES, session))
            self.files[session] = {
                f"{NODES}/{session}/{name}": stamp
                for name, stamp in stamps.items()
                if name == OPENED or name.endswith(JOURNAL)
            }

    def _list_processes(self, kept: Mapping[str, KeptMachine]) -> None:
        known = {path: (stamp, session) for session, each in kept.items() for path, stamp in each.files.items()}
        for name, stamp in self._store.file_stamps((ATTEMPTS,)).items():
            if not name.endswith(JOURNAL):
                continue
            path, process = f"{ATTEMPTS}/{name}", name.removesuffix(JOURNAL)
            held = known.get(path)
            session = held[1] if held is not None and held[0] == stamp else machine_of(self._store, process)
            if session is not None:
                self.files.setdefault(session, {})[path] = stamp
                self.names.setdefault(session, []).append(process)
                self.homes[process] = session
