"""The suite: all questions, none of which can be lost on the way."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from channel_kit.conformance.failure_questions import FailureQuestions
from channel_kit.conformance.inbound_questions import InboundQuestions
from channel_kit.conformance.outbound_questions import OutboundQuestions
from channel_kit.conformance.package_questions import PackageQuestions


@dataclass(frozen=True)
class _Exemption:
    reason: str


def xfail(*, reason: str) -> Any:
    """Answer a question with "no, because": ``test_… = xfail(reason="…")`` in the subclass.

    The question is still asked, and fails the run on the day when it is answered well.

    Raises:
        ValueError: the reason is blank.
    """
    if not reason.strip():
        raise ValueError("an exemption needs its reason")
    return _Exemption(reason)


class ChannelConformance(PackageQuestions, InboundQuestions, OutboundQuestions, FailureQuestions):
    """Subclass it as ``TestConformance``, give what :class:`Subject` asks for, run pytest.

    A subclass may add tests of its own. It cannot replace or remove a question, directly or by
    another base class: that is a ``TypeError`` when the class is made. ``xfail(reason=…)`` is the
    one way out.
    """

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        for name in questions():
            given = inspect.getattr_static(cls, name)
            if isinstance(given, _Exemption):
                setattr(cls, name, _expected_to_fail(name, given.reason))
            elif given is not inspect.getattr_static(ChannelConformance, name) and not hasattr(
                given, "exemption"
            ):
                raise TypeError(
                    f"{cls.__name__}.{name} is a question of the suite: it can be answered with "
                    f"xfail(reason=…), not replaced"
                )


def questions() -> list[str]:
    """Return the names of all questions."""
    return [name for name in dir(ChannelConformance) if name.startswith("test_")]


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
