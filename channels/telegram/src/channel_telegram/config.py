"""What one tenant gives to connect a bot."""

from __future__ import annotations

import re
import secrets
from typing import Final, Literal

from pydantic import (
    AnyHttpUrl,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

PUBLIC_API: Final = "https://api.telegram.org"
"""The Bot API that Telegram runs; every other one is somebody's own server."""

# Stricter than aiogram, whose check lets `1:../x` pass: the token becomes a part of a path.
_TOKEN: Final = re.compile(r"[1-9][0-9]{0,19}:[A-Za-z0-9_-]{8,128}")
# Bot API, setWebhook: "1-256 characters. Only A-Z, a-z, 0-9, _ and - are allowed".
_WEBHOOK_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{16,256}")


def _new_secret() -> SecretStr:
    return SecretStr(secrets.token_urlsafe(32))


class TelegramConfig(BaseModel):
    """One tenant's bot.

    ``token`` is what @BotFather gave. ``webhook_secret`` is made here, told to Telegram, and comes
    back with every delivery; ``previous_webhook_secret`` is accepted too, for the moment in which
    it is changed. ``receive`` says who calls whom: Telegram us (``webhook``), or we Telegram
    (``polling``, held open for ``poll_seconds``). ``max_connections`` is how many deliveries
    Telegram may make at once. ``stream`` shows answers while they are written. ``username`` is
    found out by connecting; without it a mention in a group is not known.
    """

    # The input of a failed validation may hold a secret, and an error is something people paste.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    token: SecretStr = Field(description="What @BotFather gave: 123456789:AAE….")
    webhook_secret: SecretStr = Field(default_factory=_new_secret)
    previous_webhook_secret: SecretStr | None = None
    receive: Literal["webhook", "polling"] = Field(
        default="webhook",
        description="webhook needs a public https address; with polling we fetch, from anywhere.",
    )
    # The server ends a long poll after 50 s, whatever is asked for.
    poll_seconds: int = Field(default=30, ge=1, le=50)
    max_connections: int = Field(default=40, ge=1, le=100)
    stream: bool = True
    api_url: AnyHttpUrl = AnyHttpUrl(PUBLIC_API)
    username: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9_]{3,64}$", json_schema_extra={"readOnly": True}
    )

    @field_validator("token")
    @classmethod
    def _is_a_token(cls, token: SecretStr) -> SecretStr:
        if not _TOKEN.fullmatch(token.get_secret_value()):
            raise ValueError("a bot token looks like 123456789:AAE…, as @BotFather shows it")
        return token

    @field_validator("webhook_secret", "previous_webhook_secret")
    @classmethod
    def _fits_a_header(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if secret is not None and not _WEBHOOK_SECRET.fullmatch(secret.get_secret_value()):
            raise ValueError(f"{info.field_name} needs 16 to 256 characters of A-Z a-z 0-9 _ -")
        return secret

    @field_validator("api_url")
    @classmethod
    def _is_bare(cls, url: AnyHttpUrl) -> AnyHttpUrl:
        if url.username or url.password or url.query or url.fragment:
            raise ValueError("the address must be without user, password, query and fragment")
        return url

    @property
    def bot_id(self) -> int:
        """The bot's user id: Telegram begins the token with it."""
        return int(self.token.get_secret_value().partition(":")[0])

    @property
    def base_url(self) -> str:
        """The address of the Bot API, without a slash at its end."""
        return str(self.api_url).rstrip("/")

    @property
    def is_public_api(self) -> bool:
        """Whether this is Telegram's own server, with all of its rules."""
        return self.base_url == PUBLIC_API
