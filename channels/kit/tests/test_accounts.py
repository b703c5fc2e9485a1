"""Whose word it takes that an account is the platform's."""

from __future__ import annotations

import pytest

from channel_kit.accounts import vouched


@pytest.mark.parametrize(
    "api_url",
    ["https://platform.example", "https://api.platform.example/v1/", "https://eu.platform.example"],
)
def test_the_platform_vouches_for_its_accounts(api_url: str) -> None:
    assert vouched("42", api_url=api_url, platform="platform.example") == "42"


@pytest.mark.parametrize(
    ("api_url", "account"),
    [
        ("https://evil.example/", "42@evil.example"),
        ("https://evil.example:8443/", "42@evil.example"),
        ("https://notplatform.example/", "42@notplatform.example"),
        ("https://platform.example.evil.example/", "42@platform.example.evil.example"),
        ("http://platform.example/", "42@platform.example"),
        ("http://127.0.0.1:8081", "42@127.0.0.1"),
    ],
)
def test_anybody_elses_server_vouches_only_for_its_own(api_url: str, account: str) -> None:
    assert vouched("42", api_url=api_url, platform="platform.example") == account
