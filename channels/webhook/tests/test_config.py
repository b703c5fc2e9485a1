"""What a tenant may give, and what the error says otherwise."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from pydantic import ValidationError

from channel_kit.signing import generate_secret, public_key
from channel_webhook import WebhookConfig

URL = "https://tenant.example/callback"
SHARED = generate_secret()
PRIVATE = "whsk_" + base64.b64encode(bytes(range(32))).decode()
PUBLIC = public_key(PRIVATE)


def test_both_kinds_of_secret_sign_and_public_keys_only_prove() -> None:
    config = WebhookConfig.model_validate(
        {"callback_url": URL, "secrets": [SHARED, PRIVATE], "verify_keys": [PUBLIC]}
    )
    assert [s.version for s in config.signing_secrets()] == ["v1", "v1a"]
    assert [s.version for s in config.verifying_secrets()] == ["v1", "v1a", "v1a"]
    assert config.stream is False
    assert str(config.callback_url) == URL


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"secrets": []}, "at least 1 item"),
        ({"secrets": [""]}, "starts with"),
        ({"secrets": ["   "]}, "starts with"),
        ({"secrets": [SHARED] * 5}, "at most 4"),
        ({"secrets": [PUBLIC]}, "put it into verify_keys"),
        ({"secrets": ["whsec_c2hvcnQ="]}, "24 to 64"),
        ({"verify_keys": [SHARED]}, "only public keys"),
        ({"verify_keys": ["whpk_AAAA"]}, "32 bytes"),
        ({"callback_url": "/callback"}, "URL"),
        ({"callback_url": "ftp://tenant.example/"}, "http"),
        ({"callback_url": "https://user:pass@tenant.example/"}, "user name or password"),
        ({"callback_url": "https://user@tenant.example/"}, "user name or password"),
        ({"secret": SHARED}, "Extra inputs"),
    ],
)
def test_a_bad_setting_is_refused_with_its_reason(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as caught:
        WebhookConfig.model_validate({"callback_url": URL, "secrets": [SHARED], **changed})
    assert SHARED not in str(caught.value)
