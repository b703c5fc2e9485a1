"""Names, languages, time zones and texts: what is accepted, and a clear word about the rest."""

from __future__ import annotations

import pytest

from coachline.tenancy.profile import ProfileChanges
from coachline.tenancy.validation import (
    ProfileInvalid,
    TenantNameInvalid,
    check_changes,
    check_name,
)

# 253 characters in labels of at most 63.
LONGEST_HOST = ".".join(["a" * 63] * 3 + ["b" * 61])


@pytest.mark.parametrize("name", ["a", "acme", "0-day", "a" * 63, "acme-coaching-2"])
def test_a_plain_name_is_accepted(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name", ["", "-a", "Acme", "a_b", "a b", "a" * 64, "a\n", "ä", "../etc", "a\x00"]
)
def test_any_other_name_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(TenantNameInvalid, match="acme-coaching"):
        check_name(name)


@pytest.mark.parametrize("language", ["en", "de-AT", "zh-Hant-TW", "es-419", "sl-rozaj", "yue"])
def test_a_language_tag_is_accepted(language: str) -> None:
    check_changes({"language": language})


@pytest.mark.parametrize("language", ["", "e", "english", "en_GB", "en-", "en-GB\n", "123", "d-e"])
def test_what_is_no_language_tag_is_refused(language: str) -> None:
    with pytest.raises(ProfileInvalid, match="BCP 47"):
        check_changes({"language": language})


@pytest.mark.parametrize("time_zone", ["UTC", "Europe/Vienna", "America/Argentina/Buenos_Aires"])
def test_a_time_zone_is_accepted(time_zone: str) -> None:
    check_changes({"time_zone": time_zone})


@pytest.mark.parametrize(
    "time_zone",
    ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe", "U\x00TC", "\ud800"],
)
def test_what_is_no_time_zone_is_refused(time_zone: str) -> None:
    with pytest.raises(ProfileInvalid, match="IANA"):
        check_changes({"time_zone": time_zone})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"display_name": " "}, "display_name"),
        ({"display_name": "x" * 201}, "display_name"),
        ({"display_name": None}, "display_name"),
        ({"persona": "a\x00b"}, "persona"),
        ({"persona": "\ud800"}, "persona"),
        ({"persona": "x" * 20_001}, "persona"),
        ({"apology": ""}, "apology"),
        ({"chat_model": "a model"}, "model"),
        ({"fallback_models": ("ok", "-no")}, "model"),
        ({"fallback_models": ("m",) * 11}, "fallback_models"),
        ({"max_turns": 0}, "max_turns"),
        ({"messages_per_day": 2**31}, "messages_per_day"),
        ({"answer_mode": "both"}, "answer_mode"),
        ({"on_proposal_expiry": "wait"}, "on_proposal_expiry"),
        ({"human_words": ("person",) * 21}, "human_words"),
        ({"human_words": ("person", " ")}, "human_words"),
        ({"human_words": ("x" * 61,)}, "human_words"),
        ({"proposal_seconds": 0}, "proposal_seconds"),
        ({"proposal_seconds": 2_592_001}, "proposal_seconds"),
        ({"escalate_after_seconds": 0}, "escalate_after_seconds"),
        ({"escalate_after_seconds": 604_801}, "escalate_after_seconds"),
        ({"escalate_after_seconds": None}, "escalate_after_seconds"),
        ({"proposal_seconds": None, "escalate_after_seconds": 0}, "escalate_after_seconds"),
        ({"allowed_hosts": ("example.org",) * 101}, "allowed_hosts"),
        ({"crisis_script": " "}, "crisis_script"),
        ({"safety_model": "a model"}, "model"),
        ({"safety_concern_score": 0.29}, "safety_concern_score"),
        ({"safety_concern_score": 1}, "safety_concern_score"),
        ({"safety_concern_score": float("nan")}, "safety_concern_score"),
        ({"safety_crisis_score": 0.96}, "safety_crisis_score"),
    ],
)
def test_a_wrong_value_names_its_field(changes: ProfileChanges, field: str) -> None:
    with pytest.raises(ProfileInvalid, match=field):
        check_changes(changes)


@pytest.mark.parametrize("host", ["a.b", "docs.example.org", "xn--bcher-kva.example", LONGEST_HOST])
def test_a_host_is_accepted(host: str) -> None:
    check_changes({"allowed_hosts": ("first.example", host)})


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost",
        "Docs.example.org",
        "https://example.org",
        "example.org/path",
        "example.org:80",
        "example.org.",
        "-a.example",
        "a-.example",
        "bücher.example",
        "*.example.org",
        "127.0.0.1",
        "10.1",
        "a.1",
        "x" * 64 + ".org",
        LONGEST_HOST + "b",
    ],
)
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(ProfileInvalid, match=r"docs\.example\.org"):
        check_changes({"allowed_hosts": ("first.example", host)})


def test_none_goes_back_to_the_default_where_there_is_one() -> None:
    check_changes(
        {"chat_model": None, "apology": None, "max_turns": None, "messages_per_day": None}
    )
    check_changes({"persona": "", "fallback_models": ()})
    check_changes(
        {
            "proposal_seconds": None,
            "crisis_script": None,
            "safety_model": None,
            "safety_concern_score": None,
            "safety_crisis_score": None,
            "human_words": (),
            "allowed_hosts": (),
        }
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"display_name": "x" * 200},
        {"persona": "x" * 20_000},
        {"apology": "x" * 1_000},
        {"fallback_models": ("m",) * 10},
        {"max_turns": 1, "messages_per_day": 1},
        {"max_turns": 2**31 - 1, "messages_per_day": 2**31 - 1},
        {"answer_mode": "bot", "on_proposal_expiry": "send"},
        {"answer_mode": "draft", "on_proposal_expiry": "drop"},
        {"human_words": ("x" * 60,) * 20},
        {"proposal_seconds": 1, "escalate_after_seconds": 1},
        {"proposal_seconds": 2_592_000, "escalate_after_seconds": 604_800},
        {"allowed_hosts": ("example.org",) * 100},
        {"safety_concern_score": 0.3, "safety_crisis_score": 0.95},
    ],
)
def test_the_last_value_within_a_limit_is_accepted(changes: ProfileChanges) -> None:
    check_changes(changes)
