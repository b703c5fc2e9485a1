"""What is mutated, and the tests that must notice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Area = Literal["signatures", "tenancy", "delivery"]


@dataclass(frozen=True, slots=True)
class Target:
    """One file, and what pytest is given.

    ``functions`` are the only ones looked at; none of them means all.
    """

    area: Area
    path: str
    module: str
    tests: tuple[str, ...]
    functions: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The module without what all have in common."""
        return self.module.removeprefix("coachline.")


_KIT: Final = "channels/kit/tests/test_signing"
_MESSAGING: Final = "tests/integration/messaging/test_"
_TENANCY: Final = "tests/integration/tenancy/test_"
_LONG: Final = "test_however_calls_end_each_answer_is_shown_once_and_in_order"
_DELIVERING: Final = (
    f"{_MESSAGING}delivery.py",
    f"{_MESSAGING}order.py",
    f"{_MESSAGING}pace.py",
    f"{_MESSAGING}posting.py",
    f"{_MESSAGING}doubts.py",
    f"{_MESSAGING}judgements.py",
    f"{_MESSAGING}settling.py",
    f"{_MESSAGING}takeovers.py",
    # Hundreds of calls in one test: what it notices alone is too dear to ask for each mutant.
    f"--deselect={_MESSAGING}doubts.py::{_LONG}",
)

TARGETS: Final = (
    Target(
        "signatures",
        "channels/kit/src/channel_kit/signing.py",
        "channel_kit.signing",
        (f"{_KIT}.py", f"{_KIT}_interoperability.py"),
    ),
    Target(
        "signatures",
        "channels/slack/src/channel_slack/signature.py",
        "channel_slack.signature",
        ("channels/slack/tests/test_signature.py",),
    ),
    Target(
        "signatures",
        "channels/sms/src/channel_sms/signature.py",
        "channel_sms.signature",
        ("channels/sms/tests/test_signature.py",),
    ),
    Target(
        "signatures",
        "channels/telegram/src/channel_telegram/channel.py",
        "channel_telegram.channel",
        ("channels/telegram/tests/test_conformance.py", "channels/telegram/tests/test_inbound.py"),
        ("TelegramChannel.verify",),
    ),
    Target(
        "signatures",
        "channels/webhook/src/channel_webhook/channel.py",
        "channel_webhook.channel",
        ("channels/webhook/tests/test_conformance.py", "channels/webhook/tests/test_inbound.py"),
        ("WebhookChannel.verify",),
    ),
    Target(
        "signatures",
        "channels/webhook/src/channel_webhook/config.py",
        "channel_webhook.config",
        ("channels/webhook/tests/test_config.py",),
    ),
    Target(
        "tenancy",
        "src/coachline/tenancy/tokens.py",
        "coachline.tenancy.tokens",
        ("tests/unit/tenancy/test_tokens.py",),
    ),
    Target(
        "tenancy",
        "src/coachline/tenancy/validation.py",
        "coachline.tenancy.validation",
        ("tests/unit/tenancy/test_validation.py",),
    ),
    Target(
        "tenancy",
        "src/coachline/tenancy/keys.py",
        "coachline.tenancy.keys",
        (f"{_TENANCY}keys.py", f"{_TENANCY}routes.py"),
    ),
    Target(
        "tenancy",
        "src/coachline/tenancy/limits.py",
        "coachline.tenancy.limits",
        (f"{_TENANCY}limits.py",),
    ),
    Target(
        "tenancy",
        "src/coachline/foundation/database.py",
        "coachline.foundation.database",
        (
            "tests/integration/foundation/test_database.py",
            "tests/integration/foundation/test_tenant_binding.py",
        ),
        (
            "_bind_tenant",
            "Database.tenant",
            "Database.system",
            "_transaction",
            "translate_outages",
            "driver_connection",
        ),
    ),
    Target(
        "delivery",
        "src/coachline/messaging/attempts.py",
        "coachline.messaging.attempts",
        _DELIVERING,
    ),
    Target(
        "delivery",
        "src/coachline/messaging/courier.py",
        "coachline.messaging.courier",
        _DELIVERING,
    ),
    Target(
        "delivery",
        "src/coachline/messaging/delivery.py",
        "coachline.messaging.delivery",
        _DELIVERING,
    ),
)
