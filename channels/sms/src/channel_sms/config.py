"""What one tenant gives to connect a Twilio number."""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import (
    AnyHttpUrl,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

WHATSAPP: Final = "whatsapp:"
"""How Twilio begins the addresses of WhatsApp."""

_SID = r"^{}[0-9a-fA-F]{{32}}$"
_Secret = Annotated[SecretStr, Field(min_length=8, max_length=128)]


class SmsConfig(BaseModel):
    """One tenant's number, or messaging service, at Twilio.

    ``auth_token`` signs what Twilio sends and opens its API; ``secondary_auth_token`` is accepted
    in signatures too, for the time of a rotation. ``shared_keys`` are the secrets of Twilio's
    SHA-256 signatures, by key id. Exactly one of ``from_number`` (E.164, a short code, or either
    after ``whatsapp:``) and ``messaging_service_sid`` is given. ``max_segments`` is what one part
    of an answer may cost. ``segments_per_second`` and ``burst_segments`` are the sender's pace.
    ``validity_seconds`` is how late a message that nobody asked for may still arrive.
    ``content_sid`` is a template for WhatsApp outside the 24-hour window; its variable
    ``content_variable`` takes the text. ``api_url`` is where Twilio is. ``inbound_url`` is found
    out by ``connect``: where Twilio tells what became of a message.
    """

    # The input of a failed validation may hold a secret, and an error is something people paste.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    account_sid: str = Field(
        pattern=_SID.format("AC"), description="Twilio's console: the account SID, AC…."
    )
    auth_token: _Secret = Field(description="Twilio's console: the auth token.")
    secondary_auth_token: _Secret | None = None
    shared_keys: dict[str, _Secret] = Field(default_factory=dict, max_length=4)
    from_number: str | None = Field(
        default=None,
        pattern=r"^(whatsapp:)?(\+[1-9]\d{6,14}|\d{3,8})$",
        description="The number that learners write to, +1…; whatsapp:+1… for WhatsApp.",
    )
    messaging_service_sid: str | None = Field(
        default=None,
        pattern=_SID.format("MG"),
        description="Or a Messaging Service, MG…, instead of a number.",
    )
    max_segments: int = Field(default=3, ge=1, le=7)
    segments_per_second: float = Field(default=1.0, gt=0, le=1000)
    burst_segments: float = Field(default=3.0, ge=1, le=1000)
    validity_seconds: int = Field(default=14_400, ge=10, le=36_000)
    content_sid: str | None = Field(default=None, pattern=_SID.format("HX"))
    content_variable: str = Field(default="1", pattern=r"^\w{1,32}$")
    api_url: AnyHttpUrl = AnyHttpUrl("https://api.twilio.com")
    # As it is, not normalised: Twilio signs the address exactly as it was given.
    inbound_url: str | None = Field(
        default=None, pattern=r"^https?://[^\s#@]+$", json_schema_extra={"readOnly": True}
    )

    @field_validator("api_url")
    @classmethod
    def _has_no_user(cls, url: AnyHttpUrl) -> AnyHttpUrl:
        # They would be in every log and error that names the address.
        if url.username is not None or url.password is not None:
            raise ValueError("the address must not carry a user name or password")
        return url

    @model_validator(mode="after")
    def _has_one_sender(self) -> Self:
        if (self.from_number is None) == (self.messaging_service_sid is None):
            raise ValueError("give either from_number or messaging_service_sid")
        return self

    @property
    def sender(self) -> str:
        """The number or messaging service that answers come from."""
        return self.from_number or self.messaging_service_sid or ""

    @property
    def is_whatsapp(self) -> bool:
        """Whether this connection speaks only WhatsApp."""
        return self.sender.startswith(WHATSAPP)

    def auth_tokens(self) -> list[str]:
        """Return the tokens of which one signed what comes in (HMAC-SHA1)."""
        given = (self.auth_token, self.secondary_auth_token)
        return [token.get_secret_value() for token in given if token is not None]

    def shared_key(self, key_id: str) -> str | None:
        """Return the secret of Twilio's SHA-256 signatures with this key id, if it is ours."""
        secret = self.shared_keys.get(key_id)
        return None if secret is None else secret.get_secret_value()
