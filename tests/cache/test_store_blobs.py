"""Blobs: streamed in, read in slices, each slice checked."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from cache import blobs
from cache.faults import BlobDamagedError
from cache.store import PutOutcome, Store
from core.keys import Digest

CONTENT = random.Random(1).randbytes(3_000_017)


def write(store: Store, content: bytes, piece: int = 100_000) -> Digest:
    with store.blob_writer("audio") as writer:
        for start in range(0, len(content), piece):
            writer.write(content[start : start + piece])
    assert writer.digest is not None
    return writer.digest


def path_of(store: Store, digest: str) -> Path:
    return store.home / "blobs" / digest


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, len(CONTENT)])
def test_a_blob_comes_back_as_it_was_written(store: Store, size: int) -> None:
    digest = write(store, CONTENT[:size])
    reader = store.open_blob(digest)
    assert reader is not None
    with reader:
        assert (reader.size, reader.kind) == (size, "audio")
        assert reader.read(0, size + 10) == CONTENT[:size]
        assert reader.read(size, 10) == b""
    assert store.verify_blob(digest)


def test_any_slice_can_be_read(store: Store) -> None:
    reader = store.open_blob(write(store, CONTENT))
    assert reader is not None
    chance = random.Random(2)
    with reader:
        for _ in range(100):
            offset, length = chance.randrange(len(CONTENT)), chance.choice((0, 1, 32, 900_000, 2_500_000))
            assert reader.read(offset, length) == CONTENT[offset : offset + length]
        with pytest.raises(ValueError):
            reader.read(-1, 5)


def test_the_name_does_not_depend_on_how_the_stream_was_cut(store: Store) -> None:
    with store.blob_writer("audio") as writer:
        writer.write(memoryview(CONTENT))
    assert writer.outcome is PutOutcome.COMMITTED
    assert write(store, CONTENT, piece=4099) == writer.digest


def test_the_same_content_twice_is_one_file(store: Store) -> None:
    digest = write(store, CONTENT)
    with store.blob_writer("audio") as writer:
        writer.write(CONTENT)
    assert (writer.outcome, writer.digest) == (PutOutcome.LOST_RACE, digest)
    assert [path.name for path in (store.home / "blobs").iterdir()] == [digest]


def test_a_failing_stream_leaves_nothing(store: Store) -> None:
    def fail() -> None:
        with store.blob_writer("audio") as writer:
            writer.write(CONTENT)
            raise RuntimeError("the decoder died")

    with pytest.raises(RuntimeError, match="decoder"):
        fail()
    assert list((store.home / "blobs").iterdir()) == []


def test_a_blob_that_is_not_there_is_none(store: Store) -> None:
    assert store.open_blob("a" * 64) is None
    assert not store.has_blob("a" * 64)
    assert not store.verify_blob("a" * 64)


def test_a_changed_byte_anywhere_in_a_blob_is_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "CHUNK_BYTES", 64)
    content = CONTENT[:300]
    digest = write(store, content)
    path = path_of(store, digest)
    sound = path.read_bytes()
    for offset in range(len(sound)):
        damaged = bytearray(sound)
        damaged[offset] ^= 1 << (offset % 8)
        path.write_bytes(damaged)
        reader = store.open_blob(digest)
        if reader is not None:
            assert offset < len(content)
            with reader, pytest.raises(BlobDamagedError):
                reader.read(offset, 1)
        assert not path.exists()
        assert write(store, content) == digest
        assert path.read_bytes() == sound


def test_a_blob_cut_short_or_grown_is_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "CHUNK_BYTES", 64)
    digest = write(store, CONTENT[:300])
    path = path_of(store, digest)
    sound = path.read_bytes()
    for damaged in [*(sound[:length] for length in range(len(sound))), sound + b"\n", b"\0" + sound]:
        path.write_bytes(damaged)
        assert store.open_blob(digest) is None
        assert not path.exists()


def test_damage_elsewhere_does_not_stop_a_slice_that_is_sound(store: Store) -> None:
    digest = write(store, CONTENT)
    with path_of(store, digest).open("r+b") as file:
        file.seek(2_500_000)
        file.write(b"\0\0\0\0")
    reader = store.open_blob(digest)
    assert reader is not None
    with reader:
        assert reader.read(100, 1_000_000) == CONTENT[100:1_000_100]
        with pytest.raises(BlobDamagedError) as caught:
            reader.read(2_499_000, 5000)
    assert "\n" not in str(caught.value)
    assert store.open_blob(digest) is None
    assert len(list((store.home / "quarantine").iterdir())) == 1


def test_a_damaged_blob_is_replaced_when_it_is_written_again(store: Store) -> None:
    digest = write(store, CONTENT)
    path_of(store, digest).write_bytes(b"\0" * 100)
    with store.blob_writer("audio") as writer:
        writer.write(CONTENT)
    assert (writer.outcome, writer.digest) == (PutOutcome.COMMITTED, digest)
    assert store.verify_blob(digest)


def test_the_content_lies_at_the_start_of_the_file(store: Store) -> None:
    assert path_of(store, write(store, CONTENT)).read_bytes().startswith(CONTENT)
