"""Everything that Segue keeps in Redis or Valkey, and nothing of it is the truth: losing all of it costs seconds."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from tasks.address import READ_TIMEOUT_S, BrokerAddress, BrokerAwayError, is_wrong_type
from tasks.envelope import batch_of
from tasks.leases import Leases
from tasks.messages import BatchMessage
from tasks.queues import STORE_DIGITS, queue_of_key, queue_prefix, step_keys

__all__ = ["Broker", "BrokerAwayError"]

_log = logging.getLogger("segue.broker")
T = TypeVar("T")

#: How often a command is tried while the connection fails: once, and twice more on a fresh connection.
_ATTEMPTS = 3
#: Hints that wait at most; older ones go first, since the disk knows more than they do.
_MAX_HINTS = 10_000
#: Bytes of the longest hint: one that names jobs by the hundred has a few thousand.
_LONGEST_HINT = 1 << 18
#: Workers that are looked at, the latest to beat.
_MOST_WORKERS = 10_000
#: A beat that is older, or younger, is no worker's whose info is still there.
_LONGEST_AGE_MS = 86_400_000
_LEADER = "leader"
#: Keys that one script looks at; the broker serves nobody else in the meantime.
_KEYS_A_CALL = 500
#: Messages of a queue's list that are looked at; the coordinator never lets so many wait.
_MAX_WAITING = 1000
#: A blocking read is asked for in slices below the socket's time-out.
_LONGEST_WAIT_S = READ_TIMEOUT_S - 2.0

# KEYS: info, register. ARGV: id, info, ms. The broker's own clock tells how old a beat is: no two machines agree.
_BEAT = """
local time = redis.call('TIME')
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
"""

# KEYS: hints. ARGV: how many at most, bytes of the longest. Takes them all, and leaves out what is not ours.
_TAKE = """
local found = {}
for _, hint in ipairs(redis.call('LRANGE', KEYS[1], -tonumber(ARGV[1]), -1)) do
  if #hint <= tonumber(ARGV[2]) then found[#found + 1] = hint end
end
redis.call('DEL', KEYS[1])
return found
"""

# KEYS: epoch. ARGV: a new one. What is longer than ours is a stranger's.
_EPOCH = """
local epoch = redis.call('GET', KEYS[1])
if not epoch or #epoch > 64 then
  redis.call('SET', KEYS[1], ARGV[1])
  epoch = ARGV[1]
end
return epoch
"""

# KEYS: keys of ours. ARGV: the type that they have. Removes what has another; returns (place among the keys, type).
_EVICT = """
local found = {}
for i, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  if kind ~= ARGV[1] and kind ~= 'none' then
    redis.call('DEL', key)
    found[#found + 1] = {i, kind}
  end
end
return found
"""


class Broker:
    """One store's part of a broker. Thread-safe. Every call may raise BrokerAwayError, and it may be called again."""

    def __init__(self, address: BrokerAddress, store_id: str, lease_ms: int) -> None:
        import redis

        self.address = address
        self._store_id = store_id
        self._lease_ms = lease_ms
        self._prefix = f"segue:{store_id[:STORE_DIGITS]}:"
        self._register, self._hints = f"{self._prefix}workers", f"{self._prefix}done"
        self._info_prefix = f"{self._prefix}worker:".encode()
        options = address.connection_options(_ATTEMPTS)
        self._redis: Any = redis.Redis(connection_pool=redis.ConnectionPool(**options))
        self._leases = Leases(self._redis, f"{self._prefix}lease:")
        # One who leads holds a lease of its own name.
        self._leader = Leases(self._redis, self._prefix)
        self._beat = self._redis.register_script(_BEAT)
        self._take = self._redis.register_script(_TAKE)
        self._new_epoch = self._redis.register_script(_EPOCH)
        self._evict = self._redis.register_script(_EVICT)
        self._app: Any = None
        self._app_lock = threading.Lock()

    @classmethod
    def connect(cls, url: str, store_id: str, lease_ms: int) -> Broker:
        """A broker for one store; connects when it is first used. Raises SettingsError for a URL that is none."""
        return cls(BrokerAddress.parse(url), store_id, lease_ms)

    def ping(self) -> None:
        """Raises BrokerAwayError when the broker does not answer, or refuses us."""
        with self._told():
            self._redis.ping()

    def close(self) -> None:
        """Closes the connections; a later call opens new ones."""
        with self._app_lock:
            app, self._app = self._app, None
        if app is not None:
            app.close()
        self._redis.close()
        self._redis.connection_pool.disconnect()

    # -- leases ----------------------------------------------------------------------------------------------

    def lease(self, keys: Sequence[str], token: str) -> set[str]:
        """Acquires what is free; the keys that are now the token's (those that were already count)."""
        return self._on("string", self._leases.names(keys), lambda: self._leases.hold(keys, token, self._lease_ms))

    def renew(self, keys: Sequence[str], token: str) -> set[str]:
        """Prolongs; what the broker has forgotten is set again. A key that is not returned is another's now."""
        return self.lease(keys, token)

    def release(self, keys: Sequence[str], token: str) -> None:
        """Gives back what is the token's; anything else is left as it is."""
        self._on("string", self._leases.names(keys), lambda: self._leases.drop(keys, token))

    def leased(self, keys: Sequence[str]) -> dict[str, str]:
        """Tokens by key, of those keys that somebody holds."""
        return self._on("string", self._leases.names(keys), lambda: self._leases.holders(keys))

    # -- register of workers ---------------------------------------------------------------------------------

    def beat(self, worker_id: str, info: Mapping[str, Any], ttl_ms: int) -> None:
        """Shows a worker's info for ``ttl_ms``."""
        text = json.dumps(dict(info), ensure_ascii=False)
        keys: list[bytes | str] = [self._info(worker_id), self._register]
        self._on("zset", [self._register], lambda: self._beat(keys=keys, args=[worker_id, text, ttl_ms]))

    def retire(self, worker_id: str) -> None:
        """Takes a worker's info away."""

        def act() -> None:
            with self._redis.pipeline() as pipe:
                pipe.delete(self._info(worker_id)).zrem(self._register, worker_id).execute()

        self._on("zset", [self._register], act)

    def workers(self) -> list[dict[str, Any]]:
        """Worker infos of those that beat in time, by id, each with ``id`` and ``beat_age_s``."""
        beats, infos, now_ms = self._on("zset", [self._register], self._read_register)
        found = []
        for (name, beat_ms), info in zip(beats, infos, strict=True):
            value = _json_object(info)
            if value is not None and abs(now_ms - beat_ms) < _LONGEST_AGE_MS:
                age_s = max(0.0, (now_ms - beat_ms) / 1000)
                found.append({**value, "id": name, "beat_age_s": round(age_s, 3)})
        return sorted(found, key=lambda info: str(info["id"]))

    def _read_register(self) -> tuple[list[tuple[str, float]], list[bytes | None], int]:
        """(who beat, and when), (their infos as JSON), (now), times by the broker's clock in milliseconds."""
        # The latest: a stranger may have entered any number.
        members = self._redis.zrange(self._register, -_MOST_WORKERS, -1, withscores=True)
        if not members:
            return [], [], 0
        seconds, micros = self._redis.time()
        infos = self._redis.mget([self._info_prefix + name for name, _ in members])
        gone = [name for (name, _), info in zip(members, infos, strict=True) if info is None]
        if gone:
            self._redis.zrem(self._register, *gone)
        return [(_text(name), score) for name, score in members], infos, seconds * 1000 + micros // 1000

    def _info(self, worker_id: str) -> bytes:
        return self._info_prefix + worker_id.encode()

    # -- hints -----------------------------------------------------------------------------------------------

    def hint(self, fact: Mapping[str, Any]) -> None:
        """Tells the coordinator something that it would find out later anyway."""
        text = json.dumps(dict(fact), ensure_ascii=False)

        def act() -> None:
            with self._redis.pipeline() as pipe:
                pipe.rpush(self._hints, text).ltrim(self._hints, -_MAX_HINTS, -1).execute()

        self._on("list", [self._hints], act)

    def hints(self, timeout_s: float) -> list[dict[str, Any]]:
        """All hints that wait, oldest first; when there are none, waits up to ``timeout_s`` for the first."""
        end = time.monotonic() + timeout_s
        found = self._on("list", [self._hints], lambda: self._await_hints(end))
        return [value for value in map(_json_object, found) if value is not None]

    def _await_hints(self, end: float) -> list[bytes]:
        limits = [_MAX_HINTS, _LONGEST_HINT]
        found = list(self._take(keys=[self._hints], args=limits))
        while not found:
            left = end - time.monotonic()
            if left <= 0.001:
                break
            first = self._redis.blpop([self._hints], timeout=max(0.01, min(left, _LONGEST_WAIT_S)))
            if first is not None:
                found = [first[1], *self._take(keys=[self._hints], args=limits)]
        return found

    # -- leader and epoch ------------------------------------------------------------------------------------

    def lead(self, token: str, ttl_ms: int) -> bool:
        """Becomes or stays the leader for ``ttl_ms``; False while another is."""
        names = self._leader.names([_LEADER])
        return bool(self._on("string", names, lambda: self._leader.hold([_LEADER], token, ttl_ms)))

    def step_down(self, token: str) -> None:
        """Leads no more."""
        self._on("string", self._leader.names([_LEADER]), lambda: self._leader.drop([_LEADER], token))

    def epoch(self) -> str:
        """A value that stays the same until the broker loses its memory; made when there is none."""
        name, fresh = f"{self._prefix}epoch", os.urandom(8).hex()
        return _text(self._on("string", [name], lambda: self._new_epoch(keys=[name], args=[fresh])))

    # -- queues ----------------------------------------------------------------------------------------------

    def send(self, queue: str, message: BatchMessage) -> None:
        """Puts a message into a queue. It may be there twice when the connection fails in between: that is harmless."""
        from tasks.app import publish

        self._on("list", step_keys(queue), lambda: publish(self._sender(), queue, message))

    def waiting(self, queue: str) -> list[str]:
        """Ids of the batches that wait in a queue, in the order in which they will be taken; foreign ones left out."""
        found: list[str] = []
        with self._told():
            for name in self._lists(step_keys(queue)):
                items = self._redis.lrange(name, -_MAX_WAITING, -1)
                found.extend(batch for batch in map(batch_of, reversed(items)) if batch is not None)
        return found

    def empty(self, queue: str) -> int:
        """Drops what waits in a queue; returns how many messages that were."""
        with self._told():
            # A list that is no list is dropped, too.
            names = step_keys(queue)
            sizes = [self._redis.llen(name) for name in self._lists(names)]
            self._redis.delete(*names)
        return sum(sizes)

    def queues(self) -> list[str]:
        """Names of this store's queues in which something waits."""
        with self._told():
            names = self._redis.scan_iter(match=f"{queue_prefix(self._store_id)}*", count=1000)
            return sorted({queue_of_key(_text(name)) for name in names})

    def _lists(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if self._redis.type(name) == b"list"]

    def _sender(self) -> Any:
        from tasks.app import app_for

        with self._app_lock:
            if self._app is None:
                self._app = app_for(self.address, self._store_id)
            return self._app

    def _on(self, kind: str, names: Sequence[str], act: Callable[[], T]) -> T:
        """Acts on keys of ours; a value of another type than theirs is a stranger's, and is removed first."""
        with self._told():
            try:
                return act()
            except Exception as error:
                if not is_wrong_type(error):
                    raise
            for start in range(0, len(names), _KEYS_A_CALL):
                some = names[start : start + _KEYS_A_CALL]
                for place, found in self._evict(keys=some, args=[kind]):
                    _log.warning("the broker held a stranger's %s as %s; it is removed", _text(found), some[place - 1])
            return act()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Every error of the broker and the way to it becomes one line."""
        import redis
        from kombu.exceptions import KombuError

        try:
            yield
        except (redis.RedisError, KombuError, OSError) as error:
            raise self.address.away(error) from error


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def _json_object(data: bytes | None) -> dict[str, Any] | None:
    """What a stranger may have written there is left out."""
    if data is None:
        return None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
