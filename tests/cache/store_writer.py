"""A process that writes records, blobs and journal entries until it is killed, and says what it was told is done.

``python store_writer.py HOME FIRST SEED``: one line ``<kind> <number>`` on standard output after each commit.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from cache.store import BlobRef, Record, Retention, Store
from core.keys import make_key

BLOB_KIND = "audio"


def numbered_record(number: int) -> Record:
    payload = random.Random(number).randbytes(1500).hex().encode()
    return Record(make_key("kill", 1, number=number), "kill", payload, {"attempt": f"a{number}"})


def voiced_record(number: int, ref: BlobRef) -> Record:
    return Record(make_key("voiced", 1, number=number), "voiced", b"{}", {}, (ref,))


def blob_content(number: int) -> bytes:
    return random.Random(-number - 1).randbytes(1_100_000)


def write_on(home: Path, first: int, seed: int) -> None:
    chance = random.Random(seed)
    store = Store.open(home)
    number = first

    def say(*lines: str) -> None:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()

    while True:
        size = chance.choice((1, 1, 1, 4, 16))
        group = range(number, number + size)
        store.append(("attempts", f"{first}.jsonl"), [{"start": number}])
        say(f"fact {number}")
        store.put_many([numbered_record(member) for member in group])
        say(*(f"record {member}" for member in group))
        number += size
        if chance.random() < 0.1:
            with store.blob_writer(BLOB_KIND) as writer:
                writer.write(blob_content(number))
            say(f"blob {number} {writer.digest}")
            record = voiced_record(number, writer.ref("voice", Retention.RESULT))
            store.put(record)
            say(f"voiced {record.key} {writer.digest}")
        if chance.random() < 0.2:
            store.write_once(("jobs", f"j{number}", "plan.json"), b"%d" % number)
            say(f"document {number}")


if __name__ == "__main__":
    write_on(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
