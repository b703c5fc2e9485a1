"""Where people are sent after sign-in, and where forms may come from."""

from __future__ import annotations

import pytest

from coachline.console import own_origins, own_path
from coachline.console.own_paths import HOME


@pytest.mark.parametrize(
    "path",
    [
        "/console",
        "/console/",
        "/console/inbox",
        "/console/inbox?status=bot&q=a%20b+c",
        "/console/conversations/01900000-0000-7000-8000-000000000000",
        "/console/static/console.css",
    ],
)
def test_a_page_of_the_console_is_where_people_go_back_to(path: str) -> None:
    assert own_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/api/v1/keys",
        "/consoles",
        "//evil.example/console",
        "https://evil.example/console",
        "/console//evil.example",
        "/console/../api/v1/keys",
        "/console/.",
        "/console/..",
        "/console\\@evil.example",
        "/console/\\evil.example",
        "/console/a\nLocation: https://evil.example",
        "/console/a\r",
        "/console/%2e%2e/api",
        "/console#@evil.example",
        "javascript:alert(1)//console",
        "/console/ä",
        "/console/" + "a" * 1_000,
    ],
)
def test_nobody_is_sent_anywhere_else(path: str) -> None:
    assert own_path(path) == HOME


def test_the_origins_are_those_of_the_configuration_and_the_loopback() -> None:
    assert own_origins("https://Coach.example.org/base", 8765) == (
        "https://coach.example.org",
        "http://localhost:8765",
        "http://127.0.0.1:8765",
        "http://[::1]:8765",
    )
    assert own_origins("https://coach.example.org:443", 80)[:2] == (
        "https://coach.example.org",
        "http://localhost",
    )
    assert own_origins("http://[2001:DB8::1]:8080", 1)[0] == "http://[2001:db8::1]:8080"
