"""Token buckets: in Redis as two scripts, and in this process for the time without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from channel_kit import Toll
from coachline.foundation.clock import Clock
from coachline.messaging.turns import Lane

# A bucket is the time `full` at which it would be full again. All times in microseconds, which a
# Lua number holds exactly. `:line` is when the last of those who were refused may come again.
DRAW: Final = """
local clock = redis.call('time')
local now = clock[1] * 1000000 + clock[2]
local wait, widest = 0, 0
local fulls = {}
for i, key in ipairs(KEYS) do
  local cost, room = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local full = math.max(tonumber(redis.call('get', key) or '0'), now)
  local needed = full + cost - room - now
  if ARGV[1] == 'broadcast' then needed = math.max(needed, full - room / 2 - now) end
  if needed > wait then wait, widest = needed, i end
  fulls[i] = full + cost
end
if wait <= 0 then
  for i, key in ipairs(KEYS) do
    redis.call('set', key, string.format('%.0f', fulls[i]),
      'px', math.ceil((fulls[i] - now) / 1000) + 1000)
  end
  return 0
end
local line = KEYS[widest] .. ':line:' .. ARGV[1]
local last = tonumber(redis.call('get', line) or '0')
local at = math.max(now + wait, last + tonumber(ARGV[2 * widest]))
redis.call('set', line, string.format('%.0f', at), 'px', math.ceil((at - now) / 1000))
return math.ceil(at - now)
"""

# `:refused` names the narrow bucket whose reply was refused last, for as long as that holds.
HOLD: Final = """
local clock = redis.call('time')
local now = clock[1] * 1000000 + clock[2]
local pause = tonumber(ARGV[1])
for i, key in ipairs(KEYS) do
  local cost, room = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local full = now + room
  local other = i > 1 and redis.call('get', key .. ':refused')
  if i == 1 or (other and other ~= KEYS[1]) then full = now + pause + room - cost end
  if i > 1 then redis.call('set', key .. ':refused', KEYS[1], 'px', math.ceil(pause / 1000) + 1) end
  if full > tonumber(redis.call('get', key) or '0') then
    redis.call('set', key, string.format('%.0f', full),
      'px', math.ceil((full - now) / 1000) + 1000)
  end
end
return 0
"""

_SWEEP_KEYS: Final = 10_000
# Other processes draw from their own buckets meanwhile.
_LOCAL_SHARE: Final = 2


@dataclass(slots=True)
class _Bucket:
    """``full_at`` is when it is full again, ``held_until`` before when nothing is drawn."""

    full_at: float = 0.0
    held_until: float = 0.0


class LocalBuckets:
    """What the scripts do, at half of each rate, in a dictionary that forgets what is full."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def draw(self, keys: Sequence[str], tolls: Sequence[Toll], *, lane: Lane) -> float:
        """Draw every toll, or none; 0.0, or the seconds after which to ask again."""
        now = self._clock.monotonic()
        self._forget(now)
        waits = [self._wait(key, toll, lane, now) for key, toll in zip(keys, tolls, strict=True)]
        # To the microsecond, as in Redis: what is left below it is the rounding of sums.
        if (wait := round(max(waits), 6)) > 0:
            return wait
        for key, toll in zip(keys, tolls, strict=True):
            bucket = self._buckets.setdefault(key, _Bucket())
            bucket.full_at = max(bucket.full_at, now) + _cost_seconds(toll)
        return 0.0

    def hold(self, keys: Sequence[str], tolls: Sequence[Toll], *, seconds: float) -> None:
        """Draw nothing from the first bucket for ``seconds``, and empty the others."""
        now = self._clock.monotonic()
        for place, (key, toll) in enumerate(zip(keys, tolls, strict=True)):
            bucket = self._buckets.setdefault(key, _Bucket())
            bucket.full_at = max(bucket.full_at, now + _room_seconds(toll))
            if place == 0:
                bucket.held_until = max(bucket.held_until, now + seconds)

    def _wait(self, key: str, toll: Toll, lane: Lane, now: float) -> float:
        bucket = self._buckets.get(key, _Bucket())
        full_at, room = max(bucket.full_at, now), _room_seconds(toll)
        needed = max(full_at + _cost_seconds(toll) - room, bucket.held_until) - now
        return max(needed, full_at - room / 2 - now) if lane == "broadcast" else needed

    def _forget(self, now: float) -> None:
        if len(self._buckets) >= _SWEEP_KEYS:
            self._buckets = {
                key: bucket
                for key, bucket in self._buckets.items()
                if max(bucket.full_at, bucket.held_until) > now
            }


def _cost_seconds(toll: Toll) -> float:
    return toll.amount * _LOCAL_SHARE / toll.per_second


def _room_seconds(toll: Toll) -> float:
    # Half of the burst at half of the rate.
    return max(toll.burst / toll.per_second, _cost_seconds(toll))
