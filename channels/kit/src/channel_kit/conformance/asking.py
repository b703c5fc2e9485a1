"""Which questions a channel is asked: those about an ability only where it has the ability."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Final, TypeVar

from channel_kit import abilities

Question = TypeVar("Question", bound=Callable[..., object])

ABILITIES: Final[tuple[type, ...]] = (
    abilities.Acknowledging,
    abilities.Connecting,
    abilities.Fetching,
    abilities.Filling,
    abilities.Installing,
    abilities.Paced,
    abilities.Placeholder,
    abilities.Polling,
    abilities.Reconciling,
    abilities.Routed,
    abilities.Shaping,
    abilities.Streaming,
    abilities.Typing,
)


def asked_of(ability: type) -> Callable[[Question], Question]:
    """Mark a question as one about ``ability``."""

    def mark(question: Question) -> Question:
        question.__dict__["ability"] = ability
        return question

    return mark


def has(channel: type, ability: type) -> bool:
    """Tell whether the class has every member of ``ability``.

    As ``isinstance`` does for the channel itself: a question sees to it that they agree.
    """
    return all(hasattr(channel, member) for member in _members(ability))


def _members(ability: type) -> set[str]:
    # Not typing.get_protocol_members, which is of Python 3.13.
    own = [base for base in ability.__mro__ if getattr(base, "_is_protocol", False)]
    names = {name for base in own for name in (*vars(base), *inspect.get_annotations(base))}
    return {name for name in names if not name.startswith("_")}
