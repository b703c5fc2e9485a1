"""What one tenant gives to connect a webhook."""

from __future__ import annotations

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, SecretStr, field_validator

from channel_kit.signing import Secret, parse_secret


class WebhookConfig(BaseModel):
    """One tenant's webhook.

    ``secrets`` (``whsec_`` or ``whsk_``) are used both ways: every one of them signs what we post,
    and any one of them proves what comes in, so a rotation is: add the new one, wait, remove the
    old one. ``verify_keys`` (``whpk_``) only prove what comes in, for a sender that keeps its
    private key to itself. ``callback_url`` takes the replies. ``stream`` also posts drafts there
    while an answer is being written.
    """

    # The input of a failed validation may hold a secret, and an error is something people paste.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    secrets: tuple[SecretStr, ...] = Field(
        min_length=1,
        max_length=4,
        description="One in a line, each whsec_… or whsk_…. Sign both ways.",
        # Whoever asks for this may make one and show it once.
        json_schema_extra={"x-made-by": "generate_secret"},
    )
    callback_url: AnyHttpUrl = Field(description="Where replies are posted: https://….")
    verify_keys: tuple[str, ...] = Field(default=(), max_length=4)
    stream: bool = False

    @field_validator("secrets")
    @classmethod
    def _can_sign(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for secret in secrets:
            if secret.get_secret_value().startswith("whpk_"):
                raise ValueError("a public key cannot sign: put it into verify_keys")
            parse_secret(secret.get_secret_value())
        return secrets

    @field_validator("verify_keys")
    @classmethod
    def _are_public(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        for key in keys:
            if not key.startswith("whpk_"):
                raise ValueError("only public keys (whpk_) belong into verify_keys")
            parse_secret(key)
        return keys

    @field_validator("callback_url")
    @classmethod
    def _has_no_user(cls, url: AnyHttpUrl) -> AnyHttpUrl:
        # They would be in every log and error that names the address; the signature is the proof.
        if url.username is not None or url.password is not None:
            raise ValueError("the address must not carry a user name or password")
        return url

    def signing_secrets(self) -> list[Secret]:
        """Return the secrets that sign what we post."""
        return [parse_secret(secret.get_secret_value()) for secret in self.secrets]

    def verifying_secrets(self) -> list[Secret]:
        """Return the secrets of which one must have signed what comes in."""
        return self.signing_secrets() + [parse_secret(key) for key in self.verify_keys]
