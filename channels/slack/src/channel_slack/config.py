"""What one tenant gives to connect a Slack app, and what is found out about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AnyHttpUrl,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

SlackId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""An id that Slack gave: a workspace, a channel, a user, an app."""

_FOUND_OUT: Final = Field(default=None, json_schema_extra={"readOnly": True})
_PREFIXES: Final[Mapping[str, tuple[str, str]]] = {
    "bot_token": ("xoxb-", "the bot token (Bot User OAuth Token)"),
    "app_token": ("xapp-", "the app-level token (scope connections:write)"),
}


class SlackConfig(BaseModel):
    """One tenant's Slack app in one workspace.

    ``signing_secret`` proves what comes in and marks what goes out; ``previous_signing_secret`` is
    still accepted while it is being changed. ``bot_token`` may come later, by installing the app
    with ``client_id`` and ``client_secret``. ``receive`` says how events come: ``events`` posted to
    our address, or over a ``socket`` that we open with ``app_token``. ``command`` is the slash
    command of the app. ``stream`` shows answers while they are written.

    ``api_url`` and ``authorize_url`` are Slack's own. ``team_id``, ``app_id``, ``bot_user_id``,
    ``bot_id`` and ``installed_by`` are found out by connecting or installing.
    """

    # The input of a failed validation may hold a secret, and an error is something people paste.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    signing_secret: SecretStr = Field(description="Basic Information > Signing Secret.")
    previous_signing_secret: SecretStr | None = None
    bot_token: SecretStr | None = Field(
        default=None, description="OAuth > Bot User OAuth Token, xoxb-…; or install by a click."
    )
    app_token: SecretStr | None = Field(
        default=None, description="For a socket: app-level token, xapp-…."
    )
    client_id: str | None = Field(
        default=None,
        pattern=r"^[0-9A-Za-z.]{1,128}$",
        description="To install by a click: Basic Information > Client ID.",
    )
    client_secret: SecretStr | None = Field(
        default=None, description="To install by a click: Basic Information > Client Secret."
    )
    receive: Literal["events", "socket"] = Field(
        default="events",
        description="events needs a public https address; a socket works from anywhere.",
    )
    command: str = Field(default="/coach", pattern=r"^/[a-z0-9_-]{1,31}$")
    stream: bool = True
    api_url: AnyHttpUrl = AnyHttpUrl("https://slack.com/api/")
    authorize_url: AnyHttpUrl = AnyHttpUrl("https://slack.com/oauth/v2/authorize")
    team_id: SlackId | None = _FOUND_OUT
    app_id: SlackId | None = _FOUND_OUT
    bot_user_id: SlackId | None = _FOUND_OUT
    bot_id: SlackId | None = _FOUND_OUT
    installed_by: SlackId | None = _FOUND_OUT

    @field_validator("signing_secret", "previous_signing_secret", "client_secret")
    @classmethod
    def _is_a_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and not _is_printable(secret):
            raise ValueError("must be 1 to 256 visible ASCII characters")
        return secret

    @field_validator("bot_token", "app_token")
    @classmethod
    def _is_the_right_token(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and not _is_printable(token):
            raise ValueError("must be 1 to 256 visible ASCII characters")
        return token

    @field_validator("api_url", "authorize_url")
    @classmethod
    def _is_bare(cls, url: AnyHttpUrl) -> AnyHttpUrl:
        # They would be in every log and error that names the address.
        if url.username is not None or url.password is not None:
            raise ValueError("the address must not carry a user name or password")
        # What is asked for is written behind it.
        if url.query is not None or url.fragment is not None:
            raise ValueError("the address must not have a query or a fragment")
        return url

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        for name, (prefix, what) in _PREFIXES.items():
            token: SecretStr | None = getattr(self, name)
            if token is not None and not token.get_secret_value().startswith(prefix):
                raise ValueError(f"{name} is not {what}: that one begins with {prefix}")
        if (self.client_id is None) != (self.client_secret is None):
            raise ValueError("client_id and client_secret belong together: one is missing")
        if self.bot_token is None and self.client_id is None:
            raise ValueError(
                "bot_token is missing; or give client_id and client_secret, and install the app"
            )
        asks, api = self.authorize_url.host or "", self.api_url.host
        if asks not in ("slack.com", api) and not asks.endswith(".slack.com"):
            # The gateway's own links would lead wherever somebody says.
            raise ValueError("authorize_url is neither Slack's nor where api_url is")
        if self.receive == "socket" and self.app_token is None:
            raise ValueError("receive = socket needs app_token (scope connections:write)")
        return self

    def signing_keys(self) -> tuple[bytes, ...]:
        """Return the keys of which one must have signed what comes in, the newest first."""
        secrets = (self.signing_secret, self.previous_signing_secret)
        return tuple(s.get_secret_value().encode() for s in secrets if s is not None)


def _is_printable(secret: SecretStr) -> bool:
    value = secret.get_secret_value()
    return 0 < len(value) <= 256 and all("!" <= character <= "~" for character in value)
