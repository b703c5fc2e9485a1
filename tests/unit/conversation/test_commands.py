"""What counts as a command, with a slash and without one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from coachline.conversation.commands import (
    Command,
    CommandName,
    parse_command,
    parse_digit,
    parse_span,
)


@pytest.mark.parametrize(
    ("text", "name", "argument"),
    [
        ("/help", "help", ""),
        ("  /HELP ", "help", ""),
        ("/help@anna_coach_bot", "help", ""),
        ("/link", "link", ""),
        ("/link ACDE-3467", "link", "ACDE-3467"),
        ("/start ACDE3467", "start", "ACDE3467"),
        ("/pause 3d", "pause", "3d"),
        ("/share memory", "share", "memory"),
        ("/source 2", "source", "2"),
        ("/hilfe", "help", ""),
        ("/dance now", "unknown", "now"),
    ],
)
def test_a_slash_makes_a_command_everywhere(text: str, name: str, argument: str) -> None:
    expected = Command(CommandName(name), argument)
    assert parse_command(text, is_bare=False) == expected
    assert parse_command(text, is_bare=True) == expected


@pytest.mark.parametrize(
    ("text", "name", "argument"),
    [
        ("HELP", "help", ""),
        ("Help!", "help", ""),
        ("info", "help", ""),
        ("Hilfe", "help", ""),
        ("LINK", "link", ""),
        ("START ACDE3467", "start", "ACDE3467"),
        ("pause 12h", "pause", "12h"),
        ("PAUSE 2 weeks", "pause", "2 weeks"),
        ("more", "more", ""),
        ("MEHR", "more", ""),
        ("my data", "mydata", ""),
        ("MYDATA", "mydata", ""),
        ("share all", "share", "all"),
        ("forget yes", "forget", "yes"),
        ("source 3", "source", "3"),
        ("stop", "stop", ""),
    ],
)
def test_a_bare_command_is_the_whole_message(text: str, name: str, argument: str) -> None:
    assert parse_command(text, is_bare=True) == Command(CommandName(name), argument)
    assert parse_command(text, is_bare=False) is None


@pytest.mark.parametrize("is_bare", [True, False])
def test_a_code_is_known_everywhere_as_it_was_read_out(is_bare: bool) -> None:
    found = parse_command("link acde 3467", is_bare=is_bare)
    assert found == Command(CommandName.LINK, "acde 3467")


@pytest.mark.parametrize(
    "text",
    [
        "help me sleep",
        "stop smoking",
        "start running tomorrow",
        "pause for a bit",
        "more water",
        "link it to my goal",
        "share everything with my wife",
        "forget it",
        "source of joy",
        "my data plan",
        "1",
        "",
        "/",
        "/ help",
        "/3 of my day",
        "//help",
        "a /help",
        "/usr/bin",
    ],
)
def test_what_is_said_to_the_coach_is_no_command(text: str) -> None:
    assert parse_command(text, is_bare=True) is None
    assert parse_command(text, is_bare=False) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        (" 9 ", 9),
        ("[2]", 2),
        ("3.", 3),
        ("4)", 4),
        ("0", None),
        ("12", None),
        ("1 a", None),
    ],
)
def test_one_digit_alone_names_a_choice(text: str, number: int | None) -> None:
    assert parse_digit(text) == number


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("12h", timedelta(hours=12)),
        ("3d", timedelta(days=3)),
        ("3", timedelta(days=3)),
        ("2w", timedelta(weeks=2)),
        ("2 weeks", timedelta(weeks=2)),
        ("999w", timedelta(days=365)),
        ("0d", None),
        ("3 moons", None),
        ("-1d", None),
        ("tomorrow", None),
        ("", None),
    ],
)
def test_a_span_has_hours_days_or_weeks(text: str, span: timedelta | None) -> None:
    assert parse_span(text) == span
