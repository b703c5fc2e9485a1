"""What a tenant may give, and what the error says otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from channel_sms import SmsConfig

CONFIG = {
    "account_sid": "AC" + "0" * 32,
    "auth_token": "a-test-token",
    "from_number": "+15550006789",
}


def test_a_number_a_short_code_a_service_or_whatsapp_is_a_sender() -> None:
    for number in ("+15550006789", "12345", "whatsapp:+15550006789"):
        assert SmsConfig.model_validate({**CONFIG, "from_number": number}).sender == number
    service = {**CONFIG, "from_number": None, "messaging_service_sid": "MG" + "a" * 32}
    assert SmsConfig.model_validate(service).sender == "MG" + "a" * 32


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"from_number": None}, "either from_number or messaging_service_sid"),
        ({"messaging_service_sid": "MG" + "a" * 32}, "either from_number"),
        ({"account_sid": "SK" + "0" * 32}, "pattern"),
        ({"auth_token": ""}, "at least 8"),
        ({"from_number": "0151 234"}, "pattern"),
        ({"max_segments": 0}, "greater than or equal to 1"),
        ({"max_segments": 8}, "less than or equal to 7"),
        ({"api_url": "https://user:pass@api.example/"}, "user name or password"),
        ({"inbound_url": "https://user@c.example/"}, "pattern"),
        ({"inbound_url": "https://c.example/#rc=1"}, "pattern"),
        ({"shared_keys": {f"k{n}": "a-shared-key" for n in range(5)}}, "at most 4"),
        ({"public_url": "https://c.example"}, "Extra inputs"),
    ],
)
def test_a_bad_setting_is_refused_with_its_reason(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as caught:
        SmsConfig.model_validate(CONFIG | changed)
    assert "a-test-token" not in str(caught.value)
    assert "a-shared-key" not in str(caught.value)
