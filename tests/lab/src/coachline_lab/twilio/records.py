"""What a fake Twilio keeps: accounts, their senders, messages and files."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final

API_VERSION: Final = "2010-04-01"
WHATSAPP: Final = "whatsapp:"


def new_sid(kind: str) -> str:
    """Return an id as Twilio's: two letters and 32 hexadecimal digits."""
    return kind + secrets.token_hex(16)


@dataclass(slots=True)
class Number:
    """A sender of an account; ``sms_url`` is called for what comes in, fragment and all."""

    phone_number: str
    sid: str = field(default_factory=lambda: new_sid("PN"))
    sms_url: str = ""
    sms_application_sid: str = ""


@dataclass(slots=True)
class Service:
    """A messaging service and the numbers in its pool."""

    numbers: list[str]
    sid: str = field(default_factory=lambda: new_sid("MG"))
    inbound_request_url: str = ""
    status_callback: str = ""
    has_advanced_opt_out: bool = False


@dataclass(slots=True)
class Account:
    """One customer of Twilio.

    With a ``shared_key`` (id and secret), webhooks are signed by SHA-256. ``templates`` are
    contents by SID, with ``{{1}}`` for a variable. ``blocked`` are the pairs (sender, person) that
    STOP closed; ``last_heard`` is when a pair last had a message from the person.
    """

    sid: str
    token: str
    numbers: list[Number]
    services: list[Service] = field(default_factory=list)
    status: str = "active"
    type: str = "Full"
    shared_key: tuple[str, str] | None = None
    templates: dict[str, str] = field(default_factory=dict)
    blocked: set[tuple[str, str]] = field(default_factory=set)
    last_heard: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def number(self, name: str) -> Number | None:
        """Return the sender with this number or SID."""
        found = (one for one in self.numbers if name in (one.phone_number, one.sid))
        return next(found, None)

    def service(self, sid: str) -> Service | None:
        """Return the messaging service with this SID."""
        return next((one for one in self.services if one.sid == sid), None)

    def service_of(self, number: str) -> Service | None:
        """Return the messaging service in whose pool the number is."""
        return next((one for one in self.services if number in one.numbers), None)


@dataclass(frozen=True, slots=True)
class File:
    """A file that somebody sent along."""

    content: bytes
    content_type: str = "image/jpeg"
    sid: str = field(default_factory=lambda: new_sid("ME"))


@dataclass(slots=True)
class Message:
    """One message, in or out."""

    account_sid: str
    sender: str
    recipient: str
    body: str
    direction: str
    status: str
    sid: str = field(default_factory=lambda: new_sid("SM"))
    service_sid: str | None = None
    status_callback: str = ""
    error_code: int | None = None
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    sent: datetime | None = None
    files: tuple[File, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the resource as the API shows it."""
        base = f"/{API_VERSION}/Accounts/{self.account_sid}/Messages/{self.sid}"
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "messaging_service_sid": self.service_sid,
            "to": self.recipient,
            "from": self.sender,
            "body": self.body,
            "status": self.status,
            "direction": self.direction,
            "num_segments": str(max(1, -(-len(self.body) // 160))),
            "num_media": str(len(self.files)),
            "error_code": self.error_code,
            "error_message": None,
            "price": None,
            "price_unit": "USD",
            "api_version": API_VERSION,
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.created),
            "date_sent": rfc2822(self.sent) if self.sent else None,
            "uri": f"{base}.json",
            "subresource_uris": {"media": f"{base}/Media.json"},
        }


def rfc2822(moment: datetime) -> str:
    """Return a time as the API writes it, with whole seconds."""
    return format_datetime(moment.astimezone(UTC))


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook that was delivered, or not.

    ``statuses`` has one HTTP status for each attempt, None where no answer came; ``answer`` is the
    last body. ``fields`` and ``url`` are what was signed.
    """

    sid: str
    url: str
    fields: Mapping[str, str]
    statuses: tuple[int | None, ...]
    answer: str = ""

    @property
    def is_taken(self) -> bool:
        """Whether the receiver said so."""
        last = self.statuses[-1] if self.statuses else None
        return last is not None and 200 <= last < 300
