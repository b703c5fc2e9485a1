"""From Slack's notation back to the words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_slack.blocks import escape
from channel_slack.markup import mentions, plain_text, without_mention


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("<@U1>", "@U1"),
        ("<@U1|ada>", "@ada"),
        ("<#C1>", "#C1"),
        ("<#C1|general>", "#general"),
        ("<!here>", "@here"),
        ("<!channel|channel>", "@channel"),
        ("<!subteam^S1|@coaches>", "@coaches"),
        ("<!subteam^S1>", "@S1"),
        ("<!date^1392734382^{date}|Feb 18, 2014>", "Feb 18, 2014"),
        ("<https://a.example/?x=1&amp;y=2>", "https://a.example/?x=1&y=2"),
        ("<https://a.example|a.example>", "a.example"),
        ("<https://a.example|here>", "here (https://a.example)"),
        ("<mailto:a@b.example|a@b.example>", "a@b.example"),
        ("<tel:+4930|+49 30>", "+49 30 (+4930)"),
        ("1 &lt; 2 &gt; 0 &amp; so on", "1 < 2 > 0 & so on"),
        ("&amp;lt;", "&lt;"),
        ("<>", "<>"),
        ("<", "<"),
    ],
)
def test_what_slack_wrote_is_read(text: str, plain: str) -> None:
    assert plain_text(text) == plain


@given(st.text())
def test_whatever_somebody_typed_comes_back(text: str) -> None:
    assert plain_text(escape(text)) == text


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("<@UBOT> hi", "hi"),
        ("<@UBOT|coach>: hi", "hi"),
        (" <@UBOT>, <@UBOT> hi", "hi"),
        ("<@UBOT>", ""),
        ("hi <@UBOT>", "hi <@UBOT>"),
        ("<@UBOTTY> hi", "<@UBOTTY> hi"),
    ],
)
def test_our_name_in_front_is_an_address_and_elsewhere_a_word(text: str, rest: str) -> None:
    assert without_mention(text, "UBOT") == rest


def test_only_our_whole_name_mentions_us() -> None:
    assert mentions("what does <@UBOT|coach> say", "UBOT")
    assert not mentions("what does <@UBOTTY> say", "UBOT")
    assert not mentions("&lt;@UBOT&gt;", "UBOT")
    assert not mentions("<@UBOT>", None)
    assert without_mention("<@UBOT> hi", None) == "<@UBOT> hi"
