"""The suite: all questions, none of which can be lost on the way."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from channel_kit.conformance.asking import has
from channel_kit.conformance.connecting_questions import ConnectingQuestions
from channel_kit.conformance.failure_questions import FailureQuestions
from channel_kit.conformance.fetching_questions import FetchingQuestions
from channel_kit.conformance.filling_questions import FillingQuestions
from channel_kit.conformance.inbound_questions import InboundQuestions
from channel_kit.conformance.outbound_questions import OutboundQuestions
from channel_kit.conformance.package_questions import PackageQuestions
from channel_kit.conformance.polling_questions import PollingQuestions
from channel_kit.conformance.reconciling_questions import ReconcilingQuestions
from channel_kit.conformance.showing_questions import ShowingQuestions
from channel_kit.conformance.text_questions import TextQuestions


@dataclass(frozen=True)
class _Exemption:
    reason: str


class _NotAsked:
    """In the place of a question about an ability that the channel does not have."""


def xfail(*, reason: str) -> Any:
    """Answer a question with "no, because": ``test_… = xfail(reason="…")`` in the subclass.

    The question is still asked, and fails the run on the day when it is answered well.

    Raises:
        ValueError: the reason is blank.
    """
    if not reason.strip():
        raise ValueError("an exemption needs its reason")
    return _Exemption(reason)


class ChannelConformance(
    PackageQuestions,
    InboundQuestions,
    OutboundQuestions,
    TextQuestions,
    FailureQuestions,
    ShowingQuestions,
    FillingQuestions,
    ReconcilingQuestions,
    PollingQuestions,
    FetchingQuestions,
    ConnectingQuestions,
):
    """Subclass it as ``TestConformance``, give what :class:`Subject` asks for, run pytest.

    A subclass may add tests of its own. It cannot replace or remove a question, directly or by
    another base class: that is a ``TypeError`` when the class is made. ``xfail(reason=…)`` is the
    one way out. A question about an ability is asked of exactly those channels that have it.
    """

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        for name in questions():
            given = inspect.getattr_static(cls, name)
            original = inspect.getattr_static(ChannelConformance, name)
            if isinstance(given, _Exemption):
                if not _is_asked(cls, original):
                    raise TypeError(f"{cls.__name__}.{name} is not asked of this channel")
                setattr(cls, name, _expected_to_fail(name, given.reason))
            elif isinstance(given, _NotAsked) or given is original:
                setattr(cls, name, original if _is_asked(cls, original) else _NotAsked())
            elif not hasattr(given, "exemption"):
                raise TypeError(
                    f"{cls.__name__}.{name} is a question of the suite: it can be answered with "
                    f"xfail(reason=…), not replaced"
                )


def questions() -> list[str]:
    """Return the names of all questions."""
    return [name for name in dir(ChannelConformance) if name.startswith("test_")]


def asked(suite: type[ChannelConformance]) -> list[str]:
    """Return the names of the questions that the channel of ``suite`` is asked."""
    given = {name: inspect.getattr_static(suite, name) for name in questions()}
    return [name for name, question in given.items() if not isinstance(question, _NotAsked)]


def _is_asked(suite: type[ChannelConformance], question: object) -> bool:
    ability = getattr(question, "ability", None)
    channel = getattr(suite, "channel", None)
    return ability is None or channel is None or has(channel, ability)


def _expected_to_fail(name: str, reason: str) -> Callable[..., Any]:
    """Return a copy of the question with the mark: on the original, every channel would have it."""
    original: types.FunctionType = inspect.getattr_static(ChannelConformance, name)
    copy = types.FunctionType(
        original.__code__, original.__globals__, name, original.__defaults__, original.__closure__
    )
    copy.__dict__.update(original.__dict__, exemption=reason)
    copy.__doc__ = original.__doc__
    marked: Callable[..., Any] = pytest.mark.xfail(reason=reason, strict=True)(copy)
    return marked
