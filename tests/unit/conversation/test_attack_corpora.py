"""The corpora of attacks are what they say, and no address of theirs survives the wording."""

from __future__ import annotations

import pytest

from attacks.addresses import unlisted
from attacks.corpus import CORPORA, FOLDER, load, render
from coachline.conversation.wording import Wording

HOSTS = frozenset({"docs.coach.org"})


@pytest.mark.parametrize("name", CORPORA)
def test_a_corpus_is_what_its_maker_makes(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == render(name)


def test_the_corpora_are_large_and_nothing_is_in_them_twice() -> None:
    asking, smuggling = load("asking.json"), load("smuggling.json")
    assert len(asking) >= 200
    assert len(smuggling) >= 100
    assert len({str(one) for one in (*asking, *smuggling)}) == len(asking) + len(smuggling)


@pytest.mark.parametrize("attack", load("smuggling.json"), ids=str)
def test_no_smuggled_address_survives_the_wording_of_an_answer(attack: str) -> None:
    wording = Wording("", (), 0.5, HOSTS)
    for written in (attack, f"See {attack} now.", f"Good.\n\n{attack}\n\nRest."):
        assert list(unlisted(wording.text(written))) == []


@pytest.mark.parametrize(
    "text", ["https://evil-host.com/x", "evil-host.com", "[a](data:x)", "//x.y/z", "ftp://x"]
)
def test_an_address_that_got_through_would_be_seen(text: str) -> None:
    assert list(unlisted(text))
