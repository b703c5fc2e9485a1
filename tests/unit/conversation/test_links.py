"""Which links of a model's text may leave: those to listed hosts, in no disguise any other."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coachline.conversation.links import host_of, only_listed

HOSTS = frozenset({"docs.coach.org"})


@pytest.mark.parametrize(
    "text",
    [
        "No link at all, e.g. at 3.30 p.m., for 4.5 km and/or v1.2.3.",
        "Read [the guide](https://docs.coach.org/guide?a=1#b).",
        "Read [the guide](https://docs.coach.org/a_(b)).",
        "Read https://docs.coach.org/guide.",
        "Read docs.coach.org/guide, then rest.",
        "Write to help@coach.org!",
        "Score: 3 < 4 and 5 > 2 & so on.",
        "Use *emphasis*, **strength**, `code_with.dots` and lists:\n\n- one\n- two",
        "I think so.Then we go on.",
        "See [1] and [2].",
        "An array [x] (of three).",
    ],
)
def test_what_is_harmless_stays(text: str) -> None:
    assert only_listed(text, HOSTS) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("[look](https://evil.com/?q=secret)", "look"),
        ("![chart](https://evil.com/a.png?q=secret)", "chart"),
        ("![chart](https://docs.coach.org/a.png)", "chart"),
        ("[![chart](https://evil.com/p)](https://evil.com/q)", "chart"),
        ("see https://evil.com/?q=secret now", "see evil[.]com now"),
        ("see <https://evil.com/?q=secret> now", "see evil[.]com now"),
        ("see HTTPS://EVIL.COM/secret", "see evil[.]com"),
        ("see evil.com/secret", "see evil[.]com"),
        ("see www.evil.anything?q=secret", "see www[.]evil[.]anything"),
        ("see evil.com.", "see evil[.]com."),
        ("see evil.ru:8080/secret", "see evil[.]ru"),
        ("see 10.0.0.1/secret", "see 10[.]0[.]0[.]1"),
        ("x@evil.com/secret", "x@evil[.]com"),
        ("[a](javascript:alert(1))", "a"),
        ("[a](data:text/html;base64,c2VjcmV0)", "a"),
        ("[a](/relative?q=secret)", "a"),
        ("[a](//evil.com/secret)", "a"),
        ("[a](https://docs.coach.org@evil.com/secret)", "a"),
        (r"[a](https://docs.coach.org\@evil.com/secret)", "a"),
        ("[a](https://docs.coach.org.evil.com/secret)", "a"),
        ("[a](&#104;ttps://evil.com/secret)", "a"),
        ("see evil&#46;com/secret", "see evil[.]com"),
        ("see evil&amp;#46;com/secret", "see evil[.]com"),
        (r"see evil\.com\/secret", "see evil[.]com"),
        ("see ev**il**.com/secret", "see evil[.]com"),
        ("see ht*tps://ev*il.com/secret", "see evil[.]com"),
        ("see evil\u200b.com/secret", "see evil[.]com"),
        ("see evil\u3002com/secret", "see evil[.]com"),
        ("see evil<b></b>.com/secret", "see evil[.]com"),
        ("see evil![.](x)com/secret", "see evil[.]com"),
        ("[a][1]\n\n[1]: https://evil.com/secret", "[a][1]\n\n"),
        ('<img src="https://evil.com/secret">hello', "hello"),
        ("<a href='https://evil.com/secret'>hello</a>", "hello"),
        ("<img src=https://evil.com/secret", "< img src=evil[.]com"),
        ("[a [b] c](https://evil.com/secret)", "[a [b] c] (evil[.]com)"),
        ("[a](\nhttps://evil.com/secret\n'title')", "[a] (\nevil[.]com\n'title')"),
    ],
)
def test_what_leads_elsewhere_becomes_words(text: str, left: str) -> None:
    assert only_listed(text, HOSTS) == left


PIECES = st.sampled_from(
    [
        *"[]()<>!*_`~\\&/.:@# \n",
        "https://",
        "evil.com",
        "evil",
        "com",
        "/secret",
        "?q=secret",
        "www.",
        "&#46;",
        "&amp;",
        "\u200b",
        "\ue000",
        "0\ue001",
        "docs.coach.org",
        "https://docs.coach.org/guide",
        "<b>",
        "[1]: ",
        "![",
        "](",
    ]
)


LISTED = re.compile(r"(?:https?://)?docs\.coach\.org(?![\w.@-])[^\s<>\[\]()]*")
MAIL = re.compile(r"\w@[\w.-]*evil[\w-]*\.com(?!:\d|[/?#\\])")


@settings(max_examples=500)
@given(st.lists(PIECES, max_size=14).map("".join))
def test_no_composition_lets_an_unlisted_address_out(text: str) -> None:
    left = only_listed(text, HOSTS)
    as_plain = re.sub(r"[*_`~\\]", "", left)
    for shown in (left, as_plain):
        rest = MAIL.sub("", LISTED.sub("", shown))
        assert not re.search(r"evil[\w-]*\.com(?![\w-])|://evil", rest), (text, left)


@given(st.text(max_size=200))
def test_any_text_is_worked_through_and_a_second_time_changes_no_link(text: str) -> None:
    once = only_listed(text, HOSTS)
    assert "](http" not in only_listed(once, frozenset())


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://Docs.Coach.org/a", "docs.coach.org"),
        ("http://docs.coach.org:8080", "docs.coach.org"),
        ("notes/guide.md", None),
        ("ftp://docs.coach.org", None),
        ("https://u@docs.coach.org", None),
        ("https://[::1", None),
        ("https://docs.coach.org\\.evil.com", None),
        ("", None),
    ],
)
def test_a_host_is_that_of_a_plain_web_address(address: str, host: str | None) -> None:
    assert host_of(address) == host


@pytest.mark.parametrize(
    "unit", ["[", "![](", "a.", "<a", "&amp;", "[a](", "https://a.", "(", "\\", "[1]: ", "a-", "a@"]
)
def test_a_long_hostile_text_is_no_burden(unit: str) -> None:
    since = time.process_time()
    assert "](" not in only_listed(unit * 4_000, HOSTS)
    assert time.process_time() - since < 1.0


def test_a_mail_address_with_an_empty_fragment_is_no_mail_address() -> None:
    assert only_listed("evil.com@evil.com#", HOSTS) == "evil[.]com@evil[.]com#"
