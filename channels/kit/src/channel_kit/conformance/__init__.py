"""The questions every channel has to answer.

Subclass :class:`ChannelConformance` in a package's own tests, give it the few methods of
:class:`Subject`, and pytest asks all of them.
"""

import pytest

# Before the imports: an assertion in a library only explains itself when pytest rewrote it.
pytest.register_assert_rewrite(
    "channel_kit.conformance.connecting_questions",
    "channel_kit.conformance.failure_questions",
    "channel_kit.conformance.fetching_questions",
    "channel_kit.conformance.filling_questions",
    "channel_kit.conformance.inbound_questions",
    "channel_kit.conformance.outbound_questions",
    "channel_kit.conformance.package_questions",
    "channel_kit.conformance.polling_questions",
    "channel_kit.conformance.reconciling_questions",
    "channel_kit.conformance.showing_questions",
    "channel_kit.conformance.subject",
    "channel_kit.conformance.text_questions",
)

from channel_kit.conformance.platform import (  # noqa: E402 - after the assertion rewriting
    Answer,
    Call,
    Fault,
    ScriptedPlatform,
)
from channel_kit.conformance.subject import FILE, Mailbox, Sample, Sent, Subject  # noqa: E402 - after the assertion rewriting
from channel_kit.conformance.suite import ChannelConformance, xfail  # noqa: E402 - after the assertion rewriting

__all__ = [
    "FILE",
    "Answer",
    "Call",
    "ChannelConformance",
    "Fault",
    "Mailbox",
    "Sample",
    "ScriptedPlatform",
    "Sent",
    "Subject",
    "xfail",
]
