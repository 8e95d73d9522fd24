"""Leases: the right to compute a unit, held with a token for a limited time. Also who leads.

Every change is a script that runs in the broker as one step, so that between looking and writing nobody else can act.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

#: Keys that one script touches; the broker serves nobody else in the meantime.
_KEYS_A_CALL = 500

#: No token is longer.
_TOKEN_BYTES = 256
#: Milliseconds that no lease of ours lasts: SEGUE_LEASE_SECONDS is 600 at most.
_LONGEST_MS = 600_000

# The holder of a lease. What never expires, or not for hours, no Segue has set: a stranger's value would hold a unit up
# for ever.
_HOLDER = f"""
local function holder_of(key)
  local holder = redis.call('GET', key)
  if holder then
    local left = redis.call('PTTL', key)
    if left < 0 or left > {_LONGEST_MS} then return false end
  end
  return holder
end
"""

# KEYS: leases. ARGV: token, ms. Returns 1 for every lease that is now the token's, else 0. A lease that is missing is
# set: for one who acquires it is free, and for one who renews the broker has lost its memory (or the holder was late,
# and nobody else took it).
_HOLD = f"""{_HOLDER}
local held = {{}}
for i, key in ipairs(KEYS) do
  local holder = holder_of(key)
  if not holder or holder == ARGV[1] then
    redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
    held[i] = 1
  else
    held[i] = 0
  end
end
return held
"""

# KEYS: leases. Returns their holders; of a stranger's long text as much as a token has.
_HOLDERS = f"""{_HOLDER}
local found = {{}}
for i, key in ipairs(KEYS) do
  local holder = holder_of(key)
  found[i] = holder and string.sub(holder, 1, {_TOKEN_BYTES})
end
return found
"""

# KEYS: leases. ARGV: token. Removes those that are the token's.
_DROP = """
local dropped = 0
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[1] then
    dropped = dropped + redis.call('DEL', key)
  end
end
return dropped
"""


class Leases:
    """Leases under one prefix. Thread-safe, as the client is. Raises what redis-py raises."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._prefix = prefix
        self._hold = client.register_script(_HOLD)
        self._holders = client.register_script(_HOLDERS)
        self._drop = client.register_script(_DROP)

    def hold(self, keys: Sequence[str], token: str, ms: int) -> set[str]:
        """Acquires or renews for ``ms`` from now: the keys that are the token's afterwards."""
        held: set[str] = set()
        for some in _slices(list(dict.fromkeys(keys))):
            answers = self._hold(keys=self.names(some), args=[token, ms])
            held.update(key for key, answer in zip(some, answers, strict=True) if answer == 1)
        return held

    def drop(self, keys: Sequence[str], token: str) -> None:
        """Gives back those of the keys that are the token's."""
        for some in _slices(list(dict.fromkeys(keys))):
            self._drop(keys=self.names(some), args=[token])

    def holders(self, keys: Sequence[str]) -> dict[str, str]:
        """Tokens by key, of those that are held."""
        found: dict[str, str] = {}
        for some in _slices(list(dict.fromkeys(keys))):
            tokens = self._holders(keys=self.names(some))
            found.update((key, _text(token)) for key, token in zip(some, tokens, strict=True) if token is not None)
        return found

    def names(self, keys: Sequence[str]) -> list[str]:
        return [self._prefix + key for key in keys]


def _slices(keys: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), _KEYS_A_CALL):
        yield keys[start : start + _KEYS_A_CALL]


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
