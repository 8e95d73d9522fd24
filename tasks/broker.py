"""Everything that Segue keeps in Redis or Valkey, and nothing of it is the truth: losing all of it costs seconds."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tasks.address import READ_TIMEOUT_S, BrokerAddress, BrokerAwayError
from tasks.claims import Claims
from tasks.envelope import batch_of
from tasks.messages import BatchMessage
from tasks.queues import STORE_DIGITS, queue_of_key, queue_prefix, step_keys

__all__ = ["Broker", "BrokerAwayError"]

#: How often a command is tried while the connection fails: once, and twice more on a fresh connection.
_ATTEMPTS = 3
#: Hints that wait at most; older ones go first, since the disk knows more than they do.
_MAX_HINTS = 10_000
#: Messages of a queue's list that are looked at; the coordinator never lets so many wait.
_MAX_WAITING = 1000
#: A blocking read is asked for in slices below the socket's time-out.
_LONGEST_WAIT_S = READ_TIMEOUT_S - 2.0

# KEYS: card, register. ARGV: id, card, ms. The broker's own clock tells how old a beat is: no two machines agree.
_BEAT = """
local time = redis.call('TIME')
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
"""

# KEYS: hints. Takes them all.
_TAKE = """
local all = redis.call('LRANGE', KEYS[1], 0, -1)
redis.call('DEL', KEYS[1])
return all
"""


class Broker:
    """One store's part of a broker. Thread-safe. Every call may raise BrokerAwayError, and it may be called again."""

    def __init__(self, address: BrokerAddress, store_id: str, claim_ms: int) -> None:
        import redis

        self.address = address
        self._store_id = store_id
        self._claim_ms = claim_ms
        self._prefix = f"segue:{store_id[:STORE_DIGITS]}:"
        options = address.connection_options(_ATTEMPTS)
        self._redis: Any = redis.Redis(connection_pool=redis.ConnectionPool(**options))
        self._claims = Claims(self._redis, f"{self._prefix}claim:")
        # One who leads holds a claim of its own name.
        self._leader = Claims(self._redis, self._prefix)
        self._beat = self._redis.register_script(_BEAT)
        self._take = self._redis.register_script(_TAKE)
        self._app: Any = None
        self._app_lock = threading.Lock()

    @classmethod
    def connect(cls, url: str, store_id: str, claim_ms: int) -> Broker:
        """A broker for one store; connects when it is first used. Raises SettingsError for a URL that is none."""
        return cls(BrokerAddress.parse(url), store_id, claim_ms)

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

    # -- claims ----------------------------------------------------------------------------------------------

    def claim(self, keys: Sequence[str], token: str) -> set[str]:
        """Acquires what is free; the keys that are now the token's (those that were already count)."""
        with self._told():
            return self._claims.hold(keys, token, self._claim_ms)

    def renew(self, keys: Sequence[str], token: str) -> set[str]:
        """Prolongs; what the broker has forgotten is set again. A key that is not returned is another's now."""
        with self._told():
            return self._claims.hold(keys, token, self._claim_ms)

    def release(self, keys: Sequence[str], token: str) -> None:
        """Gives back what is the token's; anything else is left as it is."""
        with self._told():
            self._claims.drop(keys, token)

    def claimed(self, keys: Sequence[str]) -> dict[str, str]:
        """Tokens by key, of those keys that somebody holds."""
        with self._told():
            return self._claims.holders(keys)

    # -- register of workers ---------------------------------------------------------------------------------

    def beat(self, worker_id: str, card: Mapping[str, Any], ttl_ms: int) -> None:
        """Shows a worker's card for ``ttl_ms``."""
        text = json.dumps(dict(card), ensure_ascii=False)
        with self._told():
            self._beat(keys=[self._card(worker_id), f"{self._prefix}workers"], args=[worker_id, text, ttl_ms])

    def retire(self, worker_id: str) -> None:
        """Takes a worker's card away."""
        with self._told(), self._redis.pipeline() as pipe:
            pipe.delete(self._card(worker_id)).zrem(f"{self._prefix}workers", worker_id).execute()

    def workers(self) -> list[dict[str, Any]]:
        """Cards of the workers that beat in time, by id, each with ``id`` and ``beat_age_s``."""
        register = f"{self._prefix}workers"
        with self._told():
            beats = [(_text(name), score) for name, score in self._redis.zrange(register, 0, -1, withscores=True)]
            if not beats:
                return []
            seconds, micros = self._redis.time()
            cards = self._redis.mget([self._card(name) for name, _ in beats])
            gone = [name for (name, _), card in zip(beats, cards, strict=True) if card is None]
            if gone:
                self._redis.zrem(register, *gone)
        now_ms = seconds * 1000 + micros // 1000
        found = []
        for (name, beat_ms), card in zip(beats, cards, strict=True):
            value = _json_object(card)
            if value is not None:
                age_s = max(0.0, (now_ms - beat_ms) / 1000)
                found.append({**value, "id": name, "beat_age_s": round(age_s, 3)})
        return sorted(found, key=lambda card: str(card["id"]))

    def _card(self, worker_id: str) -> str:
        return f"{self._prefix}worker:{worker_id}"

    # -- hints -----------------------------------------------------------------------------------------------

    def hint(self, fact: Mapping[str, Any]) -> None:
        """Tells the coordinator something that it would find out later anyway."""
        name = f"{self._prefix}done"
        text = json.dumps(dict(fact), ensure_ascii=False)
        with self._told(), self._redis.pipeline() as pipe:
            pipe.rpush(name, text).ltrim(name, -_MAX_HINTS, -1).execute()

    def hints(self, timeout_s: float) -> list[dict[str, Any]]:
        """All hints that wait, oldest first; when there are none, waits up to ``timeout_s`` for the first."""
        name = f"{self._prefix}done"
        end = time.monotonic() + timeout_s
        with self._told():
            found = list(self._take(keys=[name]))
            while not found:
                left = end - time.monotonic()
                if left <= 0.001:
                    break
                first = self._redis.blpop([name], timeout=max(0.01, min(left, _LONGEST_WAIT_S)))
                if first is not None:
                    found = [first[1], *self._take(keys=[name])]
        return [value for value in map(_json_object, found) if value is not None]

    # -- leader and epoch ------------------------------------------------------------------------------------

    def lead(self, token: str, ttl_ms: int) -> bool:
        """Becomes or stays the leader for ``ttl_ms``; False while another is."""
        with self._told():
            return bool(self._leader.hold(["leader"], token, ttl_ms))

    def step_down(self, token: str) -> None:
        """Leads no more."""
        with self._told():
            self._leader.drop(["leader"], token)

    def epoch(self) -> str:
        """A value that stays the same until the broker loses its memory; made when there is none."""
        name = f"{self._prefix}epoch"
        with self._told(), self._redis.pipeline() as pipe:
            pipe.set(name, os.urandom(8).hex(), nx=True).get(name)
            return _text(pipe.execute()[1])

    # -- queues ----------------------------------------------------------------------------------------------

    def send(self, queue: str, message: BatchMessage) -> None:
        """Puts a message into a queue. It may be there twice when the connection fails in between: that is harmless."""
        from tasks.app import publish

        with self._told():
            publish(self._sender(), queue, message)

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
