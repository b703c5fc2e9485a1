"""Locks of transactions: shared or exclusive, held to the end, and who waits for whom."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar


class _Waiting(Hashable, Protocol):
    waits_for: Hashable | None


Holder = TypeVar("Holder", bound=_Waiting)


class Locks(Generic[Holder]):
    """Which transaction has what. ``shared`` holders exclude only the exclusive one."""

    def __init__(self) -> None:
        self._held: dict[Hashable, dict[Holder, bool]] = {}
        self._keys: dict[Holder, set[Hashable]] = {}

    def take(self, holder: Holder, key: Hashable, *, shared: bool = False) -> bool:
        """Have the lock until :meth:`release`; False when somebody excludes that."""
        held = self._held.setdefault(key, {})
        mine = held.get(holder)
        if mine is not None and (shared or not mine):
            return True
        if any(
            other is not holder and not (shared and is_shared) for other, is_shared in held.items()
        ):
            return False
        held[holder] = shared
        self._keys.setdefault(holder, set()).add(key)
        return True

    def release(self, holder: Holder) -> set[Hashable]:
        """Let everything of a holder go; what that was."""
        keys = self._keys.pop(holder, set())
        for key in keys:
            held = self._held[key]
            del held[holder]
            if not held:
                del self._held[key]
        return keys

    def is_circle(self, waiter: Holder) -> bool:
        """Whether a waiter waits, over others, for itself."""
        seen: set[Holder] = set()
        ahead = self._holders(waiter)
        while ahead:
            other = ahead.pop()
            if other is waiter:
                return True
            if other not in seen:
                seen.add(other)
                ahead += self._holders(other)
        return False

    def _holders(self, waiter: Holder) -> list[Holder]:
        if waiter.waits_for is None:
            return []
        return [other for other in self._held.get(waiter.waits_for, ()) if other is not waiter]

    def __len__(self) -> int:
        return len(self._held)
