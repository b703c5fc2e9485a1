"""What one tenant gives to connect Skeleton."""

from __future__ import annotations

from channel_kit.signing import Secret, parse_secret
from pydantic import AnyHttpUrl, BaseModel, ConfigDict, SecretStr, field_validator


class SkeletonConfig(BaseModel):
    """One tenant's account: the API, our key there, and the secret that signs its requests."""

    # The input of a failed validation may hold a secret, and an error is something people paste.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    api_url: AnyHttpUrl
    api_key: SecretStr
    signing_secret: SecretStr

    @field_validator("signing_secret")
    @classmethod
    def _is_a_secret(cls, secret: SecretStr) -> SecretStr:
        parse_secret(secret.get_secret_value())
        return secret

    def verifying_secret(self) -> Secret:
        """Return the secret that must have signed what comes in."""
        return parse_secret(self.signing_secret.get_secret_value())
