"""What is accepted as a learner's name, time zone and language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coachline.learners import LanguageInvalid, TimeZoneInvalid
from coachline.learners.profile import LONGEST_NAME, check_language, check_time_zone, clean_name


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("Ada Lovelace", "Ada Lovelace"),
        ("  Zoë \n\t Müller ", "Zoë Müller"),
        ("Zoe\u0308", "Zoë"),
        ("名前", "名前"),
        ("👩\u200d🚀 Sally", "👩\u200d🚀 Sally"),
        ("evil\u202egnp.exe", "evilgnp.exe"),
        ("nul\x00l", "null"),
        ("a\ud800b", "a\N{REPLACEMENT CHARACTER}b"),
        ("\u200b \u2066", None),
        ("\u200d", None),
        ("", None),
        (None, None),
        ("n" * 500, "n" * LONGEST_NAME),
    ],
)
def test_a_name_is_kept_as_one_visible_line(given_name: str | None, kept: str | None) -> None:
    assert clean_name(given_name) == kept


@given(st.text(max_size=400))
def test_a_kept_name_is_short_and_storable_and_cleaning_it_again_changes_nothing(
    name: str,
) -> None:
    kept = clean_name(name)
    if kept is not None:
        assert 1 <= len(kept) <= LONGEST_NAME
        assert "\n" not in kept
        assert "\x00" not in kept
        kept.encode()
        assert clean_name(kept) == kept


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"])
def test_a_zone_of_the_iana_database_is_accepted(zone: str) -> None:
    assert check_time_zone(zone) == zone


@pytest.mark.parametrize(
    "zone", ["", "Mars/Olympus", "../etc/passwd", "/etc/localtime", "America", "a\x00b", "Z" * 300]
)
def test_another_zone_is_refused(zone: str) -> None:
    with pytest.raises(TimeZoneInvalid):
        check_time_zone(zone)


@pytest.mark.parametrize("tag", ["en", "de-AT", "zh-Hant-TW", "ast"])
def test_a_language_tag_is_accepted(tag: str) -> None:
    assert check_language(tag) == tag


@pytest.mark.parametrize("tag", ["", "e", "english", "en_US", "de-", "en\n", "de AT"])
def test_another_language_is_refused(tag: str) -> None:
    with pytest.raises(LanguageInvalid):
        check_language(tag)
