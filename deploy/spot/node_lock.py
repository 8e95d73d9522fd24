"""What a node installs, from the locks: only what its Python and its machine need, with every hash.

    node_lock.py 3.12 requirements-runtime.lock requirements-cuda.lock > requirements-node.lock

pip judges conditions ("; python_full_version < '3.12'") by the Python that it runs on, and a release may be made by
another one than the nodes have. So they are judged here, and what is left has none.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from pip._vendor.packaging.requirements import Requirement


def node_lines(lines: Iterable[str], python: str) -> Iterator[str]:
    """The lines of a lock that hold on Linux, x86-64, with this Python (``3.12``), without their conditions."""
    surroundings = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    wanted = False
    for line in lines:
        if not line.startswith((" ", "#")) and line.strip():
            requirement = Requirement(line.rstrip("\\ \n"))
            wanted = requirement.marker is None or requirement.marker.evaluate(surroundings)
            line = f"{requirement.name}{requirement.specifier} \\"
        if wanted and not line.lstrip().startswith("#") and line.strip():
            yield line.rstrip("\n")


if __name__ == "__main__":
    python, *locks = sys.argv[1:]
    for lock in locks:
        print(*node_lines(Path(lock).read_text("utf-8").splitlines(), python), sep="\n")
